//! A storage that loses a disk, its base path, or everything.

use std::fs;

use anyhow::{Result, ensure};
use fdfs_tests::{Cluster, Deadline, wait_for_equal_replicas};

use crate::{REPLICATION, client_of, fill, group_of};

#[tokio::test]
async fn a_lost_disk_is_filled_from_the_other_member() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    let files = fill(&client, 40).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    ensure!(before.len() >= 40 + 13, "{} files", before.len());
    cluster.kill_storage(1)?;
    fs::remove_dir_all(cluster.store_path(1, 0).join("data"))?;
    // What comes and goes meanwhile is replicated afterwards.
    client.delete(&files[7]).await?;
    fill(&client, 10).await?;
    cluster.start_storage(1)?;
    let after = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    ensure!(!after.contains_key(files[7].filename.as_str()), "a deleted file came back");
    let data = cluster.store_path(1, 0).join("data");
    ensure!(data.join(".fastdfs_vars").exists() && !data.join(".recovery.flag").exists());
    // A second loss, of the other path: what was recovered is known to the binlog, so that both can serve.
    cluster.kill_storage(0)?;
    fs::remove_dir_all(cluster.store_path(0, 0).join("data"))?;
    cluster.start_storage(0)?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == after);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_has_lost_everything_joins_as_a_new_one() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    fill(&client, 30).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    cluster.kill_storage(1)?;
    fs::remove_dir_all(cluster.dir().join("storage1"))?;
    cluster.start_storage(1)?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == before);
    Ok(())
}

#[tokio::test]
async fn a_storage_that_has_lost_its_base_path_alone_refuses_to_start() -> Result<()> {
    let mut cluster = Cluster::start(group_of(1)?)?;
    cluster.kill_storage(0)?;
    fs::remove_dir_all(cluster.dir().join("storage0/data"))?;
    let refused = format!("{:#}", cluster.start_storage(0).expect_err("it does not start"));
    ensure!(refused.contains("may be used by another storage"), "{refused}");
    Ok(())
}

#[tokio::test]
async fn two_members_that_lose_one_disk_each_fill_each_other() -> Result<()> {
    let mut config = group_of(2)?;
    for storage in &mut config.storages {
        // Before they have joined they know each other from the trackers alone.
        storage.lines.push_str("replication_from=members\n");
    }
    let mut cluster = Cluster::start(config)?;
    let client = client_of(&cluster);
    fill(&client, 30).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    for member in [0, 1] {
        cluster.kill_storage(member)?;
        fs::remove_dir_all(cluster.store_path(member, member).join("data"))?;
    }
    for member in [0, 1] {
        cluster.launch_storage(member)?;
    }
    for member in [0, 1] {
        cluster.wait_until_active(member)?;
    }
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == before);
    Ok(())
}

#[tokio::test]
async fn a_recovery_that_is_killed_again_and_again_ends_equal() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    fill(&client, 200).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    cluster.kill_storage(1)?;
    let data = cluster.store_path(1, 0).join("data");
    fs::remove_dir_all(&data)?;
    cluster.launch_storage(1)?;
    for _ in 0..4 {
        // In the middle of it, if it is still going on; that it is, the mark of the recovery tells.
        Deadline::after(REPLICATION).wait_for("directories of the store path", || fs::metadata(&data))?;
        cluster.crash_storage(1)?;
    }
    cluster.wait_until_active(1)?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == before);
    ensure!(!data.join(".recovery.flag").exists());
    Ok(())
}
