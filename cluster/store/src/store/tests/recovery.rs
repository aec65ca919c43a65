//! Tests of starts after an end that came too early.

use super::*;
use crate::{Change, Record, journal::Journal};

/// A store, some files, and a journal slot as a killed process leaves it.
struct Killed {
    base: tempfile::TempDir,
    names: Vec<RemoteFilename>,
}

impl Killed {
    /// A process that had stored `contents` in appender files.
    fn with(contents: &[&[u8]]) -> Self {
        let base = tempfile::tempdir().unwrap();
        let store = Store::open(&options(base.path())).unwrap();
        let names = contents.iter().map(|content| upload_appender(&store, content)).collect();
        Self { base, names }
    }

    /// It was about to make `change`, of which it had done `work`; then the next process starts.
    fn during(&self, change: Change, work: impl FnOnce(&Path)) -> Store {
        self.during_the(&Record::source(7, change), work)
    }

    fn during_the(&self, record: &Record, work: impl FnOnce(&Path)) -> Store {
        let store = Store::open(&options(self.base.path())).unwrap();
        let end = store.binlog().end();
        drop(store);
        let (journal, _) = Journal::open(&self.base.path().join("data/rs/intents")).unwrap();
        std::mem::forget(journal.begin(end, &record.to_string()).unwrap());
        work(&self.base.path().join("data"));
        Store::open(&options(self.base.path())).unwrap()
    }

    fn name(&self) -> Box<str> {
        self.names[0].as_str().into()
    }

    fn local(&self) -> &str {
        self.names[0].local_path()
    }
}

#[test]
fn temporary_files_of_ours_and_of_the_original_are_swept() {
    let base = tempfile::tempdir().unwrap();
    drop(Store::open(&options(base.path())).unwrap());
    for name in ["data/.tmp/12", "data/.cp7.tmp"] {
        fs::write(base.path().join(name), "half").unwrap();
    }
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(store.report().swept, 2);
    assert_eq!(temporary_files(base.path()), 0);
    assert!(!base.path().join("data/.cp7.tmp").exists());
}

#[test]
fn a_file_that_was_shown_but_not_recorded_is_recorded() {
    let killed = Killed::with(&[b"x"]);
    let name = "00/01/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt";
    let change = || Change::Create { name: format!("M00/{name}").into() };
    let store = killed.during(change(), |data| fs::write(data.join(name), "whole").unwrap());
    assert_eq!(store.report().recorded, 1);
    assert_eq!(log(&store).last().unwrap(), &format!("C M00/{name}"));
    drop(store);
    let store = Store::open(&options(killed.base.path())).unwrap();
    assert_eq!(store.report().recorded, 0);

    drop(store);
    let store = killed.during(change(), |data| fs::remove_file(data.join(name)).unwrap());
    assert_eq!((store.report().recorded, log(&store).len()), (0, 2), "it never happened");
}

#[test]
fn a_change_that_was_recorded_is_not_recorded_again() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let name = upload(&store, "txt", b"x").filename;
    let appender = upload_appender(&store, b"x");
    let mut append = store.append(&appender, None).unwrap();
    append.write(b"y").unwrap();
    append.finish().unwrap();
    store.delete(&name).unwrap();
    // Not closed: the slots are still full.
    assert!(fs::metadata(base.path().join("data/rs/intents")).unwrap().len() > 0);
    drop(store);
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(*store.report(), crate::OpenReport::default());
    assert_eq!(log(&store).len(), 4);
    assert_eq!(read(&store, &appender).unwrap(), b"xy");
}

#[test]
fn a_delete_that_was_done_is_recorded_with_the_metadata() {
    let killed = Killed::with(&[b"x"]);
    let store = killed.during(Change::Delete { name: killed.name() }, |data| {
        fs::remove_file(data.join(killed.local())).unwrap();
        fs::write(data.join(format!("{}-m", killed.local())), "a\x02b").unwrap();
    });
    let name = killed.name();
    assert_eq!(log(&store)[1..], [format!("D {name}"), format!("D {name}-m")]);
    assert!(!killed.base.path().join(format!("data/{}-m", killed.local())).exists());
    assert!(store.was_deleted(&name.parse().unwrap()));
}

#[test]
fn a_delete_that_was_not_done_is_forgotten() {
    let killed = Killed::with(&[b"x"]);
    let store = killed.during(Change::Delete { name: killed.name() }, |_| {});
    assert_eq!(log(&store).len(), 1);
    assert_eq!(read(&store, &killed.names[0]).unwrap(), b"x");
}

#[test]
fn half_an_append_is_cut_back() {
    let killed = Killed::with(&[b"0123456789"]);
    let change = Change::Append { name: killed.name(), offset: 10, length: 6 };
    let store = killed.during(change, |data| fs::write(data.join(killed.local()), "0123456789ab").unwrap());
    assert_eq!(store.report().undone, 1);
    assert_eq!(log(&store)[1..], [format!("T {} 12 10", killed.name())]);
    assert_eq!(read(&store, &killed.names[0]).unwrap(), b"0123456789");
}

#[test]
fn a_whole_append_is_recorded() {
    let killed = Killed::with(&[b"0123456789"]);
    let change = Change::Append { name: killed.name(), offset: 10, length: 2 };
    let store = killed.during(change, |data| fs::write(data.join(killed.local()), "0123456789ab").unwrap());
    assert_eq!((store.report().undone, store.report().recorded), (0, 1));
    assert_eq!(log(&store)[1..], [format!("A {} 10 2", killed.name())]);
}

#[test]
fn half_a_modification_is_recorded_as_far_as_it_reaches() {
    let killed = Killed::with(&[b"0123456789"]);
    let change = Change::Modify { name: killed.name(), offset: 6, length: 10 };
    let store = killed.during(change, |data| fs::write(data.join(killed.local()), "012345abcdef").unwrap());
    assert_eq!(log(&store)[1..], [format!("M {} 6 6", killed.name())]);
}

#[test]
fn a_truncation_that_was_done_is_recorded() {
    let killed = Killed::with(&[b"0123456789"]);
    let change = Change::Truncate { name: killed.name(), old_size: 10, new_size: 4 };
    let store = killed.during(change, |data| fs::write(data.join(killed.local()), "0123").unwrap());
    assert_eq!(log(&store)[1..], [format!("T {} 10 4", killed.name())]);
}

#[test]
fn a_rename_that_was_done_is_recorded_and_takes_the_metadata() {
    let killed = Killed::with(&[b"x"]);
    let new = "00/00/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt";
    let change = Change::Rename { name: format!("M00/{new}").into(), old_name: killed.name() };
    let store = killed.during(change, |data| {
        fs::rename(data.join(killed.local()), data.join(new)).unwrap();
        fs::write(data.join(format!("{}-m", killed.local())), "a\x02b").unwrap();
    });
    let old = killed.name();
    assert_eq!(
        log(&store)[1..],
        [format!("R M00/{new} {old}"), format!("C M00/{new}-m"), format!("D {old}-m")]
    );
    assert_eq!(store.metadata(&format!("M00/{new}").parse().unwrap()).unwrap(), b"a\x02b");
}

#[test]
fn a_rename_of_a_peer_that_was_done_takes_the_metadata_before_or_after_it_was_cut_off() {
    let new = "00/00/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt";
    for is_moved in [false, true] {
        let killed = Killed::with(&[b"x"]);
        let old = killed.name();
        let change = Change::Rename { name: format!("M00/{new}").into(), old_name: old.clone() };
        let store = killed.during_the(&Record::replica(fdfs_types::Timestamp(7), change), |data| {
            fs::rename(data.join(killed.local()), data.join(new)).unwrap();
            let owner = if is_moved { new } else { killed.local() };
            fs::write(data.join(format!("{owner}-m")), "a\x02b").unwrap();
        });
        let expected = [format!("r M00/{new} {old}"), format!("C M00/{new}-m"), format!("D {old}-m")];
        assert_eq!(log(&store)[1..], expected);
        assert_eq!(store.metadata(&format!("M00/{new}").parse().unwrap()).unwrap(), b"a\x02b");
    }
}

#[test]
fn a_delete_of_a_file_from_a_fast_clock_is_recorded_with_its_time() {
    let killed = Killed::with(&[b"x"]);
    let ahead = crate::store::now().0 + 3600;
    let delete = Record::source(ahead, Change::Delete { name: killed.name() });
    let store = killed.during_the(&delete, |data| fs::remove_file(data.join(killed.local())).unwrap());
    drop(store);
    let text = fs::read_to_string(killed.base.path().join("data/sync/binlog.000")).unwrap();
    assert!(text.contains(&format!("\n{ahead} D {}\n", killed.name())), "{text}");
}

#[test]
fn metadata_that_was_written_but_not_recorded_is_recorded() {
    let killed = Killed::with(&[b"x"]);
    let sidecar: Box<str> = format!("{}-m", killed.name()).into();
    let store = killed.during(Change::Create { name: sidecar.clone() }, |data| {
        fs::write(data.join(format!("{}-m", killed.local())), "a\x02b").unwrap();
    });
    assert_eq!(log(&store)[1..], [format!("C {sidecar}")]);
}

#[test]
fn a_slot_of_a_lost_binlog_is_left_alone() {
    let killed = Killed::with(&[b"0123456789", b"x"]);
    let change = Change::Append { name: killed.name(), offset: 4, length: 6 };
    let store = killed.during(change, |data| {
        fs::write(data.join("sync/binlog.000"), "").unwrap();
    });
    assert_eq!(store.report().undone, 0);
    assert_eq!(read(&store, &killed.names[0]).unwrap(), b"0123456789");
}

/// A base path that the original has used: its binlog, and a file that it had answered but not recorded.
fn left_by_the_original() -> (tempfile::TempDir, [String; 4]) {
    let base = tempfile::tempdir().unwrap();
    let data = base.path().join("data");
    fs::create_dir_all(data.join("sync")).unwrap();
    fs::write(data.join(".data_init_flag"), "storage_join_time=5\nsync_old_done=1\nsync_src_server=\n")
        .unwrap();
    let now = u32::try_from(crate::store::now().0).unwrap();
    let name = |source: u8, created: u32, random: u32| {
        let fields = fdfs_types::NameFields {
            source: Source::Ip(Ipv4Addr::new(127, 0, 0, source)),
            created,
            size: fdfs_types::SizeField::normal(5, random),
            crc32: crc32fast::hash(b"bytes"),
        };
        format!("M00/00/01/{}123.txt", fields.encode())
    };
    let names = [name(2, now, 1), name(2, now, 2), name(3, now - 10_000, 3), name(2, now - 10_000, 4)];
    for high in 0..4 {
        (0..4).for_each(|low| fs::create_dir_all(data.join(format!("{high:02X}/{low:02X}"))).unwrap());
    }
    for name in &names {
        fs::write(data.join(&name[4..]), "bytes").unwrap();
    }
    fs::write(data.join(format!("{}-m", &names[0][4..])), "a\x02b").unwrap();
    fs::write(data.join(&name(2, now, 5)[4..]), "half").unwrap();
    fs::write(data.join("sync/binlog.000"), format!("{now} C {}\n", names[0])).unwrap();
    (base, names)
}

#[test]
fn files_that_the_original_had_not_recorded_yet_are_recorded() {
    let (base, [recorded, lost, replica, old]) = left_by_the_original();
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!((store.report().reconciled, store.report().broken), (3, 1));
    let mut lines = log(&store);
    assert_eq!(lines.remove(0), format!("C {recorded}"));
    lines.sort();
    let mut expected = [format!("C {lost}"), format!("C {recorded}-m"), format!("c {replica}")];
    expected.sort();
    assert_eq!(lines, expected);
    assert!(!lines.iter().any(|line| line.contains(&old)), "made long before the last record");

    drop(store);
    assert_eq!(Store::open(&options(base.path())).unwrap().report().reconciled, 0, "once is enough");
}

#[test]
fn after_a_power_failure_files_without_a_record_are_recorded() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    let [first, second] = [1, 2].map(|n| upload(&store, "txt", &[n]).filename);
    drop(store);
    let run = base.path().join("data/rs/run");
    let state = fs::read_to_string(&run).unwrap();
    let (_, rest) = state.split_once('\n').unwrap();
    fs::write(&run, format!("boot_id=another\n{rest}")).unwrap();
    let binlog = base.path().join("data/sync/binlog.000");
    let text = fs::read_to_string(&binlog).unwrap();
    fs::write(&binlog, &text[..text.len() - 5]).unwrap();
    fs::remove_file(base.path().join("data/rs/intents")).unwrap();

    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!(store.report().reconciled, 1);
    assert_eq!(log(&store), [format!("C {first}"), format!("C {second}")]);
}

#[test]
fn a_closed_store_is_not_searched_again() {
    let base = tempfile::tempdir().unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    upload(&store, "txt", b"x");
    store.close().unwrap();
    drop(store);
    let run = fs::read_to_string(base.path().join("data/rs/run")).unwrap();
    assert!(run.contains("clean=1\n"), "{run}");
    fs::write(base.path().join("data/00/00/fwAAAmsCeAWAUa5zAAAACw1KEYU831.txt"), "stray").unwrap();
    let store = Store::open(&options(base.path())).unwrap();
    assert_eq!((store.report().reconciled, log(&store).len()), (0, 1));
}
