//! Files that a disk has damaged.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Result, ensure};
use fdfs_client::{ByteRange, Client, UploadSpec};
use fdfs_proto::ours::{ScrubAction, ScrubResponse};
use fdfs_tests::{BrokenFile, Cluster, wait_for_equal_replicas};
use fdfs_types::FileId;
use tokio::time::{Instant, sleep};

use crate::{REPLICATION, client_of, fill, group_of};

fn path(cluster: &Cluster, member: usize, file: &FileId) -> PathBuf {
    let store_path = usize::from(file.filename.store_path());
    cluster.store_path(member, store_path).join("data").join(file.filename.local_path())
}

/// Has a storage search all of its files.
async fn search(cluster: &Cluster, client: &Client, member: usize) -> Result<ScrubResponse> {
    let (address, group) = (cluster.config().storages[member].address, "group1".parse()?);
    let begun = client.scrub(address, group, ScrubAction::Tell).await?.begun;
    // Times are told in seconds.
    sleep(Duration::from_millis(1100)).await;
    client.scrub(address, group, ScrubAction::Search).await?;
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let told = client.scrub(address, group, ScrubAction::Tell).await?;
        if !told.is_searching && told.begun > begun {
            return Ok(told);
        }
        ensure!(Instant::now() < until, "the search does not end: {told:?}");
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn damaged_files_are_found_and_healed_from_the_other_member() -> Result<()> {
    let mut config = group_of(2)?;
    for storage in &mut config.storages {
        storage.lines.push_str("scrub_rate=1GB\nscrub_min_age=0\n");
    }
    let cluster = Cluster::start(config)?;
    let client = client_of(&cluster);
    let files = fill(&client, 30).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let (flipped, cut, lost) = (&files[10], &files[20], &files[25]);
    let mut content = fs::read(path(&cluster, 0, flipped))?;
    content[3] ^= 0x80;
    fs::write(path(&cluster, 0, flipped), &content)?;
    fs::File::options().write(true).open(path(&cluster, 1, cut))?.set_len(7)?;
    let first = search(&cluster, &client, 0).await?;
    ensure!((first.files, first.damaged, first.healed, first.left) == (30, 1, 1, 0), "{first:?}");
    let second = search(&cluster, &client, 1).await?;
    ensure!((second.files, second.damaged, second.healed, second.left) == (30, 1, 1, 0), "{second:?}");
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)? == before);
    // Damaged here and there: it stays, and is told.
    for member in [0, 1] {
        fs::write(path(&cluster, member, lost), format!("damaged at {member}"))?;
    }
    let told = search(&cluster, &client, 0).await?;
    ensure!((told.damaged, told.healed, told.left) == (1, 0, 1), "{told:?}");
    ensure!(told.files_left[0].filename == lost.filename, "{told:?}");
    ensure!(fs::read(path(&cluster, 0, lost))? == b"damaged at 0");
    Ok(())
}

/// The file cannot be replaced here, for something is mounted over it. So it is told, and the others serve it.
#[tokio::test]
async fn a_file_that_a_disk_does_not_give_out_is_told_and_read_elsewhere() -> Result<()> {
    let mut config = group_of(2)?;
    for storage in &mut config.storages {
        storage.lines.push_str("scrub_rate=1GB\nscrub_min_age=0\n");
    }
    let cluster = Cluster::start(config)?;
    let client = client_of(&cluster);
    fill(&client, 5).await?;
    let spec = UploadSpec::new("bin".parse()?).in_group("group1".parse()?);
    let file = client.upload(spec, &vec![7; BrokenFile::SIZE]).await?.file_id;
    wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let Some(broken) = BrokenFile::over(&path(&cluster, 0, &file))? else { return Ok(()) };
    let told = search(&cluster, &client, 0).await?;
    ensure!((told.damaged, told.healed, told.left) == (1, 0, 1), "{told:?}");
    ensure!(told.files_left[0].filename == file.filename, "{told:?}");
    for _ in 0..4 {
        let content = client.read(&file, ByteRange::ALL, 1 << 20).await?;
        ensure!(content == vec![7; BrokenFile::SIZE]);
    }

    drop(broken);
    let told = search(&cluster, &client, 0).await?;
    ensure!((told.damaged, told.left) == (0, 0), "{told:?}");
    Ok(())
}
