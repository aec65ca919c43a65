//! What storages said to trackers in other recordings, one exchange of each kind.

use super::script::{Event, Script, replay};
use crate::recorded::exchanges_of_storages;

const TRACKER: &str = "127.0.0.2:22401";
const FIRST: &str = "127.0.0.2";
const SECOND: &str = "127.0.0.3";
const THIRD: &str = "127.0.0.4";

const SETTINGS: &str = "reserved_storage_space = 1%
store_server = 1
use_trunk_file = true
slot_max_size = 64K
trunk_alloc_alignment_size = 256
trunk_file_size = 4MB
trunk_free_space_merge = true
delete_unused_trunk_files = true
trunk_compress_binlog_interval = 60
trunk_compress_binlog_time_base = 00:00
trunk_binlog_max_backups = 3
";

/// What a storage answers when it is asked for the size of its trunk binlog.
const BINLOG_SIZE: &str = "1F 0000000000000008 64 00 0000000000000561";

/// 127.0.0.2 has sent 127.0.0.4 the old files.
const SENT_TO_4: &str = concat!(
    "0000000000000053 4C 00 67726f75703100000000000000000000 05 00000000 3132372e302e302e3400000000000000 ",
    "3132372e302e302e34 00000000000000000000000000000000000000000000000000000000000000000000000000"
);

/// The administrator removes 127.0.0.5.
const DELETE_5: &str = "0000000000000019 5D 00 67726f75703100000000000000000000 3132372e302e302e35";

#[tokio::test(flavor = "multi_thread")]
async fn what_storages_say_is_answered_as_recorded() {
    let script = Script {
        tracker: TRACKER,
        played: &["127.0.0.2:23401"],
        settings: SETTINGS,
        recording: Some(exchanges_of_storages),
        scenarios: &[
            "tracker_get_my_ip",
            "tracker_parameter_req",
            "tracker_join_init",
            "tracker_sync_dest_req_first",
            "tracker_sync_notify_empty",
            "tracker_sync_dest_req_enoent",
            "tracker_beat_full",
            "tracker_beat_empty",
            "tracker_disk_usage",
            "tracker_changelog_empty",
            "tracker_sync_dest_req",
            "tracker_sync_notify",
            "tracker_sync_src_req_i_am_source",
            "tracker_sync_src_req_none",
            "tracker_beat_answer_changes",
            "tracker_beat_answer_changes_2",
            "tracker_beat_answer_trunk_server",
            "tracker_fetch_trunk_fid",
            "tracker_report_trunk_fid",
            "tracker_report_trunk_free",
            "tracker_report_status_syncing",
            "tracker_report_status_offline",
            "tracker_replica_chg",
            "tracker_beat_answer_changes_3",
            "tracker_join_again",
            "tracker_sync_report",
            "tracker_get_status",
            "tracker_list_storage",
            "tracker_report_ip_changed",
            "tracker_changelog_ip_changed",
            "tracker_changelog_deleted",
            "tracker_report_status_recovery",
        ],
        before: &[
            ("tracker_sync_dest_req_enoent", Event::Sends("tracker_join_init", SECOND)),
            ("tracker_beat_full", Event::Leads),
            ("tracker_beat_full", Event::Says("127.0.0.2:23401", BINLOG_SIZE)),
            ("tracker_beat_full", Event::Beats(&[FIRST])),
            ("tracker_beat_full", Event::TrunkServer(FIRST)),
            ("tracker_beat_full", Event::Beats(&[FIRST])),
            ("tracker_beat_answer_changes", Event::StorageEnds(FIRST)),
            ("tracker_beat_answer_changes", Event::Sends("tracker_join_again", FIRST)),
            ("tracker_beat_answer_trunk_server", Event::StorageEnds(FIRST)),
            ("tracker_beat_answer_trunk_server", Event::Sends("tracker_join_again", FIRST)),
            ("tracker_beat_answer_changes_3", Event::Beats(&[SECOND])),
            ("tracker_join_again", Event::StorageEnds(SECOND)),
            ("tracker_sync_report", Event::Beats(&[SECOND])),
            ("tracker_get_status", Event::Sends("tracker_join_init", THIRD)),
            ("tracker_get_status", Event::Sends("tracker_sync_dest_req", THIRD)),
            ("tracker_get_status", Event::SendsBytes(SENT_TO_4, FIRST)),
            ("tracker_get_status", Event::Beats(&[THIRD])),
            ("tracker_get_status", Event::StorageEnds(THIRD)),
            ("tracker_changelog_deleted", Event::Sends("tracker_changelog_empty", FIRST)),
            ("tracker_changelog_deleted", Event::SendsBytes(DELETE_5, FIRST)),
            // Its former address is nobody's; somebody new is there.
            ("tracker_report_status_recovery", Event::Sends("tracker_join_init", THIRD)),
        ],
        differences: &[(
            "tracker_list_storage",
            "recorded where there were no trunk files and other files had come",
        )],
        ..Script::default()
    };
    replay(&script).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_of_ids_is_told_as_recorded() {
    let script = Script {
        tracker: TRACKER,
        settings: "use_storage_id = true\nstorage_ids_filename = storage_ids.conf\n",
        ids: "100001 group1 127.0.0.2:23401\n100002 group1 127.0.0.3:23401\n",
        recording: Some(exchanges_of_storages),
        scenarios: &["tracker_fetch_storage_ids"],
        ..Script::default()
    };
    replay(&script).await;
}
