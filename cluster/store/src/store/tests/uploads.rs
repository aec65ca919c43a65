//! Tests of new files, slaves, reading, info and delete.

use fdfs_types::{FileKind, SizeField};

use super::*;
use crate::PathSelection;

#[test]
fn an_uploaded_file_is_named_readable_and_in_the_binlog() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let content: Vec<u8> = (0..100_000u32).map(|n| n as u8).collect();
    let file = upload(&store, "jpg", &content);
    assert_eq!(file.crc32, crc32fast::hash(&content));
    let fields = file.filename.fields().unwrap();
    assert_eq!((fields.source, fields.crc32), (SOURCE, file.crc32));
    assert_eq!((fields.size.size(), fields.created()), (Some(100_000), file.modified));
    assert_eq!(file.filename.as_str().len(), 44);
    assert!(file.filename.as_str().starts_with("M00/00/00/"));
    let tail = file.filename.tail();
    assert!(tail.ends_with(".jpg") && tail[..3].bytes().all(|byte| byte.is_ascii_digit()), "{tail}");
    assert_eq!(read(&store, &file.filename).unwrap(), content);
    assert_eq!(log(&store), [format!("C {}", file.filename)]);
    let info = store.info(&file.filename, true).unwrap();
    assert_eq!((info.size, info.crc32, info.kind), (100_000, Some(file.crc32), FileKind::Normal));
    assert_eq!((info.modified, info.source), (file.modified, SOURCE));
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn an_empty_file_is_a_file() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let file = upload(&store, "", b"");
    assert_eq!((file.size, file.crc32), (0, 0));
    assert_eq!(store.open_file(&file.filename).unwrap().range(0, 0).unwrap(), 0..0);
    assert_eq!(errno(store.open_file(&file.filename).unwrap().range(1, 0)), 22);
}

#[test]
fn a_range_is_clipped_at_the_end_and_refused_behind_it() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let open = store.open_file(&upload(&store, "", b"0123456789").filename).unwrap();
    assert_eq!(open.range(0, 0).unwrap(), 0..10);
    assert_eq!(open.range(3, 4).unwrap(), 3..7);
    assert_eq!(open.range(3, u64::MAX).unwrap(), 3..10);
    assert_eq!(errno(open.range(10, 0)), 22);
}

#[test]
fn an_upload_that_is_dropped_or_has_the_wrong_length_leaves_nothing() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let new = NewFile { size: Some(4), ..new_file("txt") };
    let mut dropped = store.create(&new).unwrap();
    dropped.write(b"1234").unwrap();
    assert!(store.list(0, None, 9).unwrap().files.is_empty());
    drop(dropped);
    assert_eq!(errno(put(&store, &new, b"12345")), 22);
    assert_eq!(errno(put(&store, &new, b"123")), 22);
    assert_eq!(temporary_files(base.path()), 0);
    assert!(log(&store).is_empty());
}

#[test]
fn equal_files_of_one_second_get_different_names() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let names: std::collections::HashSet<_> =
        (0..500).map(|_| upload(&store, "tar.gz", b"same").filename).collect();
    assert_eq!(names.len(), 500);
    assert_eq!(log(&store).len(), 500);
}

#[test]
fn uploads_of_many_threads_are_all_there() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let store = store.clone();
            scope.spawn(move || {
                for number in 0..50u8 {
                    let file = upload(&store, "", &[thread, number]);
                    assert_eq!(read(&store, &file.filename).unwrap(), [thread, number]);
                    if number % 5 == 0 {
                        store.delete(&file.filename).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(log(&store).len(), 8 * 60);
}

#[test]
fn a_directory_gets_its_share_and_then_the_next() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.distribution = Distribution::RoundRobin { rotate_count: 2 };
    let store = Store::open(&options).unwrap();
    let directories = |store: &Store, count| -> Vec<String> {
        (0..count).map(|_| upload(store, "", b"x").filename.as_str()[4..9].to_owned()).collect()
    };
    assert_eq!(
        directories(&store, 9),
        "00/00 00/00 00/01 00/01 00/02 00/02 00/03 00/03 01/00".split(' ').collect::<Vec<_>>()
    );
    store.close().unwrap();
    drop(store);
    let store = Store::open(&options).unwrap();
    assert_eq!(directories(&store, 2), ["01/00", "01/01"]);
}

#[test]
fn a_directory_that_somebody_removed_is_made_again() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    fs::remove_dir_all(base.path().join("data/00")).unwrap();
    let file = upload(&store, "", b"x");
    assert_eq!(read(&store, &file.filename).unwrap(), b"x");
}

#[test]
fn store_paths_take_turns_but_not_read_only_ones() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    for number in 1..4 {
        let path = base.path().join(format!("disk{number}"));
        fs::create_dir(&path).unwrap();
        options.store_paths.push(StorePathOptions { path, read_only: number == 2 });
    }
    let store = Store::open(&options).unwrap();
    let paths: Vec<_> = (0..6).map(|_| upload(&store, "", b"x").filename.store_path()).collect();
    assert!(!paths.contains(&2) && [0, 1, 3].iter().all(|path| paths.contains(path)), "{paths:?}");
    let at = |byte: u8| {
        let new = NewFile { store_path: byte.into(), ..new_file("") };
        put(&store, &new, b"x").map(|file| file.filename.store_path())
    };
    assert_eq!(at(3).unwrap(), 3);
    assert_ne!(at(2).unwrap(), 2);
    assert_ne!(at(255).unwrap(), 2);
    assert_eq!(errno(at(4)), 22);

    let mut policy = store.policy();
    policy.store_path = PathSelection::LoadBalance;
    store.set_policy(policy);
    assert!(at(255).is_ok());
}

#[test]
fn nothing_is_accepted_below_the_reserve() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let mut policy = store.policy();
    policy.reserve = Reserve::Ratio(0.99999);
    store.set_policy(policy);
    assert_eq!(errno(put(&store, &new_file(""), b"x")), 28);
    policy.reserve = Reserve::Megabytes(0);
    store.set_policy(policy);
    let free = store.space().free;
    let huge = NewFile { size: Some(free * 2), ..new_file("") };
    assert_eq!(errno(store.create(&huge)), 28);
    let half = NewFile { size: Some(free / 2), ..new_file("") };
    let first = store.create(&half).unwrap();
    assert!(store.space().free <= free / 2 + (1 << 30));
    drop(first);
    assert!(store.space().free > free / 2);
}

#[test]
fn a_slave_lies_beside_its_master() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let slave_file = slave(&store, &master, "_150x150", "png").unwrap();
    let name = slave_file.filename.clone();
    assert_eq!(name.as_str(), master.as_str().replace(".jpg", "_150x150.png"));
    assert_eq!(read(&store, &name).unwrap(), b"slave");
    let info = store.info(&name, true).unwrap();
    assert_eq!((info.kind, info.crc32), (FileKind::Slave, Some(crc32fast::hash(b"slave"))));
    assert_eq!(store.info(&name, false).unwrap().crc32, None);
    assert_eq!(log(&store)[1], format!("C {name}"));

    assert_eq!(errno(slave(&store, &master, "_150x150", "png")), 17);
    let second = slave(&store, &name, "_t", "png").unwrap().filename;
    store.delete(&master).unwrap();
    assert_eq!(errno(slave(&store, &master, "_x", "png")), 2);
    assert!(read(&store, &second).is_ok());
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn two_uploads_of_one_slave_have_one_winner() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let begin =
        || store.create_slave(&master, &"_big".parse().unwrap(), &"jpg".parse().unwrap(), Some(1)).unwrap();
    let (mut first, mut second) = (begin(), begin());
    first.write(b"1").unwrap();
    second.write(b"2").unwrap();
    let name = first.finish().unwrap().filename;
    assert_eq!(errno(second.finish()), 17);
    assert_eq!(read(&store, &name).unwrap(), b"1");
    assert_eq!(log(&store).len(), 2);
}

#[test]
fn slaves_that_would_pass_for_other_files_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let master = upload(&store, "jpg", b"master").filename;
    let (plain, long) = (upload(&store, "", b"plain").filename, "_23456789012345z");
    for (master, prefix, extension) in [
        (&master, "-m", ""),  // the master's metadata
        (&master, "_z", ""),  // 42 bytes: no slave by its length
        (&plain, "_x-m", ""), // the metadata of another slave
    ] {
        assert_eq!(errno(slave(&store, master, prefix, extension)), 22, "{prefix}");
    }
    let mut name = master.clone();
    let refused = loop {
        match slave(&store, &name, long, "jpg") {
            Ok(file) => name = file.filename,
            Err(error) => break error,
        }
    };
    assert_eq!(refused.errno(), 22, "longer than 127 bytes");
}

#[test]
fn a_delete_takes_file_and_metadata_and_is_recorded_once() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    store.set_metadata(&name, crate::MetadataFlag::Overwrite, metadata).unwrap();
    let open = store.open_file(&name).unwrap();
    store.delete(&name).unwrap();
    assert_eq!(log(&store)[2..], [format!("D {name}"), format!("D {name}-m")]);
    assert_eq!(fs::read_dir(local(base.path(), &name).parent().unwrap()).unwrap().count(), 0);
    assert_eq!(open.size, 1);
    assert_eq!(errno(store.delete(&name)), 2);
    assert_eq!(errno(store.info(&name, true)), 2);
    assert_eq!(errno(store.open_file(&name)), 2);
    assert_eq!(log(&store).len(), 4);
}

#[test]
fn sidecars_containers_and_unknown_store_paths_are_not_served() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    store.set_metadata(&name, crate::MetadataFlag::Overwrite, metadata).unwrap();
    fs::write(base.path().join("data/00/00/000001"), "trunk").unwrap();
    for text in [&format!("{name}-m"), "M00/00/00/000001"] {
        let internal: RemoteFilename = text.parse().unwrap();
        assert_eq!(errno(store.open_file(&internal)), 2);
        assert_eq!(errno(store.info(&internal, false)), 2);
        assert_eq!(errno(store.delete(&internal)), 2);
        assert_eq!(errno(store.metadata(&internal)), 2);
        assert_eq!(errno(slave(&store, &internal, "_aaaaaaaaaaaaaaaa"[..16].into(), "jpg")), 2);
    }
    let elsewhere: RemoteFilename = name.as_str().replace("M00", "M01").parse().unwrap();
    assert_eq!(errno(store.open_file(&elsewhere)), 22);
    let trunk: RemoteFilename =
        "M00/00/00/oYYBAGsCeX2IG0eRAAAACw1KEYUAAAAAgAAAQAAAAEA520.txt".parse().unwrap();
    assert_eq!(errno(store.open_file(&trunk)), 2);
}

#[test]
fn names_without_a_store_path_lie_on_the_first() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"old").filename;
    let old: RemoteFilename = name.local_path().parse().unwrap();
    assert_eq!(read(&store, &old).unwrap(), b"old");
    store.delete(&old).unwrap();
    assert_eq!(errno(store.open_file(&name)), 2);
}

#[test]
fn links_are_read_but_a_delete_takes_the_link_alone() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let target = upload(&store, "txt", b"target").filename;
    let link = target.with_base_name(&target.base_name().replace(".txt", "_link.txt")).unwrap();
    std::os::unix::fs::symlink(local(base.path(), &target), local(base.path(), &link)).unwrap();
    assert_eq!(read(&store, &link).unwrap(), b"target");
    assert_eq!(store.info(&link, true).unwrap().size, 6);
    store.delete(&link).unwrap();
    assert_eq!(read(&store, &target).unwrap(), b"target");
}

#[test]
fn with_fsync_on_everything_still_works() {
    let base = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.fsync_after_written_bytes = 1;
    let store = Store::open(&options).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    upload(&store, "txt", b"");
    let appender = upload_appender(&store, b"1");
    let mut append = store.append(&appender, None).unwrap();
    append.write(b"2").unwrap();
    append.finish().unwrap();
    store.truncate(&appender, 1).unwrap();
    store.regenerate(&appender).unwrap();
    store.delete(&name).unwrap();
    assert_eq!(log(&store).len(), 7);
}

#[test]
fn a_file_of_four_gib_carries_its_plain_size() {
    let field = SizeField::normal((4 << 30) + 5, u32::MAX);
    assert_eq!(field.0, (4 << 30) + 5);
}
