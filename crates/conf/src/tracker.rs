//! `tracker.conf`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fdfs_types::GroupName;

use crate::common::{cluster_secret_file, log_level, metrics_listen, storage_ids_path};
use crate::keys::{Keys, invalid};
use crate::{
    AddressFamily, AllowHosts, ClusterParameters, ConfError, ConfFile, Configuration, Listener, Loaded,
    LogLevel, LogSettings, ServiceAddress,
};

mod table;

/// The settings of a tracker.
#[derive(Clone, Debug)]
pub struct TrackerConfig {
    /// Where data and logs are kept.
    pub base_path: PathBuf,
    /// Where the native protocol listens; the inner listener first, never empty.
    pub listeners: Vec<Listener>,
    /// IP versions in use.
    pub address_family: AddressFamily,
    /// Longest time for a connection to another server to stand.
    pub connect_timeout: Duration,
    /// Longest time for a peer to send or take the next bytes.
    pub network_timeout: Duration,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Threads that serve connections.
    pub work_threads: u32,
    /// Largest packet, in bytes.
    pub max_packet_size: u64,
    /// Which group a new file goes to.
    pub store_lookup: StoreLookup,
    /// Which member of it.
    pub store_server: StoreServer,
    /// Which member a file is read from.
    pub download_server: DownloadServer,
    /// What holds for the whole cluster.
    pub cluster: ClusterParameters,
    /// A storage without a beat for this long is offline.
    pub check_active_interval: Duration,
    /// Longest time for the replication of one file.
    pub storage_sync_file_max_time: Duration,
    /// The list of storages, where they have ids; see [`crate::StorageIds`].
    pub storage_ids_file: Option<PathBuf>,
    /// Who may connect.
    pub allow_hosts: AllowHosts,
    /// The file with the secret that members share; anybody may speak for members if absent. Ours.
    pub cluster_secret_file: Option<PathBuf>,
    /// Group to run as.
    pub run_by_group: Option<String>,
    /// User to run as.
    pub run_by_user: Option<String>,
    /// What is logged.
    pub log_level: LogLevel,
    /// How the log is kept.
    pub error_log: LogSettings,
    /// Metrics and health; none if switched off. Ours.
    pub metrics_listen: Option<ServiceAddress>,
}

/// `store_lookup`: which group a new file goes to.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum StoreLookup {
    /// One after the other (0).
    #[default]
    RoundRobin,
    /// This one (1).
    Group(GroupName),
    /// The one with the most free space (2).
    MostFree,
}

/// `store_server`: which member of a group a new file goes to.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StoreServer {
    /// One after the other (0).
    #[default]
    RoundRobin,
    /// The first by address (1).
    FirstByAddress,
    /// The first by upload priority (2).
    FirstByPriority,
}

/// `download_server`: which member a file is read from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DownloadServer {
    /// One after the other (0).
    #[default]
    RoundRobin,
    /// The one it was uploaded to (1).
    Source,
}

impl TrackerConfig {
    /// The port of a tracker.
    pub const DEFAULT_PORT: u16 = 22122;
    /// The port of a tracker's metrics, on loopback.
    pub const DEFAULT_METRICS_PORT: u16 = 22180;

    /// Every setting at its default.
    #[must_use]
    pub fn new(base_path: impl Into<PathBuf>) -> Self {
        let file = ConfFile::empty(Path::new("defaults"));
        let mut keys = Keys::new(&file, table::SECTIONS);
        Self::build(&mut keys, base_path.into()).expect("every default can be used")
    }

    fn build(keys: &mut Keys<'_>, base_path: PathBuf) -> Result<Self, ConfError> {
        let cluster = ClusterParameters::read(keys)?;
        let address_family = keys.parsed("address_family")?.unwrap_or_default();
        check_ipv6(keys, address_family, &cluster)?;
        Ok(Self {
            base_path,
            listeners: Listener::read(keys, Self::DEFAULT_PORT)?,
            address_family,
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", 60),
            max_connections: keys.positive("max_connections", 256),
            work_threads: keys.within("work_threads", 4, 1, 1024)?,
            max_packet_size: max_packet_size(keys)?,
            store_lookup: store_lookup(keys)?,
            store_server: keys
                .choice(
                    "store_server",
                    &[
                        (0, StoreServer::RoundRobin),
                        (1, StoreServer::FirstByAddress),
                        (2, StoreServer::FirstByPriority),
                    ],
                )
                .unwrap_or_default(),
            download_server: keys
                .choice("download_server", &[(0, DownloadServer::RoundRobin), (1, DownloadServer::Source)])
                .unwrap_or_default(),
            storage_ids_file: storage_ids_file(keys, cluster.use_storage_id)?,
            cluster,
            check_active_interval: keys.seconds("check_active_interval", 100),
            storage_sync_file_max_time: keys.seconds("storage_sync_file_max_time", 300),
            allow_hosts: AllowHosts::read(keys)?,
            cluster_secret_file: cluster_secret_file(keys)?,
            run_by_group: keys.owned("run_by_group"),
            run_by_user: keys.owned("run_by_user"),
            log_level: log_level(keys),
            error_log: LogSettings::read(keys, "error-log")?,
            metrics_listen: metrics_listen(keys, Self::DEFAULT_METRICS_PORT)?,
        })
    }
}

impl Configuration for TrackerConfig {
    fn from_file(file: &ConfFile) -> Result<Loaded<Self>, ConfError> {
        let mut keys = Keys::new(file, table::SECTIONS);
        keys.check_enabled()?;
        let base_path = keys.base_path()?;
        let config = Self::build(&mut keys, base_path)?;
        Ok(Loaded { config, warnings: keys.into_warnings()? })
    }
}

/// IPv6 addresses fit neither IP mode nor the names of files that carry IPs.
fn check_ipv6(keys: &Keys<'_>, family: AddressFamily, cluster: &ClusterParameters) -> Result<(), ConfError> {
    match keys.text("address_family") {
        Some(entry) if family.wants_ipv6() && !cluster.use_storage_id => {
            Err(invalid(entry, "IPv6 needs use_storage_id = true and a storage_ids_filename"))
        }
        Some(entry) if family.wants_ipv6() && !cluster.id_in_filename => {
            Err(invalid(entry, "IPv6 needs id_type_in_filename = id"))
        }
        _ => Ok(()),
    }
}

fn store_lookup(keys: &mut Keys<'_>) -> Result<StoreLookup, ConfError> {
    let Some((number, entry)) = keys.integer("store_lookup") else {
        return Ok(StoreLookup::RoundRobin);
    };
    match number {
        0 => Ok(StoreLookup::RoundRobin),
        1 => {
            let help = "store_lookup = 1 needs store_group = GROUP, or use store_lookup = 0";
            let group = keys.get("store_group").ok_or_else(|| keys.missing("store_group", help))?;
            let name = group.value.parse().map_err(|error| invalid(group, error))?;
            Ok(StoreLookup::Group(name))
        }
        2 => Ok(StoreLookup::MostFree),
        _ => Err(invalid(entry, "use 0 (round robin), 1 (store_group) or 2 (most free space)")),
    }
}

/// The largest of the buffer sizes, as in the original.
fn max_packet_size(keys: &mut Keys<'_>) -> Result<u64, ConfError> {
    let mut largest = 256 << 10;
    if let Some((size, entry)) = keys.size("buff_size")? {
        if size < MIN_PACKET_SIZE {
            return Err(invalid(entry, "at least 8KB are needed"));
        }
        largest = size;
    }
    match keys.size("max_buff_size")? {
        Some((size, entry)) if size < MIN_PACKET_SIZE => Err(invalid(entry, "at least 8KB are needed")),
        Some((size, _)) => Ok(largest.max(size)),
        None => Ok(largest),
    }
}

fn storage_ids_file(keys: &Keys<'_>, needed: bool) -> Result<Option<PathBuf>, ConfError> {
    if !needed {
        return Ok(None);
    }
    storage_ids_path(keys).map(Some)
}

const MIN_PACKET_SIZE: u64 = 8 << 10;

#[cfg(test)]
mod tests;
