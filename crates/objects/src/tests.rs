//! Objects over a namespace in memory and files in memory.

mod private;
mod sharing;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fdfs_namespace::{Defaults, Extent, Namespace, NewFile};
use futures_util::TryStreamExt;

use crate::testing::MemoryFiles;
use crate::*;

/// A cluster of one group, without work in the background.
async fn cluster(settings: Settings) -> (Arc<Objects>, Arc<MemoryFiles>) {
    let files = Arc::new(MemoryFiles::default());
    files.state(|state| state.read_piece = 2);
    let names = Namespace::in_memory(Defaults::default()).unwrap();
    let objects = Objects::new(names, files.clone(), settings);
    objects.refresh_groups().await.unwrap();
    (objects, files)
}

async fn at_once() -> (Arc<Objects>, Arc<MemoryFiles>) {
    cluster(Settings { free_after: Duration::ZERO, min_part: 1, ..Settings::default() }).await
}

async fn put(objects: &Arc<Objects>, key: &str, content: &'static [u8]) -> ObjectInfo {
    put_with(objects, key, content, PutOptions::default()).await.unwrap()
}

async fn put_with(
    objects: &Arc<Objects>,
    key: &str,
    content: &'static [u8],
    options: PutOptions,
) -> Result<ObjectInfo, ObjectsError> {
    let options = PutOptions { length: Some(content.len() as u64), ..options };
    let mut writer = objects.writer("group1", key.as_bytes(), options).await?;
    for chunk in content.chunks(3) {
        writer.write(Bytes::from_static(chunk)).await?;
    }
    writer.commit(CommitOptions::default()).await
}

async fn get(objects: &Objects, key: &str) -> Bytes {
    let reader = objects.open("group1", key.as_bytes()).await.unwrap();
    reader.read_bytes(0..u64::MAX).await.unwrap()
}

fn is<T>(result: Result<T, ObjectsError>, wanted: ObjectsError) -> bool {
    result.is_err_and(|error| error.to_string() == wanted.to_string())
}

#[tokio::test]
async fn what_is_put_is_read_by_key_by_inode_and_by_its_file_id() {
    let (objects, files) = at_once().await;
    let info = put(&objects, "pets/cat.jpg", b"meow, meow").await;
    let file_id = info.file_id.clone().unwrap();
    assert_eq!(info.etag().unwrap().to_string(), "be9831f518f90e66a0fa4d8733f245c6");
    assert!(file_id.to_string().ends_with(".jpg"));
    assert_eq!(files.content(&file_id), Some(Bytes::from_static(b"meow, meow")));

    assert_eq!(objects.head("group1", b"pets/cat.jpg").await.unwrap(), info);
    assert_eq!(get(&objects, "pets/cat.jpg").await, "meow, meow");
    let reader = objects.open("group1", b"pets/cat.jpg").await.unwrap();
    assert_eq!(reader.read_bytes(6..8).await.unwrap(), "me");
    assert_eq!(reader.read_bytes(9..1_000).await.unwrap(), "w");
    assert_eq!(reader.read_bytes(1_000..2_000).await.unwrap(), "");

    let bucket = objects.lookup(ROOT, b"group1").await.unwrap();
    let pets = objects.lookup(bucket.inode, b"pets").await.unwrap();
    let cat = objects.lookup(pets.inode, b"cat.jpg").await.unwrap();
    assert_eq!(cat, info.attributes);
    assert_eq!(objects.open_inode(cat.inode).await.unwrap().read_bytes(0..4).await.unwrap(), "meow");

    let raw = file_id.filename.to_string();
    assert_eq!(get(&objects, &raw).await, "meow, meow");
    let raw_info = objects.head("group1", raw.as_bytes()).await.unwrap();
    assert_eq!((raw_info.raw, raw_info.size(), raw_info.file_id), (true, 10, Some(file_id)));
}

#[tokio::test]
async fn an_empty_object_has_a_file_where_storages_can_serve_it() {
    let (objects, files) = at_once().await;
    let info = put(&objects, "empty", b"").await;
    assert_eq!(files.content(&info.file_id.unwrap()), Some(Bytes::new()));
    assert_eq!(get(&objects, "empty").await, "");
    assert_eq!(info.attributes.etag.unwrap().to_string(), "d41d8cd98f00b204e9800998ecf8427e");

    files.state(|state| state.refuses_empty = true);
    let info = put(&objects, "empty", b"").await;
    assert_eq!((info.file_id, info.attributes.size), (None, 0));
    assert_eq!(get(&objects, "empty").await, "");
}

#[tokio::test]
async fn a_small_content_of_unknown_length_is_an_ordinary_upload_and_a_long_one_is_not() {
    let (objects, files) = cluster(Settings { small_file: 4, ..Settings::default() }).await;
    for (key, chunks, length) in [("small", 2, Some(4)), ("long", 3, None)] {
        let mut writer = objects.writer("group1", key.as_bytes(), PutOptions::default()).await.unwrap();
        for _ in 0..chunks {
            writer.write(Bytes::from_static(b"ab")).await.unwrap();
        }
        let info = writer.commit(CommitOptions::default()).await.unwrap();
        assert_eq!(info.size(), chunks * 2);
        assert_eq!(files.state(|state| state.lengths.pop()), Some(length));
    }
    assert_eq!(get(&objects, "long").await, "ababab");
}

#[tokio::test]
async fn a_dropped_or_refused_writer_leaves_neither_name_nor_file() {
    let (objects, files) = at_once().await;
    let options = || PutOptions { length: Some(4), ..PutOptions::default() };
    let mut dropped = objects.writer("group1", b"k", options()).await.unwrap();
    dropped.write(Bytes::from_static(b"abc")).await.unwrap();
    drop(dropped);

    let mut short = objects.writer("group1", b"k", options()).await.unwrap();
    short.write(Bytes::from_static(b"abc")).await.unwrap();
    let refused = short.commit(CommitOptions::default()).await;
    assert!(is(refused, ObjectsError::WrongLength { expected: 4, written: 3 }));

    let mut long = objects.writer("group1", b"k", options()).await.unwrap();
    let refused = long.write(Bytes::from_static(b"abcde")).await;
    assert!(is(refused, ObjectsError::WrongLength { expected: 4, written: 5 }));

    let mut wrong = objects.writer("group1", b"k", options()).await.unwrap();
    wrong.write(Bytes::from_static(b"abcd")).await.unwrap();
    let refused =
        wrong.commit(CommitOptions { expected_md5: Some([0; 16]), ..CommitOptions::default() }).await;
    assert!(is(refused, ObjectsError::BadDigest));

    assert!(is(objects.head("group1", b"k").await, ObjectsError::NotFound));
    assert_eq!(files.ids(), []);
}

#[tokio::test]
async fn a_file_whose_name_was_refused_is_deleted() {
    let (objects, files) = at_once().await;
    let options = PutOptions { preconditions: Preconditions::absent(), ..PutOptions::default() };
    let mut late = objects.writer("group1", b"k", options).await.unwrap();
    late.write(Bytes::from_static(b"late")).await.unwrap();
    let kept = put(&objects, "k", b"first").await.file_id.unwrap();
    assert!(is(late.commit(CommitOptions::default()).await, ObjectsError::PreconditionFailed));
    tokio::time::timeout(Duration::from_secs(5), objects.free_wanted.notified()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids(), [kept]);
}

#[tokio::test]
async fn of_racing_writers_that_want_the_name_absent_one_wins_and_its_file_alone_stays() {
    let (objects, files) = at_once().await;
    let mut racers = tokio::task::JoinSet::new();
    for _ in 0..24 {
        let objects = Arc::clone(&objects);
        let options = PutOptions { preconditions: Preconditions::absent(), ..PutOptions::default() };
        racers.spawn(async move { put_with(&objects, "prize", b"bytes", options).await.is_ok() });
    }
    let won = racers.join_all().await.into_iter().filter(|won| *won).count();
    assert_eq!(won, 1);
    let winner = objects.head("group1", b"prize").await.unwrap().file_id.unwrap();
    let only_winner = async {
        while files.ids() != [winner.clone()] {
            objects.free_due().await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), only_winner).await.unwrap();
}

#[tokio::test]
async fn an_open_reader_keeps_the_content_that_is_replaced() {
    let (objects, files) = at_once().await;
    let old = put(&objects, "k", b"old").await.file_id.unwrap();
    let reader = objects.open("group1", b"k").await.unwrap();
    let stream = reader.read(0..3);
    let new = put(&objects, "k", b"new").await.file_id.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0);
    drop(reader);
    assert_eq!(objects.free_due().await.unwrap(), 0, "the stream still reads");
    assert_eq!(stream.try_collect::<Vec<_>>().await.unwrap().concat(), b"old");
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert!(files.ids() == [new] && files.content(&old).is_none());
}

#[tokio::test]
async fn a_freed_file_waits_for_its_time_and_for_its_storage() {
    let (objects, files) =
        cluster(Settings { free_after: Duration::from_secs(3_600), ..Settings::default() }).await;
    put(&objects, "k", b"old").await;
    objects.delete("group1", b"k", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0);
    assert_eq!(files.ids().len(), 1);

    let (objects, files) = at_once().await;
    put(&objects, "k", b"old").await;
    objects.delete("group1", b"k", Preconditions::default()).await.unwrap();
    files.state(|state| state.away = true);
    assert_eq!(objects.free_due().await.unwrap(), 0);
    let waiting = objects.namespace().freed(u64::MAX, 10).await.unwrap();
    assert_eq!(waiting, [], "the next attempt is not due at once");
    assert_eq!(files.ids().len(), 1);
}

#[tokio::test]
async fn a_file_that_somebody_else_deleted_is_freed_as_well() {
    let (objects, files) = at_once().await;
    let file = put(&objects, "k", b"x").await.file_id.unwrap();
    files.state(|state| state.files.remove(&file.to_string()));
    let read = objects.open("group1", b"k").await.unwrap().read_bytes(0..1).await;
    assert!(matches!(read, Err(ObjectsError::Unavailable(_))), "a lost file is not a missing name: {read:?}");
    objects.delete("group1", b"k", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(objects.free_due().await.unwrap(), 0);
}

#[tokio::test]
async fn a_copy_shares_the_file_until_the_last_name_goes() {
    let (objects, files) = at_once().await;
    let source = put(&objects, "a", b"bytes").await;
    let copy = objects.copy(("group1", b"a"), ("group1", b"d/b"), CopyOptions::default()).await.unwrap();
    assert_eq!((copy.file_id, copy.attributes.etag), (source.file_id, source.attributes.etag));
    objects.delete("group1", b"a", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0);
    assert_eq!(get(&objects, "d/b").await, "bytes");
    objects.delete("group1", b"d/b", Preconditions::default()).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids(), []);

    put(&objects, "a", b"bytes").await;
    let renamed = objects.rename("group1", b"a", b"x/y", RenameConditions::default()).await;
    renamed.unwrap();
    assert_eq!(get(&objects, "x/y").await, "bytes");
}

#[tokio::test]
async fn metadata_is_mirrored_where_fastdfs_can_hold_it() {
    let (objects, files) = at_once().await;
    let extended = ExtendedAttributes::from([(b"user.width".to_vec(), b"1024".to_vec())]);
    let info = put_with(&objects, "k", b"x", PutOptions { extended, ..PutOptions::default() }).await.unwrap();
    let file = info.file_id.clone().unwrap();
    assert_eq!(files.metadata_of(&file).get(b"width"), Some(&b"1024"[..]));
    let inode = info.attributes.inode;
    let all = objects.list_extended(inode).await.unwrap();
    assert_eq!(all[&b"user.width"[..]], b"1024");
    assert_eq!(all[&b"user.fdfs.metadata"[..]], b"mirrored");
    assert_eq!(all[&b"user.fdfs.file_id"[..]], file.to_string().into_bytes());
    assert_eq!(all[&b"user.fdfs.group"[..]], b"group1");
    assert_eq!(all[&b"user.fdfs.crc32"[..]], b"8cdc1683");

    objects.set_extended(inode, b"user.height", b"768", SetMode::Create).await.unwrap();
    assert_eq!(files.metadata_of(&file).get(b"height"), Some(&b"768"[..]));
    let refused = objects.set_extended(inode, b"user.fdfs.crc32", b"0", SetMode::Any).await;
    assert!(matches!(refused, Err(ObjectsError::NotPermitted(_))));

    // What is refused leaves the file's metadata alone.
    let exists = objects.set_extended(inode, b"user.height", b"1", SetMode::Create).await;
    assert!(matches!(exists, Err(ObjectsError::AlreadyExists)));
    let missing = objects.set_extended(inode, b"user.depth", b"1", SetMode::Replace).await;
    assert!(matches!(missing, Err(ObjectsError::NoAttribute)));
    assert!(matches!(objects.remove_extended(inode, b"user.depth").await, Err(ObjectsError::NoAttribute)));
    assert_eq!(files.metadata_of(&file).encode(), b"height\x02768\x01width\x021024");

    objects.remove_extended(inode, b"user.width").await.unwrap();
    objects.remove_extended(inode, b"user.height").await.unwrap();
    assert!(files.metadata_of(&file).is_empty());

    // A file that two names share keeps its metadata.
    objects.copy(("group1", b"k"), ("group1", b"l"), CopyOptions::default()).await.unwrap();
    objects.set_extended(inode, b"user.width", b"1", SetMode::Any).await.unwrap();
    assert!(files.metadata_of(&file).is_empty());
    assert_eq!(objects.get_extended(inode, b"user.fdfs.metadata").await.unwrap(), b"none");
    assert_eq!(objects.get_extended(inode, b"user.width").await.unwrap(), b"1");
}

#[tokio::test]
async fn the_replicas_of_a_file_answer_to_their_name() {
    let (objects, _files) = at_once().await;
    let inode = put(&objects, "k", b"x").await.attributes.inode;
    let replicas = objects.get_extended(inode, b"user.fdfs.replicas").await.unwrap();
    assert_eq!(replicas, b"100001 10.0.0.1 ACTIVE\n100002 - OFFLINE\n");
    assert!(!objects.list_extended(inode).await.unwrap().contains_key(&b"user.fdfs.replicas"[..]));
    let hidden = objects.get_extended(inode, b"user.fdfs.hidden").await;
    assert!(matches!(hidden, Err(ObjectsError::NoAttribute)), "a file hides nothing");
}

#[tokio::test]
async fn a_directory_tells_the_names_that_a_mount_cannot_show() {
    let (objects, _files) = at_once().await;
    let long = "x".repeat(256);
    for key in
        ["d/seen", "d//below", "d/..", "d/both", "d/both/below", "d/100% \u{e9}/.", &format!("d/{long}")]
    {
        put(&objects, key, b"x").await;
    }
    let group = objects.lookup(ROOT, b"group1").await.unwrap().inode;
    let directory = objects.lookup(group, b"d").await.unwrap().inode;
    let hidden = async |inode| objects.get_extended(inode, b"user.fdfs.hidden").await.unwrap();
    assert_eq!(String::from_utf8(hidden(directory).await).unwrap(), format!("..\n/\nboth\n{long}\n"));
    let below = objects.lookup(directory, "100% \u{e9}".as_bytes()).await.unwrap().inode;
    assert_eq!(hidden(below).await, b".\n");
    assert_eq!(hidden(group).await, b"", "nothing is hidden here");
    let refused = objects.set_extended(directory, b"user.fdfs.hidden", b"", SetMode::Any).await;
    assert!(matches!(refused, Err(ObjectsError::NotPermitted(_))));
}

fn of(parts: Vec<CompletePart>) -> CompleteOptions {
    CompleteOptions { parts, ..CompleteOptions::default() }
}

async fn put_part(
    objects: &Arc<Objects>,
    upload_id: UploadId,
    number: u16,
    content: &'static [u8],
) -> CompletePart {
    let mut writer = objects.part_writer("group1", b"big.bin", upload_id, number, None).await.unwrap();
    writer.write(Bytes::from_static(content)).await.unwrap();
    let part = writer.commit(CommitOptions::default()).await.unwrap();
    CompletePart { number, md5: Some(part.md5) }
}

#[tokio::test]
async fn parts_stand_beside_each_other_and_become_one_file() {
    let (objects, files) = at_once().await;
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    let mut parts = Vec::new();
    for (number, content) in [(1, &b"one, "[..]), (2, b"two, "), (3, b"three")] {
        parts.push(put_part(&objects, upload_id, number, content).await);
    }
    assert!(is(objects.head("group1", b"big.bin").await, ObjectsError::NotFound));
    let targets: BTreeSet<String> = files.state(|state| state.targets.iter().cloned().collect());
    assert!(targets.len() == 1 && !targets.contains("None"), "all parts go to one place: {targets:?}");

    let info = objects.complete_upload("group1", b"big.bin", upload_id, of(parts.clone())).await.unwrap();
    let etag = info.etag().unwrap();
    assert_eq!((etag.parts, info.size(), &info.file_id), (Some(3), 15, &None));
    assert_eq!(get(&objects, "big.bin").await, "one, two, three");
    let reader = objects.open("group1", b"big.bin").await.unwrap();
    assert_eq!(reader.read_bytes(3..11).await.unwrap(), ", two, t");
    drop(reader);

    let again = objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    assert_eq!(again.etag(), Some(etag));

    assert_eq!(objects.join_due().await.unwrap(), 1);
    let joined = objects.head("group1", b"big.bin").await.unwrap();
    let file = joined.file_id.clone().unwrap();
    assert_eq!((joined.etag(), joined.part_count), (Some(etag), 3));
    assert_eq!(files.content(&file), Some(Bytes::from_static(b"one, two, three")));
    let parts = objects.object_parts(&joined).await.unwrap();
    assert_eq!(
        parts.iter().map(|part| (part.number, part.size)).collect::<Vec<_>>(),
        [(1, 5), (2, 5), (3, 5)]
    );
    assert_eq!(get(&objects, "big.bin").await, "one, two, three");
    assert_eq!(objects.free_due().await.unwrap(), 3);
    assert_eq!(files.ids(), [file]);
}

#[tokio::test]
async fn content_is_as_safe_as_its_bucket_asks_for() {
    use crate::WriteConcern::{Local, Replicated};
    let buckets = [("group1".to_owned(), Replicated)].into();
    let write_concern = WriteConcerns { usual: Local, buckets };
    let (objects, files) = cluster(Settings { min_part: 1, write_concern, ..Settings::default() }).await;
    let info = put(&objects, "key", b"content").await;
    let mut writer = objects.write_inode(info.attributes.inode, None).await.unwrap();
    writer.write(Bytes::from_static(b"other")).await.unwrap();
    writer.commit(CommitOptions::default()).await.unwrap();
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    let parts =
        vec![put_part(&objects, upload_id, 1, b"one").await, put_part(&objects, upload_id, 2, b"two").await];
    objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    assert_eq!(objects.join_due().await.unwrap(), 1);
    assert_eq!(files.state(|state| std::mem::take(&mut state.concerns)), [Replicated; 5]);
    objects.create_bucket("other", NewBucketOptions::default()).await.unwrap();
    let mut writer = objects.writer("other", b"key", PutOptions::default()).await.unwrap();
    writer.write(Bytes::from_static(b"content")).await.unwrap();
    writer.commit(CommitOptions::default()).await.unwrap();
    assert_eq!(files.state(|state| std::mem::take(&mut state.concerns)), [Local]);
}

#[tokio::test]
async fn parts_that_cannot_be_joined_stay_parts() {
    let (objects, files) = at_once().await;
    files.state(|state| state.cannot_join = true);
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    let parts =
        vec![put_part(&objects, upload_id, 1, b"one").await, put_part(&objects, upload_id, 2, b"two").await];
    objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    assert_eq!(objects.join_due().await.unwrap(), 0);
    assert_eq!(objects.namespace().waiting_joins(10).await.unwrap(), []);
    assert_eq!(get(&objects, "big.bin").await, "onetwo");
}

#[tokio::test]
async fn an_object_replaced_while_it_is_joined_stays_replaced() {
    let (objects, files) = at_once().await;
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    let parts =
        vec![put_part(&objects, upload_id, 1, b"one").await, put_part(&objects, upload_id, 2, b"two").await];
    let inode =
        objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap().attributes.inode;
    let set = SetAttributes { size: Some(4), ..SetAttributes::default() };
    let race = Arc::clone(&objects);
    files.before_join(move || {
        let race = Arc::clone(&race);
        Box::pin(async move {
            race.set_attributes(inode, set).await.unwrap();
        })
    });
    assert_eq!(objects.join_due().await.unwrap(), 0);
    assert_eq!(get(&objects, "big.bin").await, "onet");
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing() {
    let (objects, files) = at_once().await;
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    put_part(&objects, upload_id, 1, b"one").await;
    objects.abort_upload("group1", b"big.bin", upload_id).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids(), []);
    let late = objects.part_writer("group1", b"big.bin", upload_id, 2, None).await;
    assert!(is(late.map(drop), ObjectsError::NoSuchUpload));
}

#[tokio::test]
async fn a_mount_makes_writes_renames_and_removes() {
    let (objects, files) = at_once().await;
    let group = objects.lookup(ROOT, b"group1").await.unwrap().inode;
    let directory = NewInode { kind: Kind::Directory, mode: 0o755, ..NewInode::default() };
    let docs = objects.make(group, b"docs", directory.clone()).await.unwrap().inode;
    let new = NewInode { mode: 0o600, uid: 5, gid: 6, ..NewInode::default() };
    let made = objects.make(docs, b"a.txt", new).await.unwrap();
    assert_eq!((made.size, made.mode, made.etag), (0, 0o600, None));
    objects.hold(made.inode);
    let mut writer = objects.write_inode(made.inode, None).await.unwrap();
    for _ in 0..3 {
        writer.write(Bytes::from_static(b"line\n")).await.unwrap();
    }
    let info = writer.commit(CommitOptions { mtime: Some(42), ..CommitOptions::default() }).await.unwrap();
    assert_eq!((info.size(), info.attributes.mtime, info.etag().unwrap().parts), (15, 42, Some(0)));
    assert_eq!(info.attributes.inode, made.inode);
    assert!(info.file_id.unwrap().to_string().ends_with(".txt"));
    assert_eq!(get(&objects, "docs/a.txt").await, "line\nline\nline\n");

    objects.rename_entry(docs, b"a.txt", group, b"b.txt", RenameMode::Replace).await.unwrap();
    let page = objects.read_directory(group, None, 100).await.unwrap();
    let names: Vec<_> =
        page.entries.iter().map(|entry| (entry.name.as_slice(), entry.attributes.size)).collect();
    assert_eq!(names, [(&b"b.txt"[..], 15), (b"docs", 0)]);
    objects.remove_directory(group, b"docs").await.unwrap();
    objects.unlink(group, b"b.txt").await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 0, "it is still held open");
    objects.release(made.inode).await.unwrap();
    assert_eq!(objects.free_due().await.unwrap(), 1);
    assert_eq!(files.ids(), []);
}

#[tokio::test]
async fn the_root_holds_buckets_and_nothing_else() {
    let (objects, _) = at_once().await;
    let directory = NewInode { kind: Kind::Directory, mode: 0o750, uid: 3, gid: 4, ..NewInode::default() };
    let made = objects.make(ROOT, b"mine", directory.clone()).await.unwrap();
    assert_eq!((made.mode, made.uid, made.gid), (0o750, 3, 4));
    assert!(is(objects.make(ROOT, b"mine", directory).await, ObjectsError::AlreadyExists));
    let file = objects.make(ROOT, b"file", NewInode::default()).await;
    assert!(matches!(file, Err(ObjectsError::NotPermitted(_))));
    let page = objects.read_directory(ROOT, None, 1).await.unwrap();
    assert_eq!(page.entries[0].name, b"group1");
    let page = objects.read_directory(ROOT, page.next, 1).await.unwrap();
    assert_eq!(page.entries[0].name, b"mine");
    let page = objects.read_directory(ROOT, page.next, 1).await.unwrap();
    assert_eq!(page, DirectoryPage::default());
    let group = objects.lookup(ROOT, b"group1").await.unwrap().inode;
    put(&objects, "k", b"x").await;
    let moved = objects.rename_entry(group, b"k", made.inode, b"k", RenameMode::Replace).await;
    assert!(is(moved, ObjectsError::CrossBucket));
    objects.remove_directory(ROOT, b"mine").await.unwrap();
    assert!(matches!(objects.remove_directory(ROOT, b"group1").await, Err(ObjectsError::NotPermitted(_))));
    assert!(is(objects.lookup(ROOT, b"mine").await, ObjectsError::NotFound));
    let space = objects.space(ROOT).await.unwrap();
    assert_eq!((space.total, space.free), (4_096_000, 409_600));
}

#[tokio::test]
async fn a_new_group_has_a_bucket_without_a_restart() {
    let (objects, files) = cluster(Settings { groups_interval: Duration::ZERO, ..Settings::default() }).await;
    assert!(is(objects.bucket("group2").await, ObjectsError::NoSuchBucket));
    files.state(|state| state.groups.push("group2".parse().unwrap()));
    assert_eq!(objects.bucket("group2").await.unwrap().group, Some("group2".parse().unwrap()));
    let nowhere =
        NewBucketOptions { placement: vec!["group9".parse().unwrap()], ..NewBucketOptions::default() };
    assert!(is(objects.create_bucket("far", nowhere).await, ObjectsError::NoSuchGroup));
}

#[tokio::test]
async fn raw_files_are_seen_by_id_and_listed_only_when_asked_for() {
    let (objects, files) = at_once().await;
    let legacy = files.add(b"by an old client", "txt");
    let raw = legacy.filename.to_string();
    let group = objects.lookup(ROOT, b"group1").await.unwrap().inode;
    let everything = objects.list("group1", ListQuery { limit: 10, ..ListQuery::default() }).await.unwrap();
    assert_eq!(everything.items, []);
    assert_eq!(objects.read_directory(group, None, 10).await.unwrap().entries, []);

    let mut inode = group;
    for name in raw.split('/') {
        inode = objects.lookup(inode, name.as_bytes()).await.unwrap().inode;
    }
    let attributes = objects.attributes(inode).await.unwrap();
    assert_eq!((attributes.size, attributes.mode, attributes.kind), (16, 0o444, Kind::File));
    assert_eq!(objects.open_inode(inode).await.unwrap().read_bytes(3..9).await.unwrap(), "an old");
    for missing in [&b"MFF"[..], b"m00"] {
        assert!(is(objects.lookup(group, missing).await, ObjectsError::NotFound));
    }
    let m00 = objects.lookup(group, b"M00").await.unwrap().inode;
    assert!(is(objects.lookup(m00, b"FF").await, ObjectsError::NotFound));
    let page = objects.read_directory(m00, None, 10).await.unwrap();
    assert_eq!(page.entries[0].attributes.kind, Kind::Directory);

    let listed = |prefix: &str, delimiter: &str, limit| ListQuery {
        prefix: prefix.as_bytes().to_vec(),
        delimiter: delimiter.as_bytes().to_vec(),
        limit,
        ..ListQuery::default()
    };
    let page = objects.list("group1", listed("M00/", "", 10)).await.unwrap();
    let [ListItem::Key { key, entry }] = &page.items[..] else { panic!("{page:?}") };
    assert_eq!((key.as_slice(), entry.attributes.as_ref().unwrap().size), (raw.as_bytes(), 16));
    let page = objects.list("group1", listed("M00/", "/", 10)).await.unwrap();
    assert_eq!(page.items, [ListItem::CommonPrefix(raw.as_bytes()[..7].to_vec())]);

    // Metadata of a raw file is FastDFS's own.
    objects.set_extended(inode, b"user.width", b"7", SetMode::Any).await.unwrap();
    assert_eq!(files.metadata_of(&legacy).get(b"width"), Some(&b"7"[..]));
    assert_eq!(objects.head("group1", raw.as_bytes()).await.unwrap().extended[&b"user.width"[..]], b"7");

    let refused = put_with(&objects, "M00/00/00/new", b"x", PutOptions::default()).await;
    assert!(matches!(refused, Err(ObjectsError::NotPermitted(_))));
    assert!(matches!(
        objects.make(group, b"M07", NewInode::default()).await,
        Err(ObjectsError::NotPermitted(_))
    ));
    let refused = objects.delete("group1", raw.as_bytes(), Preconditions::default()).await;
    assert!(matches!(refused, Err(ObjectsError::NotPermitted(_))));
    assert_eq!(files.ids(), [legacy]);
}

#[tokio::test]
async fn raw_pages_join_into_all_files_in_order() {
    let (objects, files) = at_once().await;
    let mut wanted: Vec<String> = (0..40).map(|_| files.add(b"x", "bin").filename.to_string()).collect();
    wanted.sort();
    let (mut from, mut keys) = (ListFrom::Start, Vec::new());
    loop {
        let query = ListQuery { prefix: b"M00/".to_vec(), limit: 3, from, ..ListQuery::default() };
        let page = objects.list("group1", query).await.unwrap();
        for item in page.items {
            let ListItem::Key { key, .. } = item else { panic!("no delimiter") };
            keys.push(String::from_utf8(key).unwrap());
        }
        match page.next {
            Some(next) => from = ListFrom::Resume(next),
            None => break,
        }
    }
    assert_eq!(keys, wanted);
}

#[tokio::test]
async fn a_raw_file_is_deleted_only_with_permission_and_without_a_name() {
    let (objects, files) = cluster(Settings { raw_delete: true, ..Settings::default() }).await;
    let legacy = files.add(b"old", "txt");
    let named = put(&objects, "k", b"new").await.file_id.unwrap();
    let delete = async |file: &fdfs_types::FileId| {
        objects.delete("group1", file.filename.as_str().as_bytes(), Preconditions::default()).await
    };
    assert!(matches!(delete(&named).await, Err(ObjectsError::NotPermitted(_))));
    delete(&legacy).await.unwrap();
    assert_eq!(files.ids(), [named]);
}

#[tokio::test]
async fn work_in_the_background_joins_and_frees_by_itself() {
    let settings = Settings {
        free_after: Duration::ZERO,
        free_interval: Duration::from_millis(10),
        min_part: 1,
        ..Settings::default()
    };
    let (objects, files) = cluster(settings).await;
    objects.start();
    let upload_id = objects.create_upload("group1", b"big.bin", UploadOptions::default()).await.unwrap();
    let parts =
        vec![put_part(&objects, upload_id, 1, b"one").await, put_part(&objects, upload_id, 2, b"two").await];
    objects.complete_upload("group1", b"big.bin", upload_id, of(parts)).await.unwrap();
    let joined_and_freed = async {
        while objects.head("group1", b"big.bin").await.unwrap().file_id.is_none() || files.ids().len() > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), joined_and_freed).await.unwrap();
    objects.stop().await;
}

#[tokio::test]
async fn a_range_over_a_hole_reads_zeros() {
    let (objects, files) = at_once().await;
    let file = files.add(b"abc", "");
    let root = objects.bucket("group1").await.unwrap().root;
    let extents = vec![Extent { offset: 2, ..Extent::whole(file, 3) }];
    let new = NewFile { extents, size: 8, ..NewFile::default() };
    objects.namespace().put(root, b"holes", new, Preconditions::default()).await.unwrap();
    assert_eq!(get(&objects, "holes").await, &b"\0\0abc\0\0\0"[..]);
}
