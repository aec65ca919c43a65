//! A storage that loses a disk, its base path, or everything.

use std::fs;
use std::io;
use std::path::Path;

use anyhow::{Result, bail, ensure};
use fdfs_client::UploadSpec;
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

/// The member that it fetches from is frozen first, so that the rest of the file cannot come.
#[tokio::test(flavor = "multi_thread")]
async fn a_recovery_that_is_killed_in_the_middle_of_a_fetch_ends_equal() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    fill(&client, 20).await?;
    let content: Vec<u8> = (0..LARGE).map(|at| (at / 7) as u8).collect();
    let spec = UploadSpec::new("bin".parse()?).in_group("group1".parse()?);
    let large = client.upload(spec, &content).await?.file_id.filename;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let data = cluster.store_path(1, large.store_path().into()).join("data");
    for _ in 0..TRIES {
        cluster.kill_storage(1)?;
        fs::remove_dir_all(&data)?;
        cluster.launch_storage(1)?;
        let is_half = half_a_fetch(&cluster, &data, &data.join(large.local_path()))?;
        cluster.kill_storage(1)?;
        cluster.thaw_storage(0)?;
        if is_half {
            ensure!(!data.join(large.local_path()).exists(), "it has its name before it is whole");
            cluster.start_storage(1)?;
            ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == before);
            // But for what the look at the disk writes now and then.
            let left = fs::read_dir(data.join(".tmp"))?.flatten().map(|entry| entry.file_name());
            let left: Vec<_> = left.filter(|name| name != "disk_check").collect();
            ensure!(!data.join(".recovery.flag").exists() && left.is_empty(), "{left:?}");
            return Ok(());
        }
        cluster.start_storage(1)?;
    }
    bail!("no kill has hit the middle of a fetch");
}

/// Freezes member 0 while member 1 fetches a large file from it. Whether so much is missing then that the network cannot
/// hold it.
fn half_a_fetch(cluster: &Cluster, data: &Path, whole: &Path) -> Result<bool> {
    let descriptors = format!("/proc/{}/fd", cluster.storage_pid(1)?.as_raw_nonzero());
    let (descriptors, deadline) = (Path::new(&descriptors), Deadline::after(REPLICATION));
    while longest_draft(descriptors, data)? < BEGUN && !whole.exists() {
        ensure!(!deadline.passed(), "the large file is not fetched");
        std::thread::yield_now();
    }
    cluster.freeze_storage(0)?;
    let length = longest_draft(descriptors, data)?;
    Ok(length >= BEGUN && length + HELD_BY_THE_NETWORK < LARGE as u64)
}

/// Length of the longest file without a final name that a process has open.
fn longest_draft(descriptors: &Path, data: &Path) -> io::Result<u64> {
    let mut longest = 0;
    for entry in fs::read_dir(descriptors)? {
        let path = entry?.path();
        // It may be closed by now.
        let is_draft = fs::read_link(&path).is_ok_and(|target| target.starts_with(data.join(".tmp")));
        if let (true, Ok(found)) = (is_draft, fs::metadata(&path)) {
            longest = longest.max(found.len());
        }
    }
    Ok(longest)
}

const LARGE: usize = 96 << 20;
/// More than any other file has.
const BEGUN: u64 = 64 << 10;
const HELD_BY_THE_NETWORK: u64 = 32 << 20;
const TRIES: u32 = 20;
