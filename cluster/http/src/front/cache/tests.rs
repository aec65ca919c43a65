//! The cache by itself: bounds, restarts, damage.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use tempfile::TempDir;

use super::*;

fn id(number: u8) -> FileId {
    format!("group1/M00/00/{number:02X}/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg").parse().unwrap()
}

fn limits(dir: &TempDir, max_size: u64) -> CacheLimits {
    let path = dir.path().to_owned();
    CacheLimits { path, max_size, memory: 1 << 20, inactive: Duration::from_secs(100) }
}

fn open(limits: CacheLimits) -> Arc<Cache> {
    let cache = Cache::open(limits, Arc::new(|| Timestamp(1000))).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    while !cache.loaded.load(Ordering::Acquire) {
        assert!(Instant::now() < deadline, "the cache is not loaded");
        std::thread::yield_now();
    }
    cache
}

fn identity(size: u64) -> Identity {
    Identity { size, modified: Timestamp(7), crc32: 9 }
}

fn read(cache: &Cache, object: &Object, index: u32) -> Option<Bytes> {
    match cache.get(object, index)? {
        Cached::Memory(bytes) => Some(bytes),
        Cached::File(file) => {
            let length = file.metadata().unwrap().len() - Cache::PAYLOAD_AT;
            let mut bytes = vec![0; usize::try_from(length).unwrap()];
            std::os::unix::fs::FileExt::read_exact_at(&*file, &mut bytes, Cache::PAYLOAD_AT).unwrap();
            Some(bytes.into())
        }
        Cached::Unread(slice) => cache.read(object, &slice),
    }
}

fn files(dir: &TempDir) -> Vec<PathBuf> {
    let shelves = std::fs::read_dir(dir.path()).unwrap().flatten().filter(|entry| entry.path().is_dir());
    shelves
        .flat_map(|shelf| std::fs::read_dir(shelf.path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .collect()
}

#[test]
fn what_is_stored_is_read_back_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    let large = Bytes::from(vec![7; 100_000]);
    let object = cache.admit(&id(1), identity(100_005));
    cache.store(&object, 0, std::slice::from_ref(&large));
    cache.store(&object, 1, &[Bytes::from_static(b"he"), Bytes::from_static(b"llo")]);
    assert_eq!(read(&cache, &object, 0).unwrap(), large);
    assert_eq!(read(&cache, &object, 1).unwrap(), "hello");
    assert!(read(&cache, &object, 2).is_none());
    let usage = cache.usage();
    drop(cache);

    let cache = open(limits(&dir, 1 << 30));
    let object = cache.object(&id(1)).unwrap();
    assert_eq!((object.identity, object.validated()), (identity(100_005), Timestamp(1000)));
    assert_eq!(read(&cache, &object, 0).unwrap(), large);
    assert_eq!(read(&cache, &object, 1).unwrap(), "hello");
    assert_eq!(cache.usage(), usage);
}

#[test]
fn the_cache_never_takes_more_than_its_size() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 10 * 8192));
    for number in 0..30 {
        let object = cache.admit(&id(number), identity(5000));
        cache.store(&object, 0, &[vec![number; 5000].into()]);
        // The first is asked for again and again, so it stays.
        assert_eq!(read(&cache, &cache.object(&id(0)).unwrap(), 0).unwrap()[0], 0);
        assert!(cache.usage().0 <= 10 * 8192);
    }
    assert_eq!(files(&dir).len(), 10);
    assert!(cache.object(&id(29)).is_some() && cache.object(&id(15)).is_none());
}

#[test]
fn a_content_larger_than_the_cache_passes_through() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 3 * 8192));
    let object = cache.admit(&id(1), identity(50_000));
    for index in 0..10 {
        cache.store(&object, index, &[vec![1; 5000].into()]);
        assert!(cache.usage().0 <= 3 * 8192);
    }
    assert!(read(&cache, &object, 9).is_some() && read(&cache, &object, 0).is_none());
    cache.store(&object, 0, &[vec![1; 500_000].into()]);
    assert!(!cache.has(&object, 0), "it can never fit");
}

#[test]
fn a_part_that_was_damaged_on_disk_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    let object = cache.admit(&id(1), identity(5000));
    cache.store(&object, 0, &[vec![1; 5000].into()]);
    drop(cache);
    let path = files(&dir).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[1000] ^= 1;
    std::fs::write(&path, bytes).unwrap();

    let cache = open(limits(&dir, 1 << 30));
    let object = cache.object(&id(1)).unwrap();
    assert!(cache.has(&object, 0) && read(&cache, &object, 0).is_none());
    assert!(!cache.has(&object, 0) && files(&dir).is_empty());
}

#[test]
fn a_part_that_was_cut_off_by_a_crash_is_removed_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    for number in 0..2 {
        let object = cache.admit(&id(number), identity(5000));
        cache.store(&object, 0, &[vec![1; 5000].into()]);
    }
    drop(cache);
    let path = files(&dir).remove(0);
    File::options().write(true).open(&path).unwrap().set_len(3000).unwrap();
    std::fs::write(dir.path().join("00/strange"), "x").unwrap();
    let cache = open(limits(&dir, 1 << 30));
    assert_eq!((cache.usage().1, files(&dir).len()), (1, 1));
}

#[test]
fn a_purged_content_is_not_stored_by_who_fetched_it_before() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    let object = cache.admit(&id(1), identity(5));
    assert!(cache.purge(&id(1)) && !cache.purge(&id(1)));
    cache.store(&object, 0, &[Bytes::from_static(b"hello")]);
    assert!(cache.object(&id(1)).is_none() && files(&dir).is_empty());
    let again = cache.admit(&id(1), identity(5));
    cache.store(&object, 0, &[Bytes::from_static(b"hello")]);
    assert!(!cache.has(&again, 0));
}

#[test]
fn another_content_replaces_what_is_cached() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    let object = cache.admit(&id(1), identity(5));
    cache.store(&object, 0, &[Bytes::from_static(b"hello")]);
    let same = cache.admit(&id(1), identity(5));
    assert_eq!(same.number, object.number);
    let other = cache.admit(&id(1), identity(6));
    assert!(other.number != object.number && read(&cache, &other, 0).is_none() && files(&dir).is_empty());
}

#[test]
fn what_nobody_asks_for_is_dropped_after_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let time = Arc::new(AtomicI64::new(1000));
    let told = Arc::clone(&time);
    let clock: Clock = Arc::new(move || Timestamp(told.load(Ordering::Relaxed)));
    let cache = Cache::open(limits(&dir, 1 << 30), clock).unwrap();
    for number in 0..2 {
        let object = cache.admit(&id(number), identity(5));
        cache.store(&object, 0, &[Bytes::from_static(b"hello")]);
    }
    time.store(1090, Ordering::Relaxed);
    assert!(cache.object(&id(1)).is_some());
    time.store(1101, Ordering::Relaxed);
    assert!(cache.object(&id(0)).is_none() && cache.object(&id(1)).is_some());
    assert_eq!(files(&dir).len(), 1);
}

#[test]
fn a_second_process_is_kept_out() {
    let dir = tempfile::tempdir().unwrap();
    let _cache = open(limits(&dir, 1 << 30));
    let error = Cache::open(limits(&dir, 1 << 30), Arc::new(|| Timestamp(0))).err().unwrap();
    assert!(error.to_string().contains("another process uses it"), "{error}");
}

#[test]
fn a_disk_that_cannot_be_written_is_left_alone_for_a_while() {
    let dir = tempfile::tempdir().unwrap();
    let cache = open(limits(&dir, 1 << 30));
    for shelf in 0..=u8::MAX {
        std::fs::remove_dir(dir.path().join(format!("{shelf:02x}"))).unwrap();
    }
    let object = cache.admit(&id(1), identity(5));
    cache.store(&object, 0, &[Bytes::from_static(b"hello")]);
    assert_eq!((cache.usage().0, cache.has(&object, 0)), (0, false));
    assert!(cache.resting_until.load(Ordering::Relaxed) > 1000);
}
