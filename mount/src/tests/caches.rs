//! What the kernel keeps, and when it has to ask again. Through a kernel.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fdfs_namespace::engine::{Engine, EngineError, Job, MemoryEngine, Read, Watcher};
use fdfs_objects::testing::MemoryFiles;
use fdfs_objects::{
    CommitOptions, Defaults, Kind, Namespace, NewInode, Objects, Preconditions, PutOptions, SetAttributes,
    Settings,
};
use parking_lot::Mutex;

use super::bytes;
use super::kernel::Mounted;

/// Waits until something is true, which it should be at once.
pub(super) fn soon(what: &str, mut is_true: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_true() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn what_the_kernel_was_told_it_does_not_ask_for_again() {
    let Some(mounted) = Mounted::new() else { return };
    mounted.put("dir/file", b"content");
    let path = mounted.path("dir/file");
    let look = || {
        assert_eq!(fs::metadata(&path).unwrap().len(), 7);
        let missing = fs::metadata(mounted.path("dir/missing")).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::NotFound);
    };
    look();
    let asked = mounted.requests();
    (0..100).for_each(|_| look());
    assert_eq!(mounted.requests(), asked);
}

#[test]
fn without_a_cache_the_kernel_asks_every_time() {
    let Some(mounted) = Mounted::with(|config| config.cache = Duration::ZERO) else { return };
    mounted.put("file", b"content");
    fs::metadata(mounted.path("file")).unwrap();
    let asked = mounted.requests();
    for _ in 0..100 {
        fs::metadata(mounted.path("file")).unwrap();
    }
    assert!(mounted.requests() >= asked + 100);
}

#[test]
fn what_s3_answered_is_seen_by_the_next_look_whatever_the_kernel_kept() {
    let Some(mounted) = Mounted::new() else { return };
    let path = |name: &str| mounted.path(name);
    for round in 0..50 {
        let content = bytes(round, 100 + round as usize);
        assert_eq!(fs::metadata(path("a/b/file")).is_ok(), round > 0);
        mounted.put("a/b/file", &content);
        assert_eq!(fs::read(path("a/b/file")).unwrap(), content);
        assert_eq!(fs::metadata(path("a/b/file")).unwrap().len(), content.len() as u64);
    }
    mounted.put("a/b/", b"");
    let rename = mounted.objects.rename("group1", b"a/b/", b"a/c/", Default::default());
    mounted.runtime.block_on(rename).unwrap();
    assert_eq!(fs::metadata(path("a/b")).unwrap_err().kind(), ErrorKind::NotFound);
    assert!(fs::metadata(path("a/c/file")).is_ok());
    let delete = mounted.objects.delete("group1", b"a/c/file", Preconditions::default());
    mounted.runtime.block_on(delete).unwrap();
    assert_eq!(fs::metadata(path("a/c/file")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn what_another_mount_changes_is_seen_soon_and_its_content_by_the_next_open() {
    let Some(here) = Mounted::new() else { return };
    let Some(there) = Mounted::of(Arc::clone(&here.objects), here.files.clone(), |_| {}) else { return };
    let old = bytes(1, 300_000);
    fs::write(here.path("file"), &old).unwrap();
    soon("a new name", || fs::read(there.path("file")).is_ok_and(|read| read == old));

    fs::set_permissions(here.path("file"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    soon("another mode", || fs::metadata(there.path("file")).unwrap().mode() & 0o777 == 0o600);
    // The same size: neither size nor pages tell.
    let new = bytes(2, 300_000);
    fs::write(here.path("file"), &new).unwrap();
    soon("another content", || fs::read(there.path("file")).unwrap() == new);
    fs::hard_link(here.path("file"), here.path("link")).unwrap();
    soon("another link", || fs::metadata(there.path("file")).unwrap().nlink() == 2);
    fs::remove_file(there.path("link")).unwrap();
    soon("a link less", || fs::metadata(here.path("file")).unwrap().nlink() == 1);
    fs::rename(here.path("file"), here.path("renamed")).unwrap();
    soon("an old name", || fs::metadata(there.path("file")).is_err());
    assert_eq!(fs::read(there.path("renamed")).unwrap(), new);
}

#[test]
fn pages_are_kept_from_one_open_to_the_next_until_the_content_is_another() {
    let Some(mounted) = Mounted::new() else { return };
    let (old, new) = (bytes(1, 409_600), bytes(2, 409_600));
    let reads = || mounted.files.state(|state| state.reads.len());
    fs::write(mounted.path("written"), &old).unwrap();
    assert_eq!(fs::read(mounted.path("written")).unwrap(), old);
    assert_eq!(reads(), 0, "what was written here is not read anew");

    mounted.put("put", &old);
    assert_eq!(fs::read(mounted.path("put")).unwrap(), old);
    let before = reads();
    assert_eq!(fs::read(mounted.path("put")).unwrap(), old);
    assert_eq!(reads(), before, "the kernel has it");
    mounted.put("put", &new);
    assert_eq!(fs::read(mounted.path("put")).unwrap(), new);

    // A part is changed here, another part by somebody else.
    let inode = fs::metadata(mounted.path("written")).unwrap().ino();
    let cut = SetAttributes { size: Some(300_000), ..SetAttributes::default() };
    mounted.runtime.block_on(mounted.objects.set_attributes(inode, cut)).unwrap();
    soon("another size", || fs::metadata(mounted.path("written")).unwrap().len() == 300_000);
    assert_eq!(fs::read(mounted.path("written")).unwrap(), old[..300_000]);
}

/// A store that other processes use as well: a test tells what they did, or does not.
#[derive(Default)]
pub(super) struct Shared {
    rows: MemoryEngine,
    watcher: Mutex<Option<Weak<dyn Watcher>>>,
}

pub(super) struct Handed(Arc<Shared>);

impl Handed {
    /// Objects as one of the processes has them.
    pub(super) fn objects(shared: &Arc<Shared>, files: &MemoryFiles) -> Arc<Objects> {
        let names = Namespace::open(Arc::new(Self(Arc::clone(shared))), Defaults::default()).unwrap();
        Objects::new(names, Arc::new(files.clone()), Settings::default())
    }
}

impl Engine for Handed {
    fn read(&self, job: &mut dyn FnMut(&dyn Read) -> Result<(), EngineError>) -> Result<(), EngineError> {
        self.0.rows.read(job)
    }

    fn submit(&self, job: Box<dyn Job>) {
        self.0.rows.submit(job);
    }

    fn reads_inline(&self) -> bool {
        true
    }

    fn watch(&self, watcher: Weak<dyn Watcher>) {
        self.0.watcher.lock().get_or_insert(watcher);
    }
}

#[test]
fn an_open_finds_the_file_and_its_size_of_now_before_anybody_tells_of_a_change() {
    let shared = Arc::new(Shared::default());
    let files = MemoryFiles::default();
    let open = || Handed::objects(&shared, &files);
    let Some(mounted) = Mounted::of(open(), files.clone(), |_| {}) else { return };
    let elsewhere = open();
    let path = mounted.path("file");
    for round in 0..20_u64 {
        let content = bytes(round, 1_000 + 5_000 * round as usize + round as usize % 2 * 200_000);
        let put = async {
            let mut writer = elsewhere.writer("group1", b"file", PutOptions::default()).await.unwrap();
            writer.write(Bytes::from(content.clone())).await.unwrap();
            writer.commit(Default::default()).await.unwrap()
        };
        if round == 0 {
            fs::write(&path, &content).unwrap();
        } else if round % 4 == 3 {
            // Another inode takes the name.
            mounted.runtime.block_on(put);
            assert_ne!(fs::metadata(&path).unwrap().len(), content.len() as u64, "it is kept");
        } else {
            let inode = fs::metadata(&path).unwrap().ino();
            let write = async {
                let mut writer = elsewhere.write_inode(inode, None).await.unwrap();
                writer.write(Bytes::from(content.clone())).await.unwrap();
                writer.commit(CommitOptions::default()).await.unwrap();
            };
            mounted.runtime.block_on(write);
            assert_ne!(fs::metadata(&path).unwrap().len(), content.len() as u64, "it is kept");
        }
        let file = fs::File::open(&path).unwrap();
        if round % 2 == 0 {
            assert_eq!(file.metadata().unwrap().len(), content.len() as u64, "round {round}");
        }
        let mut read = vec![0; content.len() + 10];
        let length = file.read_at(&mut read, 0).unwrap();
        assert!(read[..length] == content, "round {round}: {length} bytes of {}", content.len());
        assert_eq!(fs::metadata(&path).unwrap().len(), content.len() as u64);
    }
    let gone = elsewhere.delete("group1", b"file", Preconditions::default());
    mounted.runtime.block_on(gone).unwrap();
    assert!(fs::metadata(&path).is_ok(), "it is kept");
    assert_eq!(fs::File::open(&path).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_stream_of_changes_that_is_lost_drops_what_the_kernel_kept() {
    let shared = Arc::new(Shared::default());
    let open = || {
        let names = Namespace::open(Arc::new(Handed(Arc::clone(&shared))), Defaults::default()).unwrap();
        let files = MemoryFiles::default();
        (Objects::new(names, Arc::new(files.clone()), Settings::default()), files)
    };
    let (objects, files) = open();
    let watcher = || shared.watcher.lock().as_ref().and_then(Weak::upgrade).unwrap();
    let Some(mounted) = Mounted::of(objects, files, |_| {}) else { return };
    let (elsewhere, _) = open();

    fs::write(mounted.path("file"), b"1").unwrap();
    assert!(fs::metadata(mounted.path("file")).is_ok() && fs::metadata(mounted.path("other")).is_err());
    // Somebody changes it and nobody tells.
    let inode = fs::metadata(mounted.path("file")).unwrap().ino();
    let parent = fs::metadata(mounted.path("")).unwrap().ino();
    let change = async {
        let set = SetAttributes { mode: Some(0o640), ..SetAttributes::default() };
        elsewhere.set_attributes(inode, set).await.unwrap();
        elsewhere.make(parent, b"other", NewInode { kind: Kind::File, ..NewInode::default() }).await.unwrap();
    };
    mounted.runtime.block_on(change);
    assert_ne!(fs::metadata(mounted.path("file")).unwrap().mode() & 0o777, 0o640, "it is kept");
    assert!(fs::metadata(mounted.path("other")).is_err(), "it is kept");

    watcher().missed();
    soon("all is asked for again", || {
        fs::metadata(mounted.path("file")).unwrap().mode() & 0o777 == 0o640
            && fs::metadata(mounted.path("other")).is_ok()
    });

    // While nobody tells, nothing is kept.
    watcher().follows(false);
    watcher().missed();
    let asks = || {
        let asked = mounted.requests();
        fs::metadata(mounted.path("file")).unwrap();
        mounted.requests() > asked
    };
    soon("nothing is kept", || asks() && asks() && asks());
    watcher().follows(true);
    soon("it is kept again", || !asks());
}

#[test]
fn the_kernel_reads_ahead_further_where_root_mounts() {
    let Some(mounted) = Mounted::new() else { return };
    let device = fs::metadata(mounted.path("")).unwrap().dev();
    let (major, minor) = (libc::major(device), libc::minor(device));
    let setting = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    let writable = fs::OpenOptions::new().write(true).open(&setting);
    if !rustix::process::geteuid().is_root() || writable.is_err() {
        eprintln!("SKIPPED: not root, or no /sys that is written to");
        return;
    }
    let kib: u32 = fs::read_to_string(&setting).unwrap().trim().parse().unwrap();
    assert!(kib >= 1_024, "{kib}");
    // What the kernel asks for before every write costs no look at the namespace.
    mounted.put("file", b"content");
    let mut value = [0; 64];
    let capability = rustix::fs::getxattr(mounted.path("file"), "security.capability", &mut value);
    assert_eq!(capability, Err(rustix::io::Errno::NODATA));
}

#[test]
fn many_streams_share_a_memory_that_is_small_and_lose_nothing() {
    let Some(mounted) = Mounted::with(|config| config.memory = 0) else { return };
    let content = bytes(3, 3 << 20);
    mounted.put("read", &content);
    let stats = || fs::read_to_string(mounted.path("../.stats")).unwrap();
    // Counters count from the first look on.
    stats();
    let taken = |stats: &str, name: &str| -> u64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    std::thread::scope(|scope| {
        for number in 0..24 {
            let (mounted, content, stats) = (&mounted, &content, &stats);
            scope.spawn(move || {
                if number % 2 == 0 {
                    assert!(fs::read(mounted.path("read")).unwrap() == *content);
                } else {
                    fs::write(mounted.path(&format!("written-{number}")), content).unwrap();
                }
                let stats = stats();
                assert!(taken(&stats, "memory_of_requests_bytes ") <= 4 << 20, "{stats}");
                assert_eq!(taken(&stats, "memory_kept_bytes "), 0, "{stats}");
            });
        }
    });
    for number in (1..24).step_by(2) {
        assert!(mounted.get(&format!("written-{number}")) == content);
    }
    soon("memory is given back", || taken(&stats(), "memory_of_requests_bytes ") == 0);
    assert!(stats().contains("fdfs_mount_short_reads_ahead_total"), "{}", stats());
}
