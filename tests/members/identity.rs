//! Storages with ids: several on one address, and IPv6.

use anyhow::{Result, ensure};
use fdfs_tests::{Addresses, Cluster, ClusterConfig, Deadline, StorageConfig, wait_for_equal_replicas};

use crate::{REPLICATION, client_of, fill};

#[tokio::test]
async fn two_storages_of_one_group_share_an_address() -> Result<()> {
    let (tracker, shared) = (Addresses::next()?, Addresses::next()?);
    let mut config = ClusterConfig::new((tracker, 22_122).into());
    config.storage_ids =
        Some(format!("100001 group1 {shared}:23000\n100002 group1 {shared}:23001 rw=both\n"));
    config.tracker_lines =
        "id_type_in_filename=id\nreserved_storage_space=0MB\nmetrics_listen=off\n".to_owned();
    for port in [23_000, 23_001] {
        let mut storage = StorageConfig::new((shared, port).into(), "group1", 1);
        storage.lines =
            "subdir_count_per_path=2\nsync_wait_msec=20\nmetrics_listen=off\nhttp_listen=off\n".into();
        config.storages.push(storage);
    }
    let cluster = Cluster::start(config)?;
    let client = client_of(&cluster);
    let files = fill(&client, 20).await?;
    let replicas = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    ensure!(files.iter().all(|file| replicas.contains_key(file.filename.as_str())));
    for (index, peer) in [(0, "100002"), (1, "100001")] {
        let mark = cluster.dir().join(format!("storage{index}/data/sync/{peer}.mark"));
        Deadline::after(REPLICATION).wait_for("mark", || {
            ensure!(mark.exists(), "{} is missing", mark.display());
            Ok(())
        })?;
    }
    Ok(())
}
