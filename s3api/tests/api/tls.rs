//! Encrypted connections.

use std::sync::Arc;
use std::time::Duration;

use fdfs_s3::TlsFiles;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::{Gateway, Signed};

/// A gateway with a certificate of its own, and what to trust it by.
async fn start(dir: &std::path::Path) -> (Gateway, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["s3.test".to_owned()]).unwrap();
    let files = TlsFiles { certificate: dir.join("cert.pem"), key: dir.join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let gateway = Gateway::start_with(|config| {
        config.tls = Some(files);
        config.idle_timeout = Duration::from_secs(3);
    })
    .await;
    (gateway, made.cert.der().clone())
}

async fn send(gateway: &Gateway, trusted: &CertificateDer<'static>, requests: &[Signed]) -> Vec<String> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(gateway.address).await.unwrap();
    let name = "s3.test".try_into().unwrap();
    let mut stream = TlsConnector::from(Arc::new(config)).connect(name, socket).await.unwrap();
    let mut answers = Vec::new();
    for (index, request) in requests.iter().enumerate() {
        let request = request.clone();
        let last = index + 1 == requests.len();
        let request = if last { request.header("connection", "close") } else { request };
        stream.write_all(&request.to_bytes("s3.test")).await.unwrap();
        let mut answer = Vec::new();
        let ended = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            let (head, body) = text.split_once("\r\n\r\n")?;
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
            (body.len() >= length.parse().ok()?).then_some(())
        };
        while ended(&answer).is_none() {
            let read = stream.read_buf(&mut answer);
            let length = tokio::time::timeout(Duration::from_secs(30), read).await.expect("in time").unwrap();
            assert!(length > 0, "ended early: {}", String::from_utf8_lossy(&answer));
        }
        answers.push(String::from_utf8(answer).unwrap());
    }
    let mut rest = Vec::new();
    // A connection that ends without `close_notify` would be an error here.
    stream.read_to_end(&mut rest).await.unwrap();
    answers
}

#[tokio::test]
async fn objects_are_put_and_got_over_tls_on_one_connection() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, trusted) = start(dir.path()).await;
    let chunked = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let answers = send(
        &gateway,
        &trusted,
        &[
            Signed::new("PUT", "/pets"),
            Signed::new("PUT", "/pets/k")
                .header("x-amz-decoded-content-length", "5")
                .header("x-amz-trailer", "x-amz-checksum-crc32")
                .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
                .body(chunked),
            Signed::new("GET", "/pets/k"),
            Signed::new("GET", "/pets/none"),
        ],
    )
    .await;
    let statuses: Vec<&str> = answers.iter().map(|answer| &answer[9..12]).collect();
    assert_eq!(statuses, ["200", "200", "200", "404"], "{answers:?}");
    assert!(answers[2].ends_with("\r\n\r\nhello"));
}

#[tokio::test]
async fn files_of_this_machine_are_read_to_be_encrypted() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, trusted) = start(dir.path()).await;
    let text: String = (0..60_000).map(|number| format!("{number:06}")).collect();
    gateway.files.state(|state| state.lent_piece = Some(2 << 20));
    let requests = [
        Signed::new("PUT", "/pets"),
        Signed::new("PUT", "/pets/k").body(text.clone()),
        Signed::new("GET", "/pets/k"),
    ];
    let answers = send(&gateway, &trusted, &requests).await;
    let (_, body) = answers[2].split_once("\r\n\r\n").unwrap();
    assert!(body == text);
}

#[tokio::test]
async fn who_does_not_speak_tls_is_let_go_and_keeps_nobody_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, trusted) = start(dir.path()).await;
    // One that says nothing, one that speaks HTTP.
    let silent = TcpStream::connect(gateway.address).await.unwrap();
    let mut plain = TcpStream::connect(gateway.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let answers = send(&gateway, &trusted, &[Signed::new("GET", "/")]).await;
    assert!(answers[0].starts_with("HTTP/1.1 200"));
    for mut stream in [silent, plain] {
        let mut all = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut all)).await;
        let _ = read.expect("it is let go");
        assert!(!String::from_utf8_lossy(&all).contains("HTTP"));
    }
}

#[tokio::test]
async fn a_policy_can_ask_for_tls() {
    let dir = tempfile::tempdir().unwrap();
    let (gateway, trusted) = start(dir.path()).await;
    let requests = [
        Signed::new("PUT", "/pets"),
        Signed::new("PUT", "/pets/k").body("x"),
        Signed::new("GET", "/pets/k").anonymous(),
    ];
    let answers = send(&gateway, &trusted, &requests[..2]).await;
    assert!(answers[1].starts_with("HTTP/1.1 200"));
    let bucket = gateway.objects.bucket("pets").await.unwrap();
    let document = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject",
        "Resource":"arn:aws:s3:::pets/*","Condition":{"Bool":{"aws:SecureTransport":"true"}}}}"#;
    gateway.objects.set_bucket_setting(&bucket, "policy", Some(document.into())).await.unwrap();
    let answers = send(&gateway, &trusted, &requests[2..]).await;
    assert!(answers[0].starts_with("HTTP/1.1 200"), "{answers:?}");
}
