//! Tests of what peers send: each row of the table of answers.

use std::os::unix::fs::{MetadataExt, symlink};

use fdfs_types::{FileKind, NameFields, SizeField, Subdir, Timestamp};

use super::*;
use crate::{Change, MetadataFlag, Origin, Record, Replica, Replicated};

const PEER: Source = Source::Ip(Ipv4Addr::new(127, 0, 0, 3));
pub(super) const TIME: Timestamp = Timestamp(1_795_324_899);

/// The name of a file that a peer has accepted.
pub(super) fn name_of(content: &[u8], tail: &str, appender: bool) -> RemoteFilename {
    let random = fastrand::u32(..);
    let size = match appender {
        true => SizeField::appender(random),
        false => SizeField::normal(content.len() as u64, random),
    };
    let fields = NameFields { source: PEER, created: 1_795_324_899, size, crc32: crc32fast::hash(content) };
    RemoteFilename::compose(0, Subdir { high: 0, low: 1 }, &fields, None, tail).unwrap()
}

pub(super) fn feed(replica: Result<Replica, StoreError>, content: &[u8]) -> Result<Replicated, StoreError> {
    let mut replica = replica?;
    content.chunks(7000).try_for_each(|chunk| replica.write(chunk))?;
    replica.finish()
}

fn create(store: &Store, name: &RemoteFilename, content: &[u8]) -> Result<Replicated, StoreError> {
    feed(store.receive_create(name, content.len() as u64, TIME), content)
}

fn update(store: &Store, name: &RemoteFilename, time: i64, content: &[u8]) -> Result<Replicated, StoreError> {
    feed(store.receive_update(name, content.len() as u64, Timestamp(time)), content)
}

fn append(
    store: &Store,
    name: &RemoteFilename,
    offset: u64,
    content: &[u8],
) -> Result<Replicated, StoreError> {
    feed(store.receive_append(name, offset, content.len() as u64, TIME), content)
}

fn modify(
    store: &Store,
    name: &RemoteFilename,
    offset: u64,
    content: &[u8],
) -> Result<Replicated, StoreError> {
    feed(store.receive_modify(name, offset, content.len() as u64, TIME), content)
}

/// The last line of the binlog.
fn last(store: &Store) -> String {
    log(store).pop().unwrap_or_default()
}

fn appender_of(store: &Store, content: &[u8]) -> RemoteFilename {
    let name = name_of(b"", "001.log", true);
    assert_eq!(create(store, &name, content).unwrap(), Replicated::Done);
    name
}

#[test]
fn a_file_that_no_disk_holds_is_refused_and_takes_no_room_from_others() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"", "001.txt", false);
    let begun: Vec<_> = (0..3).map(|_| store.receive_create(&name, u64::MAX / 2, TIME)).collect();
    assert!(begun.iter().all(|replica| matches!(replica, Err(StoreError::NoSpace))), "{begun:?}");
    let other = name_of(b"other", "001.txt", false);
    assert_eq!(create(&store, &other, b"other").unwrap(), Replicated::Done);
}

#[test]
fn a_new_file_of_a_peer_has_its_time_and_a_record() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let content = vec![7; 20_000];
    let name = name_of(&content, "001.txt", false);
    assert_eq!(create(&store, &name, &content).unwrap(), Replicated::Done);
    let stat = fs::metadata(local(base.path(), &name)).unwrap();
    assert_eq!(read(&store, &name).unwrap(), content);
    assert_eq!((stat.mtime(), stat.atime(), stat.mode() & 0o777), (TIME.0, TIME.0, 0o644));
    let line = fs::read_to_string(base.path().join("data/sync/binlog.000")).unwrap();
    assert_eq!(line, format!("{} c {name}\n", TIME.0));
    assert!(store.stat().get(crate::Counter::LastSyncUpdate) > 0);
    assert_eq!(store.stat().get(crate::Counter::LastSourceUpdate), 0);
}

#[test]
fn a_file_that_is_here_is_recorded_and_thrown_away() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, b"content").unwrap();
    assert_eq!(create(&store, &name, b"content").unwrap(), Replicated::Has);
    assert_eq!(feed(store.receive_known(&name, TIME), b"").unwrap(), Replicated::Has);
    assert_eq!(log(&store), vec![format!("c {name}"); 3]);
    assert_eq!(temporary_files(base.path()), 0);
}

#[test]
fn a_file_of_another_size_or_a_link_is_replaced() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, b"con").unwrap();
    assert_eq!(create(&store, &name, b"content").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"content");

    let link = name_of(b"content", "002.txt", false);
    symlink(local(base.path(), &name), local(base.path(), &link)).unwrap();
    assert_eq!(create(&store, &link, b"CONTENT").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &link).unwrap(), b"CONTENT");
    assert_eq!(read(&store, &name).unwrap(), b"content");
}

#[test]
fn a_damaged_file_of_the_right_size_is_healed_by_a_sound_one_alone() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, b"content").unwrap();
    fs::write(local(base.path(), &name), b"damaged").unwrap();
    assert_eq!(create(&store, &name, b"rotten!").unwrap(), Replicated::Has);
    assert_eq!(read(&store, &name).unwrap(), b"damaged");
    assert_eq!(create(&store, &name, b"content").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"content");
}

#[test]
fn a_directory_that_is_missing_is_made_for_a_replica() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name: RemoteFilename =
        name_of(b"x", "001.txt", false).as_str().replace("/00/01/", "/77/7F/").parse().unwrap();
    assert_eq!(create(&store, &name, b"x").unwrap(), Replicated::Done);
    let link: RemoteFilename = name.as_str().replace("/77/7F/", "/78/00/").parse().unwrap();
    assert_eq!(store.replicate_link(&link, &name, TIME).unwrap(), Replicated::Done);
    assert_eq!(read(&store, &link).unwrap(), b"x");
    let moved: RemoteFilename = name.as_str().replace("/77/7F/", "/79/00/").parse().unwrap();
    assert_eq!(store.replicate_rename(&moved, &name, TIME).unwrap(), Replicated::Done);
    assert_eq!(read(&store, &moved).unwrap(), b"x");
}

#[test]
fn an_update_replaces_whatever_is_there() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"", "001.log", true);
    assert_eq!(update(&store, &name, 5, b"first").unwrap(), Replicated::Done);
    assert_eq!(update(&store, &name, 4, b"other").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"other");
    assert_eq!(log(&store), vec![format!("u {name}"); 2]);
}

#[test]
fn older_metadata_of_a_peer_do_not_replace_newer() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, b"content").unwrap();
    let sidecar: RemoteFilename = format!("{name}-m").parse().unwrap();
    assert_eq!(update(&store, &sidecar, 10, b"a\x021").unwrap(), Replicated::Done);
    let lines = log(&store).len();
    assert_eq!(update(&store, &sidecar, 9, b"a\x029").unwrap(), Replicated::Done);
    assert_eq!((store.metadata(&name).unwrap(), log(&store).len()), (b"a\x021".to_vec(), lines));
    assert_eq!(update(&store, &sidecar, 11, b"a\x022").unwrap(), Replicated::Done);
    assert_eq!(store.metadata(&name).unwrap(), b"a\x022");

    let create = |time, content: &[u8]| {
        feed(store.receive_create(&sidecar, content.len() as u64, Timestamp(time)), content).unwrap()
    };
    assert_eq!(create(9, b"b\x02123"), Replicated::Has);
    assert_eq!(create(11, b"a\x022"), Replicated::Has);
    assert_eq!(store.metadata(&name).unwrap(), b"a\x022");
    assert_eq!(create(12, b"a\x023"), Replicated::Done);
    assert_eq!(store.metadata(&name).unwrap(), b"a\x023");
}

#[test]
fn metadata_set_here_are_not_older_than_what_a_fast_clock_has_set() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    create(&store, &name, b"content").unwrap();
    let sidecar: RemoteFilename = format!("{name}-m").parse().unwrap();
    let ahead = crate::store::now().0 + 3600;
    update(&store, &sidecar, ahead, b"a\x021").unwrap();
    let metadata = fdfs_types::Metadata::decode(b"a\x022").unwrap();
    store.set_metadata(&name, MetadataFlag::Overwrite, metadata).unwrap();
    let text = fs::read_to_string(base.path().join("data/sync/binlog.000")).unwrap();
    // However fast that clock is: members keep the later of two changes, and of one second any of them.
    assert!(text.ends_with(&format!("{} U {sidecar}\n", ahead + 1)), "{text}");
}

#[test]
fn an_append_of_a_peer_goes_to_its_offset_alone() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = appender_of(&store, b"0123456789");
    assert_eq!(append(&store, &name, 10, b"abc").unwrap(), Replicated::Done);
    assert_eq!(last(&store), format!("a {name} 10 3"));
    assert_eq!(fs::metadata(local(base.path(), &name)).unwrap().mtime(), TIME.0);
    let lines = log(&store).len();
    // Here already.
    assert_eq!(append(&store, &name, 10, b"abc").unwrap(), Replicated::Has);
    assert_eq!(append(&store, &name, 4, b"45").unwrap(), Replicated::Has);
    // In part, not yet, not at all.
    assert_eq!(append(&store, &name, 12, b"cdef").unwrap(), Replicated::Lacks);
    assert_eq!(append(&store, &name, 20, b"cdef").unwrap(), Replicated::Lacks);
    let missing = name_of(b"", "002.log", true);
    assert_eq!(append(&store, &missing, 0, b"cdef").unwrap(), Replicated::Lacks);
    // Nothing to append.
    assert_eq!(append(&store, &name, 13, b"").unwrap(), Replicated::Done);
    assert_eq!(append(&store, &name, 14, b"").unwrap(), Replicated::Lacks);
    // No file.
    let link = name_of(b"", "003.log", true);
    symlink(local(base.path(), &name), local(base.path(), &link)).unwrap();
    assert_eq!(append(&store, &link, 13, b"x").unwrap(), Replicated::Has);
    assert_eq!((read(&store, &name).unwrap(), log(&store).len()), (b"0123456789abc".to_vec(), lines));
}

#[test]
fn an_append_whose_range_holds_something_else_wants_the_whole_file() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = appender_of(&store, b"0123456789");
    assert_eq!(append(&store, &name, 4, b"4X").unwrap(), Replicated::Lacks);
    let large = vec![b'x'; 300_000];
    append(&store, &name, 10, &large).unwrap();
    assert_eq!(append(&store, &name, 10, &large).unwrap(), Replicated::Has);
    let mut other = large.clone();
    other[299_999] = b'y';
    assert_eq!(append(&store, &name, 10, &other).unwrap(), Replicated::Lacks);
}

#[test]
fn an_append_that_another_one_overtakes_is_not_made_twice() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = appender_of(&store, b"0123456789");
    let [mut one, mut other] = [(); 2].map(|()| store.receive_append(&name, 10, 3, TIME).unwrap());
    one.write(b"abc").unwrap();
    other.write(b"abc").unwrap();
    assert_eq!(one.finish().unwrap(), Replicated::Done);
    assert_eq!(other.finish().unwrap(), Replicated::Lacks);
    assert_eq!(read(&store, &name).unwrap(), b"0123456789abc");
}

#[test]
fn a_modification_of_a_peer_may_reach_beyond_the_end_but_not_begin_there() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = appender_of(&store, b"0123456789");
    assert_eq!(modify(&store, &name, 2, b"XY").unwrap(), Replicated::Done);
    assert_eq!(last(&store), format!("m {name} 2 2"));
    assert_eq!(modify(&store, &name, 8, b"long").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"01XY4567long");
    assert_eq!(fs::metadata(local(base.path(), &name)).unwrap().mtime(), TIME.0);
    assert_eq!(modify(&store, &name, 13, b"x").unwrap(), Replicated::Lacks);
    assert_eq!(modify(&store, &name_of(b"", "002.log", true), 0, b"x").unwrap(), Replicated::Lacks);
    let link = name_of(b"", "003.log", true);
    symlink(local(base.path(), &name), local(base.path(), &link)).unwrap();
    assert_eq!(modify(&store, &link, 0, b"x").unwrap(), Replicated::Has);
    assert_eq!(read(&store, &name).unwrap(), b"01XY4567long");
}

#[test]
fn a_truncation_of_a_peer_needs_the_size_from_before() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = appender_of(&store, b"0123456789");
    let truncate = |name: &RemoteFilename, old, new| store.replicate_truncate(name, old, new, TIME).unwrap();
    assert_eq!(truncate(&name, 10, 4), Replicated::Done);
    assert_eq!(last(&store), format!("t {name} 10 4"));
    assert_eq!(truncate(&name, 10, 2), Replicated::Has);
    assert_eq!(truncate(&name, 4, 6), Replicated::Done);
    assert_eq!(read(&store, &name).unwrap(), b"0123\0\0");
    assert_eq!(fs::metadata(local(base.path(), &name)).unwrap().mtime(), TIME.0);
    assert_eq!(truncate(&name_of(b"", "002.log", true), 4, 6), Replicated::Lacks);
    let link = name_of(b"", "003.log", true);
    symlink(local(base.path(), &name), local(base.path(), &link)).unwrap();
    assert_eq!(truncate(&link, 6, 1), Replicated::Has);
}

#[test]
fn a_delete_of_a_peer_takes_file_and_metadata_once() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    let sidecar: RemoteFilename = format!("{name}-m").parse().unwrap();
    create(&store, &name, b"content").unwrap();
    create(&store, &sidecar, b"a\x021").unwrap();
    let time = TIME;
    assert_eq!(store.replicate_delete(&sidecar, time).unwrap(), Replicated::Done);
    assert_eq!(last(&store), format!("d {sidecar}"));
    create(&store, &sidecar, b"a\x021").unwrap();
    let lines = log(&store).len();
    assert_eq!(store.replicate_delete(&name, time).unwrap(), Replicated::Done);
    assert_eq!(store.replicate_delete(&sidecar, time).unwrap(), Replicated::Lacks);
    assert_eq!(store.replicate_delete(&name, time).unwrap(), Replicated::Lacks);
    assert_eq!(log(&store)[lines..], [format!("d {name}"), format!("d {sidecar}")]);
    fs::create_dir(local(base.path(), &name)).unwrap();
    assert_eq!(errno(store.replicate_delete(&name, time)), 22);
}

#[test]
fn a_link_of_a_peer_leads_to_the_file_here_and_replaces_nothing() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let source = name_of(b"content", "001.txt", false);
    let link = name_of(b"content", "002.txt", false);
    // It may come before what it leads to.
    assert_eq!(store.replicate_link(&link, &source, TIME).unwrap(), Replicated::Done);
    assert_eq!(errno(read(&store, &link)), 2);
    create(&store, &source, b"content").unwrap();
    assert_eq!(read(&store, &link).unwrap(), b"content");
    assert_eq!(fs::read_link(local(base.path(), &link)).unwrap(), local(base.path(), &source));
    let other = name_of(b"other", "003.txt", false);
    create(&store, &other, b"other").unwrap();
    assert_eq!(store.replicate_link(&other, &source, TIME).unwrap(), Replicated::Done);
    assert_eq!(read(&store, &other).unwrap(), b"other");
    assert_eq!(last(&store), format!("l {other} {source}"));
    assert_eq!(store.replicate_delete(&link, TIME).unwrap(), Replicated::Done);
    assert_eq!(read(&store, &source).unwrap(), b"content");
}

#[test]
fn a_rename_of_a_peer_is_made_once() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let old = appender_of(&store, b"content");
    let new = name_of(b"content", "001.log", false);
    assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Done);
    assert_eq!(last(&store), format!("r {new} {old}"));
    assert_eq!(read(&store, &new).unwrap(), b"content");
    assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Has);
    let other = name_of(b"other", "002.log", false);
    assert_eq!(store.replicate_rename(&other, &old, TIME).unwrap(), Replicated::Lacks);
    let elsewhere: RemoteFilename = new.as_str().replace("M00/", "M01/").parse().unwrap();
    assert_eq!(errno(store.replicate_rename(&elsewhere, &new, TIME)), 22);
}

#[test]
fn a_rename_of_a_peer_wants_the_whole_of_a_file_that_missed_changes() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    for (content, here) in [(b"content", &b"conten"[..]), (b"content", b"cXntent")] {
        let old = appender_of(&store, here);
        let new = name_of(content, "001.log", false);
        assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Lacks);
        assert_eq!(last(&store), format!("d {old}"));
        for name in [&old, &new] {
            assert!(read(&store, name).is_err(), "{name}");
        }
        assert_eq!(feed(store.receive_create(&old, 2, TIME), b"ol").unwrap(), Replicated::Has);
        assert!(read(&store, &old).is_err(), "the old name does not come back");
        assert_eq!(create(&store, &new, content).unwrap(), Replicated::Done);
        assert_eq!(store.replicate_rename(&new, &old, TIME).unwrap(), Replicated::Has);
        assert_eq!(read(&store, &new).unwrap(), content);
    }
}

#[test]
fn a_rename_of_a_peer_takes_the_old_name_away_where_the_new_one_is_here() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let (whole, part) = (name_of(b"content", "001.log", false), name_of(b"content", "002.log", false));
    create(&store, &whole, b"content").unwrap();
    create(&store, &part, b"cont").unwrap();
    for (new, answer) in [(&whole, Replicated::Has), (&part, Replicated::Lacks)] {
        let old = appender_of(&store, b"content");
        assert_eq!(store.replicate_rename(new, &old, TIME).unwrap(), answer, "{new}");
        assert!(read(&store, &old).is_err(), "{new}");
    }
    assert_eq!(create(&store, &part, b"content").unwrap(), Replicated::Done);
    assert_eq!(read(&store, &part).unwrap(), b"content");
}

#[test]
fn appender_files_that_end_as_a_regenerated_one_are_found_in_its_directory() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let like = [appender_of(&store, b"one"), appender_of(&store, b"two")];
    let other = name_of(b"", "002.log", true);
    create(&store, &other, b"other").unwrap();
    let normal = name_of(b"normal", "001.log", false);
    create(&store, &normal, b"normal").unwrap();
    let mut found = store.appenders_like(&name_of(b"new", "001.log", false)).unwrap();
    found.sort_by_key(|name| *name != like[0]);
    assert_eq!(found, like);
    let elsewhere: RemoteFilename = normal.as_str().replace("/00/01/", "/00/07/").parse().unwrap();
    assert_eq!(store.appenders_like(&elsewhere).unwrap(), []);
}

#[test]
fn names_that_no_replica_has_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let container: RemoteFilename = "M00/00/00/000001".parse().unwrap();
    let elsewhere: RemoteFilename = "M07/00/00/fwAAAmsCe-OAPc48AAERcOx3KG8139.bin".parse().unwrap();
    let normal = name_of(b"content", "001.txt", false);
    create(&store, &normal, b"content").unwrap();
    for (name, number) in [(&container, 22), (&elsewhere, 22)] {
        assert_eq!(errno(create(&store, name, b"x")), number);
        assert_eq!(errno(update(&store, name, 1, b"x")), number);
        assert_eq!(errno(store.replicate_delete(name, TIME)), number);
        assert_eq!(errno(store.replicate_link(name, &normal, TIME)), number);
        assert_eq!(errno(store.replicate_link(&normal, name, TIME)), number);
        assert_eq!(errno(store.replicate_rename(name, &normal, TIME)), number);
        assert_eq!(errno(store.receive_known(name, TIME)), number);
    }
    assert_eq!(errno(append(&store, &normal, 7, b"x")), 22);
    assert_eq!(errno(modify(&store, &normal, 7, b"x")), 22);
    assert_eq!(errno(store.replicate_truncate(&normal, 7, 0, TIME)), 22);
    assert_eq!(read(&store, &normal).unwrap(), b"content");
}

#[test]
fn a_replica_that_is_dropped_or_has_the_wrong_length_leaves_nothing() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    let mut replica = store.receive_create(&name, 7, TIME).unwrap();
    replica.write(b"cont").unwrap();
    drop(replica);
    assert_eq!(errno(feed(store.receive_create(&name, 7, TIME), b"conten")), 22);
    assert_eq!(errno(feed(store.receive_create(&name, 7, TIME), b"content!")), 22);
    assert_eq!(errno(read(&store, &name)), 2);
    assert_eq!((log(&store).len(), temporary_files(base.path())), (0, 0));
    let appender = appender_of(&store, b"0123");
    drop(store.receive_append(&appender, 4, 7, TIME).map(|mut replica| replica.write(b"45")));
    assert_eq!(errno(feed(store.receive_append(&appender, 4, 7, TIME), b"45")), 22);
    assert_eq!(read(&store, &appender).unwrap(), b"0123");
}

#[test]
fn what_peers_sent_is_recorded_with_their_time_after_a_bad_end() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = name_of(b"content", "001.txt", false);
    let gone = name_of(b"gone", "002.txt", false);
    let appender = appender_of(&store, b"0123456789");
    create(&store, &name, b"content").unwrap();
    let end = store.binlog().end();
    let path = base.path().join("data/rs/intents");
    drop(store);
    // Killed between the change and its record.
    let field = |name: &RemoteFilename| name.as_str().into();
    let intents: Vec<Change> = vec![
        Change::Create { name: field(&name) },
        Change::Delete { name: field(&gone) },
        Change::Append { name: field(&appender), offset: 8, length: 5 },
    ];
    let slots: String = intents
        .into_iter()
        .map(|change| {
            let line = Record { timestamp: 5, origin: Origin::Replica, change };
            format!("{:<511}\n", format!("{} {} {line}\n", end.index, end.offset))
        })
        .collect();
    fs::write(&path, slots).unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!((store.report().recorded, store.report().undone), (2, 1));
    let text = fs::read_to_string(base.path().join("data/sync/binlog.000")).unwrap();
    let mut lines: Vec<_> = text.lines().skip(2).collect();
    // All began at one place.
    lines.sort_unstable();
    assert_eq!(lines, [format!("5 c {name}"), format!("5 d {gone}"), format!("5 d {gone}-m")]);
    assert_eq!(read(&store, &appender).unwrap(), b"01234567");
}

#[test]
fn a_link_for_a_client_leads_to_a_file_and_is_recorded() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let source = upload(&store, "txt", b"content").filename;
    let extension: Extension = "lnk".parse().unwrap();
    let (link, record) = store.create_link(&source, None, &extension).unwrap();
    assert_eq!(read(&store, &link).unwrap(), b"content");
    assert_eq!((link.kind(), link.subdir()), (Ok(FileKind::Normal), source.subdir()));
    assert_eq!(link.fields().unwrap().size.size(), Some(7));
    assert_eq!(last(&store), format!("L {link} {source}"));
    assert!(record.to_string().ends_with(&last(&store)));
    let (slave, _) = store.create_link(&source, Some((&source, "_x")), &extension).unwrap();
    assert_eq!(slave.kind(), Ok(FileKind::Slave));
    assert_eq!(read(&store, &slave).unwrap(), b"content");
    assert_eq!(errno(store.create_link(&source, Some((&source, "_x")), &extension)), 17);
    assert_eq!(errno(store.create_link(&link, None, &extension)), 22);
    store.delete(&link).unwrap();
    assert_eq!(errno(store.create_link(&link, None, &extension)), 2);
    assert_eq!(read(&store, &source).unwrap(), b"content");
}

#[test]
fn the_records_of_a_store_path_tell_what_is_there_now() {
    let base = tempfile::tempdir().unwrap();
    let path = tempfile::tempdir().unwrap();
    let mut options = options(base.path());
    options.binlog_rotate_at = 300;
    options.store_paths.push(StorePathOptions { path: path.path().to_owned(), read_only: false });
    let store = Store::open(&options).unwrap();
    let at = |index| NewFile { store_path: StorePathChoice::Index(index), ..new_file("txt") };
    let [kept, gone, source] = [(); 3].map(|()| put(&store, &at(0), b"content").unwrap().filename);
    let other = put(&store, &at(1), b"content").unwrap().filename;
    store.delete(&gone).unwrap();
    let appender = put(&store, &NewFile { appender: true, ..at(0) }, b"abc").unwrap().filename;
    let renamed = store.regenerate(&appender).unwrap().file.filename;
    let (link, _) = store.create_link(&source, None, &"lnk".parse().unwrap()).unwrap();
    let dangling = name_of(b"", "002.lnk", false);
    store.replicate_link(&dangling, &gone, TIME).unwrap();
    let across = name_of(b"", "003.lnk", false);
    store.replicate_link(&across, &other, TIME).unwrap();
    let replica = name_of(b"replica", "001.txt", false);
    create(&store, &replica, b"replica").unwrap();
    let trunk = "M00/00/00/fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA001.txt";
    store.binlog().append(&format!("5 l \nrubbish\n9 C {trunk}\n"), false).unwrap();
    assert!(store.binlog().end().index > 0);

    let lines = |path| {
        let mut binlog = store.path_binlog(path).unwrap();
        let mut all = String::new();
        loop {
            let mut some = String::new();
            let has_more = binlog.read(&mut some, 100).unwrap();
            all.push_str(&some);
            if !has_more {
                break;
            }
        }
        let lines: Vec<String> = all.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect();
        (lines, binlog.damaged())
    };
    let expected = [
        format!("C {kept}"),
        format!("C {source}"),
        format!("C {renamed}"),
        format!("L {link} {source}"),
        format!("l {across} {other}"),
        format!("c {replica}"),
    ];
    assert_eq!(lines(0), (expected.to_vec(), 2));
    assert_eq!(lines(1), (vec![format!("C {other}")], 2));
    assert_eq!(errno(store.path_binlog(2)), 22);
}
