//! A content on its way into the cache, out of what programs read of it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tempfile::NamedTempFile;

use super::{Cacheable, DiskCache, Touched, is_of};

/// A content of which some bytes are there. Dropped before all are, it leaves nothing.
pub(crate) struct Filling {
    cache: Arc<DiskCache>,
    wanted: Cacheable,
    gathered: Mutex<Option<Gathered>>,
    is_kept: AtomicBool,
}

struct Gathered {
    file: NamedTempFile,
    /// Which bytes are there: parts that neither touch nor overlap, each with its end.
    parts: BTreeMap<u64, u64>,
}

impl Filling {
    pub(super) fn begin(cache: Arc<DiskCache>, wanted: Cacheable) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(&cache.directory)?;
        let gathered = Mutex::new(Some(Gathered { file, parts: BTreeMap::new() }));
        Ok(Self { cache, wanted, gathered, is_kept: AtomicBool::new(false) })
    }

    /// The content.
    pub(crate) fn wanted(&self) -> &Cacheable {
        &self.wanted
    }

    /// Takes bytes that were read; with the last of them the content is kept, if it is right.
    pub(crate) async fn take(self: &Arc<Self>, offset: u64, bytes: Bytes) {
        let this = Arc::clone(self);
        // A disk may be slow; nobody waits for this but memory.
        let taken = tokio::task::spawn_blocking(move || this.take_now(offset, &bytes));
        if let Ok(Err(error)) = taken.await {
            self.cache.failed(&self.cache.directory, &error);
            self.gathered.lock().take();
        }
    }

    fn take_now(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut gathered = self.gathered.lock();
        let Some(Gathered { file, parts }) = gathered.as_mut() else { return Ok(()) };
        file.as_file().write_all_at(bytes, offset)?;
        note(parts, offset, offset + bytes.len() as u64);
        if parts.first_key_value() != Some((&0, &self.wanted.size)) {
            return Ok(());
        }
        let Some(Gathered { file, .. }) = gathered.take() else { return Ok(()) };
        if !is_of(&mut File::open(file.path())?, &self.wanted)? {
            metrics::counter!("fdfs_mount_disk_cache_corrupt_total").increment(1);
            return Err(io::Error::new(io::ErrorKind::InvalidData, "what was read is not what the ID says"));
        }
        let file = file.persist(self.cache.path(&self.wanted.key)).map_err(|error| error.error)?;
        self.is_kept.store(true, Ordering::Release);
        self.cache.filled(&self.wanted, Touched::of(&file)?);
        metrics::counter!("fdfs_mount_disk_cache_files_total").increment(1);
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !self.is_kept.load(Ordering::Acquire) {
            self.cache.given_up(&self.wanted);
        }
    }
}

fn note(parts: &mut BTreeMap<u64, u64>, mut start: u64, mut end: u64) {
    while let Some((&other, &other_end)) = parts.range(..=end).next_back().filter(|(_, last)| **last >= start)
    {
        parts.remove(&other);
        (start, end) = (start.min(other), end.max(other_end));
    }
    parts.insert(start, end);
}

/// What names of files begin with that are not whole.
pub(super) const PREFIX: &str = ".filling-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_touch_become_one() {
        let mut parts = BTreeMap::new();
        for (start, end) in [(20, 30), (0, 10), (40, 50), (10, 20), (25, 41)] {
            note(&mut parts, start, end);
        }
        assert_eq!(parts, BTreeMap::from([(0, 50)]));
    }
}
