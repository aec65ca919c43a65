//! Purging: one front, several, and who may.

use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_tests::Deadline;

use crate::stage::{Stage, address_of};

#[test]
fn a_purge_reaches_every_front_and_is_for_allowed_networks_alone() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let caches = [tempfile::tempdir()?, tempfile::tempdir()?];
    let lines = |at: usize, more: &str| {
        let cache = caches[at].path().display();
        format!(
            "trusted_proxies = ['127.0.0.1']\n[front]\ncache = '{cache}'\nshow_cache = true\npurge_from = ['127.0.0.1']\n{more}"
        )
    };
    let (second, other) = stage.front(&lines(1, ""))?;
    let peers = format!("purge_peers = ['{}:8000']\n", address_of(&second)?);
    let (_first, browser) = stage.front(&lines(0, &peers))?;
    for front in [browser, other, browser, other] {
        ensure!(front.get(&file.path())?.body == file.content);
    }
    for front in [browser, other] {
        ensure!(front.get(&file.path())?.header("x-cache") == Some("hit"));
    }
    // Through a proxy it is the client's address that counts.
    let foreign = browser.ask("GET", &format!("/purge{}", file.path()), "X-Forwarded-For: 192.0.2.7\r\n")?;
    ensure!(foreign.status == 403, "{}", foreign.status);
    let purged = browser.get(&format!("/dfs/purge{}", file.path()))?;
    ensure!(purged.status == 200, "{}", String::from_utf8_lossy(&purged.body));
    for front in [browser, other] {
        ensure!(
            front.get(&file.path())?.header("x-cache") == Some("miss"),
            "{}",
            String::from_utf8_lossy(&purged.body)
        );
    }
    let all = browser.ask("PURGE", "/group1/*", "")?;
    ensure!(all.status == 200, "{}", String::from_utf8_lossy(&all.body));
    ensure!(browser.get(&format!("/purge{}", file.path()))?.status == 404);
    ensure!(other.get(&file.path())?.header("x-cache") == Some("miss"));
    // A front that is away is told when it is back.
    browser.get(&file.path())?;
    let pid = second.daemon().pid()?;
    rustix::process::kill_process(pid, rustix::process::Signal::STOP)?;
    let told = browser.get(&format!("/purge{}", file.path()))?;
    ensure!(String::from_utf8_lossy(&told.body).contains("told later"), "{told:?}");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT)?;
    Deadline::after(Duration::from_secs(60)).wait_for("the purge at the other front", || {
        ensure!(second.metric("fdfs_purges_total")? >= 4.0);
        Ok(())
    })
}
