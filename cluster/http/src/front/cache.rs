//! The cache on disk: parts of files, bounded in size, that survive a restart.
//!
//! Nothing that happens to its disk fails a request: what cannot be written is not cached, what cannot be read back, or is
//! not what was written, is fetched again.

mod index;
mod load;
mod slice_file;

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use parking_lot::Mutex;
use rustix::fs::{FlockOperation, flock};
use tracing::{debug, info, warn};

use self::index::{Index, Slice};
use self::slice_file::SliceHeader;
use crate::front::{Clock, Identity};

/// Where the cache lies and how much it takes.
#[derive(Clone, Debug)]
pub struct CacheLimits {
    /// Its directory, which belongs to one process.
    pub path: PathBuf,
    /// Most bytes on disk.
    pub max_size: u64,
    /// Most bytes of small parts that are kept in memory, too.
    pub memory: u64,
    /// What nobody asked for in this time is dropped.
    pub inactive: Duration,
}

/// Parts of files on disk.
pub(super) struct Cache {
    limits: CacheLimits,
    clock: Clock,
    index: Mutex<Index>,
    /// What tells the files of this process from those of an earlier one.
    nonce: u64,
    counter: AtomicU64,
    /// Until then nothing is written, because writing has failed.
    resting_until: AtomicI64,
    /// Whether all that an earlier process left has been looked at.
    loaded: AtomicBool,
    /// Keeps other processes out.
    _lock: File,
}

/// One content that is cached in parts.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) id: FileId,
    pub(super) identity: Identity,
    /// Tells it from another content under the same ID, before or after it.
    pub(super) number: u64,
    /// When a storage was last known to have it.
    validated: AtomicI64,
    /// The checksum that its bytes were last found to have in place of the one in its name.
    found_crc32: Mutex<Option<u32>>,
}

/// A part of a content, as the cache has it.
pub(super) enum Cached {
    /// In memory.
    Memory(Bytes),
    /// In a file whose content has been checked.
    File(Arc<File>),
    /// In a file that is to be read and checked; see [`Cache::read`].
    Unread(Arc<Slice>),
}

impl Object {
    /// When a storage was last known to have it.
    pub(super) fn validated(&self) -> Timestamp {
        Timestamp(self.validated.load(Ordering::Relaxed))
    }

    /// Whether bytes with this checksum may be the content. Links have names with a checksum of chance: bytes that were
    /// fetched twice with the same result are taken for right.
    pub(super) fn accepts(&self, crc32: u32) -> bool {
        crc32 == self.identity.crc32 || self.found_crc32.lock().replace(crc32) == Some(crc32)
    }
}

impl Cache {
    /// Bytes of every part but the last.
    pub(super) const SLICE: u64 = 1 << 20;
    /// Bytes before a part in its file.
    pub(super) const PAYLOAD_AT: u64 = SliceHeader::LEN as u64;
    /// Parts up to this size are kept in memory.
    const SMALL: u64 = 64 * 1024;

    /// Opens the directory, or makes it. What an earlier process left is taken over in the background.
    pub(super) fn open(limits: CacheLimits, clock: Clock) -> io::Result<Arc<Self>> {
        let failed = |error: io::Error| {
            io::Error::new(error.kind(), format!("cache directory {}: {error}", limits.path.display()))
        };
        for shelf in 0..=u8::MAX {
            std::fs::create_dir_all(limits.path.join(format!("{shelf:02x}"))).map_err(failed)?;
        }
        let lock = File::create(limits.path.join("lock")).map_err(failed)?;
        flock(lock.as_fd(), FlockOperation::NonBlockingLockExclusive).map_err(|error| {
            let text = format!("{error}; another process uses it");
            failed(io::Error::new(io::Error::from(error).kind(), text))
        })?;
        let cache = Arc::new(Self {
            index: Mutex::new(Index::new(limits.memory)),
            limits,
            clock,
            nonce: fastrand::u64(..),
            counter: AtomicU64::new(0),
            resting_until: AtomicI64::new(0),
            loaded: AtomicBool::new(false),
            _lock: lock,
        });
        let loading = Arc::downgrade(&cache);
        std::thread::Builder::new().name("cache-load".to_owned()).spawn(move || load::run(&loading))?;
        Ok(cache)
    }

    /// The content under an ID.
    pub(super) fn object(&self, id: &FileId) -> Option<Arc<Object>> {
        let now = self.now();
        let (found, dropped) = {
            let mut index = self.index.lock();
            let dropped = index.drop_unused(now.minus(self.limits.inactive));
            (index.object(id, now), dropped)
        };
        self.remove_files(&dropped, "inactive");
        found
    }

    /// Takes note that a storage has the content. Another content under the same ID is dropped.
    pub(super) fn admit(&self, id: &FileId, identity: Identity) -> Arc<Object> {
        let now = self.now();
        let (object, dropped) = self.index.lock().admit(id, identity, now);
        self.remove_files(&dropped, "changed");
        object
    }

    /// Drops everything under an ID; whether there was anything.
    pub(super) fn purge(&self, id: &FileId) -> bool {
        let removed = self.index.lock().remove(id);
        self.remove_files(removed.as_deref().unwrap_or_default(), "purged");
        removed.is_some()
    }

    /// Drops everything whose ID matches; how many contents that were.
    pub(super) fn purge_all(&self, matches: impl Fn(&FileId) -> bool) -> usize {
        let ids = self.index.lock().ids(matches);
        ids.iter().filter(|id| self.purge(id)).count()
    }

    /// A part of a content, if it is here.
    pub(super) fn get(&self, object: &Object, index: u32) -> Option<Cached> {
        let slice = match self.index.lock().slice(object, index)? {
            (_, Some(memory)) => return Some(Cached::Memory(memory)),
            (slice, None) => slice,
        };
        if !slice.checked.load(Ordering::Acquire) || u64::from(slice.length) <= Self::SMALL {
            return Some(Cached::Unread(slice));
        }
        match File::open(self.path(&object.id, &slice)) {
            Ok(file) => Some(Cached::File(Arc::new(file))),
            Err(error) => {
                self.damaged(object, &slice, &error);
                None
            }
        }
    }

    /// Whether a part is here, in whatever state.
    pub(super) fn has(&self, object: &Object, index: u32) -> bool {
        self.index.lock().has(object, index)
    }

    /// Reads a part from its file and checks it. A part that is not what was written is dropped. Blocks on the disk.
    pub(super) fn read(&self, object: &Object, slice: &Arc<Slice>) -> Option<Bytes> {
        let read =
            || SliceHeader::payload(&File::open(self.path(&object.id, slice))?, slice.length, slice.crc32);
        match read() {
            Ok(bytes) => {
                slice.checked.store(true, Ordering::Release);
                if bytes.len() as u64 <= Self::SMALL {
                    self.index.lock().remember(object, slice.index, bytes.clone());
                }
                Some(bytes)
            }
            Err(error) => {
                self.damaged(object, slice, &error);
                None
            }
        }
    }

    /// Keeps a part of a content, unless that was purged meanwhile. Blocks on the disk.
    pub(super) fn store(&self, object: &Object, index: u32, payload: &[Bytes]) {
        let now = self.now();
        let length: usize = payload.iter().map(Bytes::len).sum();
        let Ok(length) = u32::try_from(length) else { return };
        if now.0 < self.resting_until.load(Ordering::Relaxed) {
            return;
        }
        let cost = index::cost(length);
        let (evicted, fits) = {
            let mut state = self.index.lock();
            if !state.is_current(object) {
                return;
            }
            state.make_room(self.limits.max_size, cost, object.number)
        };
        self.remove_files(&evicted, "evicted");
        if !fits {
            return;
        }
        let mut sum = crc32fast::Hasher::new();
        payload.iter().for_each(|block| sum.update(block));
        let crc32 = sum.finalize();
        let stored = object.validated();
        let header = SliceHeader { identity: object.identity, index, length, crc32, stored };
        let number = format!("{:x}-{:x}", self.nonce, self.counter.fetch_add(1, Ordering::Relaxed));
        let slice = Slice::new(index, length, crc32, number, true);
        let path = self.path(&object.id, &slice);
        if let Err(error) = header.write(&object.id, &path, payload) {
            warn!(path = %path.display(), %error, "the cache cannot be written; requests go on without it");
            metrics::counter!("fdfs_cache_write_failures_total").increment(1);
            self.resting_until.store(now.plus(REST).0, Ordering::Relaxed);
            let _ = std::fs::remove_file(&path);
            self.index.lock().give_back(cost);
            return;
        }
        let small = (u64::from(length) <= Self::SMALL).then(|| match payload {
            [block] => block.clone(),
            blocks => blocks.concat().into(),
        });
        let refused = self.index.lock().insert(object, slice, small);
        if let Some(slice) = refused {
            let _ = std::fs::remove_file(self.path(&object.id, &slice));
        }
    }

    /// Bytes on disk and number of contents.
    pub(super) fn usage(&self) -> (u64, usize) {
        self.index.lock().usage()
    }

    fn damaged(&self, object: &Object, slice: &Arc<Slice>, error: &io::Error) {
        let path = self.path(&object.id, slice);
        warn!(path = %path.display(), %error, "a cached part cannot be read back; it is fetched again");
        metrics::counter!("fdfs_cache_damaged_total").increment(1);
        self.index.lock().forget(object, slice);
        let _ = std::fs::remove_file(path);
    }

    fn remove_files(&self, dropped: &[(FileId, Arc<Slice>)], reason: &'static str) {
        if dropped.is_empty() {
            return;
        }
        metrics::counter!("fdfs_cache_dropped_total", "reason" => reason).increment(dropped.len() as u64);
        for (id, slice) in dropped {
            if let Err(error) = std::fs::remove_file(self.path(id, slice)) {
                debug!(file_id = %id, %error, "a cached part is gone already");
            }
        }
    }

    fn path(&self, id: &FileId, slice: &Slice) -> PathBuf {
        self.shelf(id).join(slice_file::file_name(id, slice.index, &slice.number))
    }

    fn shelf(&self, id: &FileId) -> PathBuf {
        let shelf = crc32fast::hash(id.to_string().as_bytes()) & 0xff;
        self.limits.path.join(format!("{shelf:02x}"))
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }

    fn directory(&self) -> &Path {
        &self.limits.path
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let (bytes, objects) = self.usage();
        info!(bytes, objects, "the cache is closed");
    }
}

/// How long nothing is written after writing has failed.
const REST: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
