//! What an administrator decides about selection and membership.

use std::time::Duration;

use fdfs_types::GroupName;

use crate::StorageIds;

/// How the group for an upload without a group is chosen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum StoreLookup {
    /// Each group in turn.
    #[default]
    RoundRobin,
    /// Always this one.
    Specified(GroupName),
    /// The one with the most free space.
    LoadBalance,
}

/// How the storage for an upload is chosen in a group.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StoreServer {
    /// Each writable storage in turn.
    #[default]
    RoundRobin,
    /// The first by the text of its id.
    FirstById,
    /// The one with the smallest upload priority; ties by id.
    FirstByPriority,
}

/// How the store path for an upload is chosen on a storage.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum StorePath {
    /// Each path in turn.
    #[default]
    RoundRobin,
    /// The path with the most free space.
    LoadBalance,
}

/// How the storage for a download is chosen.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum DownloadServer {
    /// Each storage that surely has the file, in turn.
    #[default]
    RoundRobin,
    /// The storage that took the upload, while it is readable.
    Source,
}

/// Space that uploads leave free.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reserve {
    /// So many MB of a group; divided by the number of store paths for one path.
    Megabytes(i64),
    /// This part of the whole, between 0 and 1.
    Ratio(f64),
}

impl Reserve {
    /// Whether a group with these figures may take uploads. Equal is not enough.
    pub fn allows_group(&self, free_mb: i64, total_mb: i64) -> bool {
        match *self {
            Self::Megabytes(reserve) => free_mb > reserve,
            Self::Ratio(ratio) => total_mb > 0 && free_mb as f64 / total_mb as f64 > ratio,
        }
    }

    /// Whether a store path with these figures may take uploads.
    pub fn allows_path(&self, free_mb: i64, total_mb: i64, paths: usize) -> bool {
        match *self {
            Self::Megabytes(reserve) => free_mb > reserve / (paths.max(1) as i64),
            Self::Ratio(ratio) => total_mb > 0 && free_mb as f64 / total_mb as f64 > ratio,
        }
    }

    /// The reserve of a whole of `total_mb`, in MB.
    pub fn of(&self, total_mb: i64) -> i64 {
        match *self {
            Self::Megabytes(reserve) => reserve,
            Self::Ratio(ratio) => (total_mb as f64 * ratio) as i64,
        }
    }
}

/// The settings of a tracker that its rules depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Choice of the group.
    pub store_lookup: StoreLookup,
    /// Choice of the storage.
    pub store_server: StoreServer,
    /// Choice of the store path.
    pub store_path: StorePath,
    /// Choice of the storage to read from.
    pub download_server: DownloadServer,
    /// Space that stays free.
    pub reserve: Reserve,
    /// Time between two checks for silent storages, and how long silence may last.
    pub check_active_interval: Duration,
    /// A file older than this counts as replicated everywhere.
    pub sync_file_max_delay: Duration,
    /// The longest a single file may take to be replicated.
    pub sync_file_max_time: Duration,
    /// Small files share trunk files.
    pub use_trunk: bool,
    /// Trunk servers look for space already in use when they start; it takes them longer.
    pub trunk_init_check_occupying: bool,
    /// Trunk servers read their whole binlog when they start; it takes them longer.
    pub trunk_init_reload_from_binlog: bool,
    /// The table of storage ids; storages are named by their address without one.
    pub ids: Option<StorageIds>,
    /// File names carry the storage id rather than the address. Only with ids.
    pub id_in_filename: bool,
    /// The id that a storage claims is taken without a look at its address.
    pub trust_storage_id: bool,
}

impl Settings {
    /// The choice of the storage in force: trunk files need one fixed storage.
    pub fn store_server(&self) -> StoreServer {
        match self.store_server {
            StoreServer::RoundRobin if self.use_trunk => StoreServer::FirstById,
            other => other,
        }
    }

    /// Members of one group may listen on different ports.
    pub fn allows_mixed_ports(&self) -> bool {
        self.ids.is_some() && self.id_in_filename
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            store_lookup: StoreLookup::default(),
            store_server: StoreServer::default(),
            store_path: StorePath::default(),
            download_server: DownloadServer::default(),
            reserve: Reserve::Megabytes(1024),
            check_active_interval: Duration::from_secs(100),
            sync_file_max_delay: Duration::from_secs(86_400),
            sync_file_max_time: Duration::from_secs(300),
            use_trunk: false,
            trunk_init_check_occupying: false,
            trunk_init_reload_from_binlog: false,
            ids: None,
            id_in_filename: false,
            trust_storage_id: true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_reserve_is_not_enough() {
        assert!(!Reserve::Megabytes(1024).allows_group(1024, 5000));
        assert!(Reserve::Megabytes(1024).allows_group(1025, 5000));
        assert!(!Reserve::Ratio(0.5).allows_group(50, 100));
        assert!(Reserve::Ratio(0.5).allows_group(51, 100));
        assert!(!Reserve::Ratio(0.1).allows_group(0, 0));
    }

    #[test]
    fn a_path_has_its_share_of_the_reserve() {
        assert!(!Reserve::Megabytes(1025).allows_path(512, 9999, 2));
        assert!(Reserve::Megabytes(1025).allows_path(513, 9999, 2));
    }

    #[test]
    fn trunk_files_turn_round_robin_into_first_by_id() {
        let settings = Settings { use_trunk: true, ..Settings::default() };
        assert_eq!(settings.store_server(), StoreServer::FirstById);
    }
}
