//! Uploads in parts: what is refused, what is listed, what moves no byte.

use crate::support::{Gateway, Signed, assert_ok, assert_refused, complete, get, put, upload_id};

#[tokio::test]
async fn parts_that_are_wrong_make_no_object() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let id = upload_id(&mut wire, Signed::new("POST", "/pets/k?uploads")).await;
    let mut etags = Vec::new();
    for number in [1, 2] {
        let part = put(&format!("/pets/k?partNumber={number}&uploadId={id}"), format!("part {number}"));
        etags.push(wire.send(part).await.header("etag").unwrap().to_owned());
    }
    let target = format!("/pets/k?uploadId={id}");
    let (one, two) = (etags[0].as_str(), etags[1].as_str());
    for (parts, code) in [
        (&[(1, one, ""), (2, two, "")][..], "EntityTooSmall"),
        (&[(2, two, ""), (1, one, "")], "InvalidPartOrder"),
        (&[(1, one, ""), (1, one, "")], "InvalidPartOrder"),
        (&[(1, one, ""), (3, two, "")], "InvalidPart"),
        (&[(1, two, "")], "InvalidPart"),
        (&[(1, one, "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")], "InvalidPart"),
        (&[], "MalformedXML"),
    ] {
        assert_refused(&wire.send(complete(&target, parts)).await, 400, code);
    }
    assert_refused(&wire.send(get("/pets/k")).await, 404, "NoSuchKey");

    // The part that came last under its number is the one.
    let resent = put(&format!("/pets/k?partNumber=1&uploadId={id}"), "again");
    let resent = wire.send(resent).await.header("etag").unwrap().to_owned();
    assert_refused(&wire.send(complete(&target, &[(1, one, "")])).await, 400, "InvalidPart");
    assert_ok(&wire.send(complete(&target, &[(1, &resent, "")])).await);
    assert_eq!(wire.send(get("/pets/k")).await.text(), "again");
    assert_refused(&wire.send(get(&target)).await, 404, "NoSuchUpload");
}

#[tokio::test]
async fn uploads_are_listed_by_page_and_rolled_up() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    for key in ["a/1", "a/2", "b", "b", "c%26/x", "d"] {
        let create = Signed::new("POST", &format!("/pets/{key}?uploads"));
        let create = create.header("x-amz-checksum-algorithm", "CRC32C");
        upload_id(&mut wire, create).await;
    }
    let (mut seen, mut marker) = (Vec::new(), String::new());
    loop {
        let page = wire.send(get(&format!("/pets?delimiter=%2F&{marker}max-uploads=1&uploads="))).await;
        assert_ok(&page);
        seen.extend(page.elements("Key"));
        seen.extend(page.elements("CommonPrefixes"));
        if page.element("IsTruncated").as_deref() != Some("true") {
            break;
        }
        let key = page.element("NextKeyMarker").unwrap().replace("&amp;", "%26").replace('/', "%2F");
        marker = format!("key-marker={key}&");
        let id = page.element("NextUploadIdMarker").unwrap();
        assert_eq!(page.elements("Upload").is_empty(), id.is_empty());
        if !id.is_empty() {
            // Sorted as signatures want it.
            marker = format!("key-marker={key}&max-uploads=1&upload-id-marker={id}&uploads=");
            let next = wire.send(get(&format!("/pets?delimiter=%2F&{marker}"))).await;
            seen.extend(next.elements("Key"));
            seen.extend(next.elements("CommonPrefixes"));
            if next.element("IsTruncated").as_deref() != Some("true") {
                break;
            }
            let key = next.element("NextKeyMarker").unwrap().replace("&amp;", "%26").replace('/', "%2F");
            marker = format!("key-marker={key}&");
        }
    }
    assert_eq!(
        seen,
        ["<Prefix>a/</Prefix>", "b", "b", "<Prefix>c&amp;/</Prefix>", "d"],
        "each upload and prefix once"
    );
    let list = wire.send(get("/pets?prefix=a%2F&uploads=")).await;
    assert_eq!(list.elements("Key"), ["a/1", "a/2"]);
    assert_eq!(list.elements("ChecksumAlgorithm"), ["CRC32C", "CRC32C"]);
    assert_refused(
        &wire.send(get("/pets?key-marker=a&upload-id-marker=x&uploads=")).await,
        400,
        "InvalidArgument",
    );
}

#[tokio::test]
async fn parts_out_of_objects_move_no_byte() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    wire.send(put("/pets/source", "0123456789")).await;
    let raw = wire.send(put("/group1/k", "raw")).await.header("x-fdfs-file-id").unwrap().to_owned();
    let (files, pieces) = (gateway.files.count(), gateway.files.state(|state| state.pieces));
    let id = upload_id(&mut wire, Signed::new("POST", "/pets/k?uploads")).await;
    let copy = |number: u16, source: &str| {
        put(&format!("/pets/k?partNumber={number}&uploadId={id}"), "").header("x-amz-copy-source", source)
    };
    let mut etags = Vec::new();
    for (number, source, range) in
        [(1, "/pets/source", Some("bytes=2-4")), (2, raw.as_str(), None), (3, "pets/source", None)]
    {
        let request = copy(number, source);
        let request = match range {
            Some(range) => request.header("x-amz-copy-source-range", range),
            None => request,
        };
        let answer = wire.send(request).await;
        assert_ok(&answer);
        etags.push(answer.element("ETag").unwrap().replace("&quot;", ""));
    }
    for (range, code, status) in [
        ("bytes=0-10", "InvalidArgument", 400),
        ("bytes=5-4", "InvalidArgument", 400),
        ("bytes=0-", "InvalidArgument", 400),
    ] {
        let answer = wire.send(copy(4, "/pets/source").header("x-amz-copy-source-range", range)).await;
        assert_refused(&answer, status, code);
    }
    let condition = copy(4, "/pets/source").header("x-amz-copy-source-if-match", "\"0\"");
    assert_refused(&wire.send(condition).await, 412, "PreconditionFailed");
    let parts = [(1, etags[0].as_str(), ""), (2, &etags[1], ""), (3, &etags[2], "")];
    assert_ok(&wire.send(complete(&format!("/pets/k?uploadId={id}"), &parts)).await);
    assert_eq!(wire.send(get("/pets/k")).await.text(), "234raw0123456789");
    assert_eq!((gateway.files.count(), gateway.files.state(|state| state.pieces)), (files, pieces));

    // Asked for a checksum, the bytes are read for it.
    let create = Signed::new("POST", "/pets/k?uploads").header("x-amz-checksum-algorithm", "CRC32");
    let id = upload_id(&mut wire, create).await;
    let request = put(&format!("/pets/k?partNumber=1&uploadId={id}"), "")
        .header("x-amz-copy-source", "/pets/source")
        .header("x-amz-copy-source-range", "bytes=0-4");
    let crc = crc32fast::hash(b"01234").to_be_bytes();
    let crc = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, crc);
    assert_eq!(wire.send(request).await.element("ChecksumCRC32"), Some(crc));
}

#[tokio::test]
async fn a_raw_file_is_copied_under_a_key() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let file = gateway.files.add(b"legacy", "txt");
    let copy = put("/pets/k", "").header("x-amz-copy-source", &format!("/{file}"));
    assert_ok(&wire.send(copy).await);
    let answer = wire.send(get("/pets/k")).await;
    assert_eq!(
        (answer.text().as_str(), answer.header("x-fdfs-file-id")),
        ("legacy", Some(file.to_string().as_str()))
    );
    assert_eq!(wire.send(Signed::new("DELETE", "/pets/k")).await.status, 204);
    assert_eq!(wire.send(get(&format!("/{file}"))).await.text(), "legacy");
}
