//! Malformed chunks, trailers, headers, documents, dates, ranges, keys and parts: AWS's code and status, and nothing stored.

use crate::support::{Gateway, Signed};

/// What is sent, and how it is refused.
struct Case {
    request: Signed,
    status: u16,
    code: &'static str,
}

fn case(request: Signed, status: u16, code: &'static str) -> Case {
    Case { request, status, code }
}

fn put(target: &str, body: &str) -> Signed {
    Signed::new("PUT", target).body(body)
}

/// A payload in chunks that is said to have `length` bytes.
fn chunked(length: &str, body: &str) -> Signed {
    put("/pets/k", body)
        .header("x-amz-decoded-content-length", length)
        .header("x-amz-trailer", "x-amz-checksum-crc32")
        .payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER")
}

fn signed_chunks(body: &str) -> Signed {
    put("/pets/k", body)
        .header("x-amz-decoded-content-length", "3")
        .payload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
}

async fn refuse_all(cases: Vec<Case>) {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let upload = gateway.send(Signed::new("POST", "/pets/parts?uploads=")).await;
    let upload = upload.element("UploadId").unwrap();
    for Case { request, status, code } in cases {
        let shown = format!("{request:?}");
        let request = request.with_upload(&upload);
        let is_head = request.method() == "HEAD";
        let answer = gateway.send(request).await;
        assert_eq!(answer.status, status, "{shown}: {}", answer.text());
        assert!(is_head || answer.code() == code, "{shown}: {}", answer.text());
    }
    assert_eq!(gateway.send(Signed::new("GET", "/pets?list-type=2")).await.elements("Key"), [""; 0]);
    let parts = gateway.send(Signed::new("GET", &format!("/pets/parts?uploadId={upload}"))).await;
    assert_eq!(parts.elements("PartNumber"), [""; 0]);
    assert_eq!(gateway.files.count(), 0, "a file is left");
}

#[tokio::test]
async fn malformed_chunks_and_trailers_are_refused() {
    let good = "x-amz-checksum-crc32:NSRBwg==\r\n\r\n";
    let signature = format!("chunk-signature={}", "0".repeat(64));
    let mut cases = Vec::new();
    for (body, code) in [
        ("", "IncompleteBody"),
        ("3\r\nabc\r\n", "IncompleteBody"),
        ("3\r\nab", "IncompleteBody"),
        ("3\nabc\r\n0\r\n", "IncompleteBody"),
        ("g\r\nabc\r\n0\r\n", "IncompleteBody"),
        ("-3\r\nabc\r\n0\r\n", "IncompleteBody"),
        ("ffffffffffffffffff\r\nabc\r\n0\r\n", "IncompleteBody"),
        ("ffffffffffffffff\r\nabc\r\n0\r\n", "IncompleteBody"),
        ("3\r\nabcd\r\n0\r\n", "IncompleteBody"),
        ("2\r\nab\r\n0\r\n", "IncompleteBody"),
        ("4\r\nabcd\r\n0\r\n", "IncompleteBody"),
    ] {
        cases.push(case(
            chunked("3", &format!("{body}{}", if body.ends_with("0\r\n") { good } else { "" })),
            400,
            code,
        ));
    }
    for (trailer, code) in [
        ("", "MalformedTrailerError"),
        ("\r\n", "MalformedTrailerError"),
        ("nonsense\r\n\r\n", "MalformedTrailerError"),
        ("x-amz-checksum-crc32c:NSRBwg==\r\n\r\n", "MalformedTrailerError"),
        ("x-amz-checksum-crc32:nonsense\r\n\r\n", "InvalidRequest"),
        ("x-amz-checksum-crc32:AAAAAA==\r\n\r\n", "BadDigest"),
        ("x-amz-checksum-crc32:NSRBwg==\r\nx-amz-meta-a:b\r\n\r\n", "MalformedTrailerError"),
        ("x-amz-checksum-crc32:NSRBwg==\r\n\r\nmore", "IncompleteBody"),
    ] {
        cases.push(case(chunked("3", &format!("3\r\nabc\r\n0\r\n{trailer}")), 400, code));
    }
    cases.push(case(chunked("three", &format!("3\r\nabc\r\n0\r\n{good}")), 400, "InvalidArgument"));
    cases.push(case(chunked("-1", &format!("3\r\nabc\r\n0\r\n{good}")), 400, "InvalidArgument"));
    cases.push(case(chunked("99999999999999", &format!("3\r\nabc\r\n0\r\n{good}")), 400, "EntityTooLarge"));
    cases.push(case(
        signed_chunks(&format!("3;{signature}\r\nabc\r\n0;{signature}\r\n\r\n")),
        403,
        "SignatureDoesNotMatch",
    ));
    cases.push(case(signed_chunks("3\r\nabc\r\n0\r\n\r\n"), 400, "IncompleteBody"));
    cases.push(case(signed_chunks(&format!("3;{}\r\nabc\r\n", "x".repeat(10_000))), 400, "IncompleteBody"));
    refuse_all(cases).await;
}

#[tokio::test]
async fn malformed_headers_are_refused() {
    let with = |name: &str, value: &str| put("/pets/k", "abc").header(name, value);
    refuse_all(vec![
        case(with("content-md5", "nonsense"), 400, "InvalidDigest"),
        case(with("content-md5", "YWJj"), 400, "InvalidDigest"),
        case(with("content-md5", "AAAAAAAAAAAAAAAAAAAAAA=="), 400, "BadDigest"),
        case(with("x-amz-checksum-crc32", "nonsense"), 400, "InvalidRequest"),
        case(with("x-amz-checksum-sha256", "NSRBwg=="), 400, "InvalidRequest"),
        case(with("x-amz-checksum-crc32", "AAAAAA=="), 400, "BadDigest"),
        case(
            with("x-amz-checksum-crc32", "NSRBwg==").header("x-amz-checksum-crc32c", "NSRBwg=="),
            400,
            "InvalidRequest",
        ),
        case(with("x-amz-storage-class", "GLACIER"), 501, "NotImplemented"),
        case(with("x-amz-acl", "public-read-write"), 501, "NotImplemented"),
        case(with("x-amz-server-side-encryption", "AES256"), 501, "NotImplemented"),
        case(with("x-amz-meta-a", &"v".repeat(2_100)), 400, "MetadataTooLarge"),
        case(with("x-amz-copy-source", "nonsense"), 400, "InvalidArgument"),
        case(with("x-amz-copy-source", "/none/k"), 404, "NoSuchBucket"),
        case(with("x-amz-copy-source", "/pets/none"), 404, "NoSuchKey"),
        case(with("content-encoding", "aws-chunked").payload("UNSIGNED-PAYLOAD"), 400, "InvalidRequest"),
        case(with("content-encoding", "gzip, aws-chunked"), 400, "InvalidRequest"),
        case(put("/pets/k", "abc").payload("nonsense"), 400, "InvalidArgument"),
        case(put("/pets/k", "abc").payload(&"0".repeat(64)), 400, "XAmzContentSHA256Mismatch"),
        case(
            put("/pets/k", "abc").payload("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
            411,
            "MissingContentLength",
        ),
    ])
    .await;
}

#[tokio::test]
async fn malformed_signatures_and_dates_are_refused() {
    let get = || Signed::new("GET", "/pets?list-type=2");
    let mine = |authorization: &str| get().anonymous().header("authorization", authorization);
    let query = |query: &str| Signed::new("GET", &format!("/pets?{query}")).anonymous();
    let presigned = |date: &str, expires: &str, credential: &str| {
        query(&format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={credential}&X-Amz-Date={date}&X-Amz-Expires={expires}&X-Amz-Signature=0&X-Amz-SignedHeaders=host"
        ))
    };
    let credential = "AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request";
    refuse_all(vec![
        case(get().by("NOBODY", "x"), 403, "InvalidAccessKeyId"),
        case(get().by(crate::support::ACCESS_KEY_ID, "x"), 403, "SignatureDoesNotMatch"),
        case(mine("nonsense"), 400, "InvalidRequest"),
        case(mine("Basic YTpi"), 400, "InvalidRequest"),
        case(mine("AWS4-HMAC-SHA256 nonsense"), 400, "AuthorizationHeaderMalformed"),
        case(mine("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=0"), 400, "AuthorizationHeaderMalformed"),
        case(mine("AWS4-HMAC-SHA256 Credential=A/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"), 400, "AuthorizationHeaderMalformed"),
        case(query("X-Amz-Algorithm=AWS4-HMAC-SHA256"), 400, "AuthorizationQueryParametersError"),
        case(presigned("20130524T000000Z", "60", credential), 403, "AccessDenied"),
        case(presigned("nonsense", "60", credential), 400, "AuthorizationQueryParametersError"),
        case(presigned("20130524T000000Z", "soon", credential), 400, "AuthorizationQueryParametersError"),
        case(presigned("20130524T000000Z", "-1", credential), 400, "AuthorizationQueryParametersError"),
        case(presigned("20130524T000000Z", "604801", credential), 400, "AuthorizationQueryParametersError"),
        case(presigned("20130524T000000Z", "60", "a"), 400, "AuthorizationQueryParametersError"),
        case(query("AWSAccessKeyId=A&Expires=1&Signature=x"), 403, "AccessDenied"),
    ])
    .await;
}

#[tokio::test]
async fn malformed_documents_are_refused() {
    let post = |target: &str, body: &str| Signed::new("POST", target).body(body);
    let mut cases = Vec::new();
    for body in [
        "",
        "nonsense",
        "<Delete>",
        "<Delete/>",
        "<Other/>",
        "<Delete><Object/></Delete>",
        "<!DOCTYPE a><Delete/>",
    ] {
        cases.push(case(post("/pets?delete=", body), 400, "MalformedXML"));
    }
    for body in [
        "",
        "nonsense",
        "<CompleteMultipartUpload/>",
        "<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
    ] {
        cases.push(case(post("/pets/parts?uploadId=UPLOAD", body), 400, "MalformedXML"));
    }
    let part = |number: &str| {
        format!(
            "<CompleteMultipartUpload><Part><PartNumber>{number}</PartNumber><ETag>d41d8cd98f00b204e9800998ecf8427e</ETag></Part></CompleteMultipartUpload>"
        )
    };
    cases.push(case(post("/pets/parts?uploadId=UPLOAD", &part("1")), 400, "InvalidPart"));
    cases.push(case(post("/pets/parts?uploadId=UPLOAD", &part("0")), 400, "MalformedXML"));
    cases.push(case(post("/pets/parts?uploadId=nonsense", &part("1")), 404, "NoSuchUpload"));
    cases.push(case(post("/pets?delete=", &"x".repeat(9 << 20)), 400, "MaxMessageLengthExceeded"));
    cases.push(case(put("/new-bucket", "nonsense"), 400, "MalformedXML"));
    cases.push(case(put("/pets?acl=", "nonsense"), 400, "MalformedACLError"));
    cases.push(case(put("/pets?publicAccessBlock=", "<PublicAccessBlockConfiguration><BlockPublicAcls>maybe</BlockPublicAcls></PublicAccessBlockConfiguration>"), 400, "MalformedXML"));
    cases.push(case(put("/pets?ownershipControls=", "<OwnershipControls/>"), 400, "MalformedXML"));
    cases.push(case(put("/pets?policy=", "[]"), 400, "MalformedPolicy"));
    refuse_all(cases).await;
}

#[tokio::test]
async fn malformed_keys_numbers_and_names_are_refused() {
    let get = |target: &str| Signed::new("GET", target);
    refuse_all(vec![
        case(put(&format!("/pets/{}", "k".repeat(1025)), "abc"), 400, "KeyTooLongError"),
        case(put("/pets/%FF", "abc"), 400, "InvalidURI"),
        case(put("/pets/a%00b", "abc"), 400, "InvalidURI"),
        case(put("/pets/a%zzb", "abc"), 400, "InvalidURI"),
        case(put("/pets/a%2", "abc"), 400, "InvalidURI"),
        case(put("/pets/parts?partNumber=1", "abc"), 400, "InvalidArgument"),
        case(put("/pets/parts?partNumber=0&uploadId=UPLOAD", "abc"), 400, "InvalidArgument"),
        case(put("/pets/parts?partNumber=10001&uploadId=UPLOAD", "abc"), 400, "InvalidArgument"),
        case(put("/pets/parts?partNumber=one&uploadId=UPLOAD", "abc"), 400, "InvalidArgument"),
        case(put("/pets/parts?partNumber=1&uploadId=nonsense", "abc"), 404, "NoSuchUpload"),
        case(put("/pets/other?partNumber=1&uploadId=UPLOAD", "abc"), 404, "NoSuchUpload"),
        case(get("/pets?list-type=2&max-keys=-1"), 400, "InvalidArgument"),
        case(get("/pets?list-type=2&max-keys=many"), 400, "InvalidArgument"),
        case(get("/pets?encoding-type=base64&list-type=2"), 400, "InvalidArgument"),
        case(put("/No_Bucket", ""), 400, "InvalidBucketName"),
        case(put("/ab", ""), 400, "InvalidBucketName"),
        case(get("/none"), 404, "NoSuchBucket"),
        case(get("/pets/none"), 404, "NoSuchKey"),
        case(Signed::new("HEAD", "/pets/none"), 404, ""),
        case(Signed::new("PATCH", "/pets/k"), 405, "MethodNotAllowed"),
    ])
    .await;
}

#[tokio::test]
async fn ranges_that_nothing_fits_are_refused() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    assert_eq!(gateway.send(put("/pets/k", "abc")).await.status, 200);
    for (range, status) in [
        ("bytes=3-", 416),
        ("bytes=-0", 416),
        ("bytes=9-12", 416),
        ("bytes=0-0", 206),
        ("bytes=2-1", 200),
        ("bytes=a-b", 200),
        ("lines=1-2", 200),
    ] {
        let answer = gateway.send(Signed::new("GET", "/pets/k").header("range", range)).await;
        assert_eq!(answer.status, status, "{range}");
        assert!(status != 416 || answer.code() == "InvalidRange", "{range}");
    }
}
