//! Versions over real sockets.

use crate::support::{Answer, Gateway, Signed, Wire};

fn put(target: &str, body: impl Into<Vec<u8>>) -> Signed {
    Signed::new("PUT", target).body(body)
}

fn get(target: &str) -> Signed {
    Signed::new("GET", target)
}

fn delete(target: &str) -> Signed {
    Signed::new("DELETE", target)
}

fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

async fn set(wire: &mut Wire, status: &str) {
    let document = format!("<VersioningConfiguration><Status>{status}</Status></VersioningConfiguration>");
    assert_ok(&wire.send(put("/pets?versioning", document)).await);
    assert_eq!(wire.send(get("/pets?versioning")).await.element("Status").as_deref(), Some(status));
}

/// Puts; gives the version's ID.
async fn version(wire: &mut Wire, target: &str, body: &str) -> String {
    let answer = wire.send(put(target, body)).await;
    assert_ok(&answer);
    answer.header("x-amz-version-id").unwrap_or("none").to_owned()
}

#[tokio::test]
async fn versions_are_got_and_deleted_by_their_ids() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    assert_eq!(wire.send(get("/pets?versioning")).await.element("Status"), None);
    assert_eq!(version(&mut wire, "/pets/a/b", "zero").await, "none");
    set(&mut wire, "Enabled").await;
    let one = version(&mut wire, "/pets/a/b", "one").await;
    let two = version(&mut wire, "/pets/a/b", "two").await;
    assert!(one < two && one != "null");

    for (id, body) in [("null", "zero"), (one.as_str(), "one"), (two.as_str(), "two")] {
        let answer = wire.send(get(&format!("/pets/a/b?versionId={id}"))).await;
        assert_eq!((answer.text().as_str(), answer.header("x-amz-version-id")), (body, Some(id)));
        let answer = wire.send(Signed::new("HEAD", &format!("/pets/a/b?versionId={id}"))).await;
        assert_eq!((answer.status, answer.header("x-amz-version-id")), (200, Some(id)));
    }
    assert_eq!(wire.send(get("/pets/a/b")).await.header("x-amz-version-id"), Some(two.as_str()));
    let missing = wire.send(get("/pets/a/b?versionId=00000000000000ff")).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "NoSuchVersion"));
    for id in ["", "x", "00000000000000FF"] {
        assert_eq!(
            wire.send(get(&format!("/pets/a/b?versionId={id}"))).await.code(),
            "InvalidArgument",
            "{id}"
        );
    }

    let answer = wire.send(delete("/pets/a/b")).await;
    assert_eq!((answer.status, answer.header("x-amz-delete-marker")), (204, Some("true")));
    let marker = answer.header("x-amz-version-id").unwrap().to_owned();
    let answer = wire.send(get("/pets/a/b")).await;
    assert_eq!((answer.status, answer.code().as_str()), (404, "NoSuchKey"));
    assert_eq!(answer.header("x-amz-delete-marker"), Some("true"));
    assert_eq!(answer.header("x-amz-version-id"), Some(marker.as_str()));
    let answer = wire.send(get(&format!("/pets/a/b?versionId={marker}"))).await;
    assert_eq!((answer.status, answer.code().as_str()), (405, "MethodNotAllowed"));
    assert_eq!(answer.header("allow"), Some("DELETE"));
    assert!(wire.send(get("/pets?list-type=2")).await.elements("Key").is_empty());
    assert_eq!(wire.send(delete("/pets")).await.code(), "BucketNotEmpty");

    // A version is copied back, over its own key, too.
    let source = format!("/pets/a/b?versionId={one}");
    let answer = wire.send(put("/pets/a/b", "").header("x-amz-copy-source", &source)).await;
    assert_ok(&answer);
    assert_eq!(answer.header("x-amz-copy-source-version-id"), Some(one.as_str()));
    let copy = answer.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!(wire.send(get("/pets/a/b")).await.text(), "one");
    for id in [&copy, &marker] {
        let answer = wire.send(delete(&format!("/pets/a/b?versionId={id}"))).await;
        assert_eq!((answer.status, answer.header("x-amz-version-id")), (204, Some(id.as_str())));
        assert_eq!(answer.header("x-amz-delete-marker").is_some(), *id == marker);
    }
    assert_eq!(wire.send(get("/pets/a/b")).await.text(), "two");

    let document = format!(
        "<Delete><Object><Key>a/b</Key><VersionId>{one}</VersionId></Object><Object><Key>a/b</Key><VersionId>{two}</VersionId></Object>\
         <Object><Key>a/b</Key><VersionId>null</VersionId></Object><Object><Key>new</Key></Object><Object><Key>k</Key><VersionId>x</VersionId></Object></Delete>"
    );
    let answer = wire.send(Signed::new("POST", "/pets?delete").body(document)).await;
    assert_eq!(answer.elements("VersionId"), [one, two, "null".into(), "x".into()]);
    assert_eq!(answer.elements("Code"), ["NoSuchVersion"]);
    let marker = answer.element("DeleteMarkerVersionId").unwrap();
    assert_ok(&wire.send(delete(&format!("/pets/new?versionId={marker}"))).await);
    assert_ok(&wire.send(delete("/pets")).await);
}

#[tokio::test]
async fn a_suspended_bucket_has_one_null_version_of_each_key() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    set(&mut wire, "Enabled").await;
    let one = version(&mut wire, "/pets/k", "one").await;
    set(&mut wire, "Suspended").await;
    assert_eq!(version(&mut wire, "/pets/k", "two").await, "null");
    assert_eq!(version(&mut wire, "/pets/k", "three").await, "null");
    assert_eq!(
        wire.send(get("/pets?versions")).await.elements("VersionId"),
        ["null".to_owned(), one.clone()]
    );
    let answer = wire.send(delete("/pets/k")).await;
    assert_eq!(answer.header("x-amz-version-id"), Some("null"));
    let listed = wire.send(get("/pets?versions")).await;
    assert_eq!(listed.elements("IsLatest"), ["true", "false"]);
    assert!(listed.text().contains("<DeleteMarker><Key>k</Key><VersionId>null</VersionId>"));
    assert_eq!(wire.send(get(&format!("/pets/k?versionId={one}"))).await.text(), "one");

    let guarded = "<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete></VersioningConfiguration>";
    assert_eq!(wire.send(put("/pets?versioning", guarded)).await.code(), "NotImplemented");
    assert_eq!(wire.send(put("/pets?versioning", "<VersioningConfiguration/>")).await.status, 400);
}

#[tokio::test]
async fn lists_of_versions_go_on_after_any_version() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    // Where no versions are kept, what there is are null versions.
    assert_eq!(version(&mut wire, "/pets/a/b", "zero").await, "none");
    let listed = wire.send(get("/pets?versions")).await;
    assert_eq!(
        (listed.elements("VersionId"), listed.elements("IsLatest")),
        (vec!["null".into()], vec!["true".into()])
    );

    set(&mut wire, "Enabled").await;
    for key in ["a/b", "a/c", "a/b", "b"] {
        version(&mut wire, &format!("/pets/{key}"), key).await;
    }
    assert_ok(&wire.send(delete("/pets/a/c")).await);
    let all = wire.send(get("/pets?versions")).await;
    assert_eq!(all.elements("Key"), ["a/b", "a/b", "a/b", "a/c", "a/c", "b"]);
    let (mut markers, mut keys) = ((String::new(), String::new()), Vec::new());
    loop {
        let (key, id) = &markers;
        let page = wire
            .send(get(&format!("/pets?key-marker={key}&max-keys=1&version-id-marker={id}&versions")))
            .await;
        keys.extend(page.elements("Key"));
        if page.element("IsTruncated").as_deref() == Some("false") {
            break;
        }
        let (key, id) =
            (page.element("NextKeyMarker").unwrap(), page.element("NextVersionIdMarker").unwrap());
        markers = (key.replace('/', "%2F"), id);
    }
    assert_eq!(keys, all.elements("Key"));

    let rolled = wire.send(get("/pets?delimiter=%2F&versions")).await;
    assert_eq!(
        (rolled.elements("Key"), rolled.element("CommonPrefixes")),
        (vec!["b".into()], Some("<Prefix>a/</Prefix>".into()))
    );
    assert_eq!(wire.send(get("/pets?key-marker=a%2Fb&versions")).await.elements("Key"), ["a/c", "a/c", "b"]);
    assert_eq!(wire.send(get("/pets?prefix=a%2Fc&versions")).await.elements("IsLatest"), ["true", "false"]);
    assert_eq!(wire.send(get("/pets?version-id-marker=null&versions")).await.code(), "InvalidArgument");
}

#[tokio::test]
async fn tags_are_those_of_a_version_and_a_delete_marker_is_no_source() {
    const TAGS: &str = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>";
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    set(&mut wire, "Enabled").await;
    let one = version(&mut wire, "/pets/k", "one").await;
    let two = version(&mut wire, "/pets/k", "two").await;
    let of_one = format!("/pets/k?tagging&versionId={one}");
    let answer = wire.send(put(&of_one, TAGS)).await;
    assert_eq!((answer.status, answer.header("x-amz-version-id")), (200, Some(one.as_str())));
    for (target, id, keys) in [(of_one.as_str(), &one, 1), ("/pets/k?tagging", &two, 0)] {
        let answer = wire.send(get(target)).await;
        assert_eq!((answer.status, answer.header("x-amz-version-id")), (200, Some(id.as_str())));
        assert_eq!(answer.elements("Key").len(), keys, "{target}");
    }
    let answer = wire.send(delete(&of_one)).await;
    assert_eq!((answer.status, answer.header("x-amz-version-id")), (204, Some(one.as_str())));

    let marker = wire.send(delete("/pets/k")).await.header("x-amz-version-id").unwrap().to_owned();
    let copy = |source: &str| put("/pets/copy", "").header("x-amz-copy-source", source);
    let named = wire.send(copy(&format!("pets/k?versionId={marker}"))).await;
    assert_eq!((named.status, named.code().as_str()), (400, "InvalidRequest"));
    let latest = wire.send(copy("pets/k")).await;
    assert_eq!((latest.status, latest.code().as_str()), (404, "NoSuchKey"));
    assert_eq!(wire.send(copy(&format!("pets/k?versionId={one}"))).await.status, 200);
}
