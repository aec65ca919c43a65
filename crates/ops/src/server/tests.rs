//! Tests over real sockets.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;

async fn start(health: &Health) -> OpsServer {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    OpsServer::start(address, health.clone()).await.expect("a server")
}

/// Sends one request and reads the whole answer.
async fn ask(server: &OpsServer, request: &str) -> String {
    let exchange = async {
        let mut stream = TcpStream::connect(server.address()).await.expect("a connection");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer
    };
    timeout(DEADLINE, exchange).await.expect("in time")
}

async fn get(server: &OpsServer, path: &str) -> String {
    ask(server, &format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")).await
}

#[tokio::test]
async fn metrics_show_what_was_counted_and_the_process() {
    let server = start(&Health::new()).await;
    metrics::counter!("fdfs_test_events_total", "kind" => "a").increment(3);
    metrics::histogram!("fdfs_test_wait_seconds").record(0.003);
    let answer = get(&server, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("content-type: text/plain; version=0.0.4"), "{answer}");
    assert!(answer.contains("\nfdfs_test_events_total{kind=\"a\"} 3\n"), "{answer}");
    assert!(answer.contains("fdfs_test_wait_seconds_bucket{le=\"0.005\"} 1\n"), "{answer}");
    assert!(answer.contains("fdfs_test_wait_seconds_bucket{le=\"0.0025\"} 0\n"), "{answer}");
    assert!(answer.contains("\nprocess_resident_memory_bytes "), "{answer}");
    assert!(answer.contains("\nfdfs_build_info{version="), "{answer}");
    server.shutdown().await;
}

#[tokio::test]
async fn health_is_200_when_every_part_is_ok_and_503_else() {
    let health = Health::new();
    let disk = health.switch("disk");
    let server = start(&health).await;
    let answer = get(&server, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
    assert!(answer.ends_with("{\"checks\":{\"disk\":\"starting\"},\"status\":\"failing\"}\n"), "{answer}");
    disk.ok();
    let answer = get(&server, "/healthz").await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("content-type: application/json"), "{answer}");
    let head = ask(&server, "HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    server.shutdown().await;
}

#[tokio::test]
async fn other_requests_are_refused() {
    let server = start(&Health::new()).await;
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let answer = ask(&server, request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn silent_clients_neither_block_others_nor_a_shutdown_for_long() {
    let server = start(&Health::new()).await;
    let mut silent = Vec::new();
    for _ in 0..MAX_CONNECTIONS - 1 {
        silent.push(TcpStream::connect(server.address()).await.expect("a connection"));
    }
    assert!(get(&server, "/healthz").await.starts_with("HTTP/1.1 200 "));
    timeout(DEADLINE, server.shutdown()).await.expect("within the deadline of a connection");
}

#[tokio::test]
async fn after_a_shutdown_the_port_is_free_and_a_taken_one_is_named() {
    let server = start(&Health::new()).await;
    let address = server.address();
    let error = OpsServer::start(address, Health::new()).await.expect_err("it is taken");
    assert!(error.to_string().starts_with(&format!("cannot listen on {address} for metrics: ")));
    server.shutdown().await;
    OpsServer::start(address, Health::new()).await.expect("it is free").shutdown().await;
}

#[tokio::test]
async fn a_default_address_that_is_taken_is_no_error_but_a_configured_one_is() {
    let first = start(&Health::new()).await;
    let listen = |is_explicit| {
        let address = Some(first.address().ip());
        Some(ServiceAddress { address, port: first.address().port(), is_explicit })
    };
    let start = |listen| OpsServer::start_as_configured(listen, Health::new());
    assert!(start(listen(false)).await.expect("goes on").is_none());
    start(listen(true)).await.expect_err("it was asked for");
    assert!(start(None).await.expect("switched off").is_none());
    let free = listen(true).map(|listen| ServiceAddress { port: 0, ..listen });
    start(free).await.expect("a free port").expect("a server").shutdown().await;
    first.shutdown().await;
}

/// More than a connection may take.
const DEADLINE: Duration = Duration::from_secs(15);
