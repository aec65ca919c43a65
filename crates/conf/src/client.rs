//! `client.conf`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::{log_level, storage_ids_path};
use crate::keys::{Keys, directory};
use crate::table::Handling::{Honoured, Ignored};
use crate::table::{Handling, KeyTable};
use crate::{ConfError, ConfFile, Configuration, Loaded, LogLevel, TrackerAddress};

/// The settings of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The trackers; never empty.
    pub trackers: Vec<TrackerAddress>,
    /// Longest time for a connection to stand.
    pub connect_timeout: Duration,
    /// Longest time for a server to send or take the next bytes.
    pub network_timeout: Duration,
    /// Where the original's client keeps its log.
    pub base_path: Option<PathBuf>,
    /// What is logged.
    pub log_level: LogLevel,
    /// Kept connections are closed after this time without use.
    pub connection_pool_max_idle_time: Duration,
    /// The next three settings are asked from a tracker.
    pub load_fdfs_parameters_from_tracker: bool,
    /// A file older than this is on every member of its group.
    pub storage_sync_file_max_delay: Duration,
    /// Storages have ids.
    pub use_storage_id: bool,
    /// The list of storages, where they have ids and no tracker is asked.
    pub storage_ids_file: Option<PathBuf>,
    /// The HTTP port to print in URLs.
    pub http_port: u16,
    /// Tokens for URLs, if they are needed.
    pub anti_steal: Option<AntiSteal>,
}

/// What makes a token for a URL.
#[derive(Clone, Eq, PartialEq)]
pub struct AntiSteal {
    /// The key that servers and clients share.
    pub secret_key: String,
    /// How long a token holds.
    pub token_ttl: Duration,
}

impl ClientConfig {
    /// Every setting at its default.
    #[must_use]
    pub fn new(trackers: Vec<TrackerAddress>) -> Self {
        let file = ConfFile::empty(Path::new("defaults"));
        let mut keys = Keys::new(&file, SECTIONS);
        Self::build(&mut keys, trackers).expect("every default can be used")
    }

    fn build(keys: &mut Keys<'_>, trackers: Vec<TrackerAddress>) -> Result<Self, ConfError> {
        let load = keys.boolean("load_fdfs_parameters_from_tracker", false);
        let use_storage_id = keys.boolean("use_storage_id", false);
        Ok(Self {
            trackers,
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", 30),
            base_path: keys.text("base_path").map(directory).transpose()?,
            log_level: log_level(keys),
            connection_pool_max_idle_time: keys.seconds("connection_pool_max_idle_time", 3600),
            load_fdfs_parameters_from_tracker: load,
            storage_sync_file_max_delay: keys.seconds("storage_sync_file_max_delay", 86_400),
            use_storage_id,
            storage_ids_file: match use_storage_id && !load {
                true => Some(storage_ids_path(keys)?),
                false => None,
            },
            http_port: keys.port("http.tracker_server_port", 80)?,
            anti_steal: AntiSteal::read(keys)?,
        })
    }
}

impl Configuration for ClientConfig {
    fn from_file(file: &ConfFile) -> Result<Loaded<Self>, ConfError> {
        let mut keys = Keys::new(file, SECTIONS);
        let trackers = TrackerAddress::read_all(&keys, false)?;
        let config = Self::build(&mut keys, trackers)?;
        Ok(Loaded { config, warnings: keys.into_warnings()? })
    }
}

impl AntiSteal {
    pub(crate) fn read(keys: &mut Keys<'_>) -> Result<Option<Self>, ConfError> {
        if !keys.boolean("http.anti_steal.check_token", false) {
            return Ok(None);
        }
        let help = "http.anti_steal.check_token needs it; it is the one in the servers' http.conf";
        let secret_key = keys
            .owned("http.anti_steal.secret_key")
            .ok_or_else(|| keys.missing("http.anti_steal.secret_key", help))?;
        let token_ttl = keys.seconds("http.anti_steal.token_ttl", 600);
        Ok(Some(Self { secret_key, token_ttl }))
    }
}

/// Without the secret.
impl std::fmt::Debug for AntiSteal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AntiSteal").field("token_ttl", &self.token_ttl).finish_non_exhaustive()
    }
}

const SECTIONS: &[(&str, KeyTable)] = &[("", KEYS)];

const KEYS: KeyTable = &[
    ("connect_timeout", Honoured),
    ("network_timeout", Honoured),
    ("base_path", Honoured),
    ("tracker_server", Honoured),
    ("log_level", Honoured),
    ("connection_pool_max_idle_time", Honoured),
    ("load_fdfs_parameters_from_tracker", Honoured),
    ("storage_sync_file_max_delay", Honoured),
    ("use_storage_id", Honoured),
    ("storage_ids_filename", Honoured),
    ("http.tracker_server_port", Honoured),
    ("http.anti_steal.check_token", Honoured),
    ("http.anti_steal.secret_key", Honoured),
    ("http.anti_steal.token_ttl", Honoured),
    ("use_connection_pool", Ignored("connections are always kept and used again")),
    ("http.anti_steal.token_check_fail", SERVER),
    ("http.default_content_type", SERVER),
    ("http.mime_types_filename", SERVER),
    ("http.multi_range.enabled", SERVER),
    ("http.need_find_content_type", SERVER),
    ("http.server_port", SERVER),
    ("http.disabled", SERVER),
];

const SERVER: Handling = Ignored("it concerns HTTP servers only");

#[cfg(test)]
mod tests;
