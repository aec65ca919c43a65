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
fn groups_and_storages_are_read_back_as_they_were_saved() {
    let mut away = storage("8", 5);
    (away.status, away.ip) = (StorageStatus::Offline, None);
    away.sync_source = Some("7".parse().unwrap());
    let mut topology = Topology::default();
    for (name, storages) in [("group1", vec![storage("7", 0), away]), ("group2", vec![])] {
        let mut group = group(storages);
        group.record.group = name.parse().unwrap();
        topology.groups.insert(group.record.group, group);
    }
    let bytes = topology.to_bytes();
    let again = Topology::from_bytes(&bytes).unwrap();
    assert_eq!(again.groups.len(), 2);
    for (name, group) in &topology.groups {
        assert_eq!(
            (&again.groups[name].record, &again.groups[name].storages),
            (&group.record, &group.storages)
        );
    }
    assert!(Topology::from_bytes(&Topology::default().to_bytes()).unwrap().groups.is_empty());
    for length in 0..bytes.len() {
        assert!(Topology::from_bytes(&bytes[..length]).is_none(), "cut to {length}");
        let mut changed = bytes.clone();
        changed[length] ^= 1;
        assert!(Topology::from_bytes(&changed).is_none(), "changed at {length}");
    }
}

#[test]
fn a_storage_that_serves_again_is_told_from_one_that_did_before() {
    let of = |storages| Topology { groups: [("group1".parse().unwrap(), group(storages))].into() };
    let (mut second, mut silent) = (storage("8", 0), storage("7", 0));
    second.ip = Some(IpAddr::from([127, 0, 0, 3]));
    silent.status = StorageStatus::Offline;
    let both = of(vec![storage("7", 0), second.clone()]);
    assert_eq!(both.newly_active(&of(vec![silent, second])), [SocketAddr::from(([127, 0, 0, 2], 23000))]);
    assert_eq!(both.newly_active(&both), []);
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
