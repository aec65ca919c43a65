//! Requests that proxies and streaming clients have changed on their way.

use crate::support::{Gateway, Signed};

#[tokio::test]
async fn a_signature_for_the_host_that_the_client_knows_verifies_behind_a_proxy() {
    let gateway = Gateway::start_with(|config| config.virtual_host_suffix = Some("s3.test".into())).await;
    let gateway = gateway.with_bucket("pets").await;
    for (signed, sent, status) in [
        ("files.test", "host: inner:9000\r\nx-forwarded-host: files.test\r\n", 200),
        ("files.test:8443", "host: inner\r\nx-forwarded-host: files.test\r\nx-forwarded-port: 8443\r\n", 200),
        ("files.test", "host: files.test:9000\r\n", 200),
        ("files.test:443", "host: files.test\r\nx-forwarded-proto: https\r\n", 200),
        ("files.test", "host: inner\r\nx-forwarded-host: other.test\r\n", 403),
        ("files.test", "host: inner\r\n", 403),
        // A host that names a bucket is not taken for one that names none.
        ("pets.s3.test", "host: inner\r\nx-forwarded-host: pets.s3.test\r\n", 403),
    ] {
        let mut wire = gateway.connect().await;
        let request = Signed::new("GET", "/pets").to_bytes(signed);
        let request = String::from_utf8(request).unwrap().replace(&format!("host: {signed}\r\n"), sent);
        wire.write(request.as_bytes()).await;
        let answer = wire.answer(false).await;
        assert_eq!(answer.status, status, "{signed} as {sent}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_query_is_signed_in_any_order() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let request =
        Signed::new("GET", "/pets?delimiter=%2F&list-type=2&max-keys=7&prefix=a%20b").to_bytes(&wire.host);
    let mixed = "/pets?prefix=a+b&max-keys=7&delimiter=/&list-type=2";
    let request = String::from_utf8(request).unwrap();
    let request = request.replace("/pets?delimiter=%2F&list-type=2&max-keys=7&prefix=a%20b", mixed);
    wire.write(request.as_bytes()).await;
    let answer = wire.answer(false).await;
    assert_eq!((answer.status, answer.element("Prefix").as_deref()), (200, Some("a b")), "{}", answer.text());
}

#[tokio::test]
async fn chunks_need_no_content_length_where_the_length_of_the_data_is_said() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let framed = "5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n";
    let head = |request: Signed, host: &str| {
        request.to_head(host).replace("content-length: 0\r\n", "transfer-encoding: chunked\r\n")
    };
    let put = Signed::new("PUT", "/pets/k");
    let request = put
        .clone()
        .header("x-amz-decoded-content-length", "5")
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER");
    let head_text = head(request, &wire.host);
    wire.write(head_text.as_bytes()).await;
    // Cut where no chunk ends.
    let (first, second) = framed.split_at(6);
    for piece in [first, second] {
        wire.write(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await;
    }
    wire.write(b"0\r\n\r\n").await;
    assert_eq!(wire.answer(false).await.status, 200);
    assert_eq!(wire.send(Signed::new("GET", "/pets/k")).await.text(), "hello");

    let unsaid = head(put.payload("UNSIGNED-PAYLOAD"), &wire.host);
    wire.write(unsaid.as_bytes()).await;
    wire.write(b"3\r\nabc\r\n0\r\n\r\n").await;
    assert_eq!(wire.answer(false).await.code(), "MissingContentLength");
}
