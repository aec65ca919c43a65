//! Versions against a simple model, and as a mount makes them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::tree::tests::{content, file_id, for_every_engine, put};
use crate::*;

#[derive(Clone, Debug)]
enum Operation {
    Versioning(Versioning),
    Put(usize),
    Delete(usize),
    DeleteVersion(usize, usize),
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        1 => prop_oneof![Just(Versioning::Enabled), Just(Versioning::Suspended)].prop_map(Operation::Versioning),
        6 => (0..KEYS.len()).prop_map(Operation::Put),
        3 => (0..KEYS.len()).prop_map(Operation::Delete),
        4 => (0..KEYS.len(), 0..4_usize).prop_map(|(key, version)| Operation::DeleteVersion(key, version)),
    ]
}

const KEYS: [&str; 10] = ["a", "a/", "a/b", "a/b/", "a/b/c", "a//", "a+", "b/c/d", "/", "b"];

/// Versions of each key, newest first: the number of the content, or none for a delete marker.
type Model = BTreeMap<String, Vec<(VersionId, Option<u32>)>>;

fn model_put(model: &mut Model, versioning: Versioning, key: &str, id: VersionId, number: Option<u32>) {
    let versions = model.entry(key.to_owned()).or_default();
    if versioning != Versioning::Enabled {
        versions.retain(|(id, _)| *id != VersionId::Null);
        assert_eq!(id, VersionId::Null);
    }
    versions.insert(0, (id, number));
}

async fn all_versions(namespace: &Namespace, root: u64, page: usize) -> Vec<VersionItem> {
    let (mut items, mut from) = (Vec::new(), VersionStart::Start);
    loop {
        let query = VersionQuery { from, limit: page, ..VersionQuery::default() };
        let found = namespace.list_versions(root, query).await.unwrap();
        let last = found.items.last().cloned();
        items.extend(found.items);
        match (found.is_truncated, last) {
            (true, Some(VersionItem::Version { key, version_id, .. })) => {
                from = VersionStart::AfterVersion(key, version_id);
            }
            _ => return items,
        }
    }
}

async fn rolled(namespace: &Namespace, root: u64, prefix: &str, page: usize) -> Vec<String> {
    let (mut names, mut from) = (Vec::new(), VersionStart::Start);
    loop {
        let (prefix, delimiter) = (prefix.as_bytes().to_vec(), b"/".to_vec());
        let query = VersionQuery { prefix, delimiter, from, limit: page };
        let found = namespace.list_versions(root, query).await.unwrap();
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        names.extend(found.items.iter().map(|item| match item {
            VersionItem::Version { key, .. } => text(key),
            VersionItem::CommonPrefix(prefix) => format!("{}*", text(prefix)),
        }));
        from = match found.items.last() {
            Some(VersionItem::Version { key, version_id, .. }) if found.is_truncated => {
                VersionStart::AfterVersion(key.clone(), *version_id)
            }
            Some(VersionItem::CommonPrefix(prefix)) if found.is_truncated => {
                VersionStart::AfterKey(prefix.clone())
            }
            _ => return names,
        };
    }
}

fn model_rolled(model: &Model, prefix: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for (key, versions) in model.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match key[prefix.len()..].find('/') {
            Some(at) => names.push(format!("{}*", &key[..=prefix.len() + at])),
            None => names.extend(versions.iter().map(|_| key.clone())),
        }
    }
    names.dedup_by(|one, next| one == next && one.ends_with('*'));
    names
}

async fn check(namespace: &Namespace, root: u64, model: &Model, page: usize) {
    let listed = all_versions(namespace, root, page).await;
    let listed: Vec<_> = listed
        .into_iter()
        .map(|item| match item {
            VersionItem::Version { key, version_id, is_latest, delete_marker, etag, .. } => {
                (String::from_utf8(key).unwrap(), version_id, is_latest, delete_marker, etag)
            }
            item @ VersionItem::CommonPrefix(_) => panic!("{item:?}"),
        })
        .collect();
    let expected: Vec<_> = model
        .iter()
        .flat_map(|(key, versions)| {
            versions.iter().enumerate().map(move |(at, (id, number))| {
                (key.clone(), *id, at == 0, number.is_none(), number.and_then(|number| content(number).etag))
            })
        })
        .collect();
    assert_eq!(listed, expected);
    for prefix in ["", "a", "a/", "a/b/", "b/"] {
        assert_eq!(rolled(namespace, root, prefix, page).await, model_rolled(model, prefix), "{prefix}");
    }

    let list = namespace.list(root, ListQuery { limit: 1_000, ..ListQuery::default() }).await.unwrap();
    let keys: Vec<_> = list
        .items
        .iter()
        .map(|item| match item {
            ListItem::Key { key, .. } => String::from_utf8(key.clone()).unwrap(),
            ListItem::CommonPrefix(prefix) => panic!("{prefix:?}"),
        })
        .collect();
    let is_live = |versions: &Vec<(VersionId, Option<u32>)>| {
        versions.first().is_some_and(|(_, number)| number.is_some())
    };
    let live: Vec<_> =
        model.iter().filter(|(_, versions)| is_live(versions)).map(|(key, _)| key.clone()).collect();
    assert_eq!(keys, live);

    for key in KEYS {
        let versions = model.get(key).cloned().unwrap_or_default();
        for (id, number) in &versions {
            match (namespace.get_version(root, key.as_bytes(), Some(*id)).await, number) {
                (Ok(record), Some(number)) => {
                    assert_eq!(record.extents, content(*number).extents, "{key} {id}");
                }
                (Err(NamespaceError::DeleteMarker(found, _)), None) => assert_eq!(found, *id),
                (found, _) => panic!("{key} {id}: {found:?}"),
            }
        }
        let marker = versions.first().filter(|(_, number)| number.is_none()).map(|(id, _)| *id);
        let found = namespace.latest_marker(root, key.as_bytes()).await.unwrap();
        assert_eq!(found.map(|(id, _)| id), marker, "{key}");
    }
    // What a mount shows: nothing but the names of live keys.
    let (entries, _) = namespace.read_directory(root, None, 100).await.unwrap();
    let mut shown: Vec<_> = entries.into_iter().map(|entry| String::from_utf8(entry.name).unwrap()).collect();
    let mut expected: Vec<_> = live
        .iter()
        .map(|key| key.split('/').next().unwrap().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    shown.sort();
    expected.sort();
    expected.dedup();
    assert_eq!(shown, expected);
}

async fn run(namespace: &Namespace, root: u64, operations: Vec<Operation>, page: usize) {
    let (mut model, mut versioning, mut number) = (Model::new(), Versioning::Off, 0);
    for operation in operations {
        match operation {
            Operation::Versioning(next) => {
                namespace.set_versioning("b", next).await.unwrap();
                versioning = next;
            }
            Operation::Put(key) => {
                number += 1;
                let made = put(namespace, root, KEYS[key], number).await;
                model_put(&mut model, versioning, KEYS[key], made.version_id, Some(number));
            }
            Operation::Delete(key) => {
                let deleted = namespace.delete(root, KEYS[key].as_bytes(), Preconditions::default()).await;
                match (versioning, deleted) {
                    (Versioning::Off, Ok(deleted)) => {
                        assert_eq!(deleted, Deleted::default());
                        assert!(model.remove(KEYS[key]).is_some());
                    }
                    (Versioning::Off, Err(error)) => {
                        assert!(matches!(error, NamespaceError::NotFound) && !model.contains_key(KEYS[key]));
                    }
                    (_, deleted) => {
                        let deleted = deleted.unwrap();
                        assert!(deleted.delete_marker);
                        model_put(&mut model, versioning, KEYS[key], deleted.version_id.unwrap(), None);
                    }
                }
            }
            Operation::DeleteVersion(key, at) => {
                let versions = model.entry(KEYS[key].to_owned()).or_default();
                let gone = (at < versions.len()).then(|| versions.remove(at));
                let id = gone.map_or(VersionId::Number(7), |(id, _)| id);
                let deleted = namespace
                    .delete_version(root, KEYS[key].as_bytes(), id, Preconditions::default())
                    .await
                    .unwrap();
                let was_marker = gone.is_some_and(|(_, number)| number.is_none());
                assert_eq!(deleted, Deleted { version_id: Some(id), delete_marker: was_marker });
            }
        }
        model.retain(|_, versions| !versions.is_empty());
        check(namespace, root, &model, page).await;
    }
    // Of every file exactly those of versions that are there are kept.
    let freed = namespace.freed(u64::MAX, 10_000).await.unwrap();
    let mut freed: Vec<_> = freed.into_iter().map(|freed| freed.file.to_string()).collect();
    let kept: Vec<u32> = model.values().flatten().filter_map(|(_, number)| *number).collect();
    let mut expected: Vec<_> = (1..=number)
        .filter(|number| !kept.contains(number))
        .map(|number| file_id(number).to_string())
        .collect();
    freed.sort();
    expected.sort();
    assert_eq!(freed, expected);

    let refused = namespace.delete_bucket("b").await;
    assert_eq!(refused.is_err(), !model.is_empty());
    for (key, versions) in &model {
        for (id, _) in versions {
            namespace.delete_version(root, key.as_bytes(), *id, Preconditions::default()).await.unwrap();
        }
    }
    // No ghost is left behind.
    if refused.is_err() {
        namespace.delete_bucket("b").await.unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 64 }))]

    #[test]
    fn versions_are_what_a_list_of_them_for_each_key_would_be(
        operations in proptest::collection::vec(operation(), 1..40),
        page in 1..6_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let namespace = Namespace::in_memory(Defaults::default()).unwrap();
            let bucket = namespace.create_bucket("b", NewBucket::default()).await.unwrap();
            run(&namespace, bucket.root, operations, page).await;
        });
    }
}

async fn versions_of(namespace: &Namespace, root: u64, key: &str) -> Vec<(bool, Option<ETag>)> {
    let all = all_versions(namespace, root, 1_000).await;
    let of_key = all.into_iter().filter_map(|item| match item {
        VersionItem::Version { key: other, delete_marker, etag, .. } if other == key.as_bytes() => {
            Some((delete_marker, etag))
        }
        _ => None,
    });
    of_key.collect()
}

async fn write(namespace: &Namespace, inode: u64, number: u32) {
    let NewFile { extents, size, etag, .. } = content(number);
    namespace.set_content(inode, extents, size, etag.unwrap(), None).await.unwrap();
}

#[test]
fn a_mount_makes_one_version_for_each_time_a_file_is_open() {
    for_every_engine(|namespace, root| async move {
        namespace.set_versioning("b", Versioning::Enabled).await.unwrap();
        let inode = namespace.make(root, b"f", NewInode::default()).await.unwrap().inode;
        namespace.hold(inode);
        write(&namespace, inode, 1).await;
        write(&namespace, inode, 2).await;
        namespace.release(inode).await.unwrap();
        let etag = |number| content(number).etag;
        assert_eq!(versions_of(&namespace, root, "f").await, [(false, etag(2))]);

        namespace.hold(inode);
        write(&namespace, inode, 3).await;
        write(&namespace, inode, 4).await;
        namespace.release(inode).await.unwrap();
        assert_eq!(versions_of(&namespace, root, "f").await, [(false, etag(4)), (false, etag(2))]);

        // S3 puts another content while a program has the file open: what is written to the old one is in no version.
        namespace.hold(inode);
        put(&namespace, root, "f", 5).await;
        write(&namespace, inode, 6).await;
        namespace.release(inode).await.unwrap();
        assert_eq!(
            versions_of(&namespace, root, "f").await,
            [(false, etag(5)), (false, etag(4)), (false, etag(2))]
        );

        namespace.unlink(root, b"f").await.unwrap();
        assert!(namespace.lookup(root, b"f").await.is_err());
        assert_eq!(versions_of(&namespace, root, "f").await[..2], [(true, None), (false, etag(5))]);
        let freed = namespace.freed(u64::MAX, 100).await.unwrap();
        assert_eq!(freed.len(), 3, "contents that were in no version: 1, 3 and 6");
        tokio::time::timeout(Duration::from_secs(30), namespace.remove_orphans()).await.unwrap().unwrap();
    });
}

#[test]
fn a_rename_leaves_history_behind_and_directories_with_any_do_not_move() {
    for_every_engine(|namespace, root| async move {
        let etag = |number| content(number).etag;
        put(&namespace, root, "d/old", 1).await;
        let directory = namespace.lookup(root, b"d").await.unwrap().inode;
        namespace.set_versioning("b", Versioning::Enabled).await.unwrap();
        put(&namespace, root, "d/new", 2).await;
        namespace.rename(directory, b"old", directory, b"new", RenameMode::Replace).await.unwrap();
        assert_eq!(versions_of(&namespace, root, "d/old").await, [(true, None), (false, etag(1))]);
        assert_eq!(versions_of(&namespace, root, "d/new").await, [(false, etag(1)), (false, etag(2))]);

        let moved = namespace.rename(root, b"d", root, b"e", RenameMode::Replace).await;
        assert!(matches!(moved, Err(NamespaceError::CrossBucket)));
        let empty = NewInode { kind: Kind::Directory, mode: 0o755, ..NewInode::default() };
        namespace.make(root, b"empty", empty.clone()).await.unwrap();
        namespace.rename(root, b"empty", root, b"e", RenameMode::Replace).await.unwrap();

        // Emptied, it can be removed; made again, its history is below it as before.
        assert!(matches!(namespace.remove_directory(root, b"d").await, Err(NamespaceError::NotEmpty)));
        namespace.unlink(directory, b"new").await.unwrap();
        namespace.remove_directory(root, b"d").await.unwrap();
        assert!(namespace.lookup(root, b"d").await.is_err());
        let (entries, _) = namespace.read_directory(root, None, 10).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(namespace.attributes(root).await.unwrap().links, 3);
        namespace.make(root, b"d", empty).await.unwrap();
        assert_eq!(namespace.lookup(root, b"d").await.unwrap().inode, directory);
        assert_eq!(namespace.attributes(root).await.unwrap().links, 4);
        assert_eq!(versions_of(&namespace, root, "d/new").await.len(), 3);
        assert!(matches!(
            namespace.rename(root, b"e", root, b"d", RenameMode::Replace).await,
            Err(NamespaceError::CrossBucket)
        ));
    });
}

#[test]
fn hard_links_are_versions_of_each_of_their_names() {
    for_every_engine(|namespace, root| async move {
        let etag = |number| content(number).etag;
        namespace.set_versioning("b", Versioning::Enabled).await.unwrap();
        let inode = put(&namespace, root, "one", 1).await.inode;
        namespace.link(inode, root, b"two").await.unwrap();
        put(&namespace, root, "one", 2).await;
        assert_eq!(versions_of(&namespace, root, "one").await, [(false, etag(2)), (false, etag(1))]);
        assert_eq!(versions_of(&namespace, root, "two").await, [(false, etag(1))]);
        namespace.link(namespace.lookup(root, b"two").await.unwrap().inode, root, b"three").await.unwrap();
        write(&namespace, inode, 3).await;
        for name in ["two", "three"] {
            assert_eq!(
                versions_of(&namespace, root, name).await,
                [(false, etag(3)), (false, etag(1))],
                "{name}"
            );
        }
    });
}
