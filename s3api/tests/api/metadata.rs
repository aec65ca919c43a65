//! What stands beside the bytes: tags, headers, metadata.

use crate::support::{Gateway, Signed, assert_ok, assert_refused, complete, get, put, upload_id};

#[tokio::test]
async fn an_object_has_up_to_ten_tags() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    assert_ok(&wire.send(put("/pets/k", "x").header("x-amz-tagging", "a=1&b%20c=2")).await);
    let tags = wire.send(get("/pets/k?tagging")).await;
    assert_eq!(
        (tags.elements("Key"), tags.elements("Value")),
        (vec!["a".into(), "b c".into()], vec!["1".into(), "2".into()])
    );
    assert_eq!(wire.send(Signed::new("HEAD", "/pets/k")).await.header("x-amz-tagging-count"), Some("2"));
    assert_eq!(wire.send(get("/pets/k")).await.header("x-amz-meta-a"), None, "tags are no metadata");

    let document = |count: usize| {
        let tag = |number| format!("<Tag><Key>t{number}</Key><Value>v</Value></Tag>");
        let tags: String = (0..count).map(tag).collect();
        put("/pets/k?tagging", format!("<Tagging><TagSet>{tags}</TagSet></Tagging>"))
    };
    assert_ok(&wire.send(document(10)).await);
    assert_refused(&wire.send(document(11)).await, 400, "BadRequest");
    assert_refused(&wire.send(put("/pets/k?tagging", "<Tagging>")).await, 400, "MalformedXML");
    assert_eq!(wire.send(get("/pets/k?tagging")).await.elements("Key").len(), 10);

    let copy = |target: &str| put(target, "").header("x-amz-copy-source", "/pets/k");
    assert_ok(&wire.send(copy("/pets/same")).await);
    assert_eq!(wire.send(get("/pets/same?tagging")).await.elements("Key").len(), 10);
    let own = copy("/pets/own").header("x-amz-tagging-directive", "REPLACE").header("x-amz-tagging", "a=b");
    assert_ok(&wire.send(own).await);
    assert_eq!(wire.send(get("/pets/own?tagging")).await.elements("Key"), ["a"]);
    let odd = copy("/pets/own").header("x-amz-tagging-directive", "MERGE");
    assert_refused(&wire.send(odd).await, 400, "InvalidArgument");

    let create = Signed::new("POST", "/pets/big?uploads").header("x-amz-tagging", "of=parts");
    let id = upload_id(&mut wire, create).await;
    let part = wire.send(put(&format!("/pets/big?partNumber=1&uploadId={id}"), "part")).await;
    let parts = [(1, part.header("etag").unwrap(), "")];
    assert_ok(&wire.send(complete(&format!("/pets/big?uploadId={id}"), &parts)).await);
    assert_eq!(wire.send(get("/pets/big?tagging")).await.elements("Key"), ["of"]);

    assert_eq!(wire.send(Signed::new("DELETE", "/pets/k?tagging")).await.status, 204);
    assert_eq!(wire.send(get("/pets/k?tagging")).await.elements("Key").len(), 0);
    assert_eq!(wire.send(Signed::new("HEAD", "/pets/k")).await.header("x-amz-tagging-count"), None);
    for method in ["GET", "DELETE"] {
        assert_refused(&wire.send(Signed::new(method, "/pets/none?tagging")).await, 404, "NoSuchKey");
    }
    let wrong = put("/pets/k", "x").header("x-amz-tagging", "a=1&a=2");
    assert_refused(&wire.send(wrong).await, 400, "InvalidArgument");
}

#[tokio::test]
async fn every_content_header_comes_back() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let kept = [
        ("cache-control", "max-age=7"),
        ("content-disposition", "attachment; filename=\"a b.txt\""),
        ("content-encoding", "gzip"),
        ("content-language", "de"),
        ("content-type", "text/plain; charset=utf-8"),
        ("expires", "Fri, 24 May 2013 00:00:00 GMT"),
        ("x-amz-website-redirect-location", "/other"),
    ];
    let mut request = put("/pets/k", "x");
    for (name, value) in kept {
        request = request.header(name, value);
    }
    assert_ok(&wire.send(request).await);
    for method in ["GET", "HEAD"] {
        let answer = wire.send(Signed::new(method, "/pets/k")).await;
        for (name, value) in kept {
            assert_eq!(answer.header(name), Some(value), "{method} {name}");
        }
    }
    let shown = wire.send(get("/pets/k?response-cache-control=no-store&response-content-language=en")).await;
    assert_eq!(
        (shown.header("cache-control"), shown.header("content-language")),
        (Some("no-store"), Some("en"))
    );
    assert_eq!(shown.header("content-encoding"), Some("gzip"), "what is not overridden stays");
    let odd = wire.send(get("/pets/k?response-content-type=a%0D%0Ab")).await;
    assert_refused(&odd, 400, "InvalidArgument");

    // A redirect is not copied, and is a change that allows a copy onto itself.
    let copy = |target: &str| put(target, "").header("x-amz-copy-source", "/pets/k");
    assert_ok(&wire.send(copy("/pets/copy")).await);
    let answer = wire.send(get("/pets/copy")).await;
    assert_eq!(answer.header("x-amz-website-redirect-location"), None);
    assert_eq!(answer.header("content-language"), Some("de"));
    assert_refused(&wire.send(copy("/pets/k")).await, 400, "InvalidRequest");
    assert_ok(&wire.send(copy("/pets/k").header("x-amz-website-redirect-location", "/third")).await);
    let answer = wire.send(get("/pets/k")).await;
    assert_eq!(answer.header("x-amz-website-redirect-location"), Some("/third"));
    assert_eq!((answer.header("content-language"), answer.text().as_str()), (Some("de"), "x"));
    // So is another checksum, and so it is where a storage class is named, as aws does to have objects written anew.
    for (name, value) in [("x-amz-storage-class", "STANDARD"), ("x-amz-checksum-algorithm", "SHA256")] {
        assert_ok(&wire.send(copy("/pets/k").header(name, value)).await);
        let answer = wire.send(get("/pets/k").header("x-amz-checksum-mode", "ENABLED")).await;
        assert_eq!((answer.header("content-language"), answer.text().as_str()), (Some("de"), "x"), "{name}");
        assert_eq!(answer.header("x-amz-checksum-sha256").is_some(), value == "SHA256");
    }
    let wrong = put("/pets/k", "x").header("x-amz-website-redirect-location", "other");
    assert_refused(&wire.send(wrong).await, 400, "InvalidRedirectLocation");
}

#[tokio::test]
async fn metadata_of_any_alphabet_is_an_attribute_for_a_mount() {
    let gateway = Gateway::start_with_small_parts().await;
    let mut wire = gateway.connect().await;
    let request = put("/pets/k", "x").header("x-amz-meta-title", "=?UTF-8?Q?=C3=A9t=C3=A9?=");
    assert_ok(&wire.send(request).await);
    let info = gateway.objects.head("pets", b"k").await.unwrap();
    assert_eq!(info.extended[&b"user.title"[..]], "\u{e9}t\u{e9}".as_bytes());
    let answer = wire.send(get("/pets/k")).await;
    assert_eq!(answer.header("x-amz-meta-title"), Some("=?UTF-8?B?w6l0w6k=?="));
    let long = put("/pets/k", "x").header("x-amz-meta-a", &"v".repeat(2048));
    assert_refused(&wire.send(long).await, 400, "MetadataTooLarge");
}
