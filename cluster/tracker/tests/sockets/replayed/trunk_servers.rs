//! Ids and trunk files: four storages at once, a trunk server that is killed, and one that was frozen.

use super::script::{Event, Script, replay};

const SETTINGS: &str = "check_active_interval = 6
reserved_storage_space = 1%
use_storage_id = true
storage_ids_filename = storage_ids.conf
id_type_in_filename = id
use_trunk_file = true
store_server = 1
slot_max_size = 1MB
trunk_alloc_alignment_size = 256
trunk_file_size = 4MB
trunk_create_file_space_threshold = 1G
trunk_free_space_merge = true
trunk_compress_binlog_min_interval = 86400
trunk_compress_binlog_interval = 86400
trunk_binlog_max_backups = 7
";

const IDS: &str = "100001 group1 127.0.0.4:23301
100002 group1 127.0.0.5:23301
100003 group1 127.0.0.6:23301 rw=read
100004 group2 127.0.0.4:23302
100005 group1 127.0.0.7:23301 rw=none
";

/// What a tracker answers to a ping first: group1 has this trunk server.
const TRUNK_TABLE: &str =
    "41 0000000000000020 64 00 67726f75703100000000000000000000 31303030303100000000000000000000";

/// What a tracker answers first when it is asked for its rank: it has no groups.
const NO_GROUPS: &str = "40 0000000000000000 64 02";

/// What a storage answers when it is asked for the size of its trunk binlog, and when it may not go on where it was.
const BINLOG_SIZE: &str = "1F 0000000000000008 64 00 000000000000064F";
const MARKS_DELETED: &str = "20 0000000000000000 64 00";

/// 127.0.0.2:22301 is proposed as the leader, and leads.
const NEXT_LEADER: &str = "000000000000000F 42 00 3132372e302e302e323a3232333031";
const LEADER: &str = "000000000000000F 43 00 3132372e302e302e323a3232333031";

const ALL: &[&str] = &["127.0.0.4", "127.0.0.5", "127.0.0.6", "127.0.0.7"];
const AWAKE: &[&str] = &["127.0.0.4", "127.0.0.6", "127.0.0.7"];
const LEFT: &[&str] = &["127.0.0.5", "127.0.0.6", "127.0.0.7"];

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_with_trunk_servers_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.3:22301",
        played: &["127.0.0.2:22301", "127.0.0.4:23301", "127.0.0.5:23301"],
        settings: SETTINGS,
        ids: IDS,
        scenarios: &["06", "07", "10", "08", "09"],
        before: &[
            ("06/057", Event::Leads),
            ("06/057", Event::TrunkServer("127.0.0.4")),
            ("07/001", Event::Beats(ALL)),
            ("10/002", Event::Beats(ALL)),
            ("08/003", Event::StorageEnds("127.0.0.4")),
            ("08/003", Event::Beats(LEFT)),
            ("08/003", Event::BeatsUntilAsked(LEFT, "127.0.0.5:23301")),
            ("08/003", Event::TrunkServer("127.0.0.5")),
            // It heard so in an answer that was not recorded.
            ("08/008", Event::Beats(&["127.0.0.5"])),
            // It hears of another leader, gives way, and follows.
            ("09/001", Event::SendsBytes(NEXT_LEADER, "127.0.0.2")),
            ("09/001", Event::SendsBytes(NEXT_LEADER, "127.0.0.2")),
            ("09/001", Event::SendsBytes(LEADER, "127.0.0.2")),
        ],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_with_trunk_servers_answers_as_recorded() {
    let script = Script {
        tracker: "127.0.0.2:22301",
        played: &["127.0.0.3:22301", "127.0.0.4:23301"],
        settings: SETTINGS,
        ids: IDS,
        scenarios: &["06", "07", "10", "08", "09"],
        before: &[
            ("06/001", Event::Says("127.0.0.3:22301", NO_GROUPS)),
            ("06/001", Event::Says("127.0.0.3:22301", TRUNK_TABLE)),
            ("06/140", Event::Follows("127.0.0.3:22301")),
            // It has heard of the new trunk server, and the one that was killed comes back.
            ("09/003", Event::TrunkServer("127.0.0.5")),
            ("09/003", Event::Sends("06/143", "127.0.0.4")),
            ("09/003", Event::Sends("06/144", "127.0.0.4")),
            ("09/003", Event::Sends("06/145", "127.0.0.4")),
            // The leader dies, and this tracker leads.
            ("09/003", Event::Dies("127.0.0.3:22301")),
            ("09/003", Event::Leads),
            ("09/003", Event::Beats(ALL)),
            // The trunk server is frozen; the one that has come back takes its place.
            ("09/003", Event::Says("127.0.0.4:23301", BINLOG_SIZE)),
            ("09/003", Event::Says("127.0.0.4:23301", MARKS_DELETED)),
            ("09/003", Event::BeatsUntilAsked(AWAKE, "127.0.0.4:23301")),
            ("09/003", Event::TrunkServer("127.0.0.4")),
            ("09/003", Event::Beats(AWAKE)),
        ],
        delayed: &[("06/016", 2.0245)],
        differences: &[(
            "06/016",
            "what it took from the other tracker, where the storage was ONLINE, was not recorded",
        )],
        ..Script::default()
    };
    replay(&script).await;
}
