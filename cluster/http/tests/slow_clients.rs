//! Clients that take their time.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_http::Limits;
use fdfs_net::{Tls, TlsFiles};
use support::{JPG, SLAVE, Site, pattern};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A connection that takes little at a time.
async fn narrow(site: &Site) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(site.address).await.unwrap()
}

/// A client that has asked for a large file, and takes next to nothing of it.
async fn slow(site: &Site) -> TcpStream {
    let mut stream = narrow(site).await;
    let request = format!("GET /group1/{JPG} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 1]).await.unwrap();
    stream
}

/// How long 200 small files take, fetched one after the other.
async fn small_files(site: &Site) -> Duration {
    let begun = Instant::now();
    for _ in 0..200 {
        let answer = site.get(&format!("/group1/{SLAVE}"), "").await;
        assert_eq!((answer.status, answer.body.len()), (200, 4096));
    }
    begun.elapsed()
}

/// 2,000 where the system lets this process open as many files.
fn count() -> usize {
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    // A client, its connection and its file each, and some for the rest.
    usize::try_from((most.saturating_sub(200) / 3).min(2000)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_clients_at_a_byte_a_second_do_not_slow_others() {
    let files = [(JPG, &pattern(8 << 20)[..]), (SLAVE, &pattern(4096)[..])];
    let site = Site::start(&files, Limits { threads: 2, ..Limits::default() }, "").await;
    let alone = small_files(&site).await;
    let mut clients = Vec::new();
    for _ in 0..count() {
        clients.push(slow(&site).await);
    }
    let beside = {
        let readers = async {
            loop {
                for client in &mut clients {
                    client.read_exact(&mut [0; 1]).await.unwrap();
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            time = small_files(&site) => time,
            () = readers => unreachable!("they read for ever"),
        }
    };
    // Busy machines are uneven: what would be seen is a server that serves nobody else.
    assert!(beside < alone * 20 + Duration::from_secs(5), "{beside:?} beside them, {alone:?} alone");
}

/// Waits until the site has nothing of its file open any more.
async fn its_file_is_closed(site: &Site) {
    let name = site.files.root.path().join(JPG.rsplit('/').next().unwrap());
    let is_open = || {
        let mut files = std::fs::read_dir("/proc/self/fd").unwrap();
        files.any(|fd| std::fs::read_link(fd.unwrap().path()).is_ok_and(|to| to == name))
    };
    let given_up = async {
        while is_open() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), given_up).await.expect("its file is closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_is_given_up() {
    let files = [(JPG, &pattern(32 << 20)[..])];
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let site = Site::start(&files, limits, "").await;
    let mut client = slow(&site).await;
    its_file_is_closed(&site).await;
    // The connection is given up, too: what the client says finds nobody. It has taken a byte of 32 MiB.
    let refused = async {
        while client.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("the connection has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_nothing_over_tls_is_given_up_too() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["site.test".to_owned()]).unwrap();
    let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let tls = Arc::new(Tls::read(files, &["h2", "http/1.1"]).unwrap());
    let limits = Limits { write_timeout: Duration::from_millis(300), ..Limits::default() };
    let site = Site::start_over(Some(tls), &[(JPG, &pattern(32 << 20)[..])], limits, "").await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let connector = TlsConnector::from(Arc::new(config));
    let name = "site.test".try_into().unwrap();
    let mut client: TlsStream<TcpStream> = connector.connect(name, narrow(&site).await).await.unwrap();
    let request = format!("GET /group1/{JPG} HTTP/1.1\r\nHost: x\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    client.read_exact(&mut [0; 1]).await.unwrap();
    its_file_is_closed(&site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_sends_no_head_is_given_up() {
    let limits = Limits { head_timeout: Duration::from_millis(300), ..Limits::default() };
    let site = Site::start(&[(JPG, b"x")], limits, "").await;
    let mut client = TcpStream::connect(site.address).await.unwrap();
    client.write_all(b"GET /group1/").await.unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(60), client.read_to_end(&mut rest)).await;
    let _ = read.expect("the connection has ended");
}
