//! What an administrator decides about selection and membership.

use std::time::Duration;

use fdfs_conf::{DownloadServer, ReservedSpace, StoreLookup, StorePathChoice, StoreServer, TrackerConfig};

use crate::StorageIds;

/// The settings of a tracker that its rules depend on.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Choice of the group.
    pub store_lookup: StoreLookup,
    /// Choice of the storage.
    pub store_server: StoreServer,
    /// Choice of the store path.
    pub store_path: StorePathChoice,
    /// Choice of the storage to read from.
    pub download_server: DownloadServer,
    /// Space that stays free.
    pub reserve: ReservedSpace,
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
    /// The settings in `tracker.conf`, with the table of ids that it names.
    pub fn new(config: &TrackerConfig, ids: Option<StorageIds>) -> Self {
        let cluster = &config.cluster;
        Self {
            store_lookup: config.store_lookup.clone(),
            store_server: config.store_server,
            store_path: cluster.store_path,
            download_server: config.download_server,
            reserve: cluster.reserved_space,
            check_active_interval: config.check_active_interval,
            sync_file_max_delay: cluster.storage_sync_file_max_delay,
            sync_file_max_time: config.storage_sync_file_max_time,
            use_trunk: cluster.trunk.enabled,
            trunk_init_check_occupying: cluster.trunk.init_check_occupying,
            trunk_init_reload_from_binlog: cluster.trunk.init_reload_from_binlog,
            ids,
            id_in_filename: cluster.id_in_filename,
            trust_storage_id: cluster.trust_storage_server_id,
        }
    }

    /// The choice of the storage in force: trunk files need one fixed storage.
    pub fn store_server(&self) -> StoreServer {
        match self.store_server {
            StoreServer::RoundRobin if self.use_trunk => StoreServer::FirstByAddress,
            other => other,
        }
    }

    /// Members of one group may listen on different ports.
    pub fn allows_mixed_ports(&self) -> bool {
        self.ids.is_some() && self.id_in_filename
    }

    /// The space that stays free of a whole of `total_mb`.
    pub fn reserved_mb(&self, total_mb: u64) -> u64 {
        match self.reserve {
            ReservedSpace::Megabytes(megabytes) => megabytes,
            ReservedSpace::Millionths(part) => {
                u64::try_from(u128::from(total_mb) * u128::from(part) / 1_000_000).unwrap_or(u64::MAX)
            }
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self::new(&TrackerConfig::new("/"), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trunk_files_turn_round_robin_into_first_by_id() {
        let settings = Settings { use_trunk: true, ..Settings::default() };
        assert_eq!(settings.store_server(), StoreServer::FirstByAddress);
    }

    #[test]
    fn the_reserve_is_a_size_or_a_part() {
        assert_eq!(Settings::default().reserved_mb(100), 1024);
        let reserve = ReservedSpace::Millionths(10_000);
        assert_eq!(Settings { reserve, ..Settings::default() }.reserved_mb(516_038), 5160);
    }
}
