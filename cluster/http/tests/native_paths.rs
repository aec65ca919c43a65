//! Native paths over real sockets, from files on a real disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_http::{Content, FileContent, HttpServer, Limits, NativePaths, Settings, Source, SourceError};
use fdfs_types::{FileId, Timestamp};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;

const JPG: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";
const SLAVE: &str = "M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110_150x150.jpg";
const EMPTY: &str = "M00/02/00/fwAAAmsCeAaAa3a-AAAAAAAAAAAA754.dat";

/// A directory with one file for each name.
struct Directory {
    root: tempfile::TempDir,
}

impl Source for Directory {
    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        if id.group.as_str() != "group1" {
            return Err(SourceError::NotFound);
        }
        let file =
            File::open(self.root.path().join(id.filename.base_name())).map_err(|_| SourceError::NotFound)?;
        let size = file.metadata()?.len();
        Ok(Content {
            size,
            modified: Timestamp(784_111_777),
            holder: None,
            reader: Box::new(FileContent::new(Arc::new(file))),
        })
    }
}

struct Site {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Site {
    async fn start(files: &[(&str, &[u8])]) -> Self {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(root.path().join(name.rsplit('/').next().unwrap()), content).unwrap();
        }
        let (stop, stopped) = watch::channel(false);
        let any = "127.0.0.1:0".parse().unwrap();
        let group = "group1".parse().ok();
        let paths = NativePaths::new(Arc::new(Directory { root }), Arc::new(Settings::default()), group);
        let server = HttpServer::bind(any, Arc::new(paths), Limits::default()).await.unwrap();
        let address = server.local_addr().unwrap();
        Self { address, stop, task: tokio::spawn(server.run(stopped)) }
    }

    async fn ask(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = format!("{request}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut bytes));
        read.await.expect("the server answers in time").unwrap();
        Answer::parse(&bytes)
    }

    async fn get(&self, name: &str, headers: &str) -> Answer {
        self.ask(&format!("GET /group1/{name} HTTP/1.1\r\nHost: x{headers}")).await
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair =
            |line: &str| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
        Self { status, headers: lines.filter_map(pair).collect(), body: bytes[end + 4..].to_vec() }
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|i| (i * 31 + i / 256) as u8).collect()
}

#[tokio::test]
async fn a_file_is_served_with_its_type_length_and_validators() {
    let content = pattern(5000);
    let site = Site::start(&[(JPG, &content)]).await;
    let answer = site.get(JPG, "").await;
    assert_eq!((answer.status, &answer.body), (200, &content));
    assert_eq!(answer.header("content-type"), "image/jpeg");
    assert_eq!(answer.header("content-length"), "5000");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("last-modified"), "Sun, 22 Nov 2026 05:16:34 GMT", "the time in the name");
    assert_eq!(answer.header("etag"), "\"fwAAAmsCerKAKbhRAAATiC17JN8-1388\"");
    let without_group = site.ask(&format!("GET /{JPG} HTTP/1.1\r\nHost: x")).await;
    assert_eq!((without_group.status, &without_group.body), (200, &content));
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    let site = Site::start(&[(JPG, &pattern(5000))]).await;
    let answer = site.ask(&format!("HEAD /group1/{JPG} HTTP/1.1\r\nHost: x")).await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, "5000", 0));
}

#[tokio::test]
async fn ranges_are_parts_of_the_file() {
    let content = pattern(1 << 20);
    let site = Site::start(&[(JPG, &content)]).await;
    let one = site.get(JPG, "\r\nRange: bytes=300000-700000").await;
    assert_eq!((one.status, &one.body[..]), (206, &content[300_000..=700_000]));
    assert_eq!(one.header("content-range"), "bytes 300000-700000/1048576");
    let two = site.get(JPG, "\r\nRange: bytes=0-1,-2").await;
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
    let beyond = site.get(JPG, "\r\nRange: bytes=2000000-").await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */1048576"));
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let site = Site::start(&[(JPG, b"x"), (SLAVE, b"slave")]).await;
    let dated = site.get(JPG, "\r\nIf-Modified-Since: Sun, 22 Nov 2026 05:16:34 GMT").await;
    assert_eq!((dated.status, dated.body.len()), (304, 0));
    let slave = site.get(SLAVE, "").await;
    assert_eq!(slave.header("last-modified"), "Sun, 06 Nov 1994 08:49:37 GMT", "the time of its content");
    let tagged = site.get(SLAVE, &format!("\r\nIf-None-Match: {}", slave.header("etag"))).await;
    assert_eq!(tagged.status, 304);
}

#[tokio::test]
async fn an_empty_file_is_an_empty_body() {
    let site = Site::start(&[(EMPTY, b"")]).await;
    let answer = site.get(EMPTY, "").await;
    assert_eq!((answer.status, answer.header("content-length"), answer.body.len()), (200, "0", 0));
    assert_eq!(site.get(EMPTY, "\r\nRange: bytes=0-").await.status, 416);
}

#[tokio::test]
async fn refusals_say_why_and_are_not_cached() {
    let site = Site::start(&[(JPG, b"x")]).await;
    let missing = site.get(SLAVE, "").await;
    assert_eq!((missing.status, missing.header("cache-control")), (404, "no-store"));
    assert_eq!(site.get("M00/00/00/nothing", "").await.status, 400);
    assert_eq!(site.ask(&format!("GET /other/{JPG} HTTP/1.1\r\nHost: x")).await.status, 404);
    let put = site.ask(&format!("PUT /group1/{JPG} HTTP/1.1\r\nHost: x\r\nContent-Length: 0")).await;
    assert_eq!((put.status, put.header("allow")), (405, "GET, HEAD"));
}

#[tokio::test]
async fn an_http_1_0_peer_with_two_blanks_is_understood() {
    let site = Site::start(&[(JPG, b"four")]).await;
    let answer = site.ask(&format!("GET /group1/{JPG}?redirect=1  HTTP/1.0\r\nHost: x")).await;
    assert_eq!(
        (answer.status, &answer.body[..], answer.header("transfer-encoding")),
        (200, &b"four"[..], "")
    );
}

#[tokio::test]
async fn a_download_gets_the_name_asked_for() {
    let site = Site::start(&[(JPG, b"x")]).await;
    let answer = site.get(&format!("{JPG}?filename=my+cat.jpg"), "").await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"my cat.jpg\"");
}

#[tokio::test]
async fn a_stopped_server_finishes_what_runs_and_ends() {
    let site = Site::start(&[(JPG, b"x")]).await;
    let idle = TcpStream::connect(site.address).await.unwrap();
    assert_eq!(site.get(JPG, "").await.status, 200);
    site.stop.send(true).unwrap();
    tokio::time::timeout(Duration::from_secs(5), site.task).await.expect("ends in time").unwrap();
    assert!(TcpStream::connect(site.address).await.is_err());
    drop(idle);
}
