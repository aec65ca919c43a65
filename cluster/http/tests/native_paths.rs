//! Native paths over real sockets, from files on a real disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::time::Duration;

use fdfs_http::Limits;
use tokio::net::TcpStream;

use support::{Answer, JPG, SLAVE, Site, pattern};

const EMPTY: &str = "M00/02/00/fwAAAmsCeAaAa3a-AAAAAAAAAAAA754.dat";

async fn start(files: &[(&str, &[u8])]) -> Site {
    Site::start(files, Limits::default(), "").await
}

async fn ask(site: &Site, request: &str) -> Answer {
    Answer::parse(&site.send(format!("{request}\r\nConnection: close\r\n\r\n").as_bytes()).await)
}

async fn get(site: &Site, name: &str, headers: &str) -> Answer {
    site.get(&format!("/group1/{name}"), headers).await
}

#[tokio::test]
async fn a_file_is_served_with_its_type_length_and_validators() {
    let content = pattern(5000);
    let site = start(&[(JPG, &content)]).await;
    let answer = get(&site, JPG, "").await;
    assert_eq!((answer.status, &answer.body), (200, &content));
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("content-length"), "5000");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("last-modified"), "Sun, 22 Nov 2026 05:16:34 GMT", "the time in the name");
    assert_eq!(answer.header("etag"), "\"fwAAAmsCerKAKbhRAAATiC17JN8-1388\"");
    let site = Site::start(&[(JPG, &content)], Limits::default(), "url_have_group_name = false").await;
    let without_group = site.get(&format!("/{JPG}"), "").await;
    assert_eq!((without_group.status, &without_group.body), (200, &content));
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let site = start(&[(JPG, &pattern(5000))]).await;
    let answer = ask(&site, &format!("HEAD /group1/{JPG} HTTP/1.1\r\nHost: x")).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, "5000", 0));
}

#[tokio::test]
async fn ranges_are_parts_of_the_file() {
    let content = pattern(1 << 20);
    let site = start(&[(JPG, &content)]).await;
    let one = get(&site, JPG, "Range: bytes=300000-700000\r\n").await;
    assert_eq!((one.status, &one.body[..]), (206, &content[300_000..=700_000]));
    assert_eq!(one.header("content-range"), "bytes 300000-700000/1048576");
    let two = get(&site, JPG, "Range: bytes=0-1,-2\r\n").await;
    let boundary = two.header("content-type").strip_prefix("multipart/byteranges; boundary=").unwrap();
    let part = |range: &str, data: &[u8]| {
        let head = format!(
            "\r\n--{boundary}\r\nContent-type: image/jpeg\r\nContent-range: bytes {range}/1048576\r\n\r\n"
        );
        [head.as_bytes(), data].concat()
    };
    let end = format!("\r\n--{boundary}--\r\n").into_bytes();
    let expected = [part("0-1", &content[..2]), part("1048574-1048575", &content[1_048_574..]), end].concat();
    assert_eq!((two.status, two.body), (206, expected));
    let beyond = get(&site, JPG, "Range: bytes=2000000-\r\n").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */1048576"));
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let site = start(&[(JPG, b"x"), (SLAVE, b"slave")]).await;
    let dated = get(&site, JPG, "If-Modified-Since: Sun, 22 Nov 2026 05:16:34 GMT\r\n").await;
    assert_eq!((dated.status, dated.body.len()), (304, 0));
    let slave = get(&site, SLAVE, "").await;
    assert_eq!(slave.header("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT", "the time of its content");
    let tagged = get(&site, SLAVE, &format!("If-None-Match: {}\r\n", slave.header("etag"))).await;
    assert_eq!(tagged.status, 304);
}

#[tokio::test]
async fn an_empty_file_is_an_empty_body() {
    let site = start(&[(EMPTY, b"")]).await;
    let answer = get(&site, EMPTY, "").await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, "0", 0));
    assert_eq!(get(&site, EMPTY, "Range: bytes=0-\r\n").await.status, 416);
}

#[tokio::test]
async fn refusals_say_why_and_are_not_cached() {
    let site = start(&[(JPG, b"x")]).await;
    let missing = get(&site, SLAVE, "").await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, "no-store"));
    assert_eq!(get(&site, "M00/00/00/nothing", "").await.status, 400);
    assert_eq!(ask(&site, &format!("GET /other/{JPG} HTTP/1.1\r\nHost: x")).await.status, 404);
    let put = ask(&site, &format!("PUT /group1/{JPG} HTTP/1.1\r\nHost: x\r\nContent-Length: 0")).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn an_http_1_0_peer_with_two_blanks_is_understood() {
    let site = start(&[(JPG, b"four")]).await;
    let answer = ask(&site, &format!("GET /group1/{JPG}?redirect=1  HTTP/1.0\r\nHost: x")).await;
    assert_eq!(
        (answer.status, &answer.body[..], answer.header("transfer-encoding")),
        (200, &b"four"[..], "")
    );
}

#[tokio::test]
async fn a_download_gets_the_name_asked_for() {
    let site = start(&[(JPG, b"x")]).await;
    let answer = get(&site, &format!("{JPG}?filename=my+cat.jpg"), "").await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"my cat.jpg\"");
}

#[tokio::test]
async fn a_stopped_server_finishes_what_runs_and_ends() {
    let site = start(&[(JPG, b"x")]).await;
    let idle = TcpStream::connect(site.address).await.unwrap();
    assert_eq!(get(&site, JPG, "").await.status, 200);
    site.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), site.task).await.expect("ends in time").unwrap();
    assert!(TcpStream::connect(site.address).await.is_err());
    drop(idle);
}
