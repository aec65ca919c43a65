//! Storages that lose files, die, return, and lag.

use std::fs;
use std::io::Read;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fdfs_client::UploadKind;
use fdfs_tests::{Deadline, http_get};

use crate::browser::Page;
use crate::stage::{Stage, Stored};

#[test]
fn a_file_that_one_of_three_storages_still_has_is_served_everywhere() -> Result<()> {
    let stage = Stage::start(&[("group1", 3)])?;
    let file = stage.store("group1", 5000)?;
    stage.settle(&[0, 1, 2])?;
    let (_gateway, browser) = stage.front("")?;
    let local = format!("data/{}", &file.id.filename.as_str()[4..]);
    // As the tutorials do: the file is renamed on the disks of two of three, one after the other.
    for lost in [0, 1] {
        let path = stage.cluster.store_path(lost, 0).join(&local);
        fs::rename(&path, path.with_extension("away")).context("the file is there")?;
        for _ in 0..300 {
            let page = browser.get(&file.path())?;
            ensure!(page.status == 200 && page.body == file.content, "{} with {lost} lost", page.status);
        }
        for storage in &stage.cluster.config().storages {
            let answer = http_get(&format!("http://{}:8888{}", storage.address.ip(), file.path()))?;
            ensure!(answer.status == 200 && answer.body == file.content, "{}", answer.status);
        }
    }
    let path = stage.cluster.store_path(2, 0).join(&local);
    fs::rename(&path, path.with_extension("away"))?;
    Deadline::after(LIMIT).wait_for("404 when nobody has it", || {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 404, "{}", page.status);
        Ok(())
    })
}

#[test]
fn a_file_that_cannot_be_reached_takes_no_other_down_and_returns_with_its_storages() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 3)])?;
    let everywhere = stage.store("group1", 5000)?;
    stage.settle(&[0, 1, 2])?;
    for away in [1, 2] {
        stage.cluster.stop_storage(away)?;
    }
    let only_here = stage.store("group1", 6000)?;
    let (_gateway, browser) = stage.front("")?;
    stage.cluster.kill_storage(0)?;
    for back in [1, 2] {
        stage.cluster.start_storage(back)?;
    }
    for _ in 0..5 {
        let page = browser.get(&only_here.path())?;
        ensure!(
            page.status == 503 && page.header("retry-after").is_some(),
            "{} is not known to be gone",
            page.status
        );
    }
    for _ in 0..20 {
        let page = browser.get(&everywhere.path())?;
        ensure!(page.status == 200 && page.body == everywhere.content, "{}", page.status);
    }
    for storage in [1, 2] {
        stage.cluster.kill_storage(storage)?;
    }
    ensure!(browser.get(&everywhere.path())?.status == 503);
    for storage in [0, 1, 2] {
        stage.cluster.start_storage(storage)?;
    }
    for file in [&everywhere, &only_here] {
        Deadline::after(LIMIT).wait_for("the file again", || {
            let page = browser.get(&file.path())?;
            ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
            Ok(())
        })?;
    }
    Ok(())
}

/// `FDFS_FRONT_DOWNLOAD=100` for a file of so many MiB.
#[test]
fn a_storage_killed_in_the_middle_of_a_download_is_not_noticed() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 2)])?;
    let mebibytes: usize = std::env::var("FDFS_FRONT_DOWNLOAD").ok().map_or(Ok(48), |text| text.parse())?;
    let file = stage.store("group1", mebibytes << 20)?;
    stage.settle(&[0, 1])?;
    let (gateway, browser) = stage.front("")?;
    for victim in [0, 1, 0, 1] {
        let mut stream = browser.begin("GET", &file.path(), "")?;
        let mut bytes = vec![0; 1 << 20];
        stream.read_exact(&mut bytes)?;
        stage.cluster.kill_storage(victim)?;
        stream.read_to_end(&mut bytes).context("the rest")?;
        let page = Page::parse(&bytes, "GET")?;
        ensure!(page.status == 200 && page.body == file.content, "not the same bytes");
        stage.cluster.start_storage(victim)?;
        if gateway.metric("fdfs_client_download_resumes_total")? > 0.0 {
            return Ok(());
        }
    }
    Err(anyhow::anyhow!("no download was served by the storage that was killed"))
}

#[test]
fn a_frozen_storage_costs_one_short_wait_and_then_none() -> Result<()> {
    let stage = Stage::start(&[("group1", 2)])?;
    let files: Vec<Stored> = (0..8).map(|_| stage.store("group1", 2000)).collect::<Result<_>>()?;
    stage.settle(&[0, 1])?;
    let (gateway, browser) = stage.front("[front]\nfirst_byte_timeout = 2\n")?;
    stage.cluster.freeze_storage(0)?;
    // The front looks at every storage now and then, and asks the frozen one last from then on.
    Deadline::after(LIMIT).wait_for("the look that finds it", || {
        ensure!(gateway.metric("fdfs_client_probe_failures_total")? > 0.0);
        Ok(())
    })?;
    let before = gateway.metric("fdfs_client_timeouts_total")?;
    for file in &files {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
    }
    let probes = gateway.metric("fdfs_client_probe_failures_total")?;
    ensure!(gateway.metric("fdfs_client_timeouts_total")? - before <= probes, "requests waited for it");
    stage.cluster.thaw_storage(0)
}

#[test]
fn an_appender_file_is_served_as_it_is_now() -> Result<()> {
    let stage = Stage::start(&[("group1", 2)])?;
    let cache = tempfile::tempdir()?;
    let (_gateway, browser) = stage.front(&format!("[front]\ncache = '{}'\n", cache.path().display()))?;
    let file = stage.store_as("group1", 1000, UploadKind::Appender)?;
    let before = browser.get(&file.path())?;
    ensure!(
        before.body == file.content && before.header("cache-control") == Some("no-cache"),
        "{}",
        before.head
    );
    stage.block_on(stage.client.append(&file.id, b"more"))?;
    let after = browser.get(&file.path())?;
    ensure!(after.body == [&file.content[..], b"more"].concat(), "{} bytes", after.body.len());
    ensure!(before.header("etag") != after.header("etag"));
    // A slave that was made long after its master is where its source is, and nowhere else at first.
    let master = stage.store("group1", 500)?;
    let kind = UploadKind::Slave { master: master.id, prefix: "_small".parse()? };
    let slave = stage.store_as("group1", 400, kind)?;
    let page = browser.get(&slave.path())?;
    ensure!(page.status == 200 && page.body == slave.content, "{}", page.status);
    Ok(())
}

#[test]
fn no_request_fails_while_storages_are_killed_and_restarted() -> Result<()> {
    let wanted: usize = std::env::var("FDFS_FRONT_REQUESTS").ok().map_or(Ok(1500), |text| text.parse())?;
    let mut stage = Stage::start(&[("group1", 3)])?;
    let files: Vec<Stored> =
        (0..30).map(|at| stage.store("group1", 1000 + at * 7000)).collect::<Result<_>>()?;
    stage.settle(&[0, 1, 2])?;
    let (_gateway, browser) = stage.front("")?;
    let (stop, answered, wrong) = (AtomicBool::new(false), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| -> Result<()> {
        for seed in 0..4 {
            let (files, stop, answered, wrong) = (&files, &stop, &answered, &wrong);
            scope.spawn(move || {
                let mut rng = fastrand::Rng::with_seed(seed);
                while !stop.load(Ordering::Relaxed) {
                    let file = &files[rng.usize(..files.len())];
                    let fault = match browser.get(&file.path()) {
                        Ok(page) if page.status == 200 && page.body == file.content => None,
                        Ok(page) => Some(format!("{}: {}", file.id, page.status)),
                        Err(error) => Some(format!("{}: {error:#}", file.id)),
                    };
                    answered.fetch_add(1, Ordering::Relaxed);
                    wrong.lock().expect("no holder panics").extend(fault);
                }
            });
        }
        let killing = (|| {
            let mut victim = 0;
            while answered.load(Ordering::Relaxed) < wanted || victim < 4 {
                stage.cluster.kill_storage(victim % 3)?;
                let goal = answered.load(Ordering::Relaxed) + wanted / 12;
                Deadline::after(LOAD_LIMIT).wait_for("requests without it", || {
                    ensure!(answered.load(Ordering::Relaxed) >= goal);
                    Ok(())
                })?;
                stage.cluster.start_storage(victim % 3)?;
                stage.cluster.wait_until_active(victim % 3)?;
                victim += 1;
            }
            Ok(())
        })();
        stop.store(true, Ordering::Relaxed);
        killing
    })?;
    let wrong = wrong.into_inner()?;
    ensure!(
        wrong.is_empty(),
        "{} of {}: {:?}",
        wrong.len(),
        answered.into_inner(),
        &wrong[..wrong.len().min(5)]
    );
    Ok(())
}

const LIMIT: Duration = Duration::from_secs(60);
const LOAD_LIMIT: Duration = Duration::from_secs(120);
