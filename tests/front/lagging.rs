//! Storages that have not everything yet: a disk that was emptied, links and appender files that a replica lacks.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fdfs_client::UploadKind;
use fdfs_tests::{BlackHole, Deadline, http_get};

use crate::stage::{Stage, Stored};

#[test]
fn a_storage_whose_disk_was_emptied_costs_no_request() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 2)])?;
    let files: Vec<Stored> =
        (0..8).map(|at| stage.store("group1", 1000 + at * 3000)).collect::<Result<_>>()?;
    stage.settle(&[0, 1])?;
    let (_gateway, browser) = stage.front("")?;
    stage.cluster.stop_storage(1)?;
    std::fs::remove_dir_all(stage.cluster.store_path(1, 0))?;
    std::fs::create_dir_all(stage.cluster.store_path(1, 0))?;
    stage.cluster.launch_storage(1)?;
    // While it recovers, and afterwards.
    let address = stage.cluster.config().storages[1].address.ip();
    Deadline::after(LIMIT).wait_for("the storage's own HTTP, and its files", || {
        for file in &files {
            let page = browser.get(&file.path())?;
            assert!(page.status == 200 && page.body == file.content, "{} at the front", page.status);
            let answer = http_get(&format!("http://{address}:8888{}", file.path()))?;
            // Who recovers may not listen yet; what it answers is the file, or that it cannot tell.
            assert!(answer.status == 200 || answer.status == 503, "{} at the storage", answer.status);
            ensure!(answer.status == 200 && answer.body == file.content, "{}", answer.status);
        }
        Ok(())
    })
}

#[test]
fn a_link_and_an_appender_file_are_served_by_a_replica_that_has_not_got_them() -> Result<()> {
    let stage = Stage::start(&[("group1", 2)])?;
    let master = stage.store("group1", 700)?;
    let source = stage.index_of_source(&master)?;
    let mut appender = stage.store_as("group1", 1000, UploadKind::Appender)?;
    // Uploads go to the storages in turn.
    for _ in 0..8 {
        if stage.index_of_source(&appender)? == source {
            break;
        }
        appender = stage.store_as("group1", 1000, UploadKind::Appender)?;
    }
    stage.settle(&[0, 1])?;
    let (_gateway, browser) = stage.front("")?;
    let before = browser.get(&appender.path())?;
    // The replica stands still while its source is given more, so it has nothing of it.
    let replica = 1 - source;
    let kind = UploadKind::Slave { master: master.id.clone(), prefix: "_late".parse()? };
    stage.cluster.freeze_storage(replica)?;
    let slave = stage.store_as("group1", 400, kind);
    let appended = stage.block_on(stage.client.append(&appender.id, b"more"));
    let asked = (|| {
        let slave = slave?;
        appended?;
        let page = browser.get(&slave.path())?;
        ensure!(page.status == 200 && page.body == slave.content, "{} for the link", page.status);
        let after = browser.get(&appender.path())?;
        ensure!(after.body == [&appender.content[..], b"more"].concat(), "{} bytes", after.body.len());
        ensure!(before.header("etag") != after.header("etag"));
        Ok(slave)
    })();
    stage.cluster.thaw_storage(replica)?;
    let slave = asked?;
    // Whatever it has got meanwhile: its own HTTP answers with what the source has.
    let address = stage.cluster.config().storages[replica].address.ip();
    let answer = http_get(&format!("http://{address}:8888{}", slave.path()))?;
    ensure!(answer.status == 200 && answer.body == slave.content, "{}", answer.status);
    Ok(())
}

#[test]
fn a_slave_made_two_days_after_its_master_is_served_by_a_replica_that_has_not_got_it() -> Result<()> {
    let stage = Stage::start(&[("group1", 2)])?;
    let master = stage.put_old(&[0, 1], 700, 2 * 24 * 3600)?;
    let (_gateway, browser) = stage.front("")?;
    ensure!(browser.get(&master.path())?.body == master.content);
    let kind = UploadKind::Slave { master: master.id.clone(), prefix: "_late".parse()? };
    let slave = stage.store_as("group1", 400, kind)?;
    let local = format!("data/{}", &slave.id.filename.as_str()[4..]);
    let replica = stage.cluster.store_path(1, 0).join(local);
    Deadline::after(LIMIT).wait_for("the slave at the replica", || {
        ensure!(replica.exists());
        Ok(())
    })?;
    // The replica lacks it, as if it had not come yet; the name says that it is two days old.
    std::fs::remove_file(&replica)?;
    let address = stage.cluster.config().storages[1].address.ip();
    for _ in 0..20 {
        let page = browser.get(&slave.path())?;
        ensure!(page.status == 200 && page.body == slave.content, "{} at the front", page.status);
        let answer = http_get(&format!("http://{address}:8888{}", slave.path()))?;
        ensure!(answer.status == 200 && answer.body == slave.content, "{} at the replica", answer.status);
    }
    Ok(())
}

#[test]
fn a_storage_that_swallows_packets_holds_no_request_up() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 2)])?;
    let files: Vec<Stored> = (0..6).map(|_| stage.store("group1", 2000)).collect::<Result<_>>()?;
    stage.settle(&[0, 1])?;
    let (gateway, browser) = stage.front("")?;
    let address = stage.cluster.config().storages[0].address;
    stage.cluster.kill_storage(0)?;
    // Who connects there gets no answer at all, not even a refusal.
    let _hole = BlackHole::at(address)?;
    let mut longest = Duration::ZERO;
    for file in &files {
        let began = Instant::now();
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
        longest = longest.max(began.elapsed());
    }
    println!("longest request: {} ms", longest.as_millis());
    ensure!(longest < PATIENCE, "{longest:?}");
    Deadline::after(LIMIT).wait_for("the look that finds it", || {
        ensure!(gateway.metric("fdfs_client_probe_failures_total")? > 0.0);
        Ok(())
    })?;
    let before = gateway.metric("fdfs_client_hedges_total").unwrap_or(0.0);
    for file in &files {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
    }
    let hedges = gateway.metric("fdfs_client_hedges_total").unwrap_or(0.0) - before;
    println!("asked twice after the look: {hedges}");
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(90);
/// Several times what a storage may take before another is asked, on a busy machine; far below the time that a request has.
const PATIENCE: Duration = Duration::from_secs(6);
