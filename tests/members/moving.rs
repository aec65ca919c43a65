//! A storage that gets another address, and one that is removed, in a cluster with two trackers.

use std::fs;

use anyhow::{Context, Result, ensure};
use fdfs_client::Client;
use fdfs_proto::storage::MetadataMode;
use fdfs_tests::{Addresses, Cluster, ClusterConfig, Deadline, wait_for_equal_replicas};
use fdfs_types::{FileId, Metadata};

use crate::{REPLICATION, client_of, fill, group_of, member};

/// A group of so many storages with two trackers.
fn with_two_trackers(storages: usize) -> Result<ClusterConfig> {
    let mut config = group_of(storages)?;
    config.trackers.push((Addresses::next()?, 22_122).into());
    Ok(config)
}

#[tokio::test]
async fn a_storage_with_another_address_stays_the_member_it_was() -> Result<()> {
    let mut cluster = Cluster::start(with_two_trackers(2)?)?;
    let client = client_of(&cluster);
    let before = fill(&client, 20).await?;
    wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    let old = cluster.config().storages[1].address;
    cluster.stop_storage(1)?;
    let meanwhile = fill(&client, 10).await?;

    let new = (Addresses::next()?, old.port()).into();
    cluster.move_storage(1, new);
    cluster.start_storage(1)?;
    cluster.wait_for_status("group1", old.ip(), IP_CHANGED)?;
    // It is sent what it has missed, not everything again, and sends on what is stored there.
    let after = fill(&client, 20).await?;
    let files = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    for file in before.iter().chain(&meanwhile).chain(&after) {
        ensure!(files.contains_key(file.filename.as_str()), "{file} is missing");
    }
    let marks = cluster.dir().join("storage0/data/sync");
    let mark =
        |address: std::net::SocketAddr| marks.join(format!("{}_{}.mark", address.ip(), address.port()));
    Deadline::after(REPLICATION).wait_for("mark of the new address", || {
        ensure!(mark(new).exists() && !mark(old).exists(), "{:?}", names(&marks));
        anyhow::Ok(())
    })?;

    // Files whose names tell the old address are read, changed and deleted as before.
    for file in &before {
        tell_more(&client, file).await.with_context(|| format!("metadata of {file}"))?;
        client.delete(file).await.with_context(|| format!("delete of {file}"))?;
    }
    let files = wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    ensure!(!before.iter().any(|file| files.contains_key(file.filename.as_str())));
    // A restart of everybody changes nothing.
    for tracker in [0, 1] {
        cluster.crash_tracker(tracker)?;
    }
    for storage in [0, 1] {
        cluster.crash_storage(storage)?;
    }
    for storage in [0, 1] {
        cluster.wait_until_active(storage)?;
    }
    fill(&client, 5).await?;
    ensure!(wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?.len() > files.len());
    Ok(())
}

async fn tell_more(client: &Client, file: &FileId) -> Result<()> {
    let mut metadata = Metadata::new();
    metadata.insert(b"moved", b"yes")?;
    client.set_metadata(file, MetadataMode::Merge, metadata).await?;
    Ok(())
}

fn names(dir: &std::path::Path) -> Vec<std::ffi::OsString> {
    fs::read_dir(dir)
        .map_or_else(|_| Vec::new(), |dir| dir.flatten().map(|entry| entry.file_name()).collect())
}

#[tokio::test]
async fn a_storage_that_is_removed_is_gone_at_every_tracker_until_it_comes_back_as_a_new_one() -> Result<()> {
    let mut cluster = Cluster::start(with_two_trackers(2)?)?;
    let third = cluster.add_storage(member()?)?;
    let client = client_of(&cluster);
    let files = fill(&client, 20).await?;
    wait_for_equal_replicas(&cluster, &[0, 1, third], REPLICATION)?;
    let address = cluster.config().storages[third].address.ip();
    let id = address.to_string().parse()?;
    ensure!(client.delete_storage("group1".parse()?, id).await.is_err(), "it serves");
    cluster.stop_storage(third)?;
    client.delete_storage("group1".parse()?, id).await?;
    cluster.wait_for_status("group1", address, DELETED)?;
    // The others go on without it, and do not wait for it.
    client.delete(&files[3]).await?;
    let more = fill(&client, 10).await?;
    wait_for_equal_replicas(&cluster, &[0, 1], REPLICATION)?;
    // Trackers that crash one after the other do not remember it as a member.
    for tracker in [0, 1] {
        cluster.kill_tracker(tracker)?;
        cluster.start_tracker(tracker)?;
        for storage in [0, 1] {
            cluster.wait_until_active(storage)?;
        }
    }
    let listed = client.delete_storage("group1".parse()?, id).await;
    ensure!(listed.is_err(), "a tracker has taken it back after a crash");

    cluster.start_storage(third)?;
    let replicas = wait_for_equal_replicas(&cluster, &[0, 1, third], REPLICATION)?;
    ensure!(more.iter().all(|file| replicas.contains_key(file.filename.as_str())));
    ensure!(!replicas.contains_key(files[3].filename.as_str()), "what was deleted meanwhile came back");
    Ok(())
}

const IP_CHANGED: u8 = 3;
const DELETED: u8 = 4;
