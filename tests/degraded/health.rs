//! What `/healthz` tells of a cluster that is not well.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use fdfs_tests::{
    Addresses, BrokenFile, Cluster, ClusterConfig, Deadline, Gateway, SmallDisk, StorageConfig, http_get,
};

use crate::{GRACE, cluster_of};

/// Waits for a status and a text.
fn told(answer: impl Fn() -> Result<fdfs_tests::HttpAnswer>, status: u16, text: &str) -> Result<()> {
    Deadline::after(GRACE).wait_for(text, || {
        let health = answer()?;
        let found = String::from_utf8(health.body)?;
        ensure!(health.status == status && found.contains(text), "{}: {found}", health.status);
        anyhow::Ok(())
    })
}

#[test]
fn a_gateway_tells_whether_a_storage_is_there() -> Result<()> {
    let mut cluster = cluster_of(1, "check_active_interval=2\n", "")?;
    let gateway = Gateway::start(&cluster)?;
    for part in [r#""trackers":"ok""#, r#""storages":"ok""#, r#""namespace":"ok""#] {
        told(|| gateway.health(), 200, part)?;
    }
    cluster.stop_storage(0)?;
    told(|| gateway.health(), 503, "group1: no storage is ACTIVE")
}

#[test]
fn a_gateway_is_degraded_while_all_storages_are_full() -> Result<()> {
    let cluster = cluster_of(1, "reserved_storage_space=99.9%\n", "")?;
    let gateway = Gateway::start(&cluster)?;
    told(|| gateway.health(), 200, "degraded: group1: full: ")?;
    told(|| gateway.health(), 200, r#""status":"degraded""#)
}

#[test]
fn a_storage_tells_of_a_full_and_of_a_read_only_store_path() -> Result<()> {
    let Some(disk) = SmallDisk::mount(32)? else { return Ok(()) };
    let mut config = ClusterConfig::new((Addresses::next()?, 22_122).into());
    config.tracker_lines.push_str("reserved_storage_space=4MB\n");
    let mut storage = StorageConfig::new((Addresses::next()?, 23_000).into(), "group1", 1);
    let metrics = SocketAddr::new(storage.address.ip(), 23_080);
    storage.lines.push_str(&format!(
        "subdir_count_per_path=4\nmetrics_listen={metrics}\nhttp_listen=off\nstore_path0={}\n",
        disk.path().display()
    ));
    config.storages.push(storage);
    let _cluster = Cluster::start(config)?;
    let health = || http_get(&format!("http://{metrics}/healthz"));
    told(health, 200, r#""store path M00":"ok""#)?;
    disk.fill()?;
    told(health, 200, "degraded: ")?;
    told(health, 200, "0 MB free, which is the reserve")?;
    disk.free()?;
    told(health, 200, r#""store path M00":"ok""#)?;
    disk.set_read_only(true)?;
    told(health, 503, "cannot write: Read-only file system")?;
    disk.set_read_only(false)?;
    told(health, 200, r#""store path M00":"ok""#)
}

#[test]
fn a_storage_tells_of_a_disk_that_answers_errors() -> Result<()> {
    let mut config = ClusterConfig::new((Addresses::next()?, 22_122).into());
    let mut storage = StorageConfig::new((Addresses::next()?, 23_000).into(), "group1", 1);
    let metrics = SocketAddr::new(storage.address.ip(), 23_080);
    storage.lines.push_str(&format!("subdir_count_per_path=4\nmetrics_listen={metrics}\nhttp_listen=off\n"));
    config.storages.push(storage);
    let cluster = Cluster::start(config)?;
    let health = || http_get(&format!("http://{metrics}/healthz"));
    told(health, 200, r#""store path M00":"ok""#)?;
    // What the storage writes now and then to see whether the disk takes it.
    let probe = cluster.store_path(0, 0).join("data/.tmp/disk_check");
    // The storage may remove it in between.
    let lay = || -> Result<Option<BrokenFile>> {
        std::fs::write(&probe, b"")?;
        BrokenFile::over(&probe)
    };
    let Some(broken) = lay()?.map_or_else(lay, |broken| Ok(Some(broken)))? else { return Ok(()) };
    told(health, 503, "cannot write: Input/output error")?;
    drop(broken);
    told(health, 200, r#""store path M00":"ok""#)
}
