//! The tree, on every engine.

mod many;
mod ranges;
mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;

use fdfs_types::FileId;
use proptest::prelude::*;

use crate::engine::contract;
use crate::*;

/// Runs a suite on a namespace of every engine.
pub(crate) fn for_every_engine<F: Future<Output = ()>>(suite: impl Fn(Namespace, u64) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (_grounds, engines) = contract::engines();
    // What stands behind a service makes no difference to the tree.
    for (name, engine) in engines.into_iter().filter(|(name, _)| !TWICE.contains(name)) {
        eprintln!("engine: {name}");
        let namespace = Namespace::open(engine, Defaults { uid: 7, gid: 8, umask: 0o022 }).unwrap();
        runtime.block_on(async {
            let bucket = namespace.create_bucket("b", NewBucket::default()).await.unwrap();
            suite(namespace.clone(), bucket.root).await;
            // Whatever a suite does, rows that must agree do.
            let mut findings = Vec::new();
            let checker = operations::Checker::new(namespace, false);
            checker.run(&mut |_, _| {}, &mut |finding| findings.push(finding)).await.unwrap();
            assert!(findings.is_empty(), "{name}: {findings:#?}");
        });
    }
}

/// Engines behind a service that stand here without one, too.
const TWICE: [&str; 2] = ["lmdb behind a service", "postgres behind a service"];

pub(crate) fn file_id(number: u32) -> FileId {
    let fields = fdfs_types::NameFields {
        source: fdfs_types::Source::Ip([127, 0, 0, 1].into()),
        created: 1_795_323_909,
        size: fdfs_types::SizeField::normal(5, number),
        crc32: number,
    };
    format!("group1/M00/00/00/{}1234567", fields.encode()).parse().unwrap()
}

pub(crate) fn content(number: u32) -> NewFile {
    NewFile {
        extents: vec![Extent::whole(file_id(number), 5)],
        size: 5,
        etag: Some(ETag { digest: [number as u8; 16], parts: None }),
        ..NewFile::default()
    }
}

pub(crate) async fn put(namespace: &Namespace, root: u64, key: &str, number: u32) -> Attributes {
    namespace.put(root, key.as_bytes(), content(number), Preconditions::default()).await.unwrap()
}

async fn list(namespace: &Namespace, root: u64, prefix: &str, delimiter: &str) -> Vec<String> {
    let query = ListQuery {
        prefix: prefix.as_bytes().to_vec(),
        delimiter: delimiter.as_bytes().to_vec(),
        from: ListFrom::Start,
        limit: 1_000,
    };
    names(&namespace.list(root, query).await.unwrap().items)
}

fn names(items: &[ListItem]) -> Vec<String> {
    let text = |item: &ListItem| match item {
        ListItem::Key { key, .. } => String::from_utf8_lossy(key).into_owned(),
        ListItem::CommonPrefix(prefix) => format!("{} ...", String::from_utf8_lossy(prefix)),
    };
    items.iter().map(text).collect()
}

async fn freed(namespace: &Namespace) -> Vec<FileId> {
    let files = namespace.freed(u64::MAX, 1_000).await.unwrap();
    files.into_iter().map(|file| file.file).collect()
}

fn is<T>(result: Result<T, NamespaceError>, wanted: NamespaceError) -> bool {
    result.is_err_and(|error| error.to_string() == wanted.to_string())
}

#[test]
fn keys_and_directories_of_one_name_stand_side_by_side() {
    for_every_engine(|namespace, root| async move {
        for (number, key) in
            ["a", "a/b", "a//b", "/x", "a-", "a/../c", "foo+1/x", "foo/x", "foo"].iter().enumerate()
        {
            put(&namespace, root, key, number as u32).await;
        }
        assert_eq!(
            list(&namespace, root, "", "").await,
            ["/x", "a", "a-", "a/../c", "a//b", "a/b", "foo", "foo+1/x", "foo/x"]
        );
        assert_eq!(
            list(&namespace, root, "", "/").await,
            ["/ ...", "a", "a-", "a/ ...", "foo", "foo+1/ ...", "foo/ ..."]
        );
        assert_eq!(list(&namespace, root, "a/", "/").await, ["a/../ ...", "a// ...", "a/b"]);
        assert_eq!(list(&namespace, root, "fo", "o").await, ["foo ..."]);
        // A mount shows the directory, and only names that POSIX has.
        assert_eq!(namespace.lookup(root, b"a").await.unwrap().kind, Kind::Directory);
        let (entries, next) = namespace.read_directory(root, None, 100).await.unwrap();
        let entries: Vec<_> = entries.iter().map(|entry| (entry.name.as_slice(), entry.kind)).collect();
        assert_eq!(
            entries,
            [
                (&b"a-"[..], Kind::File),
                (b"a", Kind::Directory),
                (b"foo+1", Kind::Directory),
                (b"foo", Kind::Directory)
            ]
        );
        assert_eq!(next, None);
    });
}

#[test]
fn the_deepest_key_is_put_listed_and_pruned() {
    for_every_engine(|namespace, root| async move {
        let deepest = "/".repeat(1_024);
        for _ in 0..5 {
            put(&namespace, root, &deepest, 1).await;
            assert_eq!(list(&namespace, root, "", "").await, [deepest.as_str()]);
            assert_eq!(list(&namespace, root, "//", "/").await, ["/// ..."]);
            namespace.delete(root, deepest.as_bytes(), Preconditions::default()).await.unwrap();
            assert_eq!(list(&namespace, root, "", "").await, Vec::<String>::new());
        }
        let longest = "x".repeat(1_024);
        put(&namespace, root, &longest, 2).await;
        assert_eq!(list(&namespace, root, "x", "").await, [longest]);
        let too_long = namespace.put(root, &[b'x'; 1_025], content(3), Preconditions::default()).await;
        assert!(is(too_long, NamespaceError::InvalidName));
    });
}

#[test]
fn a_directory_shadows_its_file_across_pages() {
    for_every_engine(|namespace, root| async move {
        for (number, key) in ["a", "a-", "a/b"].iter().enumerate() {
            put(&namespace, root, key, number as u32).await;
        }
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let (entries, next) = namespace.read_directory(root, after, 1).await.unwrap();
            seen.extend(entries.into_iter().map(|entry| (entry.name, entry.kind)));
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen, [(b"a-".to_vec(), Kind::File), (b"a".to_vec(), Kind::Directory)]);
    });
}

#[test]
fn implicit_directories_go_with_their_last_key_and_explicit_ones_stay() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "p/q/r", 1).await;
        put(&namespace, root, "keep/", 2).await;
        put(&namespace, root, "keep/x", 3).await;
        let none = Preconditions::default;
        assert!(is(namespace.delete(root, b"p/q/", none()).await, NamespaceError::NotFound));
        namespace.delete(root, b"p/q/r", none()).await.unwrap();
        namespace.delete(root, b"keep/x", none()).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["keep/"]);
        assert!(is(namespace.lookup(root, b"p").await, NamespaceError::NotFound));
        // The key of a directory with something below it goes, the directory stays until that is gone.
        put(&namespace, root, "keep/x", 3).await;
        namespace.delete(root, b"keep/", none()).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["keep/x"]);
        namespace.delete(root, b"keep/x", none()).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, Vec::<String>::new());
        namespace.delete_bucket("b").await.unwrap();
    });
}

#[test]
fn a_directory_that_a_mount_emptied_stays() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "dir/file", 1).await;
        let directory = namespace.lookup(root, b"dir").await.unwrap();
        assert_eq!(directory.state, DirectoryState::Implicit);
        namespace.unlink(directory.inode, b"file").await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["dir/"]);
        assert!(is(namespace.delete_bucket("b").await, NamespaceError::BucketNotEmpty));
        namespace.remove_directory(root, b"dir").await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, Vec::<String>::new());
    });
}

#[test]
fn a_replaced_file_is_another_inode_with_the_old_mode_and_its_content_is_freed() {
    for_every_engine(|namespace, root| async move {
        let first = put(&namespace, root, "k", 1).await;
        assert_eq!((first.mode, first.uid, first.gid), (0o644, 7, 8));
        let set = SetAttributes { mode: Some(0o600), uid: Some(1_000), ..SetAttributes::default() };
        namespace.set_attributes(first.inode, set).await.unwrap();
        let second = put(&namespace, root, "k", 2).await;
        assert_ne!(first.inode, second.inode);
        assert_eq!((second.mode, second.uid, second.gid), (0o600, 1_000, 8));
        assert_eq!(freed(&namespace).await, [file_id(1)]);
        assert!(is(namespace.attributes(first.inode).await, NamespaceError::NotFound));
        // The entry tells the same as the inode.
        let page = namespace.list(root, ListQuery { limit: 10, ..ListQuery::default() }).await.unwrap();
        let ListItem::Key { entry, .. } = &page.items[0] else { panic!("a key") };
        let listed = entry.attributes.clone().unwrap();
        assert_eq!((listed.size, listed.etag, listed.mode), (5, second.etag, 0o600));
    });
}

#[test]
fn an_access_is_noted_once_after_a_change() {
    for_every_engine(|namespace, root| async move {
        let new = NewInode { kind: Kind::File, mode: 0o644, ..NewInode::default() };
        let made = namespace.make(root, b"file", new).await.unwrap();
        namespace.note_access(made.inode).await.unwrap();
        let noted = namespace.attributes(made.inode).await.unwrap();
        assert!(noted.atime > made.atime, "{noted:?}");
        assert_eq!((noted.mtime, noted.ctime), (made.mtime, made.ctime));
        // The entry tells the same as the inode.
        assert_eq!(namespace.lookup(root, b"file").await.unwrap().atime, noted.atime);

        namespace.note_access(made.inode).await.unwrap();
        assert_eq!(namespace.attributes(made.inode).await.unwrap().atime, noted.atime, "it is new enough");
        let old = SetAttributes { atime: Some(1), ..SetAttributes::default() };
        namespace.set_attributes(made.inode, old).await.unwrap();
        namespace.note_access(made.inode).await.unwrap();
        assert!(namespace.attributes(made.inode).await.unwrap().atime > noted.atime);
    });
}

#[test]
fn other_links_keep_the_content_that_a_put_replaces() {
    for_every_engine(|namespace, root| async move {
        let first = put(&namespace, root, "one", 1).await;
        let linked = namespace.link(first.inode, root, b"two").await.unwrap();
        assert_eq!(linked.links, 2);
        let set = SetAttributes { mode: Some(0o640), ..SetAttributes::default() };
        namespace.set_attributes(first.inode, set).await.unwrap();
        put(&namespace, root, "one", 2).await;
        assert_eq!(freed(&namespace).await, []);
        let left = namespace.lookup(root, b"two").await.unwrap();
        assert_eq!((left.inode, left.links, left.mode), (first.inode, 1, 0o640));
        let (entries, _) = namespace.read_directory(root, None, 10).await.unwrap();
        let modes: Vec<_> = entries.iter().map(|entry| entry.attributes.as_ref().unwrap().mode).collect();
        assert_eq!(modes, [0o640, 0o640]);
        namespace.rename(root, b"two", root, b"three", RenameMode::Replace).await.unwrap();
        namespace.unlink(root, b"three").await.unwrap();
        assert_eq!(freed(&namespace).await, [file_id(1)]);
    });
}

#[test]
fn conditions_decide_within_the_transaction() {
    for_every_engine(|namespace, root| async move {
        let put_if =
            async |number, preconditions| namespace.put(root, b"k", content(number), preconditions).await;
        let matching = |number: u8| Preconditions {
            if_match: Some(ETagMatch::OneOf(vec![ETag { digest: [number; 16], parts: None }])),
            ..Preconditions::default()
        };
        assert!(is(put_if(1, matching(1)).await, NamespaceError::NotFound));
        put_if(1, Preconditions::absent()).await.unwrap();
        assert!(is(put_if(2, Preconditions::absent()).await, NamespaceError::PreconditionFailed));
        assert!(is(put_if(2, matching(9)).await, NamespaceError::PreconditionFailed));
        put_if(2, matching(1)).await.unwrap();
        assert!(is(namespace.delete(root, b"k", matching(1)).await, NamespaceError::PreconditionFailed));
        namespace.delete(root, b"k", matching(2)).await.unwrap();
        // An implicit directory is no key.
        put(&namespace, root, "d/x", 3).await;
        namespace.put(root, b"d/", NewFile::default(), Preconditions::absent()).await.unwrap();
    });
}

#[test]
fn of_racing_writers_that_want_the_name_absent_exactly_one_wins() {
    for_every_engine(|namespace, root| async move {
        let mut racers = tokio::task::JoinSet::new();
        for number in 0..32 {
            let namespace = namespace.clone();
            racers.spawn(async move {
                namespace.put(root, b"prize", content(number), Preconditions::absent()).await.map(|_| number)
            });
        }
        let results = racers.join_all().await;
        let winners: Vec<u32> = results.into_iter().flatten().collect();
        let [winner] = winners[..] else { panic!("winners: {winners:?}") };
        let record = namespace.get(root, b"prize").await.unwrap();
        assert_eq!(record.extents[0].file, file_id(winner));
    });
}

#[test]
fn a_directory_moves_as_one_row_with_all_below_it() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "a/b/c", 1).await;
        put(&namespace, root, "a/d", 2).await;
        put(&namespace, root, "z/", 3).await;
        let a = namespace.lookup(root, b"a").await.unwrap();
        let b = namespace.lookup(a.inode, b"b").await.unwrap();
        assert!(is(
            namespace.rename(root, b"a", b.inode, b"x", RenameMode::Replace).await,
            NamespaceError::Loop
        ));
        let z = namespace.lookup(root, b"z").await.unwrap();
        namespace.rename(root, b"a", z.inode, b"moved", RenameMode::Replace).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["z/", "z/moved/b/c", "z/moved/d"]);
        let (links, root_links) = (
            namespace.attributes(z.inode).await.unwrap().links,
            namespace.attributes(root).await.unwrap().links,
        );
        assert_eq!((links, root_links), (3, 3));
        namespace
            .make(root, b"empty", NewInode { kind: Kind::Directory, ..NewInode::default() })
            .await
            .unwrap();
        let refused = namespace.rename(root, b"empty", root, b"z", RenameMode::Replace).await;
        assert!(is(refused, NamespaceError::NotEmpty));
        let refused = namespace.rename(root, b"empty", root, b"z", RenameMode::NoReplace).await;
        assert!(is(refused, NamespaceError::AlreadyExists));
        let other = namespace.create_bucket("other", NewBucket::default()).await.unwrap();
        let refused = namespace.rename(root, b"z", other.root, b"z", RenameMode::Replace).await;
        assert!(is(refused, NamespaceError::CrossBucket));
        namespace.rename_key(root, b"z/moved/d", b"new/place", RenameConditions::default()).await.unwrap();
        assert_eq!(list(&namespace, root, "", "").await, ["empty/", "new/place", "z/", "z/moved/b/c"]);
    });
}

#[test]
fn a_mount_cannot_make_a_name_that_is_there_in_either_form() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "file", 1).await;
        put(&namespace, root, "dir/x", 2).await;
        for name in [&b"file"[..], b"dir"] {
            for kind in [Kind::File, Kind::Directory] {
                let made = namespace.make(root, name, NewInode { kind, ..NewInode::default() }).await;
                assert!(is(made, NamespaceError::AlreadyExists));
            }
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"nul\0", &[b'x'; 256]] {
            let made = namespace.make(root, name, NewInode::default()).await;
            assert!(is(made, NamespaceError::InvalidName));
        }
        assert!(is(namespace.unlink(root, b"dir").await, NamespaceError::IsDirectory));
        assert!(is(namespace.remove_directory(root, b"file").await, NamespaceError::NotDirectory));
        assert!(is(namespace.remove_directory(root, b"dir").await, NamespaceError::NotEmpty));
    });
}

#[test]
fn a_held_inode_outlives_its_name() {
    for_every_engine(|namespace, root| async move {
        let file = put(&namespace, root, "open", 1).await;
        namespace.hold(file.inode);
        namespace.hold(file.inode);
        namespace.unlink(root, b"open").await.unwrap();
        namespace.release(file.inode).await.unwrap();
        assert_eq!(namespace.attributes(file.inode).await.unwrap().links, 0);
        assert_eq!(freed(&namespace).await, []);
        namespace.release(file.inode).await.unwrap();
        assert!(is(namespace.attributes(file.inode).await, NamespaceError::NotFound));
        assert_eq!(freed(&namespace).await, [file_id(1)]);
    });
}

#[test]
fn a_file_is_freed_when_its_last_user_goes() {
    for_every_engine(|namespace, root| async move {
        let source = put(&namespace, root, "one", 1).await;
        namespace
            .copy(
                ContentSource::Inode(source.inode, Preconditions::default()),
                root,
                b"two",
                NewFile::default(),
                Preconditions::default(),
            )
            .await
            .unwrap();
        assert_eq!(namespace.users_of(&file_id(1), 10).await.unwrap().len(), 2);
        namespace.delete(root, b"one", Preconditions::default()).await.unwrap();
        assert_eq!(freed(&namespace).await, []);
        let record = namespace.get(root, b"two").await.unwrap();
        assert_eq!(record.extents, [Extent::whole(file_id(1), 5)]);
        namespace.delete(root, b"two", Preconditions::default()).await.unwrap();
        assert_eq!(freed(&namespace).await, [file_id(1)]);
        let own = put(&namespace, root, "own", 2).await;
        namespace
            .copy(
                ContentSource::Inode(own.inode, Preconditions::default()),
                root,
                b"own",
                NewFile::default(),
                Preconditions::default(),
            )
            .await
            .unwrap();
        assert_eq!(freed(&namespace).await, [file_id(1)], "a copy onto itself frees nothing");
        let due = namespace.freed(u64::MAX, 10).await.unwrap();
        assert_eq!(due.len(), 1);
        assert_eq!(namespace.freed(due[0].freed_at, 10).await.unwrap(), []);
        namespace.freed_done(due[0].clone(), Some(std::time::Duration::from_secs(60))).await.unwrap();
        assert_eq!(freed(&namespace).await, []);
        namespace.freed_done(due[0].clone(), None).await.unwrap();
        namespace.free_unnamed(vec![file_id(9), file_id(2)]).await.unwrap();
        assert_eq!(freed(&namespace).await, [file_id(9)], "a file that has a name is not freed");
    });
}

#[test]
fn truncation_keeps_what_is_left_of_the_content() {
    for_every_engine(|namespace, root| async move {
        let file = put(&namespace, root, "k", 1).await;
        let size = |size| SetAttributes { size: Some(size), ..SetAttributes::default() };
        namespace.set_attributes(file.inode, size(3)).await.unwrap();
        namespace.set_attributes(file.inode, size(10)).await.unwrap();
        let record = namespace.get(root, b"k").await.unwrap();
        assert_eq!(record.extents, [Extent::whole(file_id(1), 3)]);
        assert_eq!((record.attributes.size, record.attributes.etag.unwrap().parts), (10, Some(0)));
        assert_eq!(freed(&namespace).await, []);
        namespace.set_attributes(file.inode, size(0)).await.unwrap();
        assert_eq!(freed(&namespace).await, [file_id(1)]);
    });
}

#[test]
fn attributes_are_made_replaced_and_removed_as_asked() {
    for_every_engine(|namespace, root| async move {
        let inode = put(&namespace, root, "k", 1).await.inode;
        let set = async |value: Option<&[u8]>, mode| {
            namespace.set_extended(inode, b"user.width", value, mode, Mirrored::None).await
        };
        assert!(is(set(Some(b"1"), SetMode::Replace).await, NamespaceError::NoAttribute));
        set(Some(b"1"), SetMode::Create).await.unwrap();
        assert!(is(set(Some(b"2"), SetMode::Create).await, NamespaceError::AlreadyExists));
        set(Some(b"2"), SetMode::Replace).await.unwrap();
        assert_eq!(namespace.record(inode).await.unwrap().extended[&b"user.width"[..]], b"2");
        assert!(is(set(Some(&[0; 65_536]), SetMode::Any).await, NamespaceError::AttributesTooLarge));
        set(None, SetMode::Any).await.unwrap();
        assert!(is(set(None, SetMode::Any).await, NamespaceError::NoAttribute));
    });
}

fn part(number: u16, file: u32) -> Part {
    let extents = vec![Extent::whole(file_id(file), 5)];
    Part { number, size: 5, md5: [number as u8; 16], extents, ..Part::default() }
}

fn named(number: u16) -> CompletePart {
    CompletePart { number, md5: Some([number as u8; 16]) }
}

#[test]
fn a_multipart_upload_becomes_one_object_and_is_joined() {
    for_every_engine(|namespace, root| async move {
        let etag = ETag { digest: [9; 16], parts: Some(2) };
        let upload_id = namespace.create_upload(root, b"big", NewUpload::default()).await.unwrap();
        for (number, file) in [(1, 1), (2, 2), (3, 3), (1, 4)] {
            namespace.put_part(root, b"big", upload_id, part(number, file)).await.unwrap();
        }
        assert_eq!(freed(&namespace).await, [file_id(1)]);
        let parts = namespace.parts(root, b"big", upload_id, 1, 10).await.unwrap();
        assert_eq!(parts.iter().map(|part| part.number).collect::<Vec<_>>(), [2, 3]);
        assert!(is(namespace.delete_bucket("b").await, NamespaceError::UploadsOpen));

        let complete = async |parts: &[CompletePart], min| {
            let completion = Completion {
                parts: parts.to_vec(),
                etag,
                checksum: None,
                min_part: min,
                preconditions: Preconditions::default(),
            };
            namespace.complete_upload(root, b"big", upload_id, completion).await
        };
        assert!(is(complete(&[named(2), named(1)], 0).await, NamespaceError::InvalidPartOrder));
        assert!(is(complete(&[named(1), named(1)], 0).await, NamespaceError::InvalidPartOrder));
        assert!(is(complete(&[named(1), named(7)], 0).await, NamespaceError::InvalidPart(7)));
        let wrong = CompletePart { number: 2, md5: Some([0; 16]) };
        assert!(is(complete(&[named(1), wrong], 0).await, NamespaceError::InvalidPart(2)));
        assert!(is(complete(&[named(1), named(2)], 6).await, NamespaceError::PartTooSmall(1)));
        let completed = complete(&[named(1), named(2)], 5).await.unwrap();
        assert_eq!(complete(&[named(1), named(2)], 5).await.unwrap(), completed);

        namespace.trim_completed(std::time::Duration::from_secs(60)).await.unwrap();
        assert_eq!(complete(&[named(1), named(2)], 5).await.unwrap(), completed);
        let record = namespace.get(root, b"big").await.unwrap();
        assert_eq!((record.attributes.size, record.attributes.etag, record.part_count), (10, Some(etag), 2));
        let object_parts = namespace.object_parts(completed.inode).await.unwrap();
        let numbers: Vec<_> = object_parts.iter().map(|part| (part.number, part.size)).collect();
        assert_eq!(numbers, [(1, 5), (2, 5)]);
        let late = namespace.put_part(root, b"big", upload_id, part(5, 5)).await;
        assert!(is(late, NamespaceError::NoSuchUpload));
        assert_eq!(
            freed(&namespace).await.into_iter().collect::<BTreeSet<_>>(),
            [file_id(1), file_id(3)].into()
        );

        let waiting = namespace.waiting_joins(10).await.unwrap();
        assert_eq!(waiting, [WaitingJoin { inode: completed.inode, attempts: 0 }]);
        let whole = Extent::whole(file_id(8), 10);
        let joined =
            namespace.joined(completed.inode, record.extents.clone(), whole.clone(), Mirrored::None).await;
        assert_eq!(joined.unwrap().etag, Some(etag));
        assert_eq!(namespace.waiting_joins(10).await.unwrap(), []);
        assert_eq!(freed(&namespace).await.len(), 4);
        let again = namespace.joined(completed.inode, record.extents, whole, Mirrored::None).await;
        assert!(is(again, NamespaceError::ContentChanged));
    });
}

#[test]
fn an_aborted_upload_frees_its_parts() {
    for_every_engine(|namespace, root| async move {
        let first = namespace.create_upload(root, b"k", NewUpload::default()).await.unwrap();
        let second = namespace.create_upload(root, b"k/x", NewUpload::default()).await.unwrap();
        namespace.put_part(root, b"k", first, part(1, 1)).await.unwrap();
        let listed = namespace.uploads(root, b"k", None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|upload| upload.upload_id).collect::<Vec<_>>(), [first, second]);
        let after = namespace.uploads(root, b"", Some((b"k".to_vec(), first)), 10).await.unwrap();
        assert_eq!(after[0].key, b"k/x");
        let place = |path| PartPlacement { group: "group1".into(), storage: "100001".into(), path };
        assert_eq!(namespace.place_upload(root, b"k", first, place(1)).await.unwrap(), place(1));
        assert_eq!(namespace.place_upload(root, b"k", first, place(2)).await.unwrap(), place(1));
        namespace.abort_upload(root, b"k", first).await.unwrap();
        assert!(is(namespace.abort_upload(root, b"k", first).await, NamespaceError::NoSuchUpload));
        assert_eq!(freed(&namespace).await, [file_id(1)]);
    });
}

#[test]
fn content_of_ten_thousand_parts_is_kept_and_freed() {
    for_every_engine(|namespace, root| async move {
        let extents: Vec<Extent> = (0..10_000_u32)
            .map(|number| Extent { offset: u64::from(number) * 5, ..Extent::whole(file_id(number), 5) })
            .collect();
        let file = NewFile { extents: extents.clone(), size: 50_000, ..NewFile::default() };
        namespace.put(root, b"k", file, Preconditions::default()).await.unwrap();
        assert_eq!(namespace.get(root, b"k").await.unwrap().extents, extents);
        namespace.delete(root, b"k", Preconditions::default()).await.unwrap();
        assert_eq!(namespace.freed(u64::MAX, 20_000).await.unwrap().len(), 10_000);
        assert_eq!(namespace.freed(u64::MAX, 1_500).await.unwrap().len(), 1_500);
    });
}

#[test]
fn a_groups_bucket_has_its_name_or_one_beside_it_and_stays() {
    for_every_engine(|namespace, _| async move {
        let (group1, group2) = ("group1".parse().unwrap(), "b".parse().unwrap());
        let bucket = namespace.group_bucket(&group1).await.unwrap();
        assert_eq!((bucket.name.as_str(), bucket.group.as_ref()), ("group1", Some(&group1)));
        assert_eq!(namespace.group_bucket(&group1).await.unwrap(), bucket);
        assert_eq!(namespace.group_bucket(&group2).await.unwrap().name, "group-b");
        assert!(is(namespace.delete_bucket("group1").await, NamespaceError::GroupBucket));
        assert!(is(namespace.create_bucket("b", NewBucket::default()).await, NamespaceError::BucketExists));
        let names: Vec<String> =
            namespace.buckets("b", 10).await.unwrap().into_iter().map(|b| b.name).collect();
        assert_eq!(names, ["group-b", "group1"]);
    });
}

#[test]
fn a_private_bucket_names_no_file_that_others_can_read() {
    for_every_engine(|namespace, root| async move {
        put(&namespace, root, "k", 1).await;
        assert!(is(namespace.set_native_read("b", true).await, NamespaceError::BucketNotEmpty));
        namespace.delete(root, b"k", Preconditions::default()).await.unwrap();
        namespace.set_native_read("b", true).await.unwrap();
        assert!(namespace.bucket("b").await.unwrap().native_read_off);
        let refused = namespace.put(root, b"k", content(2), Preconditions::default()).await;
        assert!(is(refused.map(drop), NamespaceError::NotPrivate));
        let mut hidden = content(3);
        let fields = hidden.extents[0].file.filename.fields().unwrap();
        let fields = fdfs_types::NameFields { size: fields.size.private(), ..fields };
        hidden.extents[0].file = format!("group1/M00/00/00/{}1234567", fields.encode()).parse().unwrap();
        namespace.put(root, b"k", hidden, Preconditions::default()).await.unwrap();
        namespace.set_native_read("b", false).await.unwrap();
        put(&namespace, root, "l", 4).await;
    });
}

#[test]
fn settings_go_with_their_bucket() {
    for_every_engine(|namespace, root| async move {
        let value = |text: &'static str| Some(bytes::Bytes::from_static(text.as_bytes()));
        namespace.set_bucket_setting(root, "cors", value("one")).await.unwrap();
        namespace.set_bucket_setting(root, "tagging", value("two")).await.unwrap();
        let settings = namespace.bucket_settings(root).await.unwrap();
        assert_eq!(settings.keys().map(String::as_str).collect::<Vec<_>>(), ["cors", "tagging"]);
        namespace.set_bucket_setting(root, "cors", None).await.unwrap();
        assert_eq!(namespace.bucket_settings(root).await.unwrap().len(), 1);

        let refused = namespace.set_bucket_setting(root + 1, "cors", value("x")).await;
        assert!(is(refused, NamespaceError::NoSuchBucket));
        let long = Some(bytes::Bytes::from(vec![0; 1024 * 1024 + 1]));
        assert!(is(namespace.set_bucket_setting(root, "cors", long).await, NamespaceError::InvalidName));

        namespace.delete_bucket("b").await.unwrap();
        assert!(namespace.bucket_settings(root).await.unwrap().is_empty());
    });
}

#[test]
fn a_task_is_done_by_one_session_at_a_time() {
    let engine: Arc<dyn engine::Engine> = Arc::new(engine::MemoryEngine::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let open = || Namespace::open(Arc::clone(&engine), Defaults::default()).unwrap();
    let (one, other) = (open(), open());
    let minute = std::time::Duration::from_secs(60);
    runtime.block_on(async {
        assert!(one.take_task("work", minute).await.unwrap());
        assert!(one.take_task("work", minute).await.unwrap());
        assert!(!other.take_task("work", minute).await.unwrap());
        assert!(other.take_task("other work", minute).await.unwrap());
        other.give_back_task("work").await.unwrap();
        assert!(!other.take_task("work", minute).await.unwrap());
        one.give_back_task("work").await.unwrap();
        assert!(other.take_task("work", std::time::Duration::ZERO).await.unwrap());
        // Its time has passed.
        assert!(one.take_task("work", minute).await.unwrap());
    });
}

#[test]
fn changes_are_kept_in_order_and_announced_once_committed() {
    for_every_engine(|namespace, root| async move {
        let mut announced = namespace.changes();
        let before = namespace.changes_after(namespace.session(), 0, 100).await.unwrap().len();
        let file = put(&namespace, root, "k", 1).await;
        let refused = namespace.put(root, b"k", content(2), Preconditions::absent()).await;
        assert!(refused.is_err());
        namespace.rename(root, b"k", root, b"l", RenameMode::Replace).await.unwrap();
        namespace.unlink(root, b"l").await.unwrap();
        let mut kinds = Vec::new();
        while let Ok(change) = announced.try_recv() {
            kinds.push((change.kind, change.inode, change.name));
        }
        // Said when the stream of what others change begins, which is now or a moment ago.
        kinds.retain(|(kind, ..)| *kind != ChangeKind::Missed);
        let inode = file.inode;
        assert_eq!(
            kinds,
            [
                (ChangeKind::Created, inode, b"k".to_vec()),
                (ChangeKind::Renamed, inode, b"l".to_vec()),
                (ChangeKind::Removed, inode, b"l".to_vec())
            ]
        );
        let kept = namespace.changes_after(namespace.session(), 0, 100).await.unwrap();
        assert_eq!(kept.len(), before + 3);
        assert!(kept.is_sorted_by_key(|(sequence, _)| *sequence));
        assert_eq!(kept.last().unwrap().1.kind, ChangeKind::Removed);
        while namespace.trim_changes(std::time::Duration::ZERO).await.unwrap() {}
    });
}

#[test]
fn a_store_of_another_format_is_refused_with_a_sentence() {
    use crate::engine::{Engine, EngineError, Job, MemoryEngine, Txn};
    use crate::rows;
    struct Put(Vec<u8>, Vec<u8>);
    impl Job for Put {
        fn run(&mut self, txn: &mut Txn<'_>) -> bool {
            txn.put(self.0.clone(), self.1.clone());
            true
        }
        fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
            outcome.unwrap();
        }
    }
    let newer = Arc::new(MemoryEngine::default());
    let stamp = rows::StampRow { format: 3, min_reader: 1, min_writer: 2, store: vec![0; 16], epoch: 1 };
    newer.submit(Box::new(Put(b"!".to_vec(), rows::seal(b"!", &stamp))));
    let refused = Namespace::open(newer, Defaults::default()).err().unwrap();
    assert!(refused.to_string().contains("needs a program that knows format 2"), "{refused}");

    let foreign = Arc::new(MemoryEngine::default());
    foreign.submit(Box::new(Put(b"x".to_vec(), b"y".to_vec())));
    assert!(matches!(Namespace::open(foreign, Defaults::default()), Err(NamespaceError::Format(_))));
}

#[test]
fn what_was_written_is_there_after_reopening_and_orphans_are_not() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let (root, orphan) = runtime.block_on(async {
        let namespace = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
        let root = namespace.create_bucket("b", NewBucket::default()).await.unwrap().root;
        put(&namespace, root, "stays", 1).await;
        let orphan = put(&namespace, root, "goes", 2).await.inode;
        namespace.hold(orphan);
        namespace.unlink(root, b"goes").await.unwrap();
        (root, orphan)
    });
    runtime.block_on(async {
        let namespace = Namespace::open_lmdb(directory.path(), Defaults::default()).unwrap();
        assert_eq!(namespace.session(), 2);
        assert_eq!(list(&namespace, root, "", "").await, ["stays"]);
        assert!(is(namespace.attributes(orphan).await, NamespaceError::NotFound));
        assert_eq!(freed(&namespace).await, [file_id(2)]);
        assert!(put(&namespace, root, "new", 3).await.inode > orphan);
    });
}

/// The list that S3 describes, over a sorted set of keys.
fn model(keys: &BTreeSet<Vec<u8>>, prefix: &[u8], delimiter: &[u8], after: &[u8]) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    for key in keys.iter().filter(|key| key.starts_with(prefix) && key.as_slice() > after) {
        let rest = &key[prefix.len()..];
        let at = (!delimiter.is_empty())
            .then(|| rest.windows(delimiter.len()).position(|window| window == delimiter))
            .flatten();
        let text = match at {
            Some(at) => {
                let common = &key[..prefix.len() + at + delimiter.len()];
                // Listing on after a common prefix means after all of it.
                if common == after {
                    continue;
                }
                format!("{} ...", String::from_utf8_lossy(common))
            }
            None => String::from_utf8_lossy(key).into_owned(),
        };
        if items.last() != Some(&text) {
            items.push(text);
        }
    }
    items
}

fn poll_now<F: Future>(future: F) -> F::Output {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match pin!(future).poll(&mut context) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("the engine in memory answers at once"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn joined_pages_equal_the_sorted_model_whatever_is_put_and_deleted(
        operations in prop::collection::vec(("[a/b+.-]{1,7}", prop::bool::weighted(0.7)), 1..40),
        prefix in "[a/b]{0,3}",
        delimiter in prop::sample::select(vec!["", "/", "a", "//", "b/"]),
        after in "[a/b]{0,4}",
        limit in 1_usize..5,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let _entered = runtime.enter();
        let namespace = Namespace::in_memory(Defaults::default()).unwrap();
        let root = poll_now(namespace.create_bucket("b", NewBucket::default())).unwrap().root;
        let mut keys = BTreeSet::new();
        for (number, (key, puts)) in operations.iter().enumerate() {
            let key = key.as_bytes();
            if *puts {
                poll_now(namespace.put(root, key, content(number as u32), Preconditions::default())).unwrap();
                keys.insert(key.to_vec());
            } else {
                let deleted = poll_now(namespace.delete(root, key, Preconditions::default()));
                prop_assert_eq!(deleted.is_ok(), keys.remove(key));
            }
        }
        let mut from = if after.is_empty() { ListFrom::Start } else { ListFrom::After(after.clone().into_bytes()) };
        let mut items = Vec::new();
        loop {
            let query = ListQuery {
                prefix: prefix.clone().into_bytes(),
                delimiter: delimiter.as_bytes().to_vec(),
                from,
                limit,
            };
            let page = poll_now(namespace.list(root, query)).unwrap();
            prop_assert!(page.items.len() <= limit);
            items.extend(names(&page.items));
            match page.next {
                Some(next) => from = ListFrom::Resume(next),
                None => break,
            }
        }
        prop_assert_eq!(items, model(&keys, prefix.as_bytes(), delimiter.as_bytes(), after.as_bytes()));

        // Nothing is left of what was deleted: files in use are those of the keys that are there.
        let mut used = BTreeMap::new();
        for key in &keys {
            for extent in poll_now(namespace.get(root, key)).unwrap().extents {
                *used.entry(extent.file).or_insert(0) += 1;
            }
        }
        for (number, _) in operations.iter().enumerate().filter(|(_, (_, puts))| *puts) {
            let file = file_id(number as u32);
            prop_assert_eq!(poll_now(namespace.is_named(&file)).unwrap(), used.contains_key(&file));
        }
        for key in &keys {
            poll_now(namespace.delete(root, key, Preconditions::default())).unwrap();
        }
        poll_now(namespace.delete_bucket("b")).unwrap();
    }
}
