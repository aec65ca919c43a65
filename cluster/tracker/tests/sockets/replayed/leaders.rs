//! Leaders that are frozen, or cut off from each other.

use super::files::{files_of_long_ago, files_of_the_cluster};
use super::script::{Event, Script, replay};

const SETTINGS: &str = "reserved_storage_space = 1%\n";
const BOTH: &[&str] = &["127.0.0.4", "127.0.0.5"];
const TELLS_AGAIN: &str =
    "a leader tells the list anew: it does not know what another one has told meanwhile";

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_frozen_and_cut_off_answers_as_recorded() {
    const PEER: &str = "127.0.0.2:22301";
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &[PEER],
        settings: SETTINGS,
        files: Some(files_of_the_cluster),
        scenarios: &["12", "13", "14", "15"],
        before: &[
            ("12/012", Event::Starts(PEER)),
            ("12/012", Event::Sends("12/025", "127.0.0.4")),
            ("12/012", Event::StorageEnds("127.0.0.4")),
            ("13/001", Event::Leads),
            ("13/001", Event::Sends("13/002", "127.0.0.2")),
            ("13/001", Event::Sends("13/001", "127.0.0.2")),
            // The other tracker led in the end. It is gone now.
            ("14/002", Event::Dies(PEER)),
            ("14/002", Event::Leads),
            ("14/002", Event::Beats(BOTH)),
            ("14/002", Event::Beats(BOTH)),
            ("14/009", Event::Leads),
            // It does not lead again before the storages have beaten.
            ("14/010", Event::Starts(PEER)),
            ("15/002", Event::Dies(PEER)),
            ("15/002", Event::Leads),
            ("15/002", Event::Beats(&["127.0.0.5"])),
            ("15/009", Event::Starts(PEER)),
            ("15/009", Event::Leads),
        ],
        senders: &[
            ("14/005", "127.0.0.5"),
            ("14/006", "127.0.0.5"),
            ("14/009", "127.0.0.4"),
            ("14/010", "127.0.0.4"),
            ("15/005", "127.0.0.4"),
        ],
        differences: &[("15/002", TELLS_AGAIN), ("15/012", TELLS_AGAIN)],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_leader_answers_as_recorded() {
    const PEER: &str = "127.0.0.3:22301";
    let script = Script {
        tracker: "127.0.0.2:22301",
        played: &[PEER],
        settings: SETTINGS,
        files: Some(files_of_long_ago),
        scenarios: &["12", "14", "15"],
        before: &[
            ("12/011", Event::Starts(PEER)),
            ("14/001", Event::Follows(PEER)),
            ("14/001", Event::Beats(BOTH)),
            ("14/004", Event::Dies(PEER)),
            ("14/004", Event::Leads),
            ("14/008", Event::Leads),
            ("15/001", Event::Leads),
            // The link is back; the other one does not agree that this one leads again.
            ("15/003", Event::Starts(PEER)),
        ],
        senders: &[
            ("14/007", "127.0.0.5"),
            ("14/011", "127.0.0.4"),
            ("15/003", "127.0.0.4"),
            ("15/004", "127.0.0.4"),
        ],
        differences: &[("15/001", TELLS_AGAIN)],
        ..Script::default()
    };
    replay(&script).await;
}
