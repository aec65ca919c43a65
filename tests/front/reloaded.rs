//! The configuration is read again while the front serves.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fdfs_tests::{Deadline, Gateway};
use rustix::process::{Signal, kill_process};

use crate::stage::Stage;

#[test]
fn sighup_takes_a_changed_configuration_over_and_refuses_a_bad_one() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let dir = tempfile::tempdir()?;
    let front = format!("[front]\ncache = '{}'\n", dir.path().display());
    let (gateway, browser) = stage.front(&front)?;
    let before = fs::read_to_string(gateway.config())?;
    ensure!(browser.get(&file.path())?.header("x-cache").is_none());
    ensure!(browser.get(&format!("/img{}", file.path()))?.status == 400);
    // A connection that is open stays so.
    let mut open = TcpStream::connect(browser.0)?;
    open.set_read_timeout(Some(LIMIT))?;
    let mut ask = |path: &str| -> Result<u8> {
        open.write_all(format!("HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            open.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        head.get(9).copied().context("a status")
    };
    ensure!(ask(&file.path())? == b'2');

    let tokens = dir.path().join("http.conf");
    fs::write(
        &tokens,
        "http.anti_steal.check_token=true\nhttp.anti_steal.token_ttl=900\nhttp.anti_steal.secret_key=key\n",
    )?;
    let changed = "prefixes = ['', '/img']\nshow_cache = true\nexpires = 77\npurge_from = []\ndrain = 1\n";
    fs::write(gateway.config(), format!("{before}{changed}"))?;
    hang_up(&gateway, "ok", 1.0)?;
    told(&gateway, &["need a restart", "front.drain"])?;
    let page = browser.get(&format!("/img{}", file.path()))?;
    ensure!(page.status == 200 && page.header("x-cache").is_some(), "{}", page.head);
    ensure!(page.header("cache-control") == Some("public, max-age=77, immutable"), "{}", page.head);
    ensure!(browser.ask("PURGE", &file.path(), "")?.status == 403);
    ensure!(ask(&format!("/img{}", file.path()))? == b'2', "the same connection");

    fs::write(gateway.config(), format!("{before}{changed}expire = 78\n"))?;
    hang_up(&gateway, "refused", 1.0)?;
    told(&gateway, &["gateway.toml", "line", "expire"])?;
    ensure!(
        browser
            .get(&format!("/img{}", file.path()))?
            .header("cache-control")
            .is_some_and(|line| line.contains("77"))
    );

    fs::write(gateway.config(), format!("{before}{changed}http_conf = '{}'\n", tokens.display()))?;
    hang_up(&gateway, "ok", 2.0)?;
    ensure!(browser.get(&file.path())?.status == 400, "a token is asked for");
    Ok(())
}

/// Sends the signal, and waits until the file was read so often with this result.
fn hang_up(gateway: &Gateway, result: &str, count: f64) -> Result<()> {
    kill_process(gateway.daemon().pid()?, Signal::HUP)?;
    Deadline::after(LIMIT).wait_for("the configuration to be read", || {
        let name = format!("fdfs_config_reloads_total{{result=\"{result}\"}}");
        let read = gateway.metric(&name)?;
        ensure!(read >= count, "{read}");
        Ok(())
    })
}

/// Waits for words in the log.
fn told(gateway: &Gateway, words: &[&str]) -> Result<()> {
    Deadline::after(LIMIT).wait_for("a line in the log", || {
        let log = gateway.daemon().last_output();
        ensure!(words.iter().all(|word| log.contains(word)), "{log}");
        Ok(())
    })
}

const LIMIT: Duration = Duration::from_secs(60);
