//! Tests of store paths that were wiped or replaced.

use fdfs_types::Timestamp;

use super::*;
use crate::RecoveryFlag;

/// A storage that has joined its group, with one file; its base path is not its store path.
fn joined(directory: &Path) -> (StoreOptions, RemoteFilename) {
    let disk = directory.join("disk");
    fs::create_dir(&disk).unwrap();
    let mut options = options(&directory.join("base"));
    options.store_paths[0].path = disk;
    let store = Store::open(&options).unwrap();
    assert_eq!(store.report().wiped_paths, []);
    store.update_init_flag(|flag| flag.sync_old_done = true).unwrap();
    let name = upload(&store, "txt", b"content").filename;
    (options, name)
}

fn wipe(options: &StoreOptions) {
    let data = options.store_paths[0].path.join("data");
    fs::remove_dir_all(&data).unwrap();
}

#[test]
fn a_wiped_path_is_noted_before_its_directories_are_made_and_until_it_is_filled() {
    let directory = tempfile::tempdir().unwrap();
    let (options, name) = joined(directory.path());
    assert!(!Store::open(&options).unwrap().lacks(&name).unwrap());
    wipe(&options);
    for _ in 0..2 {
        let store = Store::open(&options).unwrap();
        assert_eq!(store.report().wiped_paths, [0]);
        assert_eq!(store.recoveries()[0].flag().unwrap(), Some(RecoveryFlag::INTENT));
        assert!(store.lacks(&name).unwrap());
    }
    Store::open(&options).unwrap().recoveries()[0].clear().unwrap();
    assert_eq!(Store::open(&options).unwrap().report().wiped_paths, []);
}

#[test]
fn a_path_whose_mark_has_gone_is_taken_for_wiped() {
    let directory = tempfile::tempdir().unwrap();
    let (options, _) = joined(directory.path());
    fs::remove_file(options.store_paths[0].path.join("data/.fastdfs_vars")).unwrap();
    assert_eq!(Store::open(&options).unwrap().report().wiped_paths, [0]);
}

#[test]
fn a_storage_that_has_no_source_yet_recovers_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (options, _) = joined(directory.path());
    Store::open(&options).unwrap().update_init_flag(|flag| flag.sync_old_done = false).unwrap();
    wipe(&options);
    assert_eq!(Store::open(&options).unwrap().report().wiped_paths, []);
}

#[test]
fn a_file_that_does_not_have_the_size_of_its_name_is_lacked() {
    let directory = tempfile::tempdir().unwrap();
    let (options, name) = joined(directory.path());
    fs::write(options.store_paths[0].path.join("data").join(name.local_path()), "half").unwrap();
    assert!(Store::open(&options).unwrap().lacks(&name).unwrap());
}

#[test]
fn what_was_deleted_last_is_told_from_what_was_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let (options, kept) = joined(directory.path());
    let store = Store::open(&options).unwrap();
    let gone = upload(&store, "txt", b"gone");
    store.delete(&gone.filename).unwrap();
    let master = upload(&store, "txt", b"master").filename;
    let again = slave(&store, &master, "_again", "txt").unwrap().filename;
    store.delete(&again).unwrap();
    slave(&store, &master, "_again", "txt").unwrap();
    let deletions = store.deletions(0).unwrap();
    assert!(deletions.covers(&gone.filename, gone.modified));
    assert!(!deletions.covers(&gone.filename, Timestamp(i64::MAX)));
    assert!(!deletions.covers(&kept, gone.modified));
    assert!(!deletions.covers(&again, Timestamp(7)));
}
