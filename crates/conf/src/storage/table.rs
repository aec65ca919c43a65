//! What is done with each key of `storage.conf`.

use crate::access_log::ACCESS_LOG_KEYS;
use crate::log_settings::LOG_KEYS;
use crate::table::Handling::{Honoured, Ignored, NotHonoured};
use crate::table::{Handling, KeyTable, SectionTable, concat};

/// Every section of `storage.conf`.
pub(super) const SECTIONS: SectionTable =
    &[("", KEYS), ("error-log", LOG_KEYS), ("access-log", ACCESS_LOG_KEYS)];

const KEYS: KeyTable =
    &concat::<{ OWN_KEYS.len() + LOG_KEYS.len() + OLD_KEYS.len() }>(&[OWN_KEYS, LOG_KEYS, OLD_KEYS]);

const OWN_KEYS: KeyTable = &[
    ("disabled", Honoured),
    ("group_name", Honoured),
    ("bind_addr", Honoured),
    ("inner_bind_addr", Honoured),
    ("outer_bind_addr", Honoured),
    ("inner_port", Honoured),
    ("outer_port", Honoured),
    ("advertise_addr", Honoured),
    ("client_bind", Honoured),
    ("port", Honoured),
    ("address_family", Honoured),
    ("server_id", Honoured),
    ("connect_timeout", Honoured),
    ("network_timeout", Honoured),
    ("heart_beat_interval", Honoured),
    ("stat_report_interval", Honoured),
    ("base_path", Honoured),
    ("max_connections", Honoured),
    ("buff_size", Honoured),
    ("work_threads", Honoured),
    ("disk_rw_separated", Honoured),
    ("disk_reader_threads", Honoured),
    ("disk_writer_threads", Honoured),
    ("sync_max_threads", Honoured),
    ("sync_wait_msec", Honoured),
    ("sync_interval", Honoured),
    ("sync_start_time", Honoured),
    ("sync_end_time", Honoured),
    ("write_mark_file_freq", Honoured),
    ("disk_recovery_threads", Honoured),
    ("store_path_count", Honoured),
    ("store_path<N>", Honoured),
    ("store_path<N>_readonly", Honoured),
    ("subdir_count_per_path", Honoured),
    ("tracker_server", Honoured),
    ("log_level", Honoured),
    ("run_by_group", Honoured),
    ("run_by_user", Honoured),
    ("allow_hosts", Honoured),
    ("file_distribute_path_mode", Honoured),
    ("file_distribute_rotate_count", Honoured),
    ("fsync_after_written_bytes", Honoured),
    ("own_commands", Honoured),
    ("lend_files", Honoured),
    ("trunk_reclaim_after", Honoured),
    ("write_concern", Honoured),
    ("write_concern_deadline", Honoured),
    ("on_deadline", Honoured),
    ("tombstones_kept", Honoured),
    ("change_appenders_anywhere", Honoured),
    ("scrub_rate", Honoured),
    ("scrub_interval", Honoured),
    ("scrub_min_age", Honoured),
    ("sync_binlog_buff_interval", Honoured),
    ("sync_stat_file_interval", Honoured),
    ("upload_priority", Honoured),
    ("check_file_duplicate", Honoured),
    ("file_signature_method", Honoured),
    ("key_namespace", Honoured),
    ("file_sync_skip_invalid_record", Honoured),
    ("connection_pool_max_idle_time", Honoured),
    ("compress_binlog", Honoured),
    ("compress_binlog_time", Honoured),
    ("check_store_path_mark", Honoured),
    ("replication_from", Honoured),
    ("http_listen", Honoured),
    ("mod_fastdfs_conf", Honoured),
    ("http.server_port", Honoured),
    ("cluster_secret_file", Honoured),
    ("metrics_listen", Honoured),
    ("accept_threads", Ignored("one thread accepts and deals out the connections")),
    ("sync_min_threads", Ignored("connections to a peer are made as they are needed")),
    ("thread_stack_size", Ignored("connections need no stack of their own")),
    ("tcp_quick_ack", Ignored("small answers leave at once")),
    ("use_connection_pool", Ignored("connections to other servers are always kept")),
    ("keep_alive", FAST_DHT),
    ("use_io_uring", IO_URING),
    ("use_send_zc", IO_URING),
    ("if_alias_prefix", NotHonoured("every address of the machine counts as its own")),
    ("group_count", NO_FAST_DHT),
    ("group<N>", NO_FAST_DHT),
    ("proxy_*", NO_FAST_DHT),
];

const OLD_KEYS: KeyTable = &[
    ("use_access_log", NotHonoured("write enabled = true below [access-log]")),
    ("rotate_access_log", NotHonoured("write log_file_rotate_everyday below [access-log]")),
    ("access_log_rotate_time", NotHonoured("write log_file_rotate_time below [access-log]")),
    ("rotate_access_log_size", NotHonoured("write log_file_rotate_on_size below [access-log]")),
    ("compress_old_access_log", NotHonoured("write log_file_compress_old below [access-log]")),
    (
        "compress_access_log_days_before",
        NotHonoured("write log_file_compress_days_before below [access-log]"),
    ),
    ("rotate_error_log", NotHonoured("write log_file_rotate_everyday below [error-log]")),
    ("error_log_rotate_time", NotHonoured("write log_file_rotate_time below [error-log]")),
    ("rotate_error_log_size", NotHonoured("write log_file_rotate_on_size below [error-log]")),
    ("compress_old_error_log", NotHonoured("write log_file_compress_old below [error-log]")),
    ("compress_error_log_days_before", NotHonoured("write log_file_compress_days_before below [error-log]")),
    ("http.*", NotHonoured("write it in http.conf; mod_fastdfs_conf names the file that includes it")),
];

const IO_URING: Handling = NotHonoured("io_uring is not used");
const FAST_DHT: Handling = Ignored("the table of equal files is built in");
const NO_FAST_DHT: Handling = NotHonoured("the table of equal files is built in, FastDHT is not asked");
