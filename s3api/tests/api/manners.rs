//! How the server behaves on a connection: what it asks for, what it keeps, what it ends.

use std::time::Duration;

use crate::support::{Gateway, Signed};
use fdfs_objects::{CommitOptions, PutOptions};
use tokio::io::AsyncReadExt as _;

fn put(target: &str, length: usize) -> Signed {
    Signed::new("PUT", target).body(vec![b'x'; length])
}

/// Head and body of a request, apart.
fn parts(request: &Signed, host: &str) -> (String, Vec<u8>) {
    let bytes = request.to_bytes(host);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    (String::from_utf8(bytes[..end].to_vec()).unwrap(), bytes[end..].to_vec())
}

#[tokio::test]
async fn a_client_is_asked_for_its_data_only_when_it_will_be_taken() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let (head, body) = parts(&put("/pets/k", 1000).header("expect", "100-continue"), &wire.host);
    wire.write(head.as_bytes()).await;
    assert_eq!(wire.answer(false).await.status, 100);
    wire.write(&body).await;
    assert_eq!(wire.answer(false).await.status, 200);

    let (head, _) = parts(&put("/absent/k", 1000).header("expect", "100-continue"), &wire.host);
    wire.write(head.as_bytes()).await;
    let refused = wire.answer(false).await;
    assert_eq!((refused.status, refused.code().as_str()), (404, "NoSuchBucket"));
    assert_eq!(refused.header("connection"), Some("close"), "nobody knows whether the body comes");
    assert!(wire.is_ended().await);
}

#[tokio::test]
async fn an_empty_body_is_not_waited_for() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;

    // Whether it is taken or refused, the client is told to go on first, and the connection goes on.
    for (target, status) in [("/pets/k", 200), ("/absent/k", 404), ("/pets/k", 200)] {
        assert_eq!(wire.send(put(target, 0).header("expect", "100-continue")).await.status, 100);
        let answer = wire.answer(false).await;
        assert_eq!((answer.status, answer.header("connection")), (status, None), "{target}");
        assert_eq!(wire.send(Signed::new("GET", "/pets/k")).await.status, 200);
    }
    // Nobody else is told anything of the kind, nor is it owed to the next one.
    assert_eq!(wire.send(put("/pets/k", 0)).await.status, 200);
    assert_eq!(wire.send(put("/pets/k", 10)).await.status, 200);
}

#[tokio::test]
async fn a_connection_lives_on_after_a_refused_upload() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for _ in 0..3 {
        let refused = wire.send(put("/absent/k", 100_000)).await;
        assert_eq!((refused.status, refused.header("connection")), (404, None));
        assert_eq!(wire.send(put("/pets/k", 10)).await.status, 200);
    }
}

#[tokio::test]
async fn a_large_refused_upload_gets_its_answer_before_the_end() {
    let gateway = Gateway::start().await;
    let mut wire = gateway.connect().await;

    let refused = wire.send(put("/absent/k", 8 << 20)).await;
    assert_eq!((refused.status, refused.header("connection")), (404, Some("close")));
    assert_eq!(refused.code(), "NoSuchBucket");
    assert!(wire.is_ended().await);
}

#[tokio::test]
async fn a_small_answer_comes_in_one_segment() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.send(put("/pets/k", 1000)).await;

    for target in ["/pets/k", "/pets?list-type=2", "/pets/none"] {
        let request = Signed::new("GET", target).to_bytes(&wire.host);
        wire.write(&request).await;
        let mut segment = vec![0; 64 * 1024];
        let length = wire.stream.read(&mut segment).await.unwrap();
        let text = String::from_utf8_lossy(&segment[..length]).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let expected: usize =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap().parse().unwrap();
        assert_eq!(body.len(), expected, "{target}");
    }
}

#[tokio::test]
async fn a_payload_that_fails_its_checks_leaves_nothing() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let chunked = |body: &'static str| {
        Signed::new("PUT", "/pets/k")
            .header("x-amz-decoded-content-length", "9")
            .header("x-amz-trailer", "x-amz-checksum-crc32")
            .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
            .body(body)
    };
    for (request, code) in [
        (put("/pets/k", 10).payload(&"0".repeat(64)), "XAmzContentSHA256Mismatch"),
        (put("/pets/k", 10).header("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), "BadDigest"),
        (put("/pets/k", 10).header("x-amz-checksum-crc32", "AAAAAA=="), "BadDigest"),
        (chunked("9\r\n123456780\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"), "BadDigest"),
        (chunked("9\r\n123456789\r\n0\r\n\r\n"), "MalformedTrailerError"),
        (chunked("5\r\n12345\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n"), "IncompleteBody"),
        (chunked("nonsense"), "IncompleteBody"),
    ] {
        assert_eq!(wire.send(request).await.code(), code);
    }
    assert_eq!(gateway.files.count(), 0);

    let answer = wire.send(chunked("9\r\n123456789\r\n0\r\nx-amz-checksum-crc32:y/Q5Jg==\r\n\r\n")).await;
    assert_eq!((answer.status, answer.header("x-amz-checksum-crc32")), (200, Some("y/Q5Jg==")));
    let answer = wire.send(Signed::new("GET", "/pets/k").header("x-amz-checksum-mode", "ENABLED")).await;
    assert_eq!(
        (answer.text().as_str(), answer.header("x-amz-checksum-crc32")),
        ("123456789", Some("y/Q5Jg=="))
    );
    assert_eq!(answer.header("content-encoding"), None, "no framing is left");
}

#[tokio::test]
async fn data_without_or_beyond_all_length_is_refused_before_it_comes() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let endless = Signed::new("PUT", "/pets/k").header("x-amz-decoded-content-length", "9223372036854775807");
    let endless = endless.payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER").body("0\r\n\r\n");
    assert_eq!(gateway.send(endless).await.code(), "EntityTooLarge");

    let mut wire = gateway.connect().await;
    let (head, _) = parts(&put("/pets/k", 0).payload("UNSIGNED-PAYLOAD"), &wire.host);
    let head = head.replace("content-length: 0", "transfer-encoding: chunked");
    wire.write(head.as_bytes()).await;
    wire.write(b"4\r\ndata\r\n0\r\n\r\n").await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (411, "MissingContentLength"));
    assert_eq!(wire.send(Signed::new("GET", "/")).await.status, 200, "the connection lives on");
}

#[tokio::test]
async fn a_body_that_stops_is_given_up() {
    let gateway = Gateway::start_with(|config| config.transfer_timeout = Duration::from_millis(100)).await;
    let gateway = gateway.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let (head, body) = parts(&put("/pets/k", 1000), &wire.host);
    wire.write(head.as_bytes()).await;
    wire.write(&body[..500]).await;

    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "RequestTimeout"));
    assert!(wire.is_ended().await);
    assert_eq!(gateway.files.count(), 0);
}

#[tokio::test]
async fn a_body_that_breaks_off_leaves_nothing() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let (head, body) = parts(&put("/pets/k", 1000), &wire.host);
    wire.write(head.as_bytes()).await;
    wire.write(&body[..500]).await;
    drop(wire);

    let files = gateway.files.clone();
    gateway.shutdown(Duration::from_secs(20)).await;
    assert_eq!(files.count(), 0, "when the connection is done with");
}

#[tokio::test]
async fn documents_are_bounded() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let answer = gateway.send(Signed::new("POST", "/pets?delete").body(vec![b' '; 9 << 20])).await;

    assert_eq!((answer.status, answer.code().as_str()), (400, "MaxMessageLengthExceeded"));
}

#[tokio::test]
async fn who_does_not_sign_is_refused() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    wire.write(b"GET /pets HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "AccessDenied"));
    assert_eq!(answer.header("x-amz-request-id").unwrap().len(), 16);
    assert_eq!(answer.element("RequestId").as_deref(), answer.header("x-amz-request-id"));

    wire.host = "signed.for.another.host".into();
    let request = String::from_utf8(Signed::new("GET", "/pets").to_bytes(&wire.host)).unwrap();
    wire.write(request.replace("signed.for.another.host", "this.host").as_bytes()).await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "SignatureDoesNotMatch"));
    assert!(answer.element("CanonicalRequest").is_some());
}

#[tokio::test]
async fn shutdown_lets_a_request_finish_and_ends_idle_connections() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let (mut idle, mut busy) = (gateway.connect().await, gateway.connect().await);
    assert_eq!(idle.send(Signed::new("GET", "/")).await.status, 200);
    let (head, body) = parts(&put("/pets/k", 1000).header("expect", "100-continue"), &busy.host);
    busy.write(head.as_bytes()).await;
    assert_eq!(busy.answer(false).await.status, 100);

    let shutdown = tokio::spawn(gateway.shutdown(Duration::from_secs(20)));
    assert!(idle.is_ended().await);
    busy.write(&body).await;
    assert_eq!(busy.answer(false).await.status, 200);
    assert!(busy.is_ended().await);
    drop((idle, busy));
    shutdown.await.unwrap();
}

#[tokio::test]
async fn more_connections_than_allowed_are_closed() {
    let gateway = Gateway::start_with(|config| config.max_connections = 1).await;
    let mut first = gateway.connect().await;
    assert_eq!(first.send(Signed::new("GET", "/")).await.status, 200);
    let mut second = gateway.connect().await;
    assert!(second.is_ended().await);

    assert_eq!(first.send(Signed::new("GET", "/")).await.status, 200);
}

#[tokio::test]
async fn a_connection_without_requests_is_ended() {
    let gateway = Gateway::start_with(|config| config.idle_timeout = Duration::from_secs(1)).await;
    let (mut silent, mut used) = (gateway.connect().await, gateway.connect().await);
    assert_eq!(used.send(Signed::new("GET", "/")).await.status, 200);

    assert!(silent.is_ended().await);
    assert!(used.is_ended().await);
}

#[tokio::test]
async fn a_client_that_takes_nothing_is_given_up() {
    let gateway = Gateway::start_with(|config| config.transfer_timeout = Duration::from_millis(100)).await;
    let gateway = gateway.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let size = 32 << 20;
    let mut writer = gateway.objects.writer("pets", b"k", PutOptions::default()).await.unwrap();
    writer.write(vec![7; size].into()).await.unwrap();
    writer.commit(CommitOptions::default()).await.unwrap();
    let request = Signed::new("GET", "/pets/k").to_bytes(&wire.host);
    wire.write(&request).await;

    // Nothing is read until the server has let go of the connection, which is then the only one.
    gateway.shutdown(Duration::from_secs(20)).await;
    let mut taken = 0;
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length @ 1..) = wire.stream.read(&mut buffer).await {
        taken += length;
    }
    assert!(taken < size, "{taken} of {size} bytes were sent");
}
