//! A front that starts anew while no tracker answers.

use anyhow::{Result, ensure};

use crate::stage::Stage;

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
    drop(gateway);
    stage.cluster.kill_tracker(0)?;
    let (_gateway, browser) = stage.front_with(&names, &lines)?;
    for file in &files {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{}: {}", file.id, page.status);
    }
    // One of two storages is away, too: the other is asked.
    stage.cluster.kill_storage(0)?;
    let page = browser.get(&files[0].path())?;
    ensure!(page.status == 200 && page.body == files[0].content, "{}", page.status);
    Ok(())
}
