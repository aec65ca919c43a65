//! A process is killed with `kill -9` in the middle of its work, again and again; each time nothing that
//! it had acknowledged is lost, and files and binlog say the same.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    io::{BufRead, BufReader, Write},
    num::NonZeroU64,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use fdfs_proto::ours::OwnerToken;
use fdfs_types::Metadata;

use super::{
    replicas::{TIME, feed, name_of},
    *,
};
use crate::{Change, MetadataFlag};

const ROUNDS: u32 = 12;
const SESSION: NonZeroU64 = NonZeroU64::MIN;
const BASE: &str = "FDFS_STORE_TEST_KILLED_BASE";

#[test]
fn nothing_acknowledged_is_lost_by_kill_9() {
    let base = tempfile::tempdir().unwrap();
    drop(Store::open(&options(base.path())).unwrap());
    let mut acknowledged = BTreeMap::new();
    let (mut uploads, mut swept, mut repaired) = (0, 0, 0);
    for round in 0..ROUNDS {
        let lines = run_and_kill(base.path(), 30 + round * 25);
        for line in &lines {
            let (event, name) = line.split_once(' ').unwrap();
            match event {
                "uploaded" => {
                    uploads += 1;
                    acknowledged.insert(name.to_owned(), ());
                }
                "deleting" | "regenerating" => {
                    acknowledged.remove(name);
                }
                other => panic!("unknown event {other}"),
            }
        }
        let store = Store::open(&options(base.path())).unwrap();
        swept += store.report().swept;
        repaired += store.report().recorded + store.report().undone;
        let live = replay(&store);
        for name in acknowledged.keys() {
            assert!(
                live.contains_key(name),
                "round {round}: {name} was acknowledged and is not in the binlog"
            );
        }
        check_disk(base.path(), &live);
        assert_eq!(temporary_files(base.path()), 0);
        let (owned, _) = store.owned_files(SESSION, 0, usize::MAX);
        let owned: BTreeSet<_> = owned.into_iter().map(|file| file.filename).collect();
        assert!(owned.iter().all(|name| live.contains_key(name.as_str())));
        for name in acknowledged.keys() {
            let name: RemoteFilename = name.parse().unwrap();
            assert!(!name.as_str().ends_with(".bin") || owned.contains(&name), "{name} has lost its owner");
            let content = read(&store, &name).unwrap();
            let crc32 = name.fields().unwrap().crc32;
            if name.kind() == Ok(fdfs_types::FileKind::Normal) {
                assert_eq!(crc32fast::hash(&content), crc32, "round {round}: {name} is not whole");
            }
        }
    }
    println!("{uploads} uploads acknowledged, {swept} temporary files swept, {repaired} changes repaired");
    assert!(uploads > 100, "the killed processes have done next to nothing");
}

/// What the binlog says is there: names, and sizes where records tell them.
fn replay(store: &Store) -> BTreeMap<String, Option<u64>> {
    let mut live: BTreeMap<String, Option<u64>> = BTreeMap::new();
    let mut reader = store.binlog().reader(Position::default());
    while let Some(entry) = reader.next_entry().unwrap() {
        match entry.record.unwrap().change {
            Change::Create { name } => assert_eq!(live.insert(name.into(), None), None),
            // A start records the delete of metadata whether there was any or not.
            Change::Delete { name } if name.ends_with("-m") => drop(live.remove(&*name)),
            Change::Delete { name } => assert!(live.remove(&*name).is_some(), "{name} deleted twice"),
            // The whole file, of any size.
            Change::Update { name } => {
                assert!(live.insert(name.clone().into(), None).is_some(), "{name} is not there");
            }
            Change::Append { name, offset, length } => {
                let before = live.insert(name.clone().into(), Some(offset + length)).unwrap();
                assert!(
                    before.is_none_or(|size| size == offset),
                    "{name}: append at {offset}, not {before:?}"
                );
            }
            Change::Modify { name, .. } => assert!(live.contains_key(&*name), "{name} is not there"),
            Change::Truncate { name, new_size, .. } => {
                live.insert(name.into(), Some(new_size)).unwrap();
            }
            Change::Rename { name, old_name } => {
                let size = live.remove(&*old_name).unwrap();
                assert_eq!(live.insert(name.into(), size), None);
            }
            Change::Link { .. } => panic!("no links are made"),
        }
    }
    live
}

/// Compares what the binlog says with what is on the disk.
fn check_disk(base: &Path, live: &BTreeMap<String, Option<u64>>) {
    let mut present = BTreeMap::new();
    for high in 0..4 {
        for low in 0..4 {
            let local = format!("{high:02X}/{low:02X}");
            for entry in fs::read_dir(base.join("data").join(&local)).unwrap() {
                let entry = entry.unwrap();
                let name = format!("M00/{local}/{}", entry.file_name().to_str().unwrap());
                present.insert(name, entry.metadata().unwrap().len());
            }
        }
    }
    for (name, size) in live {
        let on_disk = present.remove(name);
        assert!(on_disk.is_some(), "{name} is in the binlog and not on the disk");
        assert!(size.is_none() || *size == on_disk, "{name} has {on_disk:?} bytes, the binlog says {size:?}");
    }
    assert!(present.is_empty(), "on the disk and not in the binlog: {present:?}");
}

/// Runs [`work`] in a process of its own, kills it after some lines, and returns its whole lines.
fn run_and_kill(base: &Path, lines: u32) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args(["store::tests::killed::work", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env(BASE, base)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut read = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(event) = line.strip_prefix("> ")
            && let Some(event) = event.strip_suffix('\n')
        {
            read.push(event.to_owned());
        }
        line.clear();
        if read.len() == lines as usize {
            child.kill().unwrap();
        }
    }
    let status = child.wait().unwrap();
    assert!(!status.success(), "the process ended before it was killed");
    read
}

/// What the killed process does. It says of an upload what it was told, of a delete what it is about to do.
#[test]
#[ignore = "runs inside the process that is killed"]
fn work() {
    let Some(base) = env::var_os(BASE) else { return };
    let store = Store::open(&options(Path::new(&base))).unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while Instant::now() < end {
                    one_life(&store);
                }
            });
        }
    });
}

/// Uploads, changes and perhaps deletes a file.
fn one_life(store: &Store) {
    let content = vec![fastrand::u8(..); fastrand::usize(..50_000)];
    let mut upload = store.create(&new_file("bin")).unwrap();
    upload.set_owner(OwnerToken { session: SESSION, sequence: fastrand::u64(1..) });
    upload.write(&content).unwrap();
    let file = upload.finish().unwrap().filename;
    say("uploaded", &file);
    if fastrand::bool() {
        let metadata = Metadata::decode(b"key\x02value").unwrap();
        store.set_metadata(&file, MetadataFlag::Merge, metadata).unwrap();
    }
    if fastrand::bool() {
        say("deleting", &file);
        store.delete(&file).unwrap();
    }
    let appender = upload_appender(store, &content);
    say("uploaded", &appender);
    for _ in 0..3 {
        let mut append = store.append(&appender, None).unwrap();
        append.write(&content).unwrap();
        append.write(&content).unwrap();
        append.finish().unwrap();
    }
    let mut modify = store.modify(&appender, 0, None).unwrap();
    modify.write(b"modified").unwrap();
    modify.finish().unwrap();
    store.truncate(&appender, 10).unwrap();
    if fastrand::bool() {
        say("regenerating", &appender);
        let file = store.regenerate(&appender).unwrap().file.filename;
        say("uploaded", &file);
    }
    life_of_a_replica(store, &content);
}

/// A peer creates, changes and perhaps deletes files.
fn life_of_a_replica(store: &Store, content: &[u8]) {
    let size = content.len() as u64;
    let file = name_of(content, "001.rep", false);
    feed(store.receive_create(&file, size, TIME), content).unwrap();
    say("uploaded", &file);
    let sidecar = format!("{file}-m").parse().unwrap();
    feed(store.receive_create(&sidecar, 3, TIME), b"a\x021").unwrap();
    feed(store.receive_update(&sidecar, 4, TIME), b"a\x0222").unwrap();
    let appender = name_of(content, "001.rep", true);
    feed(store.receive_create(&appender, size, TIME), content).unwrap();
    say("uploaded", &appender);
    feed(store.receive_append(&appender, size, 100_000, TIME), &[7; 100_000]).unwrap();
    feed(store.receive_modify(&appender, 0, 8, TIME), b"modified").unwrap();
    store.replicate_truncate(&appender, size.max(8) + 100_000, 10, TIME).unwrap();
    let renamed = name_of(content, "002.ren", false);
    if fastrand::bool() {
        say("deleting", &file);
        store.replicate_delete(&file, TIME).unwrap();
        say("regenerating", &appender);
        // What it holds now is not what the name says, which no peer would do.
        feed(store.receive_update(&appender, size, TIME), content).unwrap();
        store.replicate_rename(&renamed, &appender, TIME).unwrap();
        say("uploaded", &renamed);
    }
}

/// Writes one line in one piece.
fn say(event: &str, name: &RemoteFilename) {
    let line = format!("> {event} {name}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
