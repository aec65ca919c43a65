//! Bodies that leave without being read: every byte in its place, whatever the connection does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::time::Duration;

use fdfs_http::Limits;
use support::{Answer, JPG, SLAVE, Site, pattern};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

fn path(name: &str) -> String {
    format!("/group1/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_every_size_arrive_whole_one_after_the_other() {
    let site = Site::start(&[(JPG, b"")], Limits { threads: 2, ..Limits::default() }, "").await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    for size in
        [0, 1, 4096, 32_767, 32_768, 65_536, 1 << 20, (2 << 20) - 1, 2 << 20, (2 << 20) + 1, 9_000_001]
    {
        let content = pattern(size);
        std::fs::write(site.files.root.path().join(JPG.rsplit('/').next().unwrap()), &content).unwrap();
        for _ in 0..2 {
            let request = format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(JPG));
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let mut body = vec![0; size];
            let read = tokio::time::timeout(Duration::from_secs(60), stream.read_exact(&mut body)).await;
            read.expect("in time").unwrap();
            assert_eq!(Answer::parse(&head).header("content-length"), size.to_string());
            assert!(body == content, "{size} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_at_once_are_answered_in_order() {
    let (large, small) = (pattern(3_000_000), b"small".to_vec());
    let site = Site::start(&[(JPG, &large), (SLAVE, &small)], Limits::default(), "").await;
    let one = |method: &str, name: &str, more: &str| {
        format!("{method} {} HTTP/1.1\r\nHost: x\r\n{more}\r\n", path(name))
    };
    let requests = [
        one("GET", JPG, ""),
        one("HEAD", JPG, ""),
        one("GET", SLAVE, ""),
        one("GET", JPG, "Range: bytes=100-2500000\r\n"),
        one("GET", JPG, "Range: bytes=0-99999,200000-299999\r\nConnection: close\r\n"),
    ];
    let bytes = site.send(requests.concat().as_bytes()).await;
    let mut rest = &bytes[..];
    let mut bodies = Vec::new();
    for request in &requests {
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
        let length: usize = Answer::parse(&rest[..end]).header("content-length").parse().unwrap();
        let length = if request.starts_with("HEAD") { 0 } else { length };
        bodies.push(&rest[end..end + length]);
        rest = &rest[end + length..];
    }
    assert!(rest.is_empty());
    assert!(bodies[0] == large && bodies[1].is_empty() && bodies[2] == small);
    assert!(bodies[3] == &large[100..=2_500_000]);
    let part = |range: std::ops::Range<usize>| {
        bodies[4].windows(range.len()).any(|window| window == &large[range.clone()])
    };
    assert!(part(0..100_000) && part(200_000..300_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_becomes_shorter_while_it_is_sent_ends_the_connection() {
    let site = Site::start(&[(JPG, &pattern(64 << 20))], Limits::default(), "").await;
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(JPG)).as_bytes()).await.unwrap();
    let mut first = vec![0; 1000];
    stream.read_exact(&mut first).await.unwrap();
    let file = site.files.root.path().join(JPG.rsplit('/').next().unwrap());
    std::fs::File::options().write(true).open(file).unwrap().set_len(1 << 20).unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await;
    let _ = read.expect("the connection ends");
    assert!(rest.len() < 64 << 20);
    let after = site.get(&path(JPG), "Range: bytes=0-9\r\n").await;
    assert_eq!((after.status, after.body), (206, pattern(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_in_the_middle_leave_nothing_open() {
    let site = Site::start(&[(JPG, &pattern(32 << 20))], Limits::default(), "").await;
    let name = site.files.root.path().join(JPG.rsplit('/').next().unwrap());
    let open = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        files.filter(|fd| std::fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to == name)).count()
    };
    for _ in 0..20 {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(format!("GET {} HTTP/1.1\r\nHost: x\r\n\r\n", path(JPG)).as_bytes()).await.unwrap();
        stream.read_exact(&mut [0; 100]).await.unwrap();
    }
    let closed = async {
        while open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), closed).await.expect("every file is closed");
}
