//! Lifecycle rules, worked off at times that are arguments.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fdfs_namespace::NewFile;
use fdfs_namespace::engine::{Engine, MemoryEngine};
use fdfs_objects::{Defaults, Kind, Namespace, NewInode, Preconditions, Settings};
use fdfs_s3::{LifecycleReport, apply_lifecycle};

use crate::support::{Answer, Gateway, Signed, Wire};

fn put(target: &str, body: impl Into<Vec<u8>>) -> Signed {
    Signed::new("PUT", target).body(body)
}

fn get(target: &str) -> Signed {
    Signed::new("GET", target)
}

fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

async fn rules(wire: &mut Wire, rules: &str) {
    let document = format!("<LifecycleConfiguration>{rules}</LifecycleConfiguration>");
    assert_ok(&wire.send(put("/pets?lifecycle", document)).await);
}

async fn apply(gateway: &Gateway, days: u64) -> LifecycleReport {
    let now = SystemTime::now() + Duration::from_secs(days * 24 * 60 * 60);
    apply_lifecycle(&gateway.objects, now, 1_000_000).await.unwrap()
}

fn report(expired: u64, removed: u64, aborted: u64) -> LifecycleReport {
    LifecycleReport { expired, removed, aborted }
}

#[tokio::test]
async fn rules_are_kept_and_objects_say_when_they_expire() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    rules(
        &mut wire,
        "<Rule><ID>old logs</ID><Status>Enabled</Status><Filter><Prefix>log/</Prefix></Filter><Expiration><Days>3</Days></Expiration></Rule>",
    )
    .await;
    assert_eq!(wire.send(get("/pets?lifecycle")).await.element("Days").as_deref(), Some("3"));
    let answer = wire.send(put("/pets/log/a", "x")).await;
    let expiration = answer.header("x-amz-expiration").unwrap().to_owned();
    assert!(
        expiration.starts_with("expiry-date=\"")
            && expiration.ends_with("00:00:00 GMT\", rule-id=\"old%20logs\""),
        "{expiration}"
    );
    for method in ["GET", "HEAD"] {
        let answer = wire.send(Signed::new(method, "/pets/log/a")).await;
        assert_eq!(answer.header("x-amz-expiration"), Some(expiration.as_str()), "{method}");
    }
    assert_eq!(wire.send(put("/pets/other", "x")).await.header("x-amz-expiration"), None);
    assert_eq!(wire.send(put("/pets?lifecycle", "<LifecycleConfiguration/>")).await.code(), "MalformedXML");
    assert_eq!(wire.send(Signed::new("DELETE", "/pets?lifecycle")).await.status, 204);
    assert_eq!(wire.send(get("/pets?lifecycle")).await.code(), "NoSuchLifecycleConfiguration");
    assert_eq!(wire.send(get("/pets/log/a")).await.header("x-amz-expiration"), None);
}

#[tokio::test]
async fn what_has_become_old_enough_is_deleted_and_nothing_else() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    for key in ["log/a", "log/b", "other", "tagged"] {
        assert_ok(&wire.send(put(&format!("/pets/{key}"), "x")).await);
    }
    let tags = [(b"keep".to_vec(), b"no".to_vec())].into();
    gateway.objects.set_tags("pets", b"tagged", None, tags).await.unwrap();
    let root = gateway.objects.bucket("pets").await.unwrap().root;
    let directory = NewInode { kind: Kind::Directory, mode: 0o755, ..NewInode::default() };
    gateway.objects.make(root, b"log-of-a-mount", directory).await.unwrap();
    let raw = gateway.objects.head("pets", b"other").await.unwrap().file_id.unwrap();
    assert_ok(&wire.send(Signed::new("POST", "/pets/log/upload?uploads")).await);
    rules(
        &mut wire,
        "<Rule><Status>Enabled</Status><Filter><Prefix>log</Prefix></Filter><Expiration><Days>3</Days></Expiration>\
         <AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule>\
         <Rule><Status>Enabled</Status><Filter><Tag><Key>keep</Key><Value>no</Value></Tag></Filter><Expiration><Days>10</Days></Expiration></Rule>",
    )
    .await;
    // A group's bucket shows raw files: no rule reaches them.
    let document = "<LifecycleConfiguration><Rule><Status>Enabled</Status><Prefix/><Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>";
    assert_ok(&wire.send(put("/group1?lifecycle", document)).await);

    assert_eq!(apply(&gateway, 0).await, report(0, 0, 0));
    assert_eq!(apply(&gateway, 2).await, report(0, 0, 1));
    assert_eq!(apply(&gateway, 4).await, report(2, 0, 0));
    assert_eq!(
        wire.send(get("/pets?list-type=2")).await.elements("Key"),
        ["log-of-a-mount/", "other", "tagged"]
    );
    assert_eq!(apply(&gateway, 11).await, report(1, 0, 0));
    assert_eq!(apply(&gateway, 1_000).await, report(0, 0, 0));
    assert_ok(&wire.send(get("/pets/other")).await);
    assert_ok(&wire.send(get(&format!("/group1/{}", raw.filename.as_str()))).await);
}

#[tokio::test]
async fn older_versions_and_lone_delete_markers_go_by_their_rules() {
    let gateway = Gateway::start().await.with_bucket("pets").await;
    let mut wire = gateway.connect().await;
    gateway.objects.set_versioning("pets", fdfs_objects::Versioning::Enabled).await.unwrap();
    for body in ["1", "2", "3", "4"] {
        assert_ok(&wire.send(put("/pets/k", body)).await);
    }
    rules(
        &mut wire,
        "<Rule><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NewerNoncurrentVersions>1</NewerNoncurrentVersions>\
         <NoncurrentDays>2</NoncurrentDays></NoncurrentVersionExpiration></Rule>\
         <Rule><Status>Enabled</Status><Filter/><Expiration><Days>5</Days></Expiration></Rule>",
    )
    .await;
    assert_eq!(apply(&gateway, 1).await, report(0, 0, 0));
    assert_eq!(apply(&gateway, 3).await, report(0, 2, 0));
    assert_eq!(wire.send(get("/pets?versions")).await.elements("VersionId").len(), 2);
    assert_eq!(wire.send(get("/pets/k")).await.text(), "4");
    // The current one expires: a delete marker hides it.
    assert_eq!(apply(&gateway, 6).await, report(1, 0, 0));
    assert_eq!(wire.send(get("/pets/k")).await.header("x-amz-delete-marker"), Some("true"));

    rules(
        &mut wire,
        "<Rule><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays></NoncurrentVersionExpiration>\
         <Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>",
    )
    .await;
    assert_eq!(apply(&gateway, 9).await, report(0, 2, 0));
    assert_eq!(apply(&gateway, 10).await, report(0, 1, 0));
    assert_ok(&wire.send(Signed::new("DELETE", "/pets")).await);
}

#[tokio::test]
async fn a_gateway_that_ends_in_the_middle_of_the_rules_leaves_them_to_the_next_one_at_once() {
    let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
    let open = || Namespace::open(Arc::clone(&engine), Defaults::default()).unwrap();
    let (names, other) = (open(), open());
    // One deletion a second: it would take minutes.
    let gateway = Gateway::start_on(names, Settings::default(), |config| {
        config.lifecycle_interval = Duration::from_millis(10);
        config.lifecycle_rate = 1;
    });
    let gateway = gateway.await.with_bucket("pets").await;
    let root = gateway.objects.bucket("pets").await.unwrap().root;
    for number in 0..1_100 {
        let key = format!("log/{number:04}");
        other.put(root, key.as_bytes(), NewFile::default(), Preconditions::default()).await.unwrap();
    }
    rules(
        &mut gateway.connect().await,
        "<Rule><Status>Enabled</Status><Filter><Prefix>log/</Prefix></Filter>\
         <Expiration><Date>2020-01-01T00:00:00Z</Date></Expiration></Rule>",
    )
    .await;
    // Whoever takes the task has it: until this one may not, the gateway does not work.
    let minute = Duration::from_secs(60);
    let works = async {
        while other.take_task("s3-lifecycle", minute).await.unwrap() {
            other.give_back_task("s3-lifecycle").await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while gateway.objects.head("pets", b"log/0000").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(minute, works).await.unwrap();
    assert!(gateway.objects.head("pets", b"log/1099").await.is_ok(), "it is in the middle");
    gateway.shutdown(Duration::from_secs(1)).await;
    assert!(other.take_task("s3-lifecycle", minute).await.unwrap(), "nobody has it any more");
}
