//! Two storages and two trackers, one of which is killed; a storage is removed.

use super::script::{Event, Script, replay};

const SETTINGS: &str = "reserved_storage_space = 1%\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_becomes_the_leader_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        played: &["127.0.0.3:22301"],
        settings: SETTINGS,
        scenarios: &["01", "02", "03", "04", "05"],
        before: &[
            ("01/043", Event::Follows("127.0.0.3:22301")),
            ("03/004", Event::Dies("127.0.0.3:22301")),
            ("03/007", Event::Leads),
            ("05/001", Event::StorageEnds("127.0.0.5")),
        ],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &["127.0.0.2:22301"],
        settings: SETTINGS,
        scenarios: &["01", "02"],
        before: &[("01/037", Event::Leads)],
        ..Script::default()
    };
    replay(&script).await;
}
