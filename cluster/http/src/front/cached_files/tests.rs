//! The cache before an origin that is told what to answer.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use tempfile::TempDir;
use tokio::sync::Semaphore;

use super::*;
use crate::front::Blocks;

const NORMAL: &str = "group1/M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";
const SLAVE: &str = "group1/M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110_150x150.jpg";

/// What the origin has, and what happened to it.
#[derive(Clone, Default)]
struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    files: Mutex<HashMap<String, (Bytes, u32)>>,
    is_down: std::sync::atomic::AtomicBool,
    stats: AtomicU32,
    reads: AtomicU32,
    bytes: AtomicU64,
    /// Blocks wait for a permit each, if there is one.
    gate: Mutex<Option<Arc<Semaphore>>>,
    /// So many reads break off after one block.
    breaks: AtomicU32,
    /// So many reads bring a wrong byte.
    damages: AtomicU32,
}

impl Shelf {
    fn put(&self, id: &str, size: usize) -> Bytes {
        let bytes: Bytes = (0..size).map(|at| (at * 31 + at / 256) as u8).collect();
        self.put_bytes(id, bytes.clone(), crc32fast::hash(&bytes));
        bytes
    }

    fn put_bytes(&self, id: &str, bytes: Bytes, crc32: u32) {
        self.0.files.lock().unwrap().insert(id.to_owned(), (bytes, crc32));
    }

    fn counts(&self) -> (u32, u32) {
        (self.0.stats.load(Ordering::SeqCst), self.0.reads.load(Ordering::SeqCst))
    }
}

impl Origin for Shelf {
    fn stat(&self, id: &FileId) -> impl Future<Output = Result<Identity, OriginError>> + Send + 'static {
        let (shelf, id) = (self.clone(), id.to_string());
        async move {
            shelf.0.stats.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            if shelf.0.is_down.load(Ordering::SeqCst) {
                return Err(OriginError::Unavailable("down".into()));
            }
            let files = shelf.0.files.lock().unwrap();
            let (bytes, crc32) = files.get(&id).ok_or(OriginError::NotFound)?;
            Ok(Identity { size: bytes.len() as u64, modified: Timestamp(7), crc32: *crc32 })
        }
    }

    fn read(&self, id: &FileId, _identity: Identity, range: Range<u64>) -> Blocks {
        let shelf = self.0.clone();
        shelf.reads.fetch_add(1, Ordering::SeqCst);
        shelf.bytes.fetch_add(range.end - range.start, Ordering::SeqCst);
        let bytes = shelf.files.lock().unwrap().get(&id.to_string()).map(|(bytes, _)| bytes.clone());
        let take = |left: &AtomicU32| {
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok()
        };
        let (breaks, damaged) = (take(&shelf.breaks), take(&shelf.damages));
        let blocks = futures_util::stream::unfold((shelf, range), move |(shelf, mut range)| {
            let bytes = bytes.clone();
            async move {
                if shelf.is_down.load(Ordering::SeqCst) {
                    return Some((Err(OriginError::Unavailable("down".into())), (shelf, 0..0)));
                }
                if range.is_empty() {
                    return None;
                }
                let gate = shelf.gate.lock().unwrap().clone();
                if let Some(gate) = gate {
                    gate.acquire().await.unwrap().forget();
                }
                let Some(bytes) = bytes else { return Some((Err(OriginError::NotFound), (shelf, 0..0))) };
                let until = range.end.min(range.start + 50_000);
                let mut block = bytes.slice(range.start as usize..until as usize).to_vec();
                if damaged {
                    block[0] ^= 1;
                }
                range.start = if breaks { range.end } else { until };
                Some((Ok(block.into()), (shelf, range)))
            }
        });
        Box::pin(blocks)
    }
}

struct Bench {
    shelf: Shelf,
    files: CachedFiles<Shelf>,
    time: Arc<AtomicI64>,
    dir: TempDir,
}

impl Bench {
    fn new() -> Self {
        Self::with(1 << 30)
    }

    fn with(max_size: u64) -> Self {
        let (dir, shelf, time) =
            (tempfile::tempdir().unwrap(), Shelf::default(), Arc::new(AtomicI64::new(1000)));
        let files = CachedFiles::new(shelf.clone(), settings(&dir, &time, max_size)).unwrap();
        Self { shelf, files, time, dir }
    }

    async fn restart(&mut self) {
        let none = CachedFiles::new(self.shelf.clone(), CacheSettings::default()).unwrap();
        drop(std::mem::replace(&mut self.files, none));
        // The lock is free when the last task that stores something has ended.
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        self.files = loop {
            match CachedFiles::new(self.shelf.clone(), settings(&self.dir, &self.time, 1 << 30)) {
                Ok(files) => break files,
                Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
    }

    fn pass(&self, seconds: i64) {
        self.time.fetch_add(seconds, Ordering::SeqCst);
    }

    async fn get(&self, id: &str) -> Result<(Vec<u8>, Outcome), SourceError> {
        let id: FileId = id.parse().unwrap();
        let (content, outcome, _) = self.files.find(&id).await?;
        let size = content.size;
        Ok((read(content, 0..size).await.map_err(SourceError::Io)?, outcome))
    }

    async fn get_range(&self, id: &str, range: Range<u64>) -> io::Result<Vec<u8>> {
        let id: FileId = id.parse().unwrap();
        read(self.files.find(&id).await.map_err(io::Error::other)?.0, range).await
    }

    /// Waits until nothing is being fetched any more.
    async fn settle(&self) {
        let settled = async {
            while !self.files.0.fetching.is_idle() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), settled).await.expect("fetching ends");
    }
}

fn settings(dir: &TempDir, time: &Arc<AtomicI64>, max_size: u64) -> CacheSettings {
    let time = Arc::clone(time);
    let inactive = Duration::from_secs(1 << 30);
    let limits = CacheLimits { path: dir.path().to_owned(), max_size, memory: 1 << 20, inactive };
    let clock: Clock = Arc::new(move || Timestamp(time.load(Ordering::SeqCst)));
    CacheSettings { limits: Some(limits), clock, ..CacheSettings::default() }
}

async fn read(mut content: Content, range: Range<u64>) -> io::Result<Vec<u8>> {
    let (mut bytes, length) = (Vec::new(), range.end - range.start);
    content.reader.seek(range);
    while (bytes.len() as u64) < length {
        let block =
            tokio::time::timeout(Duration::from_secs(60), poll_fn(|cx| content.reader.poll_block(cx)));
        let block = block.await.expect("a block comes")?;
        if block.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&block);
    }
    Ok(bytes)
}

#[tokio::test]
async fn a_file_is_fetched_once_and_then_served_from_the_cache() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5000);
    assert_eq!(bench.get(NORMAL).await.unwrap(), (bytes.to_vec(), Outcome::Miss));
    bench.settle().await;
    for _ in 0..3 {
        assert_eq!(bench.get(NORMAL).await.unwrap(), (bytes.to_vec(), Outcome::Hit));
    }
    assert_eq!(bench.shelf.counts(), (1, 1));
}

#[tokio::test]
async fn equal_requests_at_the_same_time_are_one_fetch() {
    let bench = Arc::new(Bench::new());
    let bytes = bench.shelf.put(NORMAL, 5_000_000);
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let (bench, bytes) = (Arc::clone(&bench), bytes.clone());
        readers.spawn(async move { assert!(bench.get(NORMAL).await.unwrap().0 == bytes) });
    }
    readers.join_all().await;
    assert_eq!(bench.shelf.0.bytes.load(Ordering::SeqCst), 5_000_000);
    assert_eq!(bench.shelf.counts(), (1, 1));
}

#[tokio::test]
async fn a_slow_reader_does_not_hold_others_up() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5_000_000);
    let id: FileId = NORMAL.parse().unwrap();
    let mut slow = bench.files.find(&id).await.unwrap().0;
    slow.reader.seek(0..5_000_000);
    let first = poll_fn(|cx| slow.reader.poll_block(cx)).await.unwrap();
    // It takes one block and no more, while another reader takes all.
    assert!(bench.get(NORMAL).await.unwrap().0 == bytes);
    bench.settle().await;
    let mut slowly = first.to_vec();
    while slowly.len() < bytes.len() {
        slowly.extend_from_slice(&poll_fn(|cx| slow.reader.poll_block(cx)).await.unwrap());
    }
    assert!(slowly == bytes);
    assert_eq!(bench.shelf.0.bytes.load(Ordering::SeqCst), 5_000_000);
}

#[tokio::test]
async fn a_range_brings_only_the_parts_it_needs() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 8_000_000);
    assert_eq!(bench.get_range(NORMAL, 7_999_990..8_000_000).await.unwrap(), bytes[7_999_990..]);
    assert!(bench.shelf.0.bytes.load(Ordering::SeqCst) <= 2 << 20);
    bench.settle().await;
    let before = bench.shelf.counts();
    assert_eq!(bench.get_range(NORMAL, 7_999_000..7_999_990).await.unwrap(), bytes[7_999_000..7_999_990]);
    assert_eq!(bench.shelf.counts(), before);
    // What is there already is not fetched again with the rest.
    assert!(bench.get(NORMAL).await.unwrap().0 == bytes);
    bench.settle().await;
    assert_eq!(bench.shelf.0.bytes.load(Ordering::SeqCst), 8_000_000);
}

#[tokio::test]
async fn a_file_is_asked_for_again_when_it_is_no_longer_valid() {
    let bench = Bench::new();
    bench.shelf.put(NORMAL, 5000);
    bench.shelf.put(SLAVE, 600);
    bench.get(NORMAL).await.unwrap();
    bench.get(SLAVE).await.unwrap();
    bench.settle().await;
    bench.pass(61);
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Hit);
    assert_eq!(bench.get(SLAVE).await.unwrap().1, Outcome::Revalidated);
    bench.pass(12 * 3600);
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Revalidated);
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Hit);
    assert_eq!(bench.shelf.counts(), (4, 2));
    let other = bench.shelf.put(SLAVE, 700);
    bench.pass(61);
    assert_eq!(bench.get(SLAVE).await.unwrap(), (other.to_vec(), Outcome::Miss));
}

#[tokio::test]
async fn a_file_that_is_deleted_is_gone_when_it_is_no_longer_valid() {
    let bench = Bench::new();
    bench.shelf.put(NORMAL, 5000);
    bench.get(NORMAL).await.unwrap();
    bench.shelf.0.files.lock().unwrap().clear();
    bench.pass(12 * 3600);
    assert!(matches!(bench.get(NORMAL).await, Err(SourceError::NotFound)));
    bench.settle().await;
    assert_eq!(bench.files.usage(), (0, 0));
}

#[tokio::test]
async fn a_file_that_nobody_has_is_asked_for_every_two_seconds_at_most() {
    let bench = Bench::new();
    for _ in 0..3 {
        assert!(matches!(bench.get(NORMAL).await, Err(SourceError::NotFound)));
    }
    assert_eq!(bench.shelf.counts().0, 1);
    bench.pass(2);
    let bytes = bench.shelf.put(NORMAL, 5000);
    assert_eq!(bench.get(NORMAL).await.unwrap().0, bytes);
}

#[tokio::test]
async fn while_nobody_answers_what_is_cached_is_served() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5000);
    bench.get(NORMAL).await.unwrap();
    bench.settle().await;
    bench.shelf.0.is_down.store(true, Ordering::SeqCst);
    assert_eq!(bench.get(NORMAL).await.unwrap(), (bytes.to_vec(), Outcome::Hit));
    bench.pass(13 * 3600);
    assert_eq!(bench.get(NORMAL).await.unwrap(), (bytes.to_vec(), Outcome::Stale));
    bench.pass(31 * 24 * 3600);
    assert!(matches!(bench.get(NORMAL).await, Err(SourceError::Unavailable)));
    assert!(matches!(bench.get(SLAVE).await, Err(SourceError::Unavailable)));
    bench.shelf.0.is_down.store(false, Ordering::SeqCst);
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Revalidated);
}

#[tokio::test]
async fn a_fetch_that_breaks_off_is_made_again_and_no_byte_is_wrong() {
    for breaks in 0..4 {
        let bench = Bench::new();
        let bytes = bench.shelf.put(NORMAL, 3_000_000);
        bench.shelf.0.breaks.store(breaks, Ordering::SeqCst);
        assert!(bench.get(NORMAL).await.unwrap().0 == bytes, "{breaks}");
    }
}

#[tokio::test]
async fn a_damaged_copy_is_not_served_where_another_fetch_brings_a_whole_one() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5000);
    bench.shelf.0.damages.store(1, Ordering::SeqCst);
    assert_eq!(bench.get(NORMAL).await.unwrap().0, bytes);
    // With several blocks the first have left before the damage shows: the connection ends before the content does.
    let bench = Bench::new();
    bench.shelf.put(NORMAL, 500_000);
    bench.shelf.0.damages.store(1, Ordering::SeqCst);
    assert!(matches!(bench.get(NORMAL).await, Err(SourceError::Io(_))));
    bench.settle().await;
    assert!(bench.get(NORMAL).await.is_ok());
}

#[tokio::test]
async fn a_link_whose_name_has_a_checksum_of_chance_is_served() {
    let bench = Bench::new();
    let bytes = Bytes::from_static(b"linked");
    bench.shelf.put_bytes(NORMAL, bytes.clone(), 42);
    assert_eq!(bench.get(NORMAL).await.unwrap().0, bytes);
    bench.settle().await;
    assert_eq!(bench.get(NORMAL).await.unwrap(), (bytes.to_vec(), Outcome::Hit));
}

#[tokio::test]
async fn a_full_cache_disk_fails_no_request() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5_000_000);
    for shelf in 0..=u8::MAX {
        std::fs::remove_dir(bench.dir.path().join(format!("{shelf:02x}"))).unwrap();
    }
    for _ in 0..3 {
        assert!(bench.get(NORMAL).await.unwrap().0 == bytes);
    }
    assert_eq!(bench.files.usage().0, 0);
    // The same where the cache is too small for a single part.
    let bench = Bench::with(1000);
    let bytes = bench.shelf.put(NORMAL, 5_000_000);
    assert!(bench.get(NORMAL).await.unwrap().0 == bytes);
}

#[tokio::test]
async fn what_is_cached_survives_a_restart_while_everything_else_is_down() {
    let mut bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 3_000_000);
    bench.get(NORMAL).await.unwrap();
    bench.settle().await;
    bench.restart().await;
    bench.shelf.0.is_down.store(true, Ordering::SeqCst);
    // What was there is looked through in the background.
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    let (served, outcome) = loop {
        match bench.get(NORMAL).await {
            Ok(served) => break served,
            Err(error) => assert!(std::time::Instant::now() < deadline, "{error}"),
        }
    };
    assert!(served == bytes && outcome == Outcome::Hit);
}

#[tokio::test]
async fn purging_drops_a_file_and_what_is_being_fetched_of_it() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(NORMAL, 5000);
    let id: FileId = NORMAL.parse().unwrap();
    assert!(!bench.files.purge(&id));
    bench.get(NORMAL).await.unwrap();
    bench.settle().await;
    assert!(bench.files.purge(&id) && !bench.files.purge(&id));
    assert_eq!(bench.files.usage(), (0, 0));
    let gate = Arc::new(Semaphore::new(0));
    *bench.shelf.0.gate.lock().unwrap() = Some(Arc::clone(&gate));
    let (content, ..) = bench.files.find(&id).await.unwrap();
    let reading = tokio::spawn(read(content, 0..5000));
    while bench.shelf.counts().1 < 2 {
        tokio::task::yield_now().await;
    }
    assert!(bench.files.purge(&id));
    gate.add_permits(10);
    assert_eq!(reading.await.unwrap().unwrap(), bytes);
    bench.settle().await;
    assert_eq!(bench.files.usage(), (0, 0), "the fetch began before the purge");
}

#[tokio::test]
async fn appender_files_are_not_cached() {
    let appender = "group1/M00/00/07/fwAAAmsCerKECbhRAAATiC17JN8110.log";
    assert_eq!(Kind::of(&appender.parse().unwrap()), Kind::Appender);
    let bench = Bench::new();
    bench.shelf.put(appender, 5000);
    assert_eq!(bench.get(appender).await.unwrap().1, Outcome::Bypass);
    let longer = bench.shelf.put(appender, 6000);
    assert_eq!(bench.get(appender).await.unwrap(), (longer.to_vec(), Outcome::Bypass));
    assert_eq!(bench.files.usage(), (0, 0));
}

const APPENDER: &str = "group1/M00/00/07/fwAAAmsCerKECbhRAAATiC17JN8110.log";

/// Begins so many readings of an appender file, all of which wait for its first byte.
async fn joined(bench: &Arc<Bench>, bytes: &Bytes, count: usize) -> Vec<tokio::task::JoinHandle<()>> {
    *bench.shelf.0.gate.lock().unwrap() = Some(Arc::new(Semaphore::new(0)));
    let readers = (0..count).map(|_| {
        let (bench, bytes) = (Arc::clone(bench), bytes.clone());
        tokio::spawn(async move { assert!(bench.get(APPENDER).await.unwrap().0 == bytes) })
    });
    let readers: Vec<_> = readers.collect();
    let id: FileId = APPENDER.parse().unwrap();
    let identity =
        Identity { size: bytes.len() as u64, modified: Timestamp(7), crc32: crc32fast::hash(bytes) };
    let all = async {
        while bench.files.0.fetching.joinable(&id, identity) < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all).await.expect("all read");
    readers
}

impl Shelf {
    fn open_the_gate(&self) {
        self.0.gate.lock().unwrap().take().unwrap().add_permits(1 << 20);
    }
}

#[tokio::test]
async fn equal_requests_for_what_is_not_cached_are_one_reading_and_nothing_is_kept_of_it() {
    let mut bench = Bench::new();
    bench.files = {
        let settings = settings(&tempfile::tempdir().unwrap(), &bench.time, 1 << 30);
        CachedFiles::new(bench.shelf.clone(), CacheSettings { joined_for: Duration::MAX, ..settings })
            .unwrap()
    };
    let bytes = bench.shelf.put(APPENDER, 3_000_000);
    let bench = Arc::new(bench);
    let readers = joined(&bench, &bytes, 50).await;
    bench.shelf.open_the_gate();
    for reader in readers {
        reader.await.unwrap();
    }
    assert_eq!(bench.shelf.0.bytes.load(Ordering::SeqCst), 3_000_000);
    assert_eq!(bench.shelf.counts().1, 1);
    assert_eq!(bench.get(APPENDER).await.unwrap().0, bytes);
    assert_eq!(bench.shelf.counts().1, 2, "a later request reads anew");
    // Who began it leaves: the others go on where it was.
    let readers = joined(&bench, &bytes, 9).await;
    for reader in &readers[..8] {
        reader.abort();
    }
    bench.shelf.open_the_gate();
    for (index, reader) in readers.into_iter().enumerate() {
        assert_eq!(reader.await.is_ok(), index == 8);
    }
    assert_eq!(bench.shelf.counts().1, 3);
}

#[tokio::test]
async fn who_reads_what_is_not_cached_slowly_goes_on_alone() {
    let bench = Bench::new();
    let bytes = bench.shelf.put(APPENDER, 9_000_000);
    let id: FileId = APPENDER.parse().unwrap();
    let mut slow = bench.files.find(&id).await.unwrap().0;
    slow.reader.seek(0..9_000_000);
    let mut slowly = poll_fn(|cx| slow.reader.poll_block(cx)).await.unwrap().to_vec();
    assert!(bench.get(APPENDER).await.unwrap().0 == bytes);
    while slowly.len() < bytes.len() {
        slowly.extend_from_slice(&poll_fn(|cx| slow.reader.poll_block(cx)).await.unwrap());
    }
    assert!(slowly == bytes);
    assert_eq!(bench.shelf.counts().1, 2, "each has read by itself at last");
}

#[tokio::test]
async fn other_times_hold_for_what_is_cached_already() {
    let bench = Bench::new();
    bench.shelf.put(NORMAL, 5000);
    bench.get(NORMAL).await.unwrap();
    bench.settle().await;
    bench.pass(60);
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Hit);
    bench.files.set_times(&CacheSettings { valid: Duration::from_secs(30), ..CacheSettings::default() });
    assert_eq!(bench.get(NORMAL).await.unwrap().1, Outcome::Revalidated);
}
