//! Taking over what an earlier process left in the cache directory.

use std::fs::{DirEntry, File};
use std::path::PathBuf;
use std::sync::Weak;
use std::sync::atomic::Ordering;
use std::time::Instant;

use fdfs_types::{FileId, Timestamp};
use tracing::{debug, info, warn};

use super::index::Slice;
use super::slice_file::{SliceHeader, parse_file_name};
use super::{Cache, index};

/// A part that was found.
struct Found {
    id: FileId,
    header: SliceHeader,
    number: String,
    used: Timestamp,
    path: PathBuf,
}

/// Reads the head of every file; what is no whole part is removed. The bytes themselves are checked when they are first
/// asked for.
pub(super) fn run(cache: &Weak<Cache>) {
    let began = Instant::now();
    let mut found = Vec::new();
    for shelf in 0..=u8::MAX {
        let Some(cache) = cache.upgrade() else { return };
        let path = cache.directory().join(format!("{shelf:02x}"));
        match std::fs::read_dir(&path) {
            Ok(entries) => found.extend(entries.flatten().filter_map(|entry| look_at(&cache, &entry))),
            Err(error) => warn!(path = %path.display(), %error, "a part of the cache cannot be read"),
        }
    }
    // What was used last is the last to go.
    found.sort_by_key(|found| found.used);
    let Some(cache) = cache.upgrade() else { return };
    let (mut restored, total) = (0_u64, found.len());
    for found in found {
        let Found { id, header, number, used, path } = found;
        let slice = Slice::new(header.index, header.length, header.crc32, number, false);
        let is_wanted = {
            let mut state = cache.index.lock();
            let (older, fits) = state.make_room(cache.limits.max_size, index::cost(header.length), 0);
            let restored = fits && state.restore(&id, header.identity, slice, header.stored, used);
            drop(state);
            cache.remove_files(&older, "evicted");
            restored
        };
        if is_wanted {
            restored += 1;
        } else {
            let _ = std::fs::remove_file(path);
        }
    }
    cache.loaded.store(true, Ordering::Release);
    info!(restored, total, ms = began.elapsed().as_millis(), "the cache of before is in use again");
}

fn look_at(cache: &Cache, entry: &DirEntry) -> Option<Found> {
    let name = entry.file_name();
    let parsed = name.to_str().and_then(parse_file_name);
    // This process has begun to write, too.
    if let Some((_, number)) = &parsed
        && number.split('-').next() == Some(&format!("{:x}", cache.nonce))
    {
        return None;
    }
    let found = parsed.and_then(|(id, number)| {
        let file = File::open(entry.path()).ok()?;
        let header = SliceHeader::read(&id, &file).ok()?;
        let used = file.metadata().ok()?.modified().ok()?.into();
        Some(Found { id, header, number: number.to_owned(), used, path: entry.path() })
    });
    if found.is_none() {
        debug!(path = %entry.path().display(), "no whole part of the cache: removed");
        let _ = std::fs::remove_file(entry.path());
    }
    found
}
