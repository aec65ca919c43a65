//! What a client should not send.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use fdfs_http::Limits;
use support::{Answer, JPG, SLAVE, Site, pattern};

async fn site() -> Site {
    Site::start(&[(JPG, &pattern(5000)), (SLAVE, b"slave")], Limits::default(), "flv_support = true").await
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_lead_to_files_and_nowhere_else() {
    let site = site().await;
    std::fs::write(site.files.root.path().join("secret.txt"), b"secret").unwrap();
    let long = "x".repeat(600);
    for (path, status) in [
        ("/group1/M00/00/00/../../../../secret.txt".to_owned(), 400),
        ("/group1/M00/00/00/..%2f..%2f..%2f..%2fsecret.txt".to_owned(), 400),
        ("/group1/M00/00/00/%2e%2e/%2e%2e/secret.txt".to_owned(), 400),
        ("/group1/M00/00/00/..\\..\\..\\..\\..\\..\\..\\..\\..\\..\\..\\..\\secret.txt".to_owned(), 400),
        (format!("/group1/{JPG}%00.png"), 400),
        (format!("/group1/{JPG}%0d%0aX-Injected:1"), 400),
        (format!("/group1/{JPG}/../../secret.txt"), 400),
        (format!("/group1/{JPG}-m"), 404),
        (format!("/group1/{SLAVE}-m"), 404),
        (format!("/group1/{JPG}{long}"), 400),
        (format!("/group1/{JPG}?{}", "a".repeat(9000)), 414),
        (format!("/group1/M00/00/00/{}", "%ff".repeat(40)), 400),
    ] {
        let answer = site.get(&path, "").await;
        assert_eq!(answer.status, status, "{path}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("secret\n"), "{path}");
        assert_eq!(answer.header("x-injected"), "", "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_metadata_are_served_where_that_is_configured() {
    let metadata = format!("{JPG}-m");
    let files = [(JPG, &b"x"[..]), (&metadata, b"a\x02b")];
    let site = Site::start(&files, Limits::default(), "http.expose_metadata = true").await;
    assert_eq!(site.get(&format!("/group1/{metadata}"), "").await.body, b"a\x02b");
    let site = Site::start(&files, Limits::default(), "").await;
    assert_eq!(site.get(&format!("/group1/{metadata}"), "").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn absurd_ranges_are_refused_and_cost_nothing() {
    let site = site().await;
    let path = format!("/group1/{JPG}");
    let many = ["0-"; 17].join(",");
    let whole = ["0-"; 16].join(",");
    let long = format!("{}-3", "0".repeat(2000));
    for range in [&*many, &*long, "0-18446744073709551616,-0", "99999999999999999999999-"] {
        let answer = site.get(&path, &format!("Range: bytes={range}\r\n")).await;
        let expected = if range.starts_with("0-1844") { 206 } else { 416 };
        assert_eq!(answer.status, expected, "{range}");
        assert!(answer.body.len() <= 5000, "{range}");
    }
    // More than the file and 64 KiB in all would repeat it.
    assert_eq!(site.get(&path, &format!("Range: bytes={whole}\r\n")).await.status, 416);
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_no_heads_end_the_connection_and_nothing_else() {
    let site = site().await;
    let huge = format!("GET /group1/{JPG} HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "y".repeat(40_000));
    let many = format!(
        "GET /group1/{JPG} HTTP/1.1\r\nHost: x\r\n{}\r\n",
        (0..300).map(|at| format!("X-{at}: 1\r\n")).collect::<String>()
    );
    for request in [
        huge.as_bytes(),
        many.as_bytes(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello TLS\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /group1 HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\nzz",
        b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    ] {
        let answer = site.send(request).await;
        let line = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(line.is_empty() || line.starts_with("HTTP/1.1 4"), "{line}");
        assert_eq!(site.get(&format!("/group1/{JPG}"), "").await.status, 200);
    }
    // HTTP/2 that goes on as HTTP/1 is neither.
    let neither = format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nGET /group1/{JPG} HTTP/1.1\r\nHost: x\r\n\r\n");
    let answer = site.send(neither.as_bytes()).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_for_the_download_splits_no_header() {
    let site = site().await;
    let answer = site.get(&format!("/group1/{JPG}?filename=a%0d%0aX-Injected:%201%22%5c.txt"), "").await;
    assert_eq!((answer.status, answer.header("x-injected")), (200, ""));
    assert!(answer.header("content-disposition").starts_with("attachment; filename=\"a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_request_carries_is_not_taken_for_the_next_one() {
    let site = site().await;
    let inner = format!("GET /group1/{SLAVE} HTTP/1.1\r\nHost: x\r\n\r\n");
    let request = format!(
        "GET /group1/{JPG} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{inner}GET /group1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        inner.len()
    );
    let bytes = site.send(request.as_bytes()).await;
    let first = Answer::parse(&bytes);
    assert_eq!((first.status, &first.body[..5000]), (200, &pattern(5000)[..]));
    let rest = String::from_utf8_lossy(&first.body[5000..]).into_owned();
    assert!(rest.is_empty() || rest.starts_with("HTTP/1.1 400"), "{rest}");
}
