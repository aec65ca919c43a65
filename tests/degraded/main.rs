//! What a cluster answers while a part of it is frozen, away or full, and afterwards.

mod frozen;
mod full_disk;
mod health;
mod start;

use std::time::Duration;

use anyhow::Result;
use fdfs_tests::{Addresses, Cluster, ClusterConfig, StorageConfig};

/// A tracker, and so many storages of one group, with further lines of configuration each.
fn cluster_of(storages: usize, tracker_lines: &str, storage_lines: &str) -> Result<Cluster> {
    let mut config = ClusterConfig::new((Addresses::next()?, 22_122).into());
    config.tracker_lines.push_str(tracker_lines);
    config.tracker_lines.push_str("metrics_listen=off\n");
    for _ in 0..storages {
        let mut storage = StorageConfig::new((Addresses::next()?, 23_000).into(), "group1", 1);
        storage.lines.push_str("subdir_count_per_path=4\nmetrics_listen=off\nhttp_listen=off\n");
        storage.lines.push_str(storage_lines);
        config.storages.push(storage);
    }
    Cluster::start(config)
}

/// Time for a change to be seen and told.
const GRACE: Duration = Duration::from_secs(30);
