//! Who may do what: keys, policies, ACLs, and requests that nobody signed.

use fdfs_objects::{AccessGrant, AccessKey};

use crate::support::{Answer, Gateway, Signed};

const BOB: (&str, &str) = ("BOBBOBBOBBOBBOB", "bob's secret");

async fn with_bob(grants: &[(&str, u32)]) -> Gateway {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let grant = |(bucket, permissions): &(&str, u32)| AccessGrant {
        bucket: (*bucket).to_owned(),
        permissions: *permissions,
    };
    let key = AccessKey {
        id: BOB.0.to_owned(),
        secret: BOB.1.to_owned(),
        name: "bob".to_owned(),
        grants: grants.iter().map(grant).collect(),
        created: 0,
        disabled: false,
    };
    gateway.objects.namespace().put_access_key(key, true).await.unwrap();
    gateway
}

fn outcome(answer: &Answer) -> (u16, String) {
    (answer.status, answer.code())
}

async fn put(gateway: &Gateway, target: &str, body: &str) {
    let answer = gateway.send(Signed::new("PUT", target).body(body)).await;
    assert!((200..300).contains(&answer.status), "{target}: {}", answer.text());
}

async fn anonymous(gateway: &Gateway, method: &str, target: &str) -> (u16, String) {
    outcome(&gateway.send(Signed::new(method, target).anonymous()).await)
}

fn ok(status: u16) -> (u16, String) {
    (status, String::new())
}

fn denied() -> (u16, String) {
    (403, "AccessDenied".to_owned())
}

#[tokio::test]
async fn a_key_does_what_it_is_for_and_nothing_else() {
    let gateway = with_bob(&[("pets", 1), ("drop-*", 2)]).await.with_bucket("drop-1").await;
    put(&gateway, "/pets/k", "x").await;
    let bob = async |method: &str, target: &str| {
        let request = Signed::new(method, target).by(BOB.0, BOB.1);
        outcome(&gateway.send(if method == "PUT" { request.body("y") } else { request }).await)
    };
    assert_eq!(bob("GET", "/pets/k").await, ok(200));
    assert_eq!(bob("GET", "/pets?list-type=2").await, ok(200));
    assert_eq!(bob("GET", "/pets/none").await, (404, "NoSuchKey".into()));
    assert_eq!(bob("PUT", "/pets/k").await, denied());
    assert_eq!(bob("DELETE", "/pets/k").await, denied());
    assert_eq!(bob("PUT", "/drop-1/k").await, ok(200));
    assert_eq!(bob("GET", "/drop-1/k").await, denied());
    assert_eq!(bob("GET", "/drop-1/none").await, denied());
    assert_eq!(bob("PUT", "/pets?policy").await, denied());
    assert_eq!(bob("PUT", "/new-bucket").await, denied());
    assert_eq!(bob("GET", "/none/k").await, (404, "NoSuchBucket".into()));

    let list = gateway.send(Signed::new("GET", "/").by(BOB.0, BOB.1)).await;
    assert_eq!(list.elements("Name"), ["drop-1", "pets"]);
    let wrong = Signed::new("GET", "/pets/k").by(BOB.0, "another secret");
    assert_eq!(gateway.send(wrong).await.code(), "SignatureDoesNotMatch");
}

#[tokio::test]
async fn a_key_comes_and_goes_while_the_server_runs() {
    let gateway = with_bob(&[("*", 1)]).await;
    put(&gateway, "/pets/k", "x").await;
    let get = async || outcome(&gateway.send(Signed::new("GET", "/pets/k").by(BOB.0, BOB.1)).await);
    assert_eq!(get().await, ok(200));
    let names = gateway.objects.namespace();
    let key = names.access_key(BOB.0).await.unwrap().unwrap();
    names.put_access_key(AccessKey { disabled: true, ..key.clone() }, false).await.unwrap();
    assert_eq!(get().await, (403, "InvalidAccessKeyId".into()));
    names.put_access_key(key, false).await.unwrap();
    assert_eq!(get().await, ok(200));
    names.remove_access_key(BOB.0).await.unwrap();
    assert_eq!(get().await, (403, "InvalidAccessKeyId".into()));
}

#[tokio::test]
async fn many_deletes_are_judged_key_by_key() {
    let gateway = with_bob(&[("pets", 2)]).await;
    put(&gateway, "/pets/a", "x").await;
    put(&gateway, "/pets/keep/b", "x").await;
    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
        "Action":"s3:DeleteObject","Resource":"arn:aws:s3:::pets/keep/*"}]}"#;
    put(&gateway, "/pets?policy", policy).await;
    let body = "<Delete><Object><Key>a</Key></Object><Object><Key>keep/b</Key></Object></Delete>";
    let answer = gateway.send(Signed::new("POST", "/pets?delete=").by(BOB.0, BOB.1).body(body)).await;
    assert_eq!((answer.status, answer.code().as_str()), (200, "AccessDenied"), "{}", answer.text());
    assert_eq!(answer.elements("Key"), ["a", "keep/b"]);
    assert_eq!(gateway.send(Signed::new("GET", "/pets/keep/b")).await.status, 200);
}

#[tokio::test]
async fn who_does_not_sign_sees_what_policy_and_acls_open() {
    let gateway = with_bob(&[]).await;
    put(&gateway, "/pets/open/k", "x").await;
    put(&gateway, "/pets/k", "x").await;
    assert_eq!(anonymous(&gateway, "GET", "/").await, denied());
    assert_eq!(anonymous(&gateway, "GET", "/pets/open/k").await, denied());
    assert_eq!(anonymous(&gateway, "GET", "/none/k").await, (404, "NoSuchBucket".into()));

    let policy = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*",
        "Action":["s3:GetObject"],"Resource":["arn:aws:s3:::pets/open/*"]}]}"#;
    put(&gateway, "/pets?policy", policy).await;
    assert_eq!(anonymous(&gateway, "GET", "/pets/open/k").await, ok(200));
    assert_eq!(anonymous(&gateway, "GET", "/pets/open/none").await, denied());
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
    assert_eq!(anonymous(&gateway, "PUT", "/pets/open/k").await, denied());
    let status = gateway.send(Signed::new("GET", "/pets?policyStatus=")).await;
    assert_eq!(status.element("IsPublic").as_deref(), Some("true"));
    let got = gateway.send(Signed::new("GET", "/pets?policy=")).await;
    assert_eq!((got.text().as_str(), got.header("content-type")), (policy, Some("application/json")));

    let acl = |target: &str| Signed::new("PUT", target).header("x-amz-acl", "public-read");
    assert_eq!(gateway.send(acl("/pets?acl=")).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets?list-type=2").await, ok(200));
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
    assert_eq!(anonymous(&gateway, "GET", "/pets/none").await, (404, "NoSuchKey".into()));
    assert_eq!(gateway.send(acl("/pets/k?acl=")).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, ok(200));
    let got = gateway.send(Signed::new("GET", "/pets/k?acl=")).await;
    assert_eq!(got.elements("Permission"), ["FULL_CONTROL", "READ"]);
    assert_eq!(
        gateway.send(Signed::new("PUT", "/pets/k?acl=").header("x-amz-acl", "private")).await.status,
        200
    );
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
    assert_eq!(gateway.send(Signed::new("DELETE", "/pets?policy=")).await.status, 204);
    assert_eq!(gateway.send(Signed::new("GET", "/pets?policy=")).await.code(), "NoSuchBucketPolicy");
    assert_eq!(anonymous(&gateway, "GET", "/pets/open/k").await, denied());
}

#[tokio::test]
async fn an_acl_comes_with_the_object_and_is_not_copied() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let open = Signed::new("PUT", "/pets/open").header("x-amz-acl", "public-read").body("x");
    assert_eq!(gateway.send(open).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets/open").await, ok(200));
    let copy = |target: &str| Signed::new("PUT", target).header("x-amz-copy-source", "/pets/open");
    assert_eq!(gateway.send(copy("/pets/copy")).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets/copy").await, denied());
    assert_eq!(gateway.send(copy("/pets/both").header("x-amz-acl", "public-read")).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets/both").await, ok(200));
    put(&gateway, "/pets/open", "y").await;
    assert_eq!(anonymous(&gateway, "GET", "/pets/open").await, denied());
}

#[tokio::test]
async fn a_public_access_block_and_disabled_acls_keep_a_bucket_closed() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let block =
        |flags: &str| format!("<PublicAccessBlockConfiguration>{flags}</PublicAccessBlockConfiguration>");
    let open = |target: &str| Signed::new("PUT", target).header("x-amz-acl", "public-read");
    assert_eq!(gateway.send(open("/pets/k").body("x")).await.status, 200);
    put(&gateway, "/pets?publicAccessBlock=", &block("<IgnorePublicAcls>true</IgnorePublicAcls>")).await;
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
    put(
        &gateway,
        "/pets?publicAccessBlock=",
        &block("<BlockPublicAcls>TRUE</BlockPublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"),
    )
    .await;
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, ok(200));
    assert_eq!(outcome(&gateway.send(open("/pets/other").body("x")).await), denied());
    assert_eq!(outcome(&gateway.send(open("/pets?acl=")).await), denied());
    let policy = r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::pets/*"}}"#;
    assert_eq!(outcome(&gateway.send(Signed::new("PUT", "/pets?policy=").body(policy)).await), denied());
    let got = gateway.send(Signed::new("GET", "/pets?publicAccessBlock=")).await;
    assert_eq!(got.element("BlockPublicAcls").as_deref(), Some("true"));
    assert_eq!(got.element("RestrictPublicBuckets").as_deref(), Some("false"));
    assert_eq!(gateway.send(Signed::new("DELETE", "/pets?publicAccessBlock=")).await.status, 204);

    let ownership = "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>";
    put(&gateway, "/pets?ownershipControls=", ownership).await;
    let got = gateway.send(Signed::new("GET", "/pets?ownershipControls=")).await;
    assert_eq!(got.element("ObjectOwnership").as_deref(), Some("BucketOwnerEnforced"));
    assert_eq!(gateway.send(open("/pets/other").body("x")).await.code(), "AccessControlListNotSupported");
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
}

#[tokio::test]
async fn what_is_no_policy_is_malformed() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    for policy in [
        "",
        "nonsense",
        r#"{"Version":"2012-10-17"}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObjekt","Resource":"arn:aws:s3:::pets/*"}]}"#,
        r#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::cars/*"}]}"#,
    ] {
        let answer = gateway.send(Signed::new("PUT", "/pets?policy=").body(policy)).await;
        assert_eq!(outcome(&answer), (400, "MalformedPolicy".into()), "{policy}");
    }
}

#[tokio::test]
async fn a_raw_file_is_deleted_only_by_a_key_that_may() {
    let gateway = with_bob(&[("group1", 8)]).await;
    put(&gateway, "/group1/k", "x").await;
    let head = gateway.send(Signed::new("HEAD", "/group1/k")).await;
    let raw = format!("/{}", head.header("x-fdfs-file-id").unwrap());
    let bob = async || outcome(&gateway.send(Signed::new("DELETE", &raw).by(BOB.0, BOB.1)).await);
    assert_eq!(outcome(&gateway.send(Signed::new("DELETE", &raw)).await), denied());
    // A name refers to it.
    assert_eq!(bob().await, denied());
    assert_eq!(gateway.send(Signed::new("GET", &raw)).await.status, 200);
    let stranger = format!("/{}", gateway.files.add(b"stranger", "txt"));
    assert_eq!(outcome(&gateway.send(Signed::new("DELETE", &stranger)).await), denied());
    let answer = gateway.send(Signed::new("DELETE", &stranger).by(BOB.0, BOB.1)).await;
    assert_eq!(outcome(&answer), ok(204));
    assert_eq!(gateway.send(Signed::new("GET", &stranger)).await.code(), "NoSuchKey");
}

#[tokio::test]
async fn each_version_has_an_acl_of_its_own() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    put(&gateway, "/pets?versioning=", enabled).await;
    let private = gateway.send(Signed::new("PUT", "/pets/k").body("secret")).await;
    let private = private.header("x-amz-version-id").unwrap().to_owned();
    let open = Signed::new("PUT", "/pets/k").header("x-amz-acl", "public-read").body("open");
    let open = gateway.send(open).await.header("x-amz-version-id").unwrap().to_owned();
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, ok(200));
    assert_eq!(anonymous(&gateway, "GET", &format!("/pets/k?versionId={open}")).await, ok(200));
    assert_eq!(anonymous(&gateway, "GET", &format!("/pets/k?versionId={private}")).await, denied());
    assert_eq!(anonymous(&gateway, "GET", "/pets/k?versionId=null").await, denied());

    let set = |id: &str, acl: &str| {
        Signed::new("PUT", &format!("/pets/k?acl=&versionId={id}")).header("x-amz-acl", acl)
    };
    assert_eq!(gateway.send(set(&private, "public-read")).await.status, 200);
    assert_eq!(gateway.send(set(&open, "private")).await.status, 200);
    assert_eq!(anonymous(&gateway, "GET", "/pets/k").await, denied());
    assert_eq!(anonymous(&gateway, "GET", &format!("/pets/k?versionId={private}")).await, ok(200));
    let got = gateway.send(Signed::new("GET", &format!("/pets/k?acl=&versionId={private}"))).await;
    assert_eq!(got.elements("Permission"), ["FULL_CONTROL", "READ"]);
    assert_eq!(
        gateway.send(Signed::new("GET", "/pets/k?acl=")).await.elements("Permission"),
        ["FULL_CONTROL"]
    );
}

#[tokio::test]
async fn who_may_not_put_is_told_before_the_data_comes() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    let request = Signed::new("PUT", "/pets/k").anonymous().header("expect", "100-continue").body("secret");
    let head = request.to_head(&wire.host);
    wire.write(head.as_bytes()).await;
    let answer = wire.answer(false).await;
    assert_eq!(outcome(&answer), denied(), "no 100 was sent");
    assert!(wire.is_ended().await, "nobody knows whether the data comes");
}
