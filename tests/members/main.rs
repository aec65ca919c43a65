//! Members of a group that lose a disk, or everything, stay away, or lose the member that was to fill them.

mod damaged;
mod identity;
mod joining;
mod moving;
mod repair;
mod wiped;

use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_client::{Client, ClientOptions, UploadSpec};
use fdfs_proto::{ServerAddress, storage::MetadataMode};
use fdfs_tests::{Addresses, Cluster, ClusterConfig, StorageConfig};
use fdfs_types::{FileId, Metadata};

/// A group of so many storages with two store paths each.
fn group_of(storages: usize) -> Result<ClusterConfig> {
    let mut config = ClusterConfig::new((Addresses::next()?, 22_122).into());
    config.tracker_lines =
        "reserved_storage_space=0MB\ncheck_active_interval=2\nmetrics_listen=off\n".to_owned();
    for _ in 0..storages {
        config.storages.push(member()?);
    }
    Ok(config)
}

fn member() -> Result<StorageConfig> {
    let mut storage = StorageConfig::new((Addresses::next()?, 23_000).into(), "group1", 2);
    storage.lines.push_str(
        "subdir_count_per_path=2\nsync_wait_msec=20\nsync_binlog_buff_interval=1\nmetrics_listen=off\n\
         http_listen=off\ndisk_recovery_threads=3\n",
    );
    Ok(storage)
}

fn client_of(cluster: &Cluster) -> Client {
    let trackers = cluster.config().trackers.iter();
    let trackers = trackers.map(|tracker| ServerAddress { ips: vec![tracker.ip()], port: tracker.port() });
    Client::new(ClientOptions::new(trackers.collect()))
}

/// Stores `count` files of different sizes, the first of them empty, each third one with metadata.
async fn fill(client: &Client, count: usize) -> Result<Vec<FileId>> {
    let mut files = Vec::new();
    for number in 0..count {
        let content: Vec<u8> = (0..number * 7).map(|at| (at * number) as u8).collect();
        let spec = UploadSpec::new("bin".parse()?).in_group("group1".parse()?);
        let file = client.upload(spec, &content).await?.file_id;
        if number % 3 == 0 {
            let mut metadata = Metadata::new();
            metadata.insert(b"number", number.to_string().as_bytes())?;
            client.set_metadata(&file, MetadataMode::Overwrite, metadata).await?;
        }
        files.push(file);
    }
    ensure!(files.len() == count);
    Ok(files)
}

/// Time for replication to catch up on a busy machine.
const REPLICATION: Duration = Duration::from_secs(60);
