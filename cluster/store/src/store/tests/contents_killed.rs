//! A process that keeps equal uploads once is killed with `kill -9`, again and again: no link is without its content, nothing
//! that was acknowledged is lost, and no content stays without a link.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    contents::{check, contents, names, once},
    *,
};

const ROUNDS: u32 = 12;
const BASE: &str = "FDFS_STORE_TEST_CONTENTS_KILLED_BASE";

fn killed_options(base: &Path) -> StoreOptions {
    StoreOptions { slaves_are_links: true, ..once(base) }
}

#[test]
fn a_kill_9_leaves_no_link_without_content_and_no_content_without_link() {
    let base = tempfile::tempdir().unwrap();
    drop(Store::open(&killed_options(base.path())).unwrap());
    let mut acknowledged: BTreeMap<RemoteFilename, u8> = BTreeMap::new();
    let mut uploads = 0;
    for round in 0..ROUNDS {
        for line in run_and_kill(base.path(), 40 + round * 35) {
            let words: Vec<&str> = line.split(' ').collect();
            match words[..] {
                ["uploaded", kind, name] => {
                    uploads += 1;
                    acknowledged.insert(name.parse().unwrap(), kind.parse().unwrap());
                }
                ["deleting", _, name] => drop(acknowledged.remove(&name.parse().unwrap())),
                _ => panic!("unknown event {line}"),
            }
        }
        let store = Store::open(&killed_options(base.path())).unwrap();
        assert!(!store.report().contents_rebuilt, "the index of the killed process is not used");
        for (name, kind) in &acknowledged {
            assert_eq!(read(&store, name).unwrap(), content(*kind), "round {round}: {name}");
        }
        check(&store);
        let counts = store.content_counts().unwrap().unwrap();
        assert_eq!(counts.unlinked, 0, "round {round}");
        assert_eq!(contents(base.path()).len() as u64, counts.contents);
        let links = names(base.path()).values().filter(|is_link| **is_link).count();
        assert_eq!(links as u64, counts.links);
        check_log(&store, base.path());
    }
    println!("{uploads} uploads acknowledged");
    assert!(uploads > 300, "the killed processes have done next to nothing");
}

/// What the binlog says is there, and nothing else.
fn check_log(store: &Store, base: &Path) {
    let mut live = BTreeMap::new();
    for line in log(store) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["C", name] => assert_eq!(live.insert(name.parse().unwrap(), false), None, "{line}"),
            ["L", name, _] => assert_eq!(live.insert(name.parse().unwrap(), true), None, "{line}"),
            ["D", name] if name.ends_with("-m") => {}
            ["D", name] => assert!(live.remove(&name.parse::<RemoteFilename>().unwrap()).is_some(), "{line}"),
            _ => panic!("unknown record {line}"),
        }
    }
    assert_eq!(live, names(base));
}

fn content(kind: u8) -> Vec<u8> {
    vec![kind; 2000 + usize::from(kind)]
}

/// Runs [`work`] in a process of its own, kills it after some lines, and returns its whole lines.
fn run_and_kill(base: &Path, lines: u32) -> Vec<String> {
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "store::tests::contents_killed::work",
            "--exact",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(BASE, base)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut read = Vec::new();
    let mut line = String::new();
    while output.read_line(&mut line).unwrap() > 0 {
        if let Some(event) = line.strip_prefix("> ").and_then(|event| event.strip_suffix('\n')) {
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
    let store = Store::open(&killed_options(Path::new(&base))).unwrap();
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

/// Uploads one of a few contents, perhaps a slave, and mostly deletes them.
fn one_life(store: &Store) {
    let kind = fastrand::u8(..6);
    let name = upload(store, "bin", &content(kind)).filename;
    say("uploaded", kind, &name);
    if fastrand::bool() {
        let prefix = "_small".parse().unwrap();
        let mut slave = store.create_slave(&name, &prefix, &"bin".parse().unwrap(), None).unwrap();
        slave.write(&content(kind)).unwrap();
        let slave = slave.finish().unwrap().filename;
        say("uploaded", kind, &slave);
        if fastrand::bool() {
            say("deleting", kind, &slave);
            store.delete(&slave).unwrap();
        }
    }
    if fastrand::u8(..10) < 8 {
        say("deleting", kind, &name);
        store.delete(&name).unwrap();
    }
}

/// Writes one line in one piece.
fn say(event: &str, kind: u8, name: &RemoteFilename) {
    let line = format!("> {event} {kind} {name}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
