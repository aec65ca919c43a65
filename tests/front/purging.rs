//! Purging: one front, several, and who may.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_client::UploadKind;
use fdfs_tests::Deadline;
use tokio::net::TcpSocket;

use crate::browser::{Browser, Page};
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
    // A file goes with its slaves where that is asked for.
    let kind = UploadKind::Slave { master: file.id.clone(), prefix: "_small".parse()? };
    let slave = stage.store_as("group1", 400, kind)?;
    let cached = |front: Browser| -> Result<bool> {
        ensure!(front.get(&file.path())?.status == 200);
        Ok(front.get(&slave.path())?.header("x-cache") == Some("hit"))
    };
    for front in [browser, other] {
        Deadline::after(Duration::from_secs(60)).wait_for("a slave in the cache", || {
            ensure!(cached(front)?);
            Ok(())
        })?;
    }
    ensure!(browser.get(&format!("/purge{}", file.path()))?.status == 200);
    ensure!(cached(browser)? && cached(other)?, "the slaves stay");
    let both = browser.get(&format!("/purge{}?slaves=1", file.path()))?;
    ensure!(both.status == 200 && both.body.starts_with(b"purged 2"), "{both:?}");
    ensure!(!cached(browser)? && !cached(other)?, "the slaves go, too");
    // A front that is away is told when it is back.
    browser.get(&file.path())?;
    let pid = second.daemon().pid()?;
    fdfs_tests::freeze(pid)?;
    let told = browser.get(&format!("/purge{}", file.path()))?;
    ensure!(String::from_utf8_lossy(&told.body).contains("told later"), "{told:?}");
    rustix::process::kill_process(pid, rustix::process::Signal::CONT)?;
    Deadline::after(Duration::from_secs(60)).wait_for("the purge at the other front", || {
        ensure!(second.metric("fdfs_purges_total")? >= 6.0);
        Ok(())
    })
}

#[test]
fn through_the_proxy_protocol_it_is_the_client_who_may_purge_or_not() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let dir = tempfile::tempdir()?;
    let log = dir.path().join("access.log");
    let lines = format!(
        "[front]\ncache = '{}'\naccess_log = '{}'\nproxy_protocol_from = ['{PROXY}']\npurge_from = ['127.0.0.1', '{PROXY}']\n",
        dir.path().join("cache").display(),
        log.display()
    );
    let (_gateway, browser) = stage.front(&lines)?;
    let purge = format!("/purge{}", file.path());
    let ask = |header: &[u8], path: &str| -> Result<Page> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        Page::parse(&stage.block_on(from_proxy(browser, &[header, request.as_bytes()].concat()))?, "GET")
    };
    let foreign = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 8000\r\n";
    ensure!(ask(foreign, &file.path())?.body == file.content);
    ensure!(ask(foreign, &purge)?.status == 403, "the address of the proxy is not that of who asks");
    let allowed = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\x01\xc6\x33\x64\x01\xc8\x22\x1f\x40";
    ensure!(ask(allowed, &purge)?.status == 200);
    ensure!(stage.block_on(from_proxy(browser, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))?.is_empty());
    // Who is no proxy asks for itself.
    ensure!(browser.get(&purge)?.status == 404);
    Deadline::after(Duration::from_secs(60)).wait_for("the client in the log", || {
        let text = std::fs::read_to_string(&log)?;
        ensure!(text.contains(&format!(" 192.0.2.7 GET {} 200 ", file.path())), "{text}");
        ensure!(text.contains(&format!(" 192.0.2.7 GET {purge} 403 ")), "{text}");
        Ok(())
    })
}

/// What a front answers to a connection from the proxy's address that sends these bytes.
async fn from_proxy(browser: Browser, bytes: &[u8]) -> Result<Vec<u8>> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(PROXY.parse()?, 0))?;
    let mut stream = socket.connect(browser.0).await?.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.write_all(bytes)?;
    let mut answer = Vec::new();
    // A connection that is reset has said what it had to say.
    let _ = stream.read_to_end(&mut answer);
    Ok(answer)
}

/// The address of a proxy.
const PROXY: &str = "127.0.99.9";
