//! How a cluster is to be set up.

use std::net::SocketAddr;

/// How a cluster is to be set up.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Addresses of the trackers.
    pub trackers: Vec<SocketAddr>,
    /// Lines of tracker.conf beside addresses and paths.
    pub tracker_lines: String,
    /// Content of storage_ids.conf, if storages have ids.
    pub storage_ids: Option<String>,
    /// Words before the command of every tracker: a network namespace, another clock.
    pub tracker_wrapper: Vec<String>,
    /// The storages, in the order of their start.
    pub storages: Vec<StorageConfig>,
}

/// How a storage is to be set up.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Address of the storage.
    pub address: SocketAddr,
    /// Its group.
    pub group: String,
    /// Number of store paths.
    pub store_paths: usize,
    /// Lines of storage.conf beside addresses and paths.
    pub lines: String,
    /// Words before its command: a network namespace, another clock.
    pub wrapper: Vec<String>,
}

impl ClusterConfig {
    /// A tracker on `address`, no storage.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            trackers: vec![address],
            tracker_lines: String::new(),
            storage_ids: None,
            tracker_wrapper: Vec::new(),
            storages: Vec::new(),
        }
    }

    /// Address of the first tracker.
    pub fn tracker(&self) -> SocketAddr {
        self.trackers[0]
    }
}

impl StorageConfig {
    /// A storage of `group` on `address` with `store_paths` paths.
    pub fn new(address: SocketAddr, group: &str, store_paths: usize) -> Self {
        Self { address, group: group.to_owned(), store_paths, lines: String::new(), wrapper: Vec::new() }
    }
}
