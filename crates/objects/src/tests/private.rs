//! Buckets whose files are not read by their IDs.

use super::*;

/// A cluster that keeps private files, with a bucket of them.
async fn with_private_bucket() -> (Arc<Objects>, Arc<MemoryFiles>) {
    let (objects, files) = at_once().await;
    files.state(|state| state.keeps_private = true);
    let new = NewBucketOptions { native_read_off: true, ..NewBucketOptions::default() };
    assert!(objects.create_bucket("hidden", new).await.unwrap().native_read_off);
    (objects, files)
}

async fn put_in(objects: &Arc<Objects>, bucket: &str, key: &str, content: &'static [u8]) -> ObjectInfo {
    let mut writer = objects.writer(bucket, key.as_bytes(), PutOptions::default()).await.unwrap();
    writer.write(Bytes::from_static(content)).await.unwrap();
    writer.commit(CommitOptions::default()).await.unwrap()
}

async fn content_of(objects: &Objects, bucket: &str, key: &str) -> Bytes {
    objects.open(bucket, key.as_bytes()).await.unwrap().read_bytes(0..u64::MAX).await.unwrap()
}

fn is_private(info: &ObjectInfo) -> bool {
    assert_eq!(info.native_id().is_none(), info.file_id.as_ref().unwrap().filename.is_private());
    info.native_id().is_none()
}

#[tokio::test]
async fn a_bucket_becomes_private_only_while_it_is_empty() {
    let (objects, files) = at_once().await;
    objects.create_bucket("b", NewBucketOptions::default()).await.unwrap();
    assert!(is(objects.set_native_read("b", true).await, ObjectsError::NotPrivate));
    let new = NewBucketOptions { native_read_off: true, ..NewBucketOptions::default() };
    assert!(is(objects.create_bucket("c", new).await.map(drop), ObjectsError::NotPrivate));
    assert!(is(objects.bucket("c").await.map(drop), ObjectsError::NoSuchBucket));

    files.state(|state| state.keeps_private = true);
    assert!(!is_private(&put_in(&objects, "b", "k", b"seen").await));
    assert!(is(objects.set_native_read("b", true).await, ObjectsError::BucketNotEmpty));
    objects.delete("b", b"k", Preconditions::default()).await.unwrap();
    let upload_id = objects.create_upload("b", b"k", UploadOptions::default()).await.unwrap();
    assert!(is(objects.set_native_read("b", true).await, ObjectsError::BucketNotEmpty));
    objects.abort_upload("b", b"k", upload_id).await.unwrap();
    objects.set_native_read("b", true).await.unwrap();
    assert!(is_private(&put_in(&objects, "b", "k", b"hidden").await));
    assert_eq!(content_of(&objects, "b", "k").await, "hidden");

    objects.set_native_read("b", false).await.unwrap();
    assert!(!is_private(&put_in(&objects, "b", "l", b"seen").await));
    assert!(is_private(&objects.head("b", b"k").await.unwrap()));
}

#[tokio::test]
async fn whatever_way_content_comes_into_a_private_bucket_it_is_private() {
    let (objects, files) = with_private_bucket().await;
    let info = put_in(&objects, "hidden", "k", b"one").await;
    assert!(is_private(&info));
    let mut writer = objects.write_inode(info.attributes.inode, None).await.unwrap();
    writer.write(Bytes::from_static(b"other")).await.unwrap();
    assert!(is_private(&writer.commit(CommitOptions::default()).await.unwrap()));

    let upload_id = objects.create_upload("hidden", b"big", UploadOptions::default()).await.unwrap();
    let mut parts = Vec::new();
    for (number, content) in [(1, &b"one, "[..]), (2, b"two")] {
        let mut part = objects.part_writer("hidden", b"big", upload_id, number, None).await.unwrap();
        part.write(Bytes::from_static(content)).await.unwrap();
        let part = part.commit(CommitOptions::default()).await.unwrap();
        assert!(part.extents.iter().all(|extent| extent.file.filename.is_private()));
        parts.push(CompletePart { number, md5: Some(part.md5) });
    }
    let options = CompleteOptions { parts, ..CompleteOptions::default() };
    objects.complete_upload("hidden", b"big", upload_id, options).await.unwrap();
    assert_eq!(objects.join_due().await.unwrap(), 1);
    assert!(is_private(&objects.head("hidden", b"big").await.unwrap()));
    assert_eq!(content_of(&objects, "hidden", "big").await, "one, two");
    objects.free_due().await.unwrap();
    assert!(files.ids().iter().all(|file| file.filename.is_private()), "{:?}", files.ids());
}

#[tokio::test]
async fn what_is_copied_into_a_private_bucket_is_private() {
    let (objects, files) = with_private_bucket().await;
    let seen = put(&objects, "seen", b"bytes").await;
    let copy = objects.copy(("group1", b"seen"), ("hidden", b"k"), CopyOptions::default()).await.unwrap();
    assert!(is_private(&copy));
    assert_eq!((copy.etag(), copy.size()), (seen.etag(), 5));
    assert_eq!(content_of(&objects, "hidden", "k").await, "bytes");
    let raw = seen.file_id.unwrap().filename.to_string();
    let copy =
        objects.copy(("group1", raw.as_bytes()), ("hidden", b"l"), CopyOptions::default()).await.unwrap();
    assert!(is_private(&copy));
    let uploads = files.count();
    let shared = objects.copy(("hidden", b"k"), ("hidden", b"m"), CopyOptions::default()).await.unwrap();
    assert!(is_private(&shared) && files.count() == uploads, "what is private is shared as ever");

    let upload_id = objects.create_upload("hidden", b"big", UploadOptions::default()).await.unwrap();
    let part = |source_version| ShareOptions {
        number: 1,
        range: 0..5,
        checksums: Vec::new(),
        source_version,
        source_preconditions: Preconditions::default(),
    };
    let target = ("hidden", &b"big"[..]);
    let shared = objects.share_part(("group1", b"seen"), target, upload_id, part(None)).await.unwrap();
    assert_eq!(shared, None, "its bytes are to be written");
    let shared = objects.share_part(("hidden", b"k"), target, upload_id, part(None)).await.unwrap();
    assert!(shared.is_some());
}

#[tokio::test]
async fn a_private_file_is_not_read_by_its_raw_path() {
    let (objects, _files) = with_private_bucket().await;
    let file = put_in(&objects, "hidden", "k", b"bytes").await.file_id.unwrap();
    let raw = file.filename.to_string();
    let refused = ObjectsError::NotPermitted("a private file is not read by its ID");
    assert!(is(objects.head("group1", raw.as_bytes()).await.map(drop), refused.clone()));
    assert!(is(objects.open("group1", raw.as_bytes()).await.map(drop), refused.clone()));
    let copied = objects.copy(("group1", raw.as_bytes()), ("group1", b"k"), CopyOptions::default()).await;
    assert!(is(copied.map(drop), refused));
}

#[tokio::test]
async fn a_bucket_goes_with_its_uploads_under_way_and_not_with_its_objects() {
    let (objects, files) = at_once().await;
    objects.create_bucket("b", NewBucketOptions::default()).await.unwrap();
    let upload_id = objects.create_upload("b", b"big", UploadOptions::default()).await.unwrap();
    let mut part = objects.part_writer("b", b"big", upload_id, 1, None).await.unwrap();
    part.write(Bytes::from_static(b"part")).await.unwrap();
    part.commit(CommitOptions::default()).await.unwrap();
    put_in(&objects, "b", "k", b"x").await;
    assert!(is(objects.delete_bucket("b").await, ObjectsError::BucketNotEmpty));
    assert_eq!(objects.upload("b", b"big", upload_id).await.unwrap().upload_id, upload_id);
    objects.delete("b", b"k", Preconditions::default()).await.unwrap();
    objects.delete_bucket("b").await.unwrap();
    assert!(is(objects.bucket("b").await.map(drop), ObjectsError::NoSuchBucket));
    objects.free_due().await.unwrap();
    assert_eq!(files.ids(), []);
}
