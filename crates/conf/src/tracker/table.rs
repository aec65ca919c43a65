//! What is done with each key of `tracker.conf`.

use crate::cluster::CLUSTER_KEYS;
use crate::log_settings::LOG_KEYS;
use crate::table::Handling::{Honoured, Ignored};
use crate::table::{Handling, KeyTable, SectionTable, concat};

/// Every section of `tracker.conf`.
pub(super) const SECTIONS: SectionTable = &[("", KEYS), ("error-log", LOG_KEYS)];

const KEYS: KeyTable =
    &concat::<{ OWN_KEYS.len() + CLUSTER_KEYS.len() + LOG_KEYS.len() }>(&[OWN_KEYS, CLUSTER_KEYS, LOG_KEYS]);

const OWN_KEYS: KeyTable = &[
    ("disabled", Honoured),
    ("bind_addr", Honoured),
    ("inner_bind_addr", Honoured),
    ("outer_bind_addr", Honoured),
    ("port", Honoured),
    ("inner_port", Honoured),
    ("outer_port", Honoured),
    ("address_family", Honoured),
    ("connect_timeout", Honoured),
    ("network_timeout", Honoured),
    ("base_path", Honoured),
    ("max_connections", Honoured),
    ("work_threads", Honoured),
    ("buff_size", Honoured),
    ("max_buff_size", Honoured),
    ("store_lookup", Honoured),
    ("store_group", Honoured),
    ("store_server", Honoured),
    ("download_server", Honoured),
    ("log_level", Honoured),
    ("run_by_group", Honoured),
    ("run_by_user", Honoured),
    ("allow_hosts", Honoured),
    ("check_active_interval", Honoured),
    ("storage_sync_file_max_time", Honoured),
    ("storage_ids_filename", Honoured),
    ("cluster_secret_file", Honoured),
    ("metrics_listen", Honoured),
    ("use_io_uring", IO_URING),
    ("use_send_zc", IO_URING),
    ("accept_threads", Ignored("one thread accepts and deals out the connections")),
    ("min_buff_size", Ignored("a buffer has the size of its packet")),
    ("tcp_quick_ack", Ignored("small answers leave at once")),
    ("thread_stack_size", Ignored("connections need no stack of their own")),
    ("use_connection_pool", POOL),
    ("connection_pool_max_idle_time", POOL),
    ("http.*", Ignored("a tracker has served no HTTP since 5.0")),
];

const IO_URING: Handling = Ignored("io_uring is not used");
const POOL: Handling = Ignored("connections to other servers are always kept");
