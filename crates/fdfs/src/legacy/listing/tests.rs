//! What the list of a cluster looks like, line by line.

use std::net::IpAddr;

use fdfs_proto::StorageStat;

use super::*;

fn storage(id: &str, last_source_update: i64, last_synced: i64) -> StorageRecord {
    StorageRecord {
        status: StorageStatus::Active,
        rw_mode: RwMode::Both,
        id: id.parse().unwrap(),
        ip: Some(IpAddr::from([127, 0, 8, 9])),
        sync_source: None,
        version: "6.16.1".to_owned(),
        joined: Timestamp(1_700_000_000),
        started: Timestamp::ZERO,
        total_mb: 10_240,
        free_mb: 10_239,
        reserved_mb: 1025,
        upload_priority: 10,
        store_path_count: 1,
        subdir_count: 256,
        write_path: 0,
        port: 23000,
        stat: StorageStat {
            last_source_update: Timestamp(last_source_update),
            last_synced: Timestamp(last_synced),
            ..StorageStat::default()
        },
        is_trunk_server: true,
    }
}

fn group(storages: Vec<StorageRecord>) -> Group {
    let record = GroupRecord {
        group: "g1".parse().unwrap(),
        total_mb: 1023,
        free_mb: 512,
        reserved_mb: 10,
        trunk_free_mb: 5,
        storage_count: storages.len() as u64,
        port: None,
        readable_count: 1,
        writable_count: 1,
        write_server: 0,
        store_path_count: 1,
        subdir_count: 256,
        trunk_file_id: Some(7),
    };
    Group { record, storages }
}

#[test]
fn a_group_looks_as_in_the_original() {
    let text = Listing::new(&[group(vec![storage("id", 0, 0)])], true).to_string();
    let head = "\
group count: 1

Group 1:
group name = g1
disk total space     = 1023 MB
disk free space      =  512 MB
disk reserved space  =   10 MB
disk available space =  502 MB
trunk free space =  5.0 MB
storage server count = 1
readable server count = 1
writable server count = 1
storage server port = -1
store path count = 1
subdir count per path = 256
current write server index = 0
current trunk server = id (127.0.8.9)
current trunk file id = 7

\tStorage 1:
\t\tid = id
\t\thost = 127.0.8.9:23000  ACTIVE
\t\tread write mode = both (normal)
\t\tversion = 6.16.1
";
    assert!(text.starts_with(head), "{text}");
    let tail = text.split("\t\tup time = \n").nth(1).unwrap();
    let space = "\
\t\tdisk total space     =   10 GB
\t\tdisk free space      =   10 GB
\t\tdisk reserved space  =  1.0 GB
\t\tdisk available space =  9.0 GB
\t\tupload priority = 10
";
    assert!(tail.starts_with(space), "{tail}");
    let keys: Vec<_> = tail.lines().filter_map(|line| line.trim().split(" =").next()).collect();
    assert_eq!(keys.len(), 55);
    assert_eq!(keys.iter().filter(|key| **key == "stotal_download_bytes").count(), 1);
    assert!(text.ends_with("00 \n"), "no delay of a lonely storage");
}

#[test]
fn one_group_alone_is_not_counted() {
    let text = Listing::new(&[group(Vec::new())], false).to_string();
    assert!(text.starts_with("group name = g1\n"));
    assert_eq!(Listing::new(&[], false).to_string(), "");
    assert_eq!(Listing::new(&[], true).to_string(), "group count: 0\n");
}

#[test]
fn space_has_four_places() {
    let cases = [
        (0, "   0  B"),
        (5, " 5.0 MB"),
        (10, "  10 MB"),
        (1023, "1023 MB"),
        (1024, " 1.0 GB"),
        (10_188, " 9.9 GB"),
        (10_189, "  10 GB"),
        (1_048_575, "1024 GB"),
        (5_000_000, " 4.8 TB"),
        (50_000_000_000, "  47 PB"),
    ];
    for (mb, text) in cases {
        assert_eq!(Space(mb).to_string(), text, "{mb}");
    }
}

#[test]
fn delays_are_worded() {
    let cases = [
        (0, "0 second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (3661, "1 hour 1 minute 1 second"),
        (86_400, "1 day"),
        (200_000, "2 days 7 hours 33 minutes 20 seconds"),
    ];
    for (seconds, text) in cases {
        assert_eq!(duration(seconds), text, "{seconds}");
    }
}

#[test]
fn a_storage_is_behind_the_last_change_at_another_one() {
    let storages = [storage("a", 1000, 900), storage("b", 500, 980)];
    let delay = |index: usize| Member { storage: &storages[index], others: &storages }.delay();
    assert_eq!(delay(0), "(0 second delay)");
    assert_eq!(delay(1), "(20 seconds delay)");
}
