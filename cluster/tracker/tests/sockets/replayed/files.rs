//! Trackers that take the data files of others before they admit a storage.

use std::path::Path;

use super::script::{Event, Script, replay};
use crate::recorded::exchanges;

const SETTINGS: &str = "reserved_storage_space = 1%\n";

const FRESH: &str = "127.0.0.3:22301";
const OTHER: &str = "127.0.0.2:22301";

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_tracker_that_waits_for_the_other_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        played: &[FRESH],
        settings: SETTINGS,
        scenarios: &["11"],
        before: &[("11/006", Event::Starts(FRESH)), ("11/027", Event::Follows(FRESH))],
        differences: &[(
            "11/013",
            "a copy made when the other began to fetch, before the storage was ONLINE",
        )],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_tracker_that_takes_the_files_of_the_other_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &[OTHER],
        settings: SETTINGS,
        scenarios: &["11"],
        before: &[("11/026", Event::Leads)],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_was_away_for_long_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        played: &[FRESH],
        settings: SETTINGS,
        files: Some(files_of_long_ago),
        scenarios: &["12"],
        before: &[("12/011", Event::Starts(FRESH))],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_whose_files_are_taken_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &[OTHER],
        settings: SETTINGS,
        files: Some(files_of_the_cluster),
        scenarios: &["12"],
        before: &[
            // A storage has told of the other tracker.
            ("12/012", Event::Sends("12/025", "127.0.0.4")),
            ("12/012", Event::StorageEnds("127.0.0.4")),
        ],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_that_is_added_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &[OTHER],
        settings: SETTINGS,
        scenarios: &["18"],
        ..Script::default()
    };
    replay(&script).await;
}

/// The files of two storages, as they were fetched in scenario 12.
pub(super) fn files_of_the_cluster(data: &Path) {
    let recorded = exchanges();
    for (at, name) in [
        ("12/014", "storage_groups_new.dat"),
        ("12/015", "storage_servers_new.dat"),
        ("12/016", "storage_sync_timestamp.dat"),
    ] {
        let exchange = recorded.iter().find(|exchange| exchange.at() == at).expect("it was recorded");
        let answer = hex::decode(exchange.response_hex.as_deref().expect("an answer")).expect("hex");
        // Behind the header and the size of the file.
        std::fs::write(data.join(name), &answer[18..]).expect("a data file");
    }
}

/// The same, of a tracker that was last alive a quarter of an hour ago.
pub(super) fn files_of_long_ago(data: &Path) {
    files_of_the_cluster(data);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock").as_secs();
    let status = format!("up_time={}\nlast_check_time={}\n", now - 2000, now - 1000);
    std::fs::write(data.join(".tracker_status"), status).expect("a data file");
}
