//! Tests of names that were deleted: what peers still send of them does not bring them back.

use fdfs_types::Timestamp;

use super::{
    replicas::{TIME, feed, name_of},
    *,
};
use crate::{MetadataFlag, Replicated};

fn create(store: &Store, name: &RemoteFilename, time: i64, content: &[u8]) -> Replicated {
    feed(store.receive_create(name, content.len() as u64, Timestamp(time)), content).unwrap()
}

fn update(store: &Store, name: &RemoteFilename, time: i64, content: &[u8]) -> Replicated {
    feed(store.receive_update(name, content.len() as u64, Timestamp(time)), content).unwrap()
}

fn delete(store: &Store, name: &RemoteFilename, time: i64) -> Replicated {
    store.replicate_delete(name, Timestamp(time)).unwrap()
}

fn with_tail(name: &RemoteFilename, tail: &str) -> RemoteFilename {
    format!("{name}{tail}").parse().unwrap()
}

const T: i64 = TIME.0;

#[test]
fn a_file_whose_delete_comes_first_never_comes() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    assert_eq!(delete(&store, &name, T + 5), Replicated::Lacks);
    assert!(store.was_deleted(&name));
    drop(store);
    let store = Store::open(&options(base.path())).unwrap();
    // The name is not given twice: no time makes a difference.
    for time in [T, T + 5, T + 9] {
        assert_eq!(create(&store, &name, time, b"content"), Replicated::Has);
        assert_eq!(update(&store, &name, time, b"content"), Replicated::Done);
        assert_eq!(feed(store.receive_known(&name, Timestamp(time)), b"").unwrap(), Replicated::Has);
        assert_eq!(create(&store, &with_tail(&name, "-m"), time, b"a\x02b"), Replicated::Has);
    }
    assert_eq!(errno(read(&store, &name)), 2);
    assert_eq!(log(&store), [""; 0]);
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn a_delete_that_comes_while_the_file_comes_wins() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    let mut replica = store.receive_create(&name, 7, TIME).unwrap();
    replica.write(b"content").unwrap();
    assert_eq!(delete(&store, &name, T), Replicated::Lacks);
    assert_eq!(replica.finish().unwrap(), Replicated::Has);
    assert_eq!(errno(read(&store, &name)), 2);
}

#[test]
fn what_was_deleted_here_does_not_come_back_either() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, T, b"content");
    store.delete(&name).unwrap();
    assert_eq!(create(&store, &name, T, b"content"), Replicated::Has);
    let other = name_of(b"other", "001.txt", false);
    create(&store, &other, T, b"other");
    assert_eq!(delete(&store, &other, T), Replicated::Done);
    assert_eq!(create(&store, &other, T, b"other"), Replicated::Has);
    let link = name_of(b"link", "001.txt", false);
    assert_eq!(delete(&store, &link, T), Replicated::Lacks);
    assert_eq!(store.replicate_link(&link, &name, TIME).unwrap(), Replicated::Lacks);
    for name in [&name, &other, &link] {
        assert!(!store.is_there(name));
    }
}

#[test]
fn a_renamed_file_does_not_come_back_under_its_old_name() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    // Renamed here, renamed by a peer, renamed by a peer before the file has come.
    let mine = upload_appender(&store, b"bytes");
    store.regenerate(&mine).unwrap();
    let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
    create(&store, &old, T, b"bytes");
    assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Done);
    let [late, late_new] = [true, false].map(|appender| name_of(b"late", "001.log", appender));
    assert_eq!(store.replicate_rename(&late_new, &late, TIME).unwrap(), Replicated::Lacks);
    for name in [&mine, &old, &late] {
        assert_eq!(create(&store, name, T, b"bytes"), Replicated::Has);
        assert!(!store.is_there(name));
    }
    assert_eq!(create(&store, &late_new, T, b"late"), Replicated::Done);
}

#[test]
fn a_file_deleted_under_its_new_name_goes_when_its_rename_comes() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let [old, new] = [true, false].map(|appender| name_of(b"bytes", "001.log", appender));
    create(&store, &old, T, b"bytes");
    assert_eq!(delete(&store, &new, T + 1), Replicated::Lacks);
    assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Has);
    assert!(!store.is_there(&old) && !store.is_there(&new));
    assert_eq!(log(&store), [format!("c {old}"), format!("d {old}")]);
}

#[test]
fn a_slave_that_is_made_anew_counts_from_then_on() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let master = name_of(b"master", "001.jpg", false);
    create(&store, &master, T, b"master");
    let small: RemoteFilename = master.as_str().replace(".jpg", "_small.jpg").parse().unwrap();
    assert_eq!(delete(&store, &small, T + 5), Replicated::Lacks);
    assert_eq!(create(&store, &small, T + 4, b"old"), Replicated::Has);
    assert!(!store.is_there(&small));
    assert_eq!(create(&store, &small, T + 5, b"new"), Replicated::Done);
    // What was there before is not sought anew, and its delete comes too late.
    assert_eq!(create(&store, &small, T + 4, b"older"), Replicated::Has);
    assert_eq!(create(&store, &small, T + 6, b"newer"), Replicated::Done);
    assert_eq!(delete(&store, &small, T + 5), Replicated::Lacks);
    assert_eq!(read(&store, &small).unwrap(), b"newer");
    assert_eq!(delete(&store, &small, T + 6), Replicated::Done);
}

#[test]
fn a_slave_of_a_client_clears_the_tombstone_and_is_later_than_it() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let first = slave(&store, &master, "_small", "jpg").unwrap();
    store.delete(&first.filename).unwrap();
    // A peer whose clock goes ahead has deleted it.
    let ahead = first.modified.0 + 1000;
    delete(&store, &first.filename, ahead);
    let second = slave(&store, &master, "_small", "jpg").unwrap();
    assert_eq!((second.filename.clone(), second.modified.0), (first.filename, ahead + 1));
    assert!(!store.was_deleted(&second.filename));
    assert_eq!(read(&store, &second.filename).unwrap(), b"slave");
    let records = store.delete(&second.filename).unwrap();
    assert_eq!(records[0].timestamp, ahead + 2);
}

#[test]
fn metadata_deleted_and_set_at_two_members_end_the_same() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, T, b"content");
    let sidecar = with_tail(&name, "-m");
    assert_eq!(delete(&store, &sidecar, T + 5), Replicated::Lacks);
    assert_eq!(update(&store, &sidecar, T + 4, b"a\x02old"), Replicated::Done);
    assert!(store.metadata(&name).is_err());
    assert_eq!(update(&store, &sidecar, T + 6, b"a\x02new"), Replicated::Done);
    assert_eq!(delete(&store, &sidecar, T + 5), Replicated::Lacks);
    assert_eq!(store.metadata(&name).unwrap(), b"a\x02new");
    store.set_metadata(&name, MetadataFlag::Overwrite, fdfs_types::Metadata::new()).unwrap();
    assert_eq!(create(&store, &sidecar, T + 6, b"a\x02new"), Replicated::Has);
}

#[test]
fn a_damaged_file_is_healed_whatever_was_deleted_before() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, T, b"content");
    fs::write(local(base.path(), &name), b"damaged").unwrap();
    assert_eq!(create(&store, &name, T, b"content"), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"content");
}
