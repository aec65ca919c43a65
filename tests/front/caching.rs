//! The cache over a real cluster: one fetch, ranges, tokens, an outage, headers for browsers.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::Barrier;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use fdfs_http::token_of;
use fdfs_tests::Deadline;

use crate::browser::{Browser, Page};
use crate::stage::Stage;

/// `FDFS_FRONT_CLIENTS=1000` for a long run.
#[test]
fn many_clients_that_want_one_file_at_once_are_one_fetch() -> Result<()> {
    let clients: usize = std::env::var("FDFS_FRONT_CLIENTS").ok().map_or(Ok(64), |text| text.parse())?;
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", SIZE)?;
    // In memory, where there is room for it: a disk that stalls holds the fetch up.
    let cache = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?;
    let (gateway, browser) = stage.front(&format!("[front]\ncache = '{}'\n", cache.path().display()))?;
    let start = Barrier::new(clients);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..clients)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    let page = browser.get(&file.path())?;
                    ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
                    Ok(())
                })
            })
            .collect();
        clients.into_iter().try_for_each(|client| client.join().expect("no client panics"))
    })?;
    if began.elapsed() > PATIENCE {
        // Who has waited for another's fetch for so long asks by itself, as it should.
        println!("not counted: this machine took {:?}", began.elapsed());
        return Ok(());
    }
    let fetched = gateway.metric("fdfs_front_origin_bytes_total")?;
    ensure!(fetched == SIZE as f64, "{fetched} bytes were fetched");
    let reads = gateway.metric("fdfs_front_origin_reads_total")?;
    ensure!(reads == 1.0, "{reads} fetches");
    Ok(())
}

/// `FDFS_FRONT_LARGE=1024` for a file of so many MiB.
#[test]
fn the_end_of_a_large_file_is_served_without_the_rest() -> Result<()> {
    let mebibytes: usize = std::env::var("FDFS_FRONT_LARGE").ok().map_or(Ok(20), |text| text.parse())?;
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", mebibytes << 20)?;
    let cache = tempfile::tempdir()?;
    let (gateway, browser) = stage.front(&format!("[front]\ncache = '{}'\n", cache.path().display()))?;
    let page = browser.ask("GET", &file.path(), "Range: bytes=-10\r\n")?;
    ensure!(page.status == 206 && page.body == file.content[file.content.len() - 10..], "{}", page.head);
    ensure!(gateway.metric("fdfs_front_origin_bytes_total")? <= 2.0 * 1024.0 * 1024.0);
    let head = browser.ask("HEAD", &file.path(), "")?;
    ensure!(head.header("content-length") == Some(&*file.content.len().to_string()), "{}", head.head);
    let again = format!("If-None-Match: {}\r\n", etag_of(&page)?);
    // Tags are case-sensitive: the lower-case one of this client is another.
    ensure!(browser.ask("GET", &file.path(), &again)?.status == 200);
    ensure!(browser.ask("GET", &file.path(), "If-None-Match: *\r\n")?.status == 304);
    Ok(())
}

#[test]
fn what_is_cached_is_served_while_every_storage_and_tracker_is_away() -> Result<()> {
    let mut stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 3 << 20)?;
    let other = stage.store("group1", 1000)?;
    let cache = tempfile::tempdir()?;
    let lines =
        format!("[front]\ncache = '{}'\nshow_cache = true\ncache_valid = 1\n", cache.path().display());
    let (_gateway, browser) = stage.front(&lines)?;
    let first = browser.get(&file.path())?;
    ensure!(first.header("x-cache") == Some("miss") && first.body == file.content, "{}", first.head);
    ensure!(first.header("cache-control") == Some("public, max-age=2592000, immutable"), "{}", first.head);
    stage.cluster.kill_storage(0)?;
    stage.cluster.kill_tracker(0)?;
    Deadline::after(LIMIT).wait_for("a stale answer", || {
        let page = browser.get(&file.path())?;
        ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
        ensure!(page.header("x-cache") == Some("stale"), "{}", page.head);
        Ok(())
    })?;
    let page = browser.get(&other.path())?;
    ensure!(page.status == 503, "{}: what cannot be asked for is not gone", page.status);
    Ok(())
}

#[test]
fn a_token_is_asked_for_before_the_cache_answers() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let dir = tempfile::tempdir()?;
    let conf = dir.path().join("http.conf");
    let text =
        "http.anti_steal.check_token=true\nhttp.anti_steal.token_ttl=3\nhttp.anti_steal.secret_key=s3cret\n";
    std::fs::write(&conf, text)?;
    let cache = dir.path().join("cache");
    let lines = format!("[front]\ncache = '{}'\nhttp_conf = '{}'\n", cache.display(), conf.display());
    let (_gateway, browser) = stage.front(&lines)?;
    ensure!(browser.get(&file.path())?.status == 400);
    let ts = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let token = token_of(file.id.filename.as_str(), "s3cret", ts);
    let path = format!("{}?token={token}&ts={ts}", file.path());
    let page = browser.get(&path)?;
    ensure!(page.status == 200 && page.body == file.content, "{}", page.status);
    let control = page.header("cache-control").context("a header")?;
    ensure!(control.starts_with("private, max-age=") && !control.contains("2592000"), "{control}");
    Deadline::after(LIMIT).wait_for("the token's end", || {
        let page = browser.get(&path)?;
        ensure!(page.status == 400, "{}", page.status);
        Ok(())
    })
}

#[test]
fn prefixes_health_and_other_methods_are_answered_as_the_document_says() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let (_gateway, browser) = stage.front("[front]\ndefault_group = 'group1'\n")?;
    for path in [file.path(), format!("/dfs{}", file.path()), format!("/{}", file.id.filename)] {
        ensure!(browser.get(&path)?.body == file.content, "{path}");
    }
    ensure!(browser.get(&format!("/dfsx{}", file.path()))?.status == 400);
    for path in ["/healthz", "/readyz", "/dfs/healthz"] {
        ensure!(browser.get(path)?.status == 200, "{path}");
    }
    ensure!(browser.ask("PUT", &file.path(), "")?.status == 405);
    ensure!(browser.ask("OPTIONS", &file.path(), "")?.status == 405, "unless pages of other sites may ask");
    Ok(())
}

#[test]
fn pages_of_other_sites_may_read_where_that_is_configured_and_every_address_is_listened_on() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 5000)?;
    let cache = tempfile::tempdir()?;
    // Nobody else has addresses of this network.
    let address = SocketAddr::from(([127, 99, fastrand::u8(..), fastrand::u8(1..255)], 8000));
    let lines =
        format!("[front]\ncors = true\nlisten_also = ['{address}']\ncache = '{}'\n", cache.path().display());
    let (gateway, browser) = stage.front(&lines)?;
    for browser in [browser, Browser(address)] {
        let asked = browser.ask("OPTIONS", &file.path(), "Origin: http://a.test\r\n")?;
        ensure!(asked.status == 204 && asked.header("allow").is_some(), "{}", asked.head);
        let page = browser.ask("GET", &file.path(), "Origin: http://a.test\r\n")?;
        ensure!(page.body == file.content, "{}", page.status);
        ensure!(page.header("access-control-allow-origin") == Some("*"), "{}", page.head);
    }
    // What was fetched a while ago has an age.
    Deadline::after(LIMIT).wait_for("an age", || {
        let page = browser.get(&file.path())?;
        let age = page.header("age").context("no age")?;
        ensure!(page.body == file.content && age.parse::<u64>()? >= 1, "{}", page.head);
        Ok(())
    })?;
    // Every second figure of the contract, as it is called here.
    for name in [
        "fdfs_front_responses_total",
        "fdfs_front_bytes_sent_total",
        "fdfs_front_request_seconds_count",
        "fdfs_front_requests_running",
        "fdfs_client_storage_requests_total",
        "fdfs_client_storage_seconds_count",
    ] {
        ensure!(gateway.metric(name)? > 0.0 || name == "fdfs_front_requests_running", "{name}");
    }
    Deadline::after(LIMIT).wait_for("what the front looks at now and then", || {
        for name in [
            "fdfs_cache_bytes",
            "fdfs_cache_objects",
            "fdfs_client_probe_seconds_count",
            "fdfs_client_tracker_up",
        ] {
            ensure!(gateway.metric(name)? > 0.0, "{name}");
        }
        Ok(())
    })
}

#[test]
fn a_slow_client_does_not_hold_up_a_fast_one_of_the_same_file() -> Result<()> {
    let stage = Stage::start(&[("group1", 1)])?;
    let file = stage.store("group1", 12 << 20)?;
    let cache = tempfile::tempdir()?;
    let (_gateway, browser) = stage.front(&format!("[front]\ncache = '{}'\n", cache.path().display()))?;
    let mut slow = browser.begin("GET", &file.path(), "")?;
    let mut bytes = vec![0; 100];
    slow.read_exact(&mut bytes)?;
    ensure!(browser.get(&file.path())?.body == file.content);
    slow.read_to_end(&mut bytes)?;
    ensure!(Page::parse(&bytes, "GET")?.body == file.content);
    Ok(())
}

fn etag_of(page: &Page) -> Result<String> {
    Ok(page.header("etag").context("an ETag")?.to_owned())
}

const SIZE: usize = 10 << 20;
/// For so long one waits for what another fetches.
const PATIENCE: Duration = Duration::from_secs(5);
const LIMIT: Duration = Duration::from_secs(60);
