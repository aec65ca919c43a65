//! What `kill -9` leaves of a namespace in LMDB: everything that was answered, and nothing half-done.

#![expect(clippy::unwrap_used, reason = "a test may stop where something is not as it says")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use fdfs_namespace::{Defaults, ETag, Extent, Kind, Namespace, NewBucket, NewFile, Preconditions};
use fdfs_types::{FileId, NameFields, SizeField, Source};

/// Writers of the child.
const WRITERS: u32 = 16;
/// Where the child finds its store; without it the child's test does nothing.
const STORE: &str = "FDFS_TEST_CRASH_STORE";

fn file_id(number: u32) -> FileId {
    let fields = NameFields {
        source: Source::Ip([127, 0, 0, 1].into()),
        created: 1_795_323_909,
        size: SizeField::normal(5, number),
        crc32: number,
    };
    format!("group1/M00/00/00/{}1234567", fields.encode()).parse().unwrap()
}

fn content(number: u32) -> NewFile {
    let etag = Some(ETag { digest: [7; 16], parts: None });
    NewFile { extents: vec![Extent::whole(file_id(number), 5)], size: 5, etag, ..NewFile::default() }
}

#[tokio::test]
async fn what_was_answered_before_a_kill_is_there_and_nothing_is_half_done() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 0..3_u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_until_it_is_killed", "--ignored", "--nocapture"])
            .env(STORE, directory.path())
            .env("FDFS_TEST_CRASH_ROUND", round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut count = 0;
        while count < 400 {
            let line = lines.next().expect("the child writes until it is killed").unwrap();
            count += u32::from(acknowledge(&mut acknowledged, &line));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had answered and was not read yet counts as well; a line cut off by the kill does not.
        let rest: Vec<String> = lines.map_while(Result::ok).collect();
        for line in &rest {
            acknowledge(&mut acknowledged, line);
        }
        check(directory.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() >= 1_200);
}

fn acknowledge(acknowledged: &mut BTreeSet<(String, u32)>, line: &str) -> bool {
    let Some((key, number)) =
        line.strip_prefix("done ").and_then(|line| line.strip_suffix('.')?.split_once(' '))
    else {
        return false;
    };
    acknowledged.insert((key.to_owned(), number.parse().unwrap()))
}

async fn check(path: &Path, acknowledged: &BTreeSet<(String, u32)>) {
    let namespace = Namespace::open_lmdb(path, Defaults::default()).unwrap();
    let root = namespace.bucket("b").await.unwrap().root;
    for (key, number) in acknowledged {
        let record = namespace.get(root, key.as_bytes()).await.unwrap();
        assert_eq!(record.extents, [Extent::whole(file_id(*number), 5)], "{key}");
    }
    // Every entry has its inode, every inode knows its name, every file its one user, every directory its count.
    let (mut directories, mut files) = (vec![root], 0);
    while let Some(directory) = directories.pop() {
        let (mut after, mut below) = (None, 0);
        loop {
            let (entries, next) = namespace.read_directory(directory, after, 1_000).await.unwrap();
            for entry in entries {
                let (parent, name) = namespace.location(entry.inode).await.unwrap();
                assert_eq!(parent, directory);
                assert!(name.starts_with(&entry.name));
                if entry.kind == Kind::Directory {
                    directories.push(entry.inode);
                    below += 1;
                    continue;
                }
                files += 1;
                let record = namespace.record(entry.inode).await.unwrap();
                assert_eq!(entry.attributes.map(|entry| entry.etag), Some(record.attributes.etag));
                assert_eq!(namespace.users_of(&record.extents[0].file, 10).await.unwrap(), [entry.inode]);
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(namespace.attributes(directory).await.unwrap().links, 2 + below);
    }
    assert!(files >= acknowledged.len());
}

#[test]
#[ignore = "started by the test above"]
fn child_that_writes_until_it_is_killed() {
    let Ok(path) = std::env::var(STORE) else { return };
    let round: u32 = std::env::var("FDFS_TEST_CRASH_ROUND").unwrap().parse().unwrap();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_time().build().unwrap();
    runtime.block_on(async {
        let namespace = Arc::new(Namespace::open_lmdb(Path::new(&path), Defaults::default()).unwrap());
        let bucket = match namespace.bucket("b").await {
            Ok(bucket) => bucket,
            Err(_) => namespace.create_bucket("b", NewBucket::default()).await.unwrap(),
        };
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..WRITERS {
            let namespace = Arc::clone(&namespace);
            writers.spawn(async move {
                for number in 0.. {
                    let unique = (round * WRITERS + writer) * 1_000_000 + number;
                    let key = format!("shared/{writer}/{round}-{number}");
                    let put =
                        namespace.put(bucket.root, key.as_bytes(), content(unique), Preconditions::default());
                    put.await.unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "done {key} {unique}.").unwrap();
                    out.flush().unwrap();
                }
            });
        }
        writers.join_all().await;
    });
}
