//! Whole files on a local disk: what was read once is read again without asking a storage, by the kernel itself where it can.
//!
//! A file of the cache is the content of one FastDFS file that never changes, under its ID (`/` is written `,`). The ID has its size and its CRC-32: nothing else has to be kept. A file is
//! checked against them when it is whole, and again by the first to open it after a start or after anybody has touched it.

mod backing;
mod filling;
mod local;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use fdfs_objects::ObjectInfo;
use fdfs_types::{FileId, FileKind};
use parking_lot::Mutex;
use tracing::warn;

pub(crate) use self::backing::{Backing, HandleBacking, Passthrough};
pub(crate) use self::filling::Filling;
pub(crate) use self::local::{Local, read};

/// The files that are kept, the least lately used of which go when there is no room.
pub(crate) struct DiskCache {
    directory: PathBuf,
    limit: u64,
    entries: Mutex<Entries>,
    /// Held as long as this mount uses the directory.
    _lock: File,
}

#[derive(Default)]
struct Entries {
    kept: HashMap<String, Kept>,
    fillings: HashMap<String, Weak<Filling>>,
    /// Bytes kept and promised.
    bytes: u64,
    clock: u64,
}

/// A file that is kept.
struct Kept {
    size: u64,
    used: u64,
    /// As what it was when it was checked.
    checked: Option<Touched>,
}

/// Changes whenever anybody touches a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Touched {
    inode: u64,
    size: u64,
    mtime: (i64, i64),
    ctime: (i64, i64),
}

/// A content that the cache can keep.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Cacheable {
    key: String,
    size: u64,
    crc32: u32,
}

impl Cacheable {
    /// What is known of an object, if it is one FastDFS file that never changes.
    pub(crate) fn of(info: &ObjectInfo) -> Option<Self> {
        let file = info.file_id.as_ref().filter(|_| info.size() > 0)?;
        Self::of_id(file).filter(|cacheable| cacheable.size == info.size())
    }

    fn of_id(file: &FileId) -> Option<Self> {
        let fields = file.filename.fields().ok()?;
        match file.filename.kind().ok()? {
            FileKind::Normal | FileKind::Trunk(_) => {}
            FileKind::Appender | FileKind::Slave => return None,
        }
        let key = file.to_string().replace('/', ",");
        Some(Self { key, size: fields.size.size()?, crc32: fields.crc32 })
    }
}

impl DiskCache {
    /// The cache in a directory, with what a mount before kept there. Nobody else may use it.
    pub(crate) fn open(directory: &Path, limit: u64) -> io::Result<Arc<Self>> {
        fs::create_dir_all(directory)?;
        let lock = File::create(directory.join("owner.lock"))?;
        // A mount that was here before may be about to end.
        let end = Instant::now() + PATIENCE;
        while lock.try_lock().is_err() {
            if Instant::now() > end {
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another mount uses it"));
            }
            thread::sleep(PATIENCE / 500);
        }
        let entries = Mutex::default();
        let cache = Arc::new(Self { directory: directory.to_owned(), limit, entries, _lock: lock });
        cache.take_over()?;
        Ok(cache)
    }

    /// A whole and right file of this content, if there is one.
    pub(crate) async fn find(self: &Arc<Self>, wanted: &Cacheable) -> Option<Arc<File>> {
        let checked = {
            let mut entries = self.entries.lock();
            entries.clock += 1;
            let clock = entries.clock;
            let kept = entries.kept.get_mut(&wanted.key)?;
            kept.used = clock;
            kept.checked
        };
        let path = self.path(&wanted.key);
        let (content, name) = (wanted.clone(), path.clone());
        let look = tokio::task::spawn_blocking(move || -> io::Result<Option<(File, Touched)>> {
            let mut file = File::open(&name)?;
            let touched = Touched::of(&file)?;
            let is_right = checked == Some(touched) || is_of(&mut file, &content)?;
            Ok(is_right.then_some((file, touched)))
        });
        match look.await {
            Ok(Ok(Some((file, touched)))) => {
                if let Some(kept) = self.entries.lock().kept.get_mut(&wanted.key) {
                    kept.checked = Some(touched);
                }
                metrics::counter!("fdfs_mount_disk_cache_hits_total").increment(1);
                return Some(Arc::new(file));
            }
            Ok(Ok(None)) => {
                metrics::counter!("fdfs_mount_disk_cache_corrupt_total").increment(1);
                warn!(path = %path.display(), "a file of the cache is not what it was: it is read from a storage again");
            }
            Ok(Err(error)) => self.failed(&path, &error),
            Err(_panicked) => {}
        }
        self.forget(&wanted.key);
        None
    }

    /// Begins to gather a content, or goes on with who does already; none where it cannot be kept.
    pub(crate) fn fill(self: &Arc<Self>, wanted: &Cacheable) -> Option<Arc<Filling>> {
        let mut entries = self.entries.lock();
        if let Some(filling) = entries.fillings.get(&wanted.key).and_then(Weak::upgrade) {
            return Some(filling);
        }
        if entries.kept.contains_key(&wanted.key) || !self.make_room(&mut entries, wanted.size) {
            return None;
        }
        match Filling::begin(Arc::clone(self), wanted.clone()) {
            Ok(filling) => {
                let filling = Arc::new(filling);
                entries.bytes += wanted.size;
                entries.fillings.insert(wanted.key.clone(), Arc::downgrade(&filling));
                Some(filling)
            }
            Err(error) => {
                self.failed(&self.directory, &error);
                None
            }
        }
    }

    /// A content is whole and right, and has its name.
    fn filled(&self, wanted: &Cacheable, touched: Touched) {
        let mut entries = self.entries.lock();
        entries.clock += 1;
        let kept = Kept { size: wanted.size, used: entries.clock, checked: Some(touched) };
        entries.kept.insert(wanted.key.clone(), kept);
        // What was promised is kept.
        entries.fillings.remove(&wanted.key);
    }

    /// Nobody gathers a content any more.
    fn given_up(&self, wanted: &Cacheable) {
        let mut entries = self.entries.lock();
        // Somebody may have begun anew.
        if entries.fillings.get(&wanted.key).is_some_and(|filling| filling.strong_count() == 0) {
            entries.fillings.remove(&wanted.key);
        }
        entries.bytes = entries.bytes.saturating_sub(wanted.size);
    }

    fn forget(&self, key: &str) {
        let mut entries = self.entries.lock();
        if let Some(kept) = entries.kept.remove(key) {
            entries.bytes = entries.bytes.saturating_sub(kept.size);
        }
        self.remove(key);
    }

    /// Lets files go until there is room; false if there cannot be any.
    fn make_room(&self, entries: &mut Entries, size: u64) -> bool {
        if size > self.limit {
            return false;
        }
        while entries.bytes.saturating_add(size) > self.limit {
            let Some(key) = entries.kept.iter().min_by_key(|(_, kept)| kept.used).map(|(key, _)| key.clone())
            else {
                return false;
            };
            if let Some(kept) = entries.kept.remove(&key) {
                entries.bytes = entries.bytes.saturating_sub(kept.size);
            }
            metrics::counter!("fdfs_mount_disk_cache_evictions_total").increment(1);
            self.remove(&key);
        }
        true
    }

    /// What a mount before left: whole files are kept, others go.
    fn take_over(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let metadata = entry.metadata()?;
            let size = name.replace(',', "/").parse().ok().and_then(|file| Cacheable::of_id(&file));
            if size.is_some_and(|cacheable| cacheable.size == metadata.len()) {
                found.push((metadata.modified()?, name, metadata.len()));
            } else if name.starts_with(filling::PREFIX) || name.contains(",M") {
                self.remove(&name);
            }
        }
        found.sort();
        let mut entries = self.entries.lock();
        for (_, key, size) in found {
            if self.make_room(&mut entries, size) {
                entries.clock += 1;
                let kept = Kept { size, used: entries.clock, checked: None };
                entries.bytes += size;
                entries.kept.insert(key, kept);
            } else {
                self.remove(&key);
            }
        }
        Ok(())
    }

    /// Bytes kept and promised, and how many files are kept.
    pub(crate) fn used(&self) -> (u64, usize) {
        let entries = self.entries.lock();
        (entries.bytes, entries.kept.len())
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(key)
    }

    fn remove(&self, key: &str) {
        let path = self.path(key);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            self.failed(&path, &error);
        }
    }

    /// The cache does without what fails.
    fn failed(&self, path: &Path, error: &io::Error) {
        metrics::counter!("fdfs_mount_disk_cache_failures_total").increment(1);
        warn!(path = %path.display(), %error, "the cache on disk does without this file");
    }
}

impl Touched {
    fn of(file: &File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self {
            inode: metadata.ino(),
            size: metadata.len(),
            mtime: (metadata.mtime(), metadata.mtime_nsec()),
            ctime: (metadata.ctime(), metadata.ctime_nsec()),
        })
    }
}

/// Whether a file, read from its beginning, has the content.
fn is_of(file: &mut File, wanted: &Cacheable) -> io::Result<bool> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut size = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&buffer[..read]);
        size += read as u64;
    }
    Ok(size == wanted.size && hasher.finalize() == wanted.crc32)
}

/// How long a mount may take to let go of its cache.
const PATIENCE: Duration = Duration::from_secs(10);
