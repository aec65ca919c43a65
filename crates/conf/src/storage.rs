//! `storage.conf`.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fdfs_types::{GroupName, StorageId};

use crate::common::{cluster_secret_file, log_level, metrics_listen};
use crate::keys::{Keys, invalid};
use crate::listen::addresses;
use crate::{
    AccessLogSettings, AddressFamily, AllowHosts, ConfError, ConfFile, Configuration, Listener, Loaded,
    LogLevel, LogSettings, ServiceAddress, TimeOfDay, TrackerAddress,
};

mod dedup;
mod http_conf;
mod replication_from;
mod scrub;
mod table;
mod values;
mod write_concern;

pub use dedup::{Deduplication, SignatureMethod};
pub use http_conf::HttpConf;
pub use replication_from::ReplicationFrom;
pub use scrub::ScrubSettings;
pub use write_concern::{OnDeadline, WriteConcern};

/// The settings of a storage.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// The group; asked from a tracker if not given.
    pub group_name: Option<GroupName>,
    /// Where state and logs are kept.
    pub base_path: PathBuf,
    /// Where files are kept; never empty.
    pub store_paths: Vec<StorePathConfig>,
    /// Sub directories per level, 1 to 256.
    pub subdir_count_per_path: u16,
    /// The trackers; never empty.
    pub trackers: Vec<TrackerAddress>,
    /// Where the native protocol listens; the inner listener first, never empty.
    pub listeners: Vec<Listener>,
    /// The addresses under which the trackers are to know this storage; none means those that they see. Ours.
    pub advertise: Vec<IpAddr>,
    /// Connections to other servers start from the listening address.
    pub client_bind: bool,
    /// IP versions in use.
    pub address_family: AddressFamily,
    /// My id, where storages have ids and the tracker believes them.
    pub server_id: Option<StorageId>,
    /// Longest time for a connection to another server to stand.
    pub connect_timeout: Duration,
    /// Longest time for a peer to send or take the next bytes.
    pub network_timeout: Duration,
    /// Interval of beats to each tracker.
    pub heart_beat_interval: Duration,
    /// Interval of disk reports to each tracker.
    pub stat_report_interval: Duration,
    /// Most connections at a time.
    pub max_connections: u32,
    /// Buffer of a connection that moves file content, in bytes.
    pub buff_size: u64,
    /// Threads that serve connections.
    pub work_threads: u32,
    /// Concurrent blocking reads of one store path.
    pub disk_reader_threads: u32,
    /// Concurrent blocking writes of one store path.
    pub disk_writer_threads: u32,
    /// Most parallel connections to one peer for replication.
    pub sync_max_threads: u32,
    /// Longest pause of a replication thread that has nothing to send.
    pub sync_wait: Duration,
    /// Pause after each batch.
    pub sync_interval: Duration,
    /// Replication runs from this time of day ...
    pub sync_start_time: TimeOfDay,
    /// ... to this one.
    pub sync_end_time: TimeOfDay,
    /// Records after which the position of a peer is written at the latest.
    pub write_mark_file_freq: u32,
    /// Parallel downloads of a disk recovery.
    pub disk_recovery_threads: u32,
    /// How new files are spread over directories.
    pub distribute: DistributeMode,
    /// Written bytes after which a file is synced to the disk, if ever.
    pub fsync_after_written_bytes: Option<u64>,
    /// Longest time that a record of replication may stay in memory.
    pub sync_binlog_buff_interval: Duration,
    /// Names that were deleted are remembered for so long, so that no peer brings them back. Ours.
    pub tombstones_kept: Duration,
    /// Appender files are changed wherever a client asks for it, as in the original. Ours.
    pub change_appenders_anywhere: bool,
    /// Commands from 200 on are answered; else they are refused, as the original does. Ours.
    pub own_commands: bool,
    /// Open files are lent to readers on this machine. Ours.
    pub lend_files: bool,
    /// When a change counts as made. Ours.
    pub write_concern: WriteConcern,
    /// Parts of trunk files that belong to nobody become free again after this time at the earliest. Ours.
    pub trunk_reclaim_after: Duration,
    /// Interval of writing the statistics.
    pub sync_stat_file_interval: Duration,
    /// Place among the group for uploads; the smallest is preferred.
    pub upload_priority: i32,
    /// How files are searched for damage. Ours.
    pub scrub: ScrubSettings,
    /// Equal content is kept once, if so configured.
    pub deduplication: Option<Deduplication>,
    /// A damaged record is skipped (and counted), not waited for.
    pub file_sync_skip_invalid_record: bool,
    /// Kept connections are closed after this time without use.
    pub connection_pool_max_idle_time: Duration,
    /// When old binlogs are compressed, if they are.
    pub compress_binlog_at: Option<TimeOfDay>,
    /// A store path that belongs to another storage is refused.
    pub check_store_path_mark: bool,
    /// Who may connect.
    pub allow_hosts: AllowHosts,
    /// From whom changes of peers are taken. Ours.
    pub replication_from: ReplicationFrom,
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
    /// The access log, if it is enabled.
    pub access_log: Option<AccessLogSettings>,
    /// Native HTTP paths; none if switched off. Ours.
    pub http_listen: Option<ServiceAddress>,
    /// The file that says how native HTTP paths are served. Ours.
    pub http_conf: HttpConf,
    /// Metrics and health; none if switched off. Ours.
    pub metrics_listen: Option<ServiceAddress>,
}

/// One directory for files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorePathConfig {
    /// The directory; `data` stands below it.
    pub path: PathBuf,
    /// It gets no new files from clients, but still replicas and deletions.
    pub is_readonly: bool,
}

/// `file_distribute_path_mode`: how new files are spread over directories.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DistributeMode {
    /// The next directory after this many files (0).
    RoundRobin {
        /// Files per turn.
        rotate_count: u32,
    },
    /// By a hash of the name (1).
    Hash,
}

impl StorageConfig {
    /// The port of a storage.
    pub const DEFAULT_PORT: u16 = 23000;
    /// The port of native HTTP.
    pub const DEFAULT_HTTP_PORT: u16 = 8888;
    /// The port of a storage's metrics, on loopback.
    pub const DEFAULT_METRICS_PORT: u16 = 23080;

    /// Every setting at its default, with one store path at `base_path`.
    #[must_use]
    pub fn new(group_name: GroupName, base_path: impl Into<PathBuf>, trackers: Vec<TrackerAddress>) -> Self {
        let file = ConfFile::empty(Path::new("defaults"));
        let mut keys = Keys::new(&file, table::SECTIONS);
        let config = Self::build(&mut keys, base_path.into(), trackers);
        let config = config.expect("every default can be used");
        Self { group_name: Some(group_name), http_conf: HttpConf::None, ..config }
    }

    fn build(
        keys: &mut Keys<'_>,
        base_path: PathBuf,
        trackers: Vec<TrackerAddress>,
    ) -> Result<Self, ConfError> {
        let group_name = match keys.get("group_name") {
            None => None,
            Some(entry) => Some(entry.value.parse().map_err(|error| invalid(entry, error))?),
        };
        let store_paths = values::store_paths(keys, &base_path)?;
        let (disk_reader_threads, disk_writer_threads) = values::disk_threads(keys)?;
        Ok(Self {
            group_name,
            base_path,
            sync_max_threads: values::sync_max_threads(keys, store_paths.len())?,
            store_paths,
            subdir_count_per_path: values::subdir_count(keys)?,
            trackers,
            listeners: Listener::read(keys, Self::DEFAULT_PORT)?,
            advertise: addresses(keys, "advertise_addr")?,
            client_bind: keys.boolean("client_bind", true),
            address_family: keys.parsed("address_family")?.unwrap_or_default(),
            server_id: keys.parsed("server_id")?,
            connect_timeout: keys.seconds("connect_timeout", 10),
            network_timeout: keys.seconds("network_timeout", 30),
            heart_beat_interval: keys.seconds("heart_beat_interval", 30),
            stat_report_interval: keys.seconds("stat_report_interval", 300),
            max_connections: keys.positive("max_connections", 256),
            buff_size: values::buff_size(keys)?,
            work_threads: keys.within("work_threads", 4, 1, 1024)?,
            disk_reader_threads,
            disk_writer_threads,
            sync_wait: keys.millis("sync_wait_msec", 100),
            sync_interval: Duration::from_millis(keys.count("sync_interval", 0).into()),
            sync_start_time: keys.time("sync_start_time", TimeOfDay::MIDNIGHT)?,
            sync_end_time: keys.time("sync_end_time", TimeOfDay::new(23, 59))?,
            write_mark_file_freq: keys.positive("write_mark_file_freq", 500),
            disk_recovery_threads: keys.within("disk_recovery_threads", 1, 1, 256)?,
            distribute: values::distribute(keys),
            fsync_after_written_bytes: Some(keys.size_or("fsync_after_written_bytes", 0)?)
                .filter(|bytes| *bytes > 0),
            sync_binlog_buff_interval: keys.seconds("sync_binlog_buff_interval", 60),
            tombstones_kept: keys.seconds("tombstones_kept", 7 * 86_400),
            change_appenders_anywhere: keys.boolean("change_appenders_anywhere", false),
            own_commands: keys.boolean("own_commands", true),
            lend_files: keys.boolean("lend_files", true),
            write_concern: WriteConcern::read(keys)?,
            trunk_reclaim_after: keys.seconds("trunk_reclaim_after", 600),
            sync_stat_file_interval: keys.seconds("sync_stat_file_interval", 60),
            upload_priority: values::upload_priority(keys),
            scrub: ScrubSettings::read(keys)?,
            deduplication: Deduplication::read(keys)?,
            file_sync_skip_invalid_record: keys.boolean("file_sync_skip_invalid_record", true),
            connection_pool_max_idle_time: keys.seconds("connection_pool_max_idle_time", 3600),
            compress_binlog_at: values::compress_binlog(keys)?,
            check_store_path_mark: keys.boolean("check_store_path_mark", true),
            allow_hosts: AllowHosts::read(keys)?,
            replication_from: keys.parsed("replication_from")?.unwrap_or_default(),
            cluster_secret_file: cluster_secret_file(keys)?,
            run_by_group: keys.owned("run_by_group"),
            run_by_user: keys.owned("run_by_user"),
            log_level: log_level(keys),
            error_log: LogSettings::read(keys, "error-log")?,
            access_log: AccessLogSettings::read(keys)?,
            http_listen: values::http_listen(keys)?,
            http_conf: HttpConf::read(keys),
            metrics_listen: metrics_listen(keys, Self::DEFAULT_METRICS_PORT)?,
        })
    }
}

impl Configuration for StorageConfig {
    fn from_file(file: &ConfFile) -> Result<Loaded<Self>, ConfError> {
        let mut keys = Keys::new(file, table::SECTIONS);
        keys.check_enabled()?;
        let base_path = keys.base_path()?;
        let trackers = TrackerAddress::read_all(&keys, true)?;
        let config = Self::build(&mut keys, base_path, trackers)?;
        Ok(Loaded { config, warnings: keys.into_warnings()? })
    }
}

#[cfg(test)]
mod tests;
