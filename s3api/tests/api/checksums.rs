//! Checksums: sent, kept, answered, of wholes and of parts.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest as _, Sha256};

use crate::support::{Gateway, Signed, Wire, assert_ok, assert_refused, complete, get, put, upload_id};

fn sha256(data: &[u8]) -> String {
    BASE64_STANDARD.encode(Sha256::digest(data))
}

fn crc32(data: &[u8]) -> String {
    BASE64_STANDARD.encode(crc32fast::hash(data).to_be_bytes())
}

async fn head(wire: &mut Wire, key: &str) -> crate::support::Answer {
    wire.send(Signed::new("HEAD", key).header("x-amz-checksum-mode", "ENABLED")).await
}

#[tokio::test]
async fn a_checksum_is_kept_with_its_object() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let answer = wire.send(put("/pets/k", "hello").header("x-amz-checksum-sha256", &sha256(b"hello"))).await;
    assert_eq!(answer.header("x-amz-checksum-sha256"), Some(sha256(b"hello").as_str()));
    assert_eq!(answer.header("x-amz-checksum-type"), Some("FULL_OBJECT"));
    let answer = head(&mut wire, "/pets/k").await;
    assert_eq!(answer.header("x-amz-checksum-sha256"), Some(sha256(b"hello").as_str()));
    assert_eq!(wire.send(get("/pets/k")).await.header("x-amz-checksum-sha256"), None, "nobody asked");
    let part = get("/pets/k").header("range", "bytes=1-2").header("x-amz-checksum-mode", "ENABLED");
    assert_eq!(wire.send(part).await.header("x-amz-checksum-sha256"), None, "it is not the range's");

    // Where nobody declares one there is one all the same.
    let answer = wire.send(put("/pets/usual", "123456789")).await;
    assert_eq!(answer.header("x-amz-checksum-crc64nvme"), Some("rosUhgp5mIg="));
    let answer = head(&mut wire, "/pets/usual").await;
    assert_eq!(answer.header("x-amz-checksum-crc64nvme"), Some("rosUhgp5mIg="));
    let list = wire.send(get("/pets?list-type=2")).await;
    assert_eq!(list.elements("ChecksumAlgorithm"), ["SHA256", "CRC64NVME"]);
    assert_eq!(list.elements("ChecksumType"), ["FULL_OBJECT", "FULL_OBJECT"]);

    let wrong = put("/pets/bad", "hello").header("x-amz-checksum-crc32", &crc32(b"other"));
    assert_refused(&wire.send(wrong).await, 400, "BadDigest");
    let two = put("/pets/bad", "hello")
        .header("x-amz-checksum-crc32", &crc32(b"hello"))
        .header("x-amz-checksum-sha256", &sha256(b"hello"));
    assert_refused(&wire.send(two).await, 400, "InvalidRequest");
    let none = put("/pets/bad", "hello").header("x-amz-sdk-checksum-algorithm", "CRC32");
    assert_refused(&wire.send(none).await, 400, "InvalidRequest");
    assert_refused(&wire.send(get("/pets/bad")).await, 404, "NoSuchKey");
}

/// Uploads `parts` with this checksum each; ETag and checksum of each part.
async fn send_parts(
    wire: &mut Wire,
    id: &str,
    parts: &[(u16, &[u8])],
    checksum: Option<fn(&[u8]) -> String>,
    header: &str,
) -> Vec<(u16, String, Option<String>)> {
    let mut sent = Vec::new();
    for (number, body) in parts {
        let request = put(&format!("/pets/big?partNumber={number}&uploadId={id}"), *body);
        let request = match checksum {
            Some(checksum) => request.header(header, &checksum(body)),
            None => request,
        };
        let answer = wire.send(request).await;
        assert_ok(&answer);
        let etag = answer.header("etag").unwrap().to_owned();
        sent.push((*number, etag, answer.header(header).map(str::to_owned)));
    }
    sent
}

#[tokio::test]
async fn checksums_of_parts_compose_that_of_the_object() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let create = Signed::new("POST", "/pets/big?uploads").header("x-amz-checksum-algorithm", "SHA256");
    let answer = wire.send(create).await;
    assert_eq!(answer.header("x-amz-checksum-type"), Some("COMPOSITE"));
    let id = answer.element("UploadId").unwrap();
    let other = put(&format!("/pets/big?partNumber=1&uploadId={id}"), "one")
        .header("x-amz-checksum-crc32", &crc32(b"one"));
    assert_refused(&wire.send(other).await, 400, "InvalidRequest");

    let bodies: [(u16, &[u8]); 2] = [(1, b"one, "), (2, b"two")];
    let sent = send_parts(&mut wire, &id, &bodies, Some(sha256), "x-amz-checksum-sha256").await;
    let list = wire.send(get(&format!("/pets/big?uploadId={id}"))).await;
    assert_eq!(list.elements("ChecksumSHA256"), [sha256(b"one, "), sha256(b"two")]);
    assert_eq!(list.element("ChecksumAlgorithm").as_deref(), Some("SHA256"));

    let target = format!("/pets/big?uploadId={id}");
    let with = |sums: [&str; 2]| {
        let element = |sum: &str| match sum {
            "" => String::new(),
            sum => format!("<ChecksumSHA256>{sum}</ChecksumSHA256>"),
        };
        let (first, second) = (element(sums[0]), element(sums[1]));
        complete(&target, &[(1, &sent[0].1, &first), (2, &sent[1].1, &second)])
    };
    let (first, second) = (sha256(b"one, "), sha256(b"two"));
    assert_refused(&wire.send(with(["", &second])).await, 400, "InvalidRequest");
    assert_refused(&wire.send(with([&second, &second])).await, 400, "InvalidPart");
    let sized = with([&first, &second]).header("x-amz-mp-object-size", "9");
    assert_refused(&wire.send(sized).await, 400, "InvalidRequest");
    let typed = with([&first, &second]).header("x-amz-checksum-type", "FULL_OBJECT");
    assert_refused(&wire.send(typed).await, 400, "BadDigest");
    let whole = with([&first, &second]).header("x-amz-checksum-sha256", &sha256(b"one, two"));
    assert_refused(&wire.send(whole).await, 400, "BadDigest");

    let digests = [Sha256::digest(b"one, "), Sha256::digest(b"two")].concat();
    let composed = sha256(&digests);
    let done = with([&first, &second])
        .header("x-amz-mp-object-size", "8")
        .header("x-amz-checksum-sha256", &format!("{composed}-2"));
    let done = wire.send(done).await;
    assert_ok(&done);
    assert_eq!(done.element("ChecksumSHA256"), Some(format!("{composed}-2")));
    let again = wire.send(with([&first, &second])).await;
    assert_eq!(again.element("ChecksumSHA256"), Some(format!("{composed}-2")));

    let answer = head(&mut wire, "/pets/big").await;
    assert_eq!(answer.header("x-amz-checksum-sha256"), Some(format!("{composed}-2").as_str()));
    assert_eq!(answer.header("x-amz-checksum-type"), Some("COMPOSITE"));
    let part = get("/pets/big?partNumber=2").header("x-amz-checksum-mode", "ENABLED");
    let part = wire.send(part).await;
    assert_eq!((part.text().as_str(), part.header("x-amz-checksum-sha256")), ("two", Some(second.as_str())));

    // A copy is asked for another checksum than the source has: its bytes are read for it.
    let copy = put("/pets/copy", "").header("x-amz-copy-source", "/pets/big");
    let answer = wire.send(copy.clone()).await;
    assert_eq!(answer.element("ChecksumSHA256"), Some(format!("{composed}-2")));
    let answer = wire.send(copy.header("x-amz-checksum-algorithm", "CRC32")).await;
    assert_eq!(answer.element("ChecksumCRC32"), Some(crc32(b"one, two")));
}

#[tokio::test]
async fn crcs_of_parts_combine_into_that_of_the_whole_object() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let bodies: [(u16, &[u8]); 3] = [(2, b"123"), (5, b"45"), (9, b"6789")];
    for (algorithm, header, sum) in [
        ("CRC32", "x-amz-checksum-crc32", "y/Q5Jg=="),
        ("CRC32C", "x-amz-checksum-crc32c", "4waSgw=="),
        ("CRC64NVME", "x-amz-checksum-crc64nvme", "rosUhgp5mIg="),
    ] {
        let create = Signed::new("POST", "/pets/big?uploads")
            .header("x-amz-checksum-algorithm", algorithm)
            .header("x-amz-checksum-type", "FULL_OBJECT");
        let id = upload_id(&mut wire, create).await;
        let sent = send_parts(&mut wire, &id, &bodies, None, header).await;
        assert!(sent.iter().all(|(.., sum)| sum.is_some()), "parts that bring none get one");
        let parts: Vec<_> = sent.iter().map(|(number, etag, _)| (*number, etag.as_str(), "")).collect();
        let target = format!("/pets/big?uploadId={id}");
        let wrong = wire.send(complete(&target, &parts).header(header, sent[0].2.as_ref().unwrap())).await;
        assert_refused(&wrong, 400, "BadDigest");
        let done = wire.send(complete(&target, &parts).header(header, sum)).await;
        assert_eq!(done.element(&format!("Checksum{algorithm}")).as_deref(), Some(sum), "{}", done.text());
        let answer = head(&mut wire, "/pets/big").await;
        assert_eq!(
            (answer.header(header), answer.header("x-amz-checksum-type")),
            (Some(sum), Some("FULL_OBJECT"))
        );
    }

    // Where nobody asked for any there is S3's own.
    let id = upload_id(&mut wire, Signed::new("POST", "/pets/big?uploads")).await;
    let sent = send_parts(&mut wire, &id, &bodies, Some(crc32), "x-amz-checksum-crc32").await;
    let parts: Vec<_> = sent.iter().map(|(number, etag, _)| (*number, etag.as_str(), "")).collect();
    let done = wire.send(complete(&format!("/pets/big?uploadId={id}"), &parts)).await;
    assert_eq!(done.element("ChecksumCRC64NVME").as_deref(), Some("rosUhgp5mIg="));
    let part = wire.send(get("/pets/big?partNumber=9")).await;
    assert_eq!((part.status, part.text().as_str()), (206, "6789"), "parts keep their numbers");
    assert_refused(&wire.send(get("/pets/big?partNumber=3")).await, 416, "InvalidPartNumber");
}

#[tokio::test]
async fn what_no_upload_can_have_is_refused_at_its_beginning() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    for headers in [
        &[("x-amz-checksum-algorithm", "MD4")][..],
        &[("x-amz-checksum-type", "COMPOSITE")],
        &[("x-amz-checksum-algorithm", "CRC64NVME"), ("x-amz-checksum-type", "COMPOSITE")],
        &[("x-amz-checksum-algorithm", "SHA1"), ("x-amz-checksum-type", "FULL_OBJECT")],
        &[("x-amz-checksum-algorithm", "SHA1"), ("x-amz-checksum-type", "HALF")],
    ] {
        let mut request = Signed::new("POST", "/pets/k?uploads");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        assert_refused(&wire.send(request).await, 400, "InvalidRequest");
    }
}

#[tokio::test]
async fn attributes_are_told_as_they_are_asked_for() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let create = Signed::new("POST", "/pets/big?uploads").header("x-amz-checksum-algorithm", "SHA256");
    let id = upload_id(&mut wire, create).await;
    let bodies: [(u16, &[u8]); 3] = [(1, b"one"), (3, b"three"), (7, b"seven")];
    let sent = send_parts(&mut wire, &id, &bodies, Some(sha256), "x-amz-checksum-sha256").await;
    let sums: Vec<_> =
        bodies.iter().map(|(_, body)| format!("<ChecksumSHA256>{}</ChecksumSHA256>", sha256(body))).collect();
    let parts: Vec<_> = sent
        .iter()
        .zip(&sums)
        .map(|((number, etag, _), sum)| (*number, etag.as_str(), sum.as_str()))
        .collect();
    let done = wire.send(complete(&format!("/pets/big?uploadId={id}"), &parts)).await;
    assert_ok(&done);

    let ask = |attributes: &str| get("/pets/big?attributes").header("x-amz-object-attributes", attributes);
    let all = wire.send(ask("ETag,Checksum,ObjectParts,StorageClass,ObjectSize")).await;
    assert_ok(&all);
    assert_eq!(all.element("ObjectSize").as_deref(), Some("13"));
    assert_eq!(all.element("StorageClass").as_deref(), Some("STANDARD"));
    let etag = all.element("ETag").unwrap();
    assert!(etag.ends_with("-3") && !etag.contains("quot"), "{etag}");
    assert_eq!(all.elements("PartNumber"), ["1", "3", "7"]);
    assert_eq!(all.elements("Size"), ["3", "5", "5"]);
    assert_eq!(all.element("PartsCount").as_deref(), Some("3"));
    assert_eq!(all.element("ChecksumType").as_deref(), Some("COMPOSITE"));
    assert!(!all.elements("ChecksumSHA256")[0].contains('-'));
    assert!(all.header("last-modified").is_some());

    let page = ask("ObjectParts").header("x-amz-max-parts", "1").header("x-amz-part-number-marker", "1");
    let page = wire.send(page).await;
    assert_eq!(
        (page.elements("PartNumber"), page.element("IsTruncated")),
        (vec!["3".to_owned()], Some("true".to_owned()))
    );
    assert_eq!(page.element("NextPartNumberMarker").as_deref(), Some("3"));
    assert_eq!(page.element("ObjectSize"), None, "what is not asked for is not told");

    assert_refused(&wire.send(get("/pets/big?attributes")).await, 400, "InvalidRequest");
    assert_refused(&wire.send(ask("Colour")).await, 400, "InvalidArgument");
    wire.send(put("/pets/whole", "x")).await;
    let whole = get("/pets/whole?attributes").header("x-amz-object-attributes", "ObjectParts,ObjectSize");
    let whole = wire.send(whole).await;
    assert_eq!((whole.element("PartsCount"), whole.element("ObjectSize").as_deref()), (None, Some("1")));
}
