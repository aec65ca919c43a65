//! Who surely has a file.

use fdfs_proto::StorageStat;
use fdfs_types::{NameFields, RemoteFilename, RwMode, ServerId, SizeField, Subdir};

use super::*;

const CREATED: i64 = 1_795_000_000;

fn storage(id: &str, last_synced: i64) -> StorageRecord {
    StorageRecord {
        status: StorageStatus::Active,
        rw_mode: RwMode::Both,
        id: id.parse().unwrap(),
        ip: Some(IpAddr::from([127, 0, 0, 2])),
        sync_source: None,
        version: String::new(),
        joined: Timestamp::ZERO,
        started: Timestamp::ZERO,
        total_mb: 0,
        free_mb: 0,
        reserved_mb: 0,
        upload_priority: 0,
        store_path_count: 1,
        subdir_count: 256,
        write_path: 0,
        port: 23000,
        stat: StorageStat { last_synced: Timestamp(last_synced), ..StorageStat::default() },
        is_trunk_server: false,
    }
}

fn group(storages: Vec<StorageRecord>) -> Group {
    let record = GroupRecord {
        group: "group1".parse().unwrap(),
        total_mb: 0,
        free_mb: 0,
        reserved_mb: 0,
        trunk_free_mb: 0,
        storage_count: storages.len() as u64,
        port: None,
        readable_count: 0,
        writable_count: 0,
        write_server: 0,
        store_path_count: 1,
        subdir_count: 256,
        trunk_file_id: None,
    };
    Group { record, storages }
}

/// A file that storage 7 took.
fn file(size: SizeField) -> FileId {
    let fields =
        NameFields { source: Source::Id(ServerId::new(7).unwrap()), created: CREATED as u32, size, crc32: 1 };
    let subdir = Subdir { high: 0, low: 0 };
    let filename = RemoteFilename::compose(0, subdir, &fields, None, "000.dat").unwrap();
    FileId { group: "group1".parse().unwrap(), filename }
}

fn holders(group: &Group, file_id: &FileId, age: i64) -> Vec<String> {
    let holders = group.holders(file_id, Timestamp(CREATED + age));
    holders.into_iter().map(|storage| storage.id.to_string()).collect()
}

#[test]
fn a_new_file_is_at_its_source_and_where_later_changes_have_arrived() {
    let group = group(vec![storage("7", 0), storage("8", CREATED), storage("9", CREATED + 1)]);
    let file_id = file(SizeField::normal(5, 1));
    assert_eq!(holders(&group, &file_id, 10), ["7", "9"]);
    assert_eq!(holders(&group, &file_id, 301), ["7", "8", "9"]);
}

#[test]
fn an_old_file_is_everywhere() {
    let group = group(vec![storage("7", 0), storage("8", 0)]);
    assert_eq!(holders(&group, &file(SizeField::normal(5, 1)), 86_401), ["7", "8"]);
}

#[test]
fn a_file_that_can_change_is_at_its_source_only() {
    let group = group(vec![storage("7", 0), storage("8", CREATED + 1)]);
    assert_eq!(holders(&group, &file(SizeField::appender(1)), 100_000), ["7"]);
}

#[test]
fn nobody_is_sent_to_a_storage_that_does_not_serve_readers() {
    let mut away = storage("7", 0);
    away.status = StorageStatus::Offline;
    let mut write_only = storage("8", CREATED + 1);
    write_only.rw_mode = RwMode::Write;
    assert!(holders(&group(vec![away, write_only]), &file(SizeField::normal(5, 1)), 10).is_empty());
}
