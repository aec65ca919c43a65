//! What one client may take, and the token that purges.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use fdfs_tests::Deadline;

use crate::stage::Stage;

#[test]
fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_not() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let lines = "trusted_proxies = ['127.0.0.0/8']\n[front]\nclient_requests = 1\nclient_burst = 5\n";
    let (gateway, browser) = stage.front(lines)?;
    let ask = |client: &str| browser.ask("GET", &file.path(), &format!("X-Forwarded-For: {client}\r\n"));
    // However slow this machine is, five in a burst are answered; and at some time one too many comes within a second.
    for _ in 0..5 {
        ensure!(ask("192.0.2.7")?.body == file.content);
    }
    let page = Deadline::after(LIMIT).wait_for("a refusal", || {
        let page = ask("192.0.2.7")?;
        ensure!(page.status == 429, "{}", page.status);
        Ok(page)
    })?;
    ensure!(page.header("retry-after") == Some("1"), "{}", page.head);
    ensure!(page.header("cache-control") == Some("no-store"), "{}", page.head);
    ensure!(ask("192.0.2.8")?.body == file.content, "another client");
    ensure!(browser.ask("GET", "/readyz", "X-Forwarded-For: 192.0.2.7\r\n")?.status == 200);
    ensure!(gateway.metric("fdfs_http_client_limits_total")? >= 1.0);
    Ok(())
}

#[test]
fn a_client_with_as_many_connections_as_it_may_have_gets_no_further_one() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let (_gateway, browser) = stage.front("[front]\nclient_connections = 2\n")?;
    let open = || -> Result<Option<TcpStream>> {
        let mut stream = TcpStream::connect(browser.0)?;
        stream.set_read_timeout(Some(LIMIT))?;
        let sent = stream.write_all(format!("HEAD {} HTTP/1.1\r\nHost: x\r\n\r\n", file.path()).as_bytes());
        let answered = sent.and_then(|()| stream.read(&mut [0; 16])).is_ok_and(|length| length > 0);
        Ok(answered.then_some(stream))
    };
    // Connections of before may take a moment to be gone.
    let kept = Deadline::after(LIMIT).wait_for("two connections", || {
        let kept = (open()?, open()?);
        ensure!(kept.0.is_some() && kept.1.is_some());
        Ok(kept)
    })?;
    ensure!(open()?.is_none(), "a third one");
    drop(kept);
    Deadline::after(LIMIT).wait_for("a connection again", || {
        ensure!(open()?.is_some());
        Ok(())
    })
}

#[test]
fn who_shows_the_token_purges_from_anywhere_and_nobody_else() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let caches = [tempfile::tempdir()?, tempfile::tempdir()?];
    let lines = |at: usize, more: &str| {
        let cache = caches[at].path().display();
        format!("[front]\ncache = '{cache}'\npurge_from = []\npurge_token = 'a-token-of-some-length'\n{more}")
    };
    let (second, other) = stage.front(&lines(1, ""))?;
    let peers = format!("purge_peers = ['{}:8000']\n", crate::stage::address_of(&second)?);
    let (_first, browser) = stage.front(&lines(0, &peers))?;
    for front in [browser, other] {
        ensure!(front.get(&file.path())?.body == file.content);
    }
    let purge =
        |token: &str| browser.ask("PURGE", &file.path(), &format!("Authorization: Bearer {token}\r\n"));
    ensure!(browser.ask("PURGE", &file.path(), "")?.status == 403);
    ensure!(purge("another-token-of-length")?.status == 403);
    // What was read is in the cache a moment later; the other front is shown the token, too.
    Deadline::after(LIMIT).wait_for("a purge at both", || {
        ensure!(browser.get(&file.path())?.status == 200 && other.get(&file.path())?.status == 200);
        let page = purge("a-token-of-some-length")?;
        let told = String::from_utf8_lossy(&page.body).into_owned();
        ensure!(page.status == 200 && told.contains(": 200\n"), "{told}");
        Ok(())
    })
}

const LIMIT: Duration = Duration::from_secs(60);
