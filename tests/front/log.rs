//! The access log.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fdfs_tests::Deadline;

use crate::stage::Stage;

#[test]
fn every_request_leaves_a_line_that_says_who_what_and_how_much() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("access.log");
    let lines = format!(
        "trusted_proxies = ['127.0.0.0/8']\n[front]\naccess_log = '{}'\ncache = '{}/cache'\n",
        path.display(),
        dir.path().display()
    );
    let (_gateway, browser) = stage.front(&lines)?;
    let target = format!("{}?x=1", file.path());
    let head = "X-Forwarded-For: 192.0.2.7\r\nX-Request-Id: abc-1\r\n";
    let page = browser.ask("GET", &target, head)?;
    ensure!(page.body == file.content && page.header("x-request-id") == Some("abc-1"), "{}", page.head);
    ensure!(browser.ask("GET", &target, "X-Request-Id: a\tb\r\n")?.header("x-request-id").is_some());
    browser.ask("HEAD", "/group1/M00/none", "")?;
    Deadline::after(LIMIT).wait_for("three lines", || {
        let text = std::fs::read_to_string(&path)?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.contains("/readyz")).collect();
        let [first, second, third] = lines[..] else { anyhow::bail!("{} lines", lines.len()) };
        let behind = first.split_once("] ").context("a time")?.1;
        let wanted = format!("192.0.2.7 GET {target} 200 5000 ");
        ensure!(behind.starts_with(&wanted) && behind.ends_with(" abc-1"), "{behind}");
        // Asked whether it is there, and for its bytes.
        let asked = behind.split(' ').rev().nth(1).context("storages")?;
        let is_ok =
            |step: &str| step.starts_with(&format!("{}=ok/", stage.cluster.config().storages[0].address));
        ensure!(behind.contains(" MISS ") && asked.split(',').count() == 2, "{behind}");
        ensure!(asked.split(',').all(is_ok), "{behind}");
        ensure!(second.contains(" 200 5000 ") && second.contains(" HIT - "), "{second}");
        ensure!(third.contains(" HEAD /group1/M00/none 400 0 ") && third.contains(" - - "), "{third}");
        Ok(())
    })
}

#[test]
fn a_line_of_the_log_says_which_storages_were_tried_and_what_they_answered() -> Result<()> {
    let stage = Stage::start(&[("group1", 2)])?;
    let file = stage.store("group1", 5000)?;
    stage.settle(&[0, 1])?;
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("access.log");
    let (_gateway, browser) = stage.front(&format!("[front]\naccess_log = '{}'\n", path.display()))?;
    let local = format!("data/{}", &file.id.filename.as_str()[4..]);
    std::fs::remove_file(stage.cluster.store_path(0, 0).join(local))?;
    // Which one is asked first is chance.
    Deadline::after(LIMIT).wait_for("a request that both were asked for", || {
        ensure!(browser.get(&file.path())?.body == file.content);
        let text = std::fs::read_to_string(&path)?;
        let addresses = [0, 1].map(|index| stage.cluster.config().storages[index].address);
        let has = |line: &str| {
            line.contains(&format!("{}=not_found/", addresses[0]))
                && line.contains(&format!(",{}=ok/", addresses[1]))
        };
        ensure!(text.lines().any(has), "{text}");
        Ok(())
    })
}

const LIMIT: Duration = Duration::from_secs(60);
