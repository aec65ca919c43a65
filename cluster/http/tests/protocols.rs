//! How clients may begin: HTTP/1 byte by byte, HTTP/2 without having been asked, and through a proxy that says for whom it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fdfs_http::{Body, Connection, Handler, HttpServer, Limits};
use http::{Request, Response, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use support::{Answer, JPG, Site, pattern};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_begin_with_http_2_on_a_plain_connection() {
    // One size for each way that a body leaves by.
    for size in [5000, 300_000, 3_000_000] {
        let site = Site::start(&[(JPG, &pattern(size))], Limits::default(), "").await;
        let stream = TcpStream::connect(site.address).await.unwrap();
        let handshake = http2::handshake::<_, _, String>(TokioExecutor::new(), TokioIo::new(stream));
        let (sender, connection) = timeout(LIMIT, handshake).await.unwrap().unwrap();
        let driver = tokio::spawn(connection);
        let requests = (0..8).map(|_| {
            let mut sender = sender.clone();
            let uri = format!("http://{}/group1/{JPG}", site.address);
            async move {
                let request = Request::get(uri).body(String::new()).unwrap();
                let answer = sender.send_request(request).await.unwrap();
                assert_eq!((answer.status().as_u16(), answer.version()), (200, Version::HTTP_2));
                body_of(answer).await
            }
        });
        // All at once on one connection.
        let bodies = timeout(LIMIT, futures_util::future::join_all(requests)).await.unwrap();
        assert!(bodies.iter().all(|body| *body == pattern(size)), "{size}");
        drop(sender);
        timeout(LIMIT, driver).await.unwrap().unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_comes_byte_by_byte_is_one_whatever_it_begins_with() {
    let site = Site::start(&[(JPG, &pattern(5000))], Limits::default(), "").await;
    for (method, status) in [("GET", 200), ("PRI", 405), ("PROPFIND", 405)] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let head = format!("{method} /group1/{JPG} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        for byte in head.bytes() {
            stream.write_all(&[byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut bytes = Vec::new();
        timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap().unwrap();
        assert_eq!(Answer::parse(&bytes).status, status, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_nothing_at_all_is_given_up() {
    let limits = Limits { head_timeout: Duration::from_millis(100), ..Limits::default() };
    let site = Site::start(&[(JPG, &pattern(5000))], limits, "").await;
    for begin in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n"] {
        let mut stream = TcpStream::connect(site.address).await.unwrap();
        stream.write_all(begin).await.unwrap();
        let mut bytes = Vec::new();
        // However it ends.
        let _ = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap();
    }
}

/// Tells who asks.
struct WhoAsks;

impl Handler for WhoAsks {
    async fn answer(&self, _: Request<Incoming>, connection: &Connection) -> Response<Body> {
        Response::new(Body::text(connection.peer.to_string()))
    }
}

/// What a server that believes `proxies` answers to a connection that begins so, and the address of that.
async fn who_asks(proxies: &[&str], begin: &[u8]) -> (String, SocketAddr) {
    let any = "127.0.0.1:0".parse().unwrap();
    let server = HttpServer::bind(any, Arc::new(WhoAsks), Limits::default()).await.unwrap();
    let server = server.behind(proxies.iter().map(|network| network.parse().unwrap()).collect());
    let address = server.local_addr().unwrap();
    let (_stop, stopped) = watch::channel(false);
    tokio::spawn(server.run(stopped));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let own = stream.local_addr().unwrap();
    let request = [begin, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].concat();
    stream.write_all(&request).await.unwrap();
    let mut bytes = Vec::new();
    let _ = timeout(LIMIT, stream.read_to_end(&mut bytes)).await.unwrap();
    (String::from_utf8(bytes).unwrap(), own)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_believed_says_for_whom_it_connects_and_nobody_else_does() {
    let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 51234 8000\r\n";
    let binary = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x07\xc6\x33\x64\x01\xc8\x22\x1f\x40";
    for header in [&line[..], binary] {
        let (answer, _) = who_asks(&["127.0.0.0/8"], header).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n192.0.2.7:51234"),
            "{answer}"
        );
        // From elsewhere it is no request.
        for proxies in [&[][..], &["192.0.2.0/24"]] {
            let (answer, _) = who_asks(proxies, header).await;
            assert!(!answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
    }
    // A proxy that asks for itself, as its health checks do.
    let (answer, own) = who_asks(&["127.0.0.1"], b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{own}")), "{answer}");
    // One that says nothing is not served: it could be anybody behind it.
    let (answer, _) = who_asks(&["127.0.0.1"], b"").await;
    assert_eq!(answer, "");
    let (answer, own) = who_asks(&["192.0.2.0/24"], b"").await;
    assert!(answer.ends_with(&format!("\r\n\r\n{own}")), "{answer}");
}

async fn body_of(answer: Response<Incoming>) -> Bytes {
    let (mut body, mut bytes) = (answer.into_body(), BytesMut::new());
    while let Some(frame) = std::future::poll_fn(|cx| std::pin::Pin::new(&mut body).poll_frame(cx)).await {
        bytes.extend_from_slice(&frame.unwrap().into_data().unwrap_or_default());
    }
    bytes.freeze()
}
