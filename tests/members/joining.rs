//! A storage that joins late, comes back late, or whose source leaves.

use std::fs;

use anyhow::{Result, ensure};
use fdfs_tests::{Cluster, Deadline, wait_for_equal_replicas};

use crate::{REPLICATION, client_of, fill, group_of, member};

#[tokio::test]
async fn a_new_member_gets_everything_and_nothing_is_restarted() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    let files = fill(&client, 30).await?;
    client.delete(&files[3]).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let third = cluster.add_storage(member()?)?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1, third], REPLICATION)? == before);
    Ok(())
}

#[tokio::test]
async fn a_member_that_was_away_for_long_gets_what_it_has_missed() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    let files = fill(&client, 20).await?;
    wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    cluster.stop_storage(1)?;
    for file in &files[..10] {
        client.delete(file).await?;
    }
    fill(&client, 20).await?;
    cluster.start_storage(1)?;
    let after = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    ensure!(files[..10].iter().all(|file| !after.contains_key(file.filename.as_str())));
    Ok(())
}

#[tokio::test]
async fn a_source_that_is_removed_before_it_is_done_is_replaced() -> Result<()> {
    let mut cluster = Cluster::start(group_of(2)?)?;
    let client = client_of(&cluster);
    fill(&client, 30).await?;
    let before = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    // The first by its ID is the source of the third; it takes connections and says nothing.
    let ids = [0, 1].map(|index| cluster.config().storages[index].address.ip().to_string());
    let source = if ids[0] < ids[1] { 0 } else { 1 };
    let id = ids[source].parse()?;
    cluster.freeze_storage(source)?;
    let third = cluster.push_storage(member()?);
    cluster.launch_storage(third)?;
    let flag = cluster.dir().join(format!("storage{third}/data/.data_init_flag"));
    let named = Deadline::after(REPLICATION).wait_for("source", || {
        let text = fs::read_to_string(&flag)?;
        let line = text.lines().find_map(|line| line.strip_prefix("sync_src_server="));
        let named = line.unwrap_or_default().to_owned();
        ensure!(!named.is_empty(), "{text}");
        Ok(named)
    })?;
    ensure!(named == ids[source], "{named}");
    // It is removed as soon as the tracker has noticed its silence.
    let mut removed = client.delete_storage("group1".parse()?, id).await;
    for _ in 0..60 {
        if removed.is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        removed = client.delete_storage("group1".parse()?, id).await;
    }
    removed?;
    cluster.wait_until_active(third)?;
    ensure!(wait_for_equal_replicas(&cluster, &[1 - source, third], REPLICATION)? == before);
    Ok(())
}
