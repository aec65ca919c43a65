//! Tests of append, modify, truncate and regenerate.

use fdfs_types::FileKind;

use super::*;
use crate::{MetadataFlag, Patched};

fn append(store: &Store, name: &RemoteFilename, bytes: &[u8]) -> Result<Patched, StoreError> {
    let mut patch = store.append(name, Some(bytes.len() as u64))?;
    bytes.chunks(10_000).try_for_each(|chunk| patch.write(chunk))?;
    patch.finish()
}

fn modify(store: &Store, name: &RemoteFilename, offset: u64, bytes: &[u8]) -> Result<Patched, StoreError> {
    let mut patch = store.modify(name, offset, Some(bytes.len() as u64))?;
    bytes.chunks(10_000).try_for_each(|chunk| patch.write(chunk))?;
    patch.finish()
}

#[test]
fn an_appender_file_grows_changes_and_shrinks() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    assert_eq!(name.kind(), Ok(FileKind::Appender));
    assert_eq!(place(append(&store, &name, b"abcdef")), (10, 16));
    assert_eq!(place(modify(&store, &name, 4, b"XYZ")), (4, 16));
    assert_eq!(place(modify(&store, &name, 14, b"longer")), (14, 20));
    store.truncate(&name, 8).unwrap();
    store.truncate(&name, 10).unwrap();
    assert_eq!(read(&store, &name).unwrap(), b"0123XYZ7\0\0");
    let info = store.info(&name, true).unwrap();
    assert_eq!((info.size, info.crc32), (10, Some(crc32fast::hash(b"0123XYZ7\0\0"))));
    assert_eq!(
        log(&store)[1..],
        [
            format!("A {name} 10 6"),
            format!("M {name} 4 3"),
            format!("M {name} 14 6"),
            format!("T {name} 20 8"),
            format!("T {name} 8 10"),
        ]
    );
}

/// Where a change was put, and the size behind it.
fn place(patched: Result<Patched, StoreError>) -> (u64, u64) {
    let patched = patched.unwrap();
    (patched.offset, patched.size)
}

#[test]
fn every_change_returns_the_records_that_tell_it() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    let metadata = || fdfs_types::Metadata::decode(b"a\x021").unwrap();
    let mut records = Vec::new();
    records.extend(append(&store, &name, b"abcdef").unwrap().record);
    records.extend(append(&store, &name, b"").unwrap().record);
    records.extend(modify(&store, &name, 4, b"XYZ").unwrap().record);
    records.extend(store.truncate(&name, 8).unwrap());
    records.extend(store.truncate(&name, 8).unwrap());
    records.extend(store.set_metadata(&name, MetadataFlag::Merge, metadata()).unwrap());
    records.extend(store.set_metadata(&name, MetadataFlag::Overwrite, fdfs_types::Metadata::new()).unwrap());
    records.extend(store.set_metadata(&name, MetadataFlag::Overwrite, metadata()).unwrap());
    let regenerated = store.regenerate(&name).unwrap();
    records.extend(regenerated.records);
    records.extend(store.delete(&regenerated.file.filename).unwrap());
    let binlog = fs::read_to_string(base.path().join("data/sync/binlog.000")).unwrap();
    let lines: Vec<String> = records.iter().map(ToString::to_string).collect();
    assert_eq!(binlog.lines().skip(1).collect::<Vec<_>>(), lines);
    assert_eq!(lines.len(), 11);
}

#[test]
fn an_append_is_taken_back_unless_the_file_has_changed() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    let first = append(&store, &name, b"abc").unwrap();
    let second = append(&store, &name, b"def").unwrap();
    assert_eq!(store.take_back(&name, &first).unwrap(), None);
    assert_eq!(read(&store, &name).unwrap(), b"0123456789abcdef");
    assert!(store.take_back(&name, &second).unwrap().is_some());
    assert_eq!(read(&store, &name).unwrap(), b"0123456789abc");
    assert_eq!(log(&store).last().unwrap(), &format!("T {name} 16 13"));
}

#[test]
fn nothing_to_do_is_done_without_a_record() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    append(&store, &name, b"").unwrap();
    modify(&store, &name, 10, b"").unwrap();
    store.truncate(&name, 10).unwrap();
    assert_eq!(log(&store).len(), 1);
}

#[test]
fn large_changes_go_through_a_temporary_file() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"head");
    let large: Vec<u8> = (0..300_000u32).map(|n| (n / 7) as u8).collect();
    append(&store, &name, &large).unwrap();
    modify(&store, &name, 2, &large).unwrap();
    let expected = [b"he", &large[..], &large[299_998..]].concat();
    assert!(read(&store, &name).unwrap() == expected);
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn a_change_that_is_dropped_changes_nothing() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    for size in [3, 100_000] {
        let mut patch = store.modify(&name, 0, Some(200_000)).unwrap();
        patch.write(&vec![b'x'; size]).unwrap();
        drop(patch);
    }
    let mut patch = store.append(&name, Some(3)).unwrap();
    patch.write(b"xx").unwrap();
    assert_eq!(errno(patch.finish()), 22);
    assert_eq!(errno(store.append(&name, Some(1)).unwrap().write(b"xx")), 22);
    assert_eq!(read(&store, &name).unwrap(), b"0123456789");
    assert_eq!(log(&store).len(), 1);
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn appends_of_many_threads_do_not_mix() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"");
    std::thread::scope(|scope| {
        for thread in 0..8u8 {
            let (store, name) = (&store, &name);
            scope.spawn(move || {
                for _ in 0..20 {
                    append(store, name, &vec![b'a' + thread; 5_000 * usize::from(thread + 8)]).unwrap();
                }
            });
        }
    });
    let content = read(&store, &name).unwrap();
    let mut rest = &content[..];
    while let Some(first) = rest.first() {
        let length = 5_000 * usize::from(first - b'a' + 8);
        assert!(rest[..length].iter().all(|byte| byte == first), "an append was torn");
        rest = &rest[length..];
    }
    let mut expected = 0;
    for line in &log(&store)[1..] {
        let fields: Vec<u64> = line.split(' ').skip(2).map(|field| field.parse().unwrap()).collect();
        assert_eq!(fields[0], expected);
        expected += fields[1];
    }
    assert_eq!(expected, content.len() as u64);
}

#[test]
fn what_cannot_be_changed_is_refused_with_the_originals_number() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let normal = upload(&store, "txt", b"normal").filename;
    let appender = upload_appender(&store, b"0123456789");
    let slave = slave(&store, &appender, "_slave", "log").unwrap().filename;
    let missing: RemoteFilename = appender.as_str().replace("M00/00/00", "M00/00/01").parse().unwrap();
    let short: RemoteFilename = appender.as_str()[..43].parse().unwrap();
    let link = appender.with_base_name(&appender.base_name().replace(".log", ".lnk")).unwrap();
    std::os::unix::fs::symlink(local(base.path(), &appender), local(base.path(), &link)).unwrap();
    for (name, number) in [(&normal, 22), (&slave, 22), (&missing, 2), (&short, 22), (&link, 22)] {
        assert_eq!(errno(store.append(name, None)), number, "{name}");
        assert_eq!(errno(store.modify(name, 0, None)), number, "{name}");
        assert_eq!(errno(store.truncate(name, 0)), number, "{name}");
        assert_eq!(errno(store.regenerate(name)), number, "{name}");
    }
    assert_eq!(errno(store.modify(&appender, 11, Some(1))), 22);
    assert_eq!(errno(store.truncate(&appender, u64::MAX / 2)), 28);
    assert_eq!(errno(store.append(&appender, Some(u64::MAX / 2))), 28);
    assert_eq!(read(&store, &appender).unwrap(), b"0123456789");
}

#[test]
fn a_regenerated_file_is_normal_and_keeps_its_metadata() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload_appender(&store, b"0123456789");
    append(&store, &name, b"abc").unwrap();
    let metadata = fdfs_types::Metadata::decode(b"a\x02b").unwrap();
    store.set_metadata(&name, MetadataFlag::Merge, metadata).unwrap();

    let file = store.regenerate(&name).unwrap().file;
    let new = &file.filename;
    let fields = new.fields().unwrap();
    assert_eq!((file.size, fields.size.size()), (13, Some(13)));
    assert_eq!((file.crc32, fields.crc32), (crc32fast::hash(b"0123456789abc"), file.crc32));
    assert_eq!((new.subdir(), new.tail(), new.kind()), (name.subdir(), name.tail(), Ok(FileKind::Normal)));
    assert_eq!(read(&store, new).unwrap(), b"0123456789abc");
    assert_eq!(store.metadata(new).unwrap(), b"a\x02b");
    assert_eq!(errno(store.open_file(&name)), 2);
    assert_eq!(errno(store.regenerate(&name)), 2);
    assert_eq!(errno(store.append(new, None)), 22);
    assert_eq!(log(&store)[3..], [format!("R {new} {name}"), format!("C {new}-m"), format!("D {name}-m")]);
}
