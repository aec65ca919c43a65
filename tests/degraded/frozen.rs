//! Storages that take connections and say nothing.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_tests::{Cluster, Deadline, Gateway};

use crate::cluster_of;

/// The patience is short so that the test is: what it must bound is the whole request.
const PATIENCE: &str = "[patience]\nanswer_timeout = 2\nidle_timeout = 2\nrequest_deadline = 5";
const BOUND: Duration = Duration::from_secs(8);
const SMALL: usize = 4_096;
const LARGE: usize = 16 << 20;

/// A cluster whose tracker does not learn in time that a storage is silent.
fn cluster(storages: usize) -> Result<Cluster> {
    cluster_of(storages, "check_active_interval=120\n", "")
}

/// Gives a storage the files of another, whatever their own replication has done so far.
fn replicate(cluster: &Cluster, from: usize, to: usize) -> Result<()> {
    let data = |index| cluster.dir().join(format!("storage{index}/path0/data"));
    let mut copy = Command::new("cp");
    copy.args(["-r", "-n"]).args((0..4).map(|subdir| data(from).join(format!("{subdir:02X}"))));
    let status = copy.arg(data(to)).status()?;
    ensure!(status.success(), "cp: {status}");
    Ok(())
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 31 + at / 251) as u8).collect()
}

#[test]
fn with_every_storage_frozen_the_answer_is_503_in_time_and_all_works_after() -> Result<()> {
    let cluster = cluster(1)?;
    let gateway = Gateway::start_with(&cluster, None, PATIENCE)?;
    for (key, length) in [("/group1/small", SMALL), ("/group1/large", LARGE)] {
        ensure!(gateway.put(key, &content(length))?.status == 200, "{key}");
    }
    cluster.freeze_storage(0)?;
    for (key, length) in [("/group1/small", SMALL), ("/group1/large", LARGE)] {
        let read = gateway.get(key)?;
        ensure!(read.status == 503 && read.took < BOUND, "GET {key}: {} after {:?}", read.status, read.took);
        let written = gateway.put(&format!("{key}-new"), &content(length))?;
        ensure!(
            written.status == 503 && written.took < BOUND,
            "PUT {key}: {} after {:?}",
            written.status,
            written.took
        );
    }
    ensure!(gateway.metric("fdfs_client_timeouts_total")? >= 4.0, "every wait in vain is counted");
    ensure!(gateway.metric("fdfs_client_replica_failures_total")? >= 4.0, "every failed storage is counted");
    cluster.thaw_storage(0)?;
    for (key, length) in [("/group1/small", SMALL), ("/group1/large", LARGE)] {
        let read = Deadline::after(BOUND).wait_for("answer", || {
            let read = gateway.get(key)?;
            ensure!(read.status == 200, "{}", read.status);
            anyhow::Ok(read)
        })?;
        ensure!(read.body == content(length), "{key} has other bytes");
        ensure!(gateway.get(&format!("{key}-new"))?.status == 404, "{key}-new was refused");
        ensure!(gateway.put(&format!("{key}-new"), &content(length))?.status == 200);
    }
    Ok(())
}

#[test]
fn with_one_storage_frozen_its_replica_serves_and_is_asked_first_then() -> Result<()> {
    let cluster = cluster(2)?;
    let gateway = Gateway::start_with(&cluster, None, PATIENCE)?;
    let keys: Vec<String> = (0..4).map(|number| format!("/group1/file{number}")).collect();
    for key in &keys {
        ensure!(gateway.put(key, &content(SMALL))?.status == 200, "{key}");
    }
    for (from, to) in [(0, 1), (1, 0)] {
        replicate(&cluster, from, to)?;
    }
    for frozen in [1, 0] {
        cluster.freeze_storage(frozen)?;
        for key in &keys {
            let read = gateway.get(key)?;
            ensure!(
                read.status == 200 && read.took < BOUND,
                "GET {key}: {} after {:?}",
                read.status,
                read.took
            );
        }
        let quick: Vec<_> = keys.iter().map(|key| gateway.get(key)).collect::<Result<_>>()?;
        ensure!(
            quick.iter().all(|read| read.status == 200 && read.took < Duration::from_secs(2)),
            "the silent storage is asked last: {:?}",
            quick.iter().map(|read| (read.status, read.took)).collect::<Vec<_>>()
        );
        for (key, length) in [("/group1/new-small", SMALL), ("/group1/new-large", LARGE)] {
            let written = gateway.put(&format!("{key}{frozen}"), &content(length))?;
            ensure!(
                written.status == 200 && written.took < BOUND,
                "PUT {key}: {} after {:?}",
                written.status,
                written.took
            );
            ensure!(gateway.get(&format!("{key}{frozen}"))?.body == content(length), "{key} has other bytes");
        }
        cluster.thaw_storage(frozen)?;
    }
    Ok(())
}
