//! Clusters as the tests of this directory use them.

use std::net::SocketAddr;

use anyhow::Result;
use fdfs_client::{Client, ClientOptions};
use fdfs_proto::ServerAddress;
use fdfs_tests::{Addresses, ClusterConfig, StorageConfig};

/// A cluster of `trackers` trackers and, for each group, its number of storages, all on addresses of their own.
pub(crate) fn fleet(trackers: usize, groups: &[(&str, usize)]) -> Result<ClusterConfig> {
    let trackers = (0..trackers).map(|_| Ok((Addresses::next()?, TRACKER_PORT).into()));
    let mut config = ClusterConfig::new((Addresses::next()?, TRACKER_PORT).into());
    config.trackers = trackers.collect::<Result<_>>()?;
    // Round robin over groups; a small check interval notices silence soon.
    config.tracker_lines = "store_lookup=0\nreserved_storage_space=1%\ncheck_active_interval=5\n".to_owned();
    for (group, members) in groups {
        for _ in 0..*members {
            config.storages.push(member_of(group)?);
        }
    }
    Ok(config)
}

/// A storage of `group` on an address of its own.
pub(crate) fn member_of(group: &str) -> Result<StorageConfig> {
    let mut storage = StorageConfig::new((Addresses::next()?, STORAGE_PORT).into(), group, 1);
    storage.lines.push_str("subdir_count_per_path=2\nsync_wait_msec=20\nsync_binlog_buff_interval=1\n");
    Ok(storage)
}

/// A client of every tracker.
pub(crate) fn client_of(trackers: &[SocketAddr]) -> Client {
    let trackers =
        trackers.iter().map(|tracker| ServerAddress { ips: vec![tracker.ip()], port: tracker.port() });
    Client::new(ClientOptions::new(trackers.collect()))
}

const TRACKER_PORT: u16 = 22_122;
const STORAGE_PORT: u16 = 23_000;
