//! What is done with each key of `mod_fastdfs.conf` and `http.conf`.

use crate::table::Handling::{Honoured, Ignored, NotHonoured};
use crate::table::{Handling, KeyTable, SectionTable};

/// Every section of `mod_fastdfs.conf`.
pub(super) const SECTIONS: SectionTable = &[("", KEYS), ("group<N>", GROUP_KEYS)];

const KEYS: KeyTable = &[
    ("url_have_group_name", Honoured),
    ("response_mode", Honoured),
    ("flv_support", Honoured),
    ("flv_extension", Honoured),
    ("group_count", Honoured),
    ("anti_steal_bypass_header_name", Honoured),
    ("anti_steal_bypass_header_value", Honoured),
    ("http.disabled", Honoured),
    ("http.default_content_type", Honoured),
    ("http.mime_types_filename", Honoured),
    ("http.anti_steal.check_token", Honoured),
    ("http.anti_steal.token_ttl", Honoured),
    ("http.anti_steal.secret_key", Honoured),
    ("http.anti_steal.token_check_fail", Honoured),
    ("http.multi_range.enabled", Honoured),
    ("http.multi_range.max", Honoured),
    ("http.expose_metadata", Honoured),
    ("http.need_find_content_type", Ignored("the map of media types is always there")),
    ("http.server_port", Ignored("storage.conf says where native HTTP listens")),
    ("connect_timeout", OWN),
    ("network_timeout", OWN),
    ("base_path", OWN),
    ("tracker_server", OWN),
    ("storage_server_port", OWN),
    ("group_name", OWN),
    ("store_path_count", OWN),
    ("store_path<N>", OWN),
    ("store_path<N>_readonly", OWN),
    ("log_level", OWN),
    ("log_filename", OWN),
    ("load_fdfs_parameters_from_tracker", MEMBERS),
    ("storage_sync_file_max_delay", Ignored("every member is asked, however old a file is")),
    ("use_storage_id", MEMBERS),
    ("storage_ids_filename", MEMBERS),
    ("if_alias_prefix", NotHonoured("every address of the machine counts as its own")),
];

const GROUP_KEYS: KeyTable = &[
    ("group_name", GROUP),
    ("storage_server_port", GROUP),
    ("store_path_count", GROUP),
    ("store_path<N>", GROUP),
    ("store_path<N>_readonly", GROUP),
];

const OWN: Handling = Ignored("storage.conf says it");
const MEMBERS: Handling = Ignored("the trackers tell who is in which group");
const GROUP: Handling = Ignored("every group of the cluster is served; its own members are asked");
