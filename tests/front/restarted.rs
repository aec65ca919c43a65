//! A front that starts anew while no tracker answers.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::stage::Stage;

/// `FDFS_FRONT_OUTAGE=3600` for an outage of so many seconds.
#[test]
fn a_front_that_starts_while_every_tracker_is_away_serves_what_the_storages_have() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 2), ("group2", 1)])?;
    let dir = tempfile::tempdir()?;
    let files = [stage.store("group1", 5000)?, stage.store("group2", 6000)?];
    stage.settle(&[0, 1])?;
    let lines = format!("[front]\ntopology = '{0}/topology'\nrequest_deadline = 3\n", dir.path().display());
    let names = dir.path().join("names");
    let (gateway, browser) = stage.front_with(&names, &lines)?;
    ensure!(browser.get(&files[0].path())?.body == files[0].content);
    stage.cluster.kill_tracker(0)?;
    for file in &files {
        ensure!(browser.get(&file.path())?.body == file.content, "{} before the restart", file.id);
    }
    drop(gateway);
    let (gateway, browser) = stage.front_with(&names, &lines)?;
    let outage: u64 = std::env::var("FDFS_FRONT_OUTAGE").ok().map_or(Ok(0), |text| text.parse())?;
    let end = Instant::now() + Duration::from_secs(outage);
    let mut answered = 0;
    loop {
        for file in &files {
            let page = browser.get(&file.path())?;
            ensure!(page.status == 200 && page.body == file.content, "{}: {}", file.id, page.status);
            answered += 1;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        std::thread::sleep(left.min(Duration::from_secs(1)));
    }
    println!("{answered} requests answered in {outage} s without a tracker");
    drop(gateway);
    let (_gateway, browser) = stage.front_with(&names, &lines)?;
    // One of two storages is away, too: the other is asked.
    stage.cluster.kill_storage(0)?;
    let page = browser.get(&files[0].path())?;
    ensure!(page.status == 200 && page.body == files[0].content, "{}", page.status);
    Ok(())
}
