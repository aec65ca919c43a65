//! A storage with another address, one whose store path is empty, and a tracker that is added.

use super::script::{Event, Script, replay};

const SETTINGS: &str = "reserved_storage_space = 1%\n";

/// 127.0.0.4 has sent 127.0.0.5 the old files.
const SYNCING: &str = concat!(
    "0000000000000053 4C 00 67726f75703100000000000000000000 02 00000000 ",
    "3132372e302e302e3500000000000000 ",
    "3132372e302e302e35",
    "00000000000000000000000000000000000000000000000000000000000000000000000000"
);
const OFFLINE: &str = concat!(
    "0000000000000053 4C 00 67726f75703100000000000000000000 05 00000000 ",
    "3132372e302e302e3500000000000000 ",
    "3132372e302e302e35",
    "00000000000000000000000000000000000000000000000000000000000000000000000000"
);

/// Up to when the files of the other one have come.
const SYNCED_FROM_4: &str = "0000000000000014 59 00 3132372e302e302e3400000000000000 6B027D26";
const SYNCED_FROM_6: &str = "0000000000000014 59 00 3132372e302e302e3600000000000000 6B027D26";

#[tokio::test(flavor = "multi_thread")]
async fn a_tracker_whose_storages_move_and_are_emptied_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        settings: SETTINGS,
        scenarios: &["16", "17", "18"],
        before: &[
            // Two storages have joined, and the second was sent the files of the first.
            ("16/001", Event::Sends("17/018", "127.0.0.4")),
            ("16/001", Event::Sends("17/019", "127.0.0.4")),
            ("16/001", Event::Sends("17/020", "127.0.0.4")),
            ("16/001", Event::Leads),
            ("16/001", Event::Sends("16/011", "127.0.0.5")),
            ("16/001", Event::Sends("16/012", "127.0.0.5")),
            ("16/001", Event::SendsBytes(SYNCING, "127.0.0.4")),
            ("16/001", Event::SendsBytes(OFFLINE, "127.0.0.4")),
            ("16/001", Event::Beats(&["127.0.0.5", "127.0.0.4"])),
            ("16/001", Event::StorageEnds("127.0.0.5")),
            ("17/003", Event::Beats(&["127.0.0.6"])),
            ("17/003", Event::SendsBytes(SYNCED_FROM_6, "127.0.0.4")),
            ("17/003", Event::SendsBytes(SYNCED_FROM_4, "127.0.0.6")),
            ("17/003", Event::StorageEnds("127.0.0.4")),
            ("18/001", Event::StorageEnds("127.0.0.4")),
            // A storage has told of the other tracker.
            ("18/009", Event::Sends("18/011", "127.0.0.4")),
            ("18/009", Event::StorageEnds("127.0.0.4")),
        ],
        delayed: &[("16/004", 41.1)],
        ..Script::default()
    };
    replay(&script).await;
}
