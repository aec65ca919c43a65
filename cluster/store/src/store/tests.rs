//! Tests of the store on a real disk.

mod appenders;
mod contents;
mod contents_cost;
mod contents_elsewhere;
mod contents_killed;
mod for_peer;
mod full_disk;
mod killed;
mod metadata;
mod metadata_of_peers;
mod recovery;
mod replicas;
mod scrub;
mod tombstones;
mod trunk;
mod uploads;
mod wiped;

use std::{
    fs,
    io::Read,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use fdfs_types::{Extension, RemoteFilename, Source};

use crate::{
    Distribution, NewFile, Position, Reserve, Store, StoreError, StoreOptions, StorePathChoice,
    StorePathOptions, StoredFile,
};

pub(super) const SOURCE: Source = Source::Ip(Ipv4Addr::new(127, 0, 0, 2));

pub(super) fn options(base: &Path) -> StoreOptions {
    let mut options = StoreOptions::new(base, SOURCE);
    options.subdir_count = 4;
    options.policy.reserve = Reserve::Megabytes(0);
    options
}

pub(super) fn new_file(extension: &str) -> NewFile {
    NewFile {
        store_path: StorePathChoice::Any,
        size: None,
        extension: extension.parse().unwrap(),
        appender: false,
        private: false,
    }
}

pub(super) fn upload(store: &Store, extension: &str, content: &[u8]) -> StoredFile {
    put(store, &NewFile { size: Some(content.len() as u64), ..new_file(extension) }, content).unwrap()
}

pub(super) fn upload_appender(store: &Store, content: &[u8]) -> RemoteFilename {
    put(store, &NewFile { appender: true, ..new_file("log") }, content).unwrap().filename
}

pub(super) fn put(store: &Store, new: &NewFile, content: &[u8]) -> Result<StoredFile, StoreError> {
    let mut upload = store.create(new)?;
    for chunk in content.chunks(7000) {
        upload.write(chunk)?;
    }
    upload.finish()
}

pub(super) fn slave(
    store: &Store,
    master: &RemoteFilename,
    prefix: &str,
    ext: &str,
) -> Result<StoredFile, StoreError> {
    let extension: Extension = ext.parse().unwrap();
    let mut upload = store.create_slave(master, &prefix.parse().unwrap(), &extension, Some(5))?;
    upload.write(b"slave")?;
    upload.finish()
}

pub(super) fn read(store: &Store, name: &RemoteFilename) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    store.open_file(name)?.file.read_to_end(&mut bytes).unwrap();
    Ok(bytes)
}

/// The lines of the binlog without their times.
pub(super) fn log(store: &Store) -> Vec<String> {
    let mut reader = store.binlog().reader(Position::default());
    let mut lines = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        let line = entry.record.unwrap().to_string();
        lines.push(line.split_once(' ').unwrap().1.to_owned());
    }
    lines
}

/// Files in the directories of temporary files.
pub(super) fn temporary_files(base: &Path) -> usize {
    fs::read_dir(base.join("data/.tmp")).unwrap().count()
}

pub(super) fn local(base: &Path, name: &RemoteFilename) -> PathBuf {
    base.join("data").join(name.local_path())
}

/// The `errno` of what must fail.
#[track_caller]
pub(super) fn errno<T: std::fmt::Debug>(result: Result<T, StoreError>) -> u8 {
    result.unwrap_err().errno()
}

#[test]
fn a_store_opens_again_with_its_files_and_state() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    assert!(store.report().new_storage);
    assert_eq!(store.report().created_paths, [0]);
    let file = upload(&store, "txt", b"content");
    store.update_init_flag(|flag| flag.sync_old_done = true).unwrap();
    store.stat().add(crate::Counter::TotalUploadCount, 3);
    store.close().unwrap();
    drop(store);

    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(*store.report(), crate::OpenReport::default());
    assert_eq!(read(&store, &file.filename).unwrap(), b"content");
    assert!(store.init_flag().sync_old_done);
    assert_eq!(store.init_flag().last_server_port, 23000);
    assert_eq!(store.stat().get(crate::Counter::TotalUploadCount), 3);
    assert_eq!(store.stat().get(crate::Counter::DistWriteFileCount), 1);
    assert!(store.stat().get(crate::Counter::LastSourceUpdate) > 0);
}

#[test]
fn a_store_that_is_open_is_not_opened_twice() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    assert!(matches!(Store::open(&options(base.path())), Err(crate::OpenError::InUse { .. })));
    drop(store);
    Store::open(&options(base.path())).unwrap();
}

#[test]
fn a_wiped_base_path_does_not_take_over_a_used_store_path() {
    let (base, path) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut options = options(base.path());
    options.store_paths = vec![StorePathOptions { path: path.path().to_owned(), read_only: false }];
    drop(Store::open(&options).unwrap());
    fs::remove_dir_all(base.path().join("data")).unwrap();
    assert!(matches!(Store::open(&options), Err(crate::OpenError::ForeignPath { .. })));
    options.check_store_path_mark = false;
    Store::open(&options).unwrap();
}

#[test]
fn hashing_spreads_over_the_directories() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.distribution = Distribution::Hash;
    let store = Store::open(&options).unwrap();
    let mut seen = std::collections::HashSet::new();
    for number in 0..200u32 {
        let subdir = upload(&store, "", &number.to_le_bytes()).filename.subdir();
        assert!(subdir.high < 4 && subdir.low < 4);
        seen.insert((subdir.high, subdir.low));
    }
    assert!(seen.len() > 8, "{seen:?}");
}

#[test]
fn a_store_path_is_listed_in_pages_without_sidecars_and_containers() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.distribution = Distribution::RoundRobin { rotate_count: 7 };
    let store = Store::open(&options).unwrap();
    let mut names: Vec<_> = (0..25u8).map(|n| upload(&store, "txt", &[n]).filename).collect();
    names.sort();
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    store.set_metadata(&names[3], crate::MetadataFlag::Overwrite, metadata).unwrap();
    fs::write(base.path().join("data/00/00/000001"), "trunk").unwrap();
    for limit in [1, 3, 7, 10, 25, 1000] {
        let mut listed = Vec::new();
        loop {
            let page = store.list(0, listed.last(), limit).unwrap();
            assert!(page.files.len() <= limit && page.files.iter().all(|file| file.size == 1));
            listed.extend(page.files.into_iter().map(|file| file.filename));
            if !page.has_more {
                break;
            }
        }
        assert_eq!(listed, names, "{limit}");
    }
    assert_eq!(errno(store.list(7, None, 10)), 22);
}

#[test]
fn a_file_keeps_its_owner_token_until_it_is_forgotten_or_deleted() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let session = std::num::NonZeroU64::new(7).unwrap();
    let owned = |store: &Store| -> Vec<_> {
        let (files, more) = store.owned_files(session, 0, 100);
        assert!(!more);
        files.into_iter().map(|file| (file.sequence, file.filename)).collect()
    };
    let put_for = |sequence| {
        let mut upload = store.create(&NewFile { appender: true, ..new_file("txt") }).unwrap();
        upload.set_owner(fdfs_proto::ours::OwnerToken { session, sequence });
        upload.finish().unwrap().filename
    };
    let names: Vec<_> = (1..=4).map(put_for).collect();
    store.delete(&names[0]).unwrap();
    store.forget_owned_files(session, &[2]).unwrap();
    let renamed = store.regenerate(&names[2]).unwrap().file.filename;
    let expected = [(3, renamed.clone()), (4, names[3].clone())];
    assert_eq!(owned(&store), expected);
    let owner = Some(fdfs_proto::ours::OwnerToken { session, sequence: 9 });
    let joined = store.join(&[renamed], &new_file("bin"), owner).unwrap().filename;
    drop(store);
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(owned(&store), [expected.to_vec(), vec![(9, joined)]].concat());
    assert!(read(&store, &names[1]).is_ok(), "a file that is forgotten stays");
}

#[test]
fn parts_are_joined_with_their_checksums_combined() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let contents: Vec<Vec<u8>> = [0, 1, 70_000, 3_000_000].iter().map(|&n| vec![n as u8 ^ 0x5A; n]).collect();
    let mut parts: Vec<_> = contents.iter().map(|content| upload(&store, "", content).filename).collect();
    let appender = upload_appender(&store, b"its name tells no checksum");
    let mut append = store.append(&appender, None).unwrap();
    append.write(b" after an append").unwrap();
    append.finish().unwrap();
    parts.push(appender);
    let whole = [contents.concat(), b"its name tells no checksum after an append".to_vec()].concat();

    let joined = store.join(&parts, &new_file("bin"), None).unwrap();
    assert_eq!(joined.size, whole.len() as u64);
    assert_eq!(joined.crc32, crc32fast::hash(&whole));
    assert_eq!(read(&store, &joined.filename).unwrap(), whole);
    assert_eq!(log(&store).last().unwrap(), &format!("C {}", joined.filename));
    assert_eq!(read(&store, &parts[1]).unwrap().len(), 1);

    store.delete(&parts[2]).unwrap();
    assert_eq!(errno(store.join(&parts, &new_file("bin"), None)), 2);
    assert_eq!(temporary_files(base.path()), 0);
    assert_eq!(store.join(&[], &new_file(""), None).unwrap().size, 0);
}
