//! Fetching parts of contents from the origin, each once however many ask for it.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fdfs_client::Trail;
use fdfs_types::FileId;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::{info, warn};

use super::cache::{Cache, Object};
use super::fill::Fill;
use super::origin::Blocks;
use super::shared_read::SharedReads;
use crate::front::{Identity, Origin, OriginError};

/// Fetches parts, and keeps them.
pub(super) struct Fetching<O> {
    origin: Arc<O>,
    pub(super) cache: Option<Arc<Cache>>,
    /// Parts on their way, by the number of their content and their index.
    fills: Mutex<HashMap<(u64, u32), Arc<Fill>>>,
    /// Places for parts in memory.
    places: Arc<Semaphore>,
    /// What is read past the cache, and for how long after its beginning others may join.
    shared: SharedReads,
    joined_for: Duration,
}

impl<O: Origin> Fetching<O> {
    /// Parts that are fetched with one request at most.
    const RUN: u32 = 16;

    pub(super) fn new(origin: O, cache: Option<Arc<Cache>>, most: u64, joined_for: Duration) -> Self {
        let places =
            usize::try_from(most / Cache::SLICE).unwrap_or(usize::MAX).clamp(1, Semaphore::MAX_PERMITS);
        let (places, shared) = (Arc::new(Semaphore::new(places)), SharedReads::default());
        Self { origin: Arc::new(origin), cache, fills: Mutex::default(), places, shared, joined_for }
    }

    pub(super) fn origin(&self) -> &O {
        &self.origin
    }

    /// A part that is on its way, or is from now on; `None` where nothing is cached, or the part has arrived meanwhile.
    pub(super) fn fill(self: &Arc<Self>, object: &Arc<Object>, parts: Range<u32>) -> Option<Arc<Fill>> {
        let cache = self.cache.as_ref()?;
        let mut run = Vec::new();
        let first = {
            let mut fills = self.fills.lock();
            if let Some(fill) = fills.get(&(object.number, parts.start)) {
                metrics::counter!("fdfs_front_collapsed_requests_total").increment(1);
                return Some(Arc::clone(fill));
            }
            // It is cached before it is taken off the list of those on their way.
            if cache.has(object, parts.start) {
                return None;
            }
            for index in parts.start..parts.end.min(parts.start.saturating_add(Self::RUN)) {
                let key = (object.number, index);
                if index > parts.start && (fills.contains_key(&key) || cache.has(object, index)) {
                    break;
                }
                let fill = Arc::new(Fill::default());
                fills.insert(key, Arc::clone(&fill));
                run.push((index, fill));
            }
            run.first().map(|(_, fill)| Arc::clone(fill))
        };
        let landing = Landing { fetching: Arc::clone(self), object: Arc::clone(object), run };
        tokio::spawn(Trail::follow_if(Trail::followed(), landing.fetch()));
        first
    }

    /// Whether nothing is being fetched.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.fills.lock().is_empty()
    }

    /// Reads past the cache, together with who began to read the same a moment ago.
    pub(super) fn read(&self, id: &FileId, identity: Identity, range: Range<u64>) -> Blocks {
        let (origin, file_id, end) = (Arc::clone(&self.origin), id.clone(), range.end);
        let alone = move |at| {
            metrics::counter!("fdfs_front_origin_reads_total", "cached" => "no").increment(1);
            origin.read(&file_id, identity, at..end)
        };
        if let Some(read) = self.shared.join(id, identity, &range, self.joined_for) {
            metrics::counter!("fdfs_front_collapsed_requests_total").increment(1);
            return read.blocks(range.start, alone);
        }
        let most = (range.end - range.start).min(SharedReads::KEPT).div_ceil(Cache::SLICE).max(1);
        let place = u32::try_from(most).ok().filter(|_| !self.joined_for.is_zero());
        match place.and_then(|most| Arc::clone(&self.places).try_acquire_many_owned(most).ok()) {
            Some(place) => {
                let read = self.shared.begin(id, identity, &range, alone(range.start), place);
                let (origin, file_id) = (Arc::clone(&self.origin), id.clone());
                read.blocks(range.start, move |at| origin.read(&file_id, identity, at..end))
            }
            None => alone(range.start),
        }
    }

    /// What others may join at present.
    #[cfg(test)]
    pub(super) fn joinable(&self, id: &FileId, identity: Identity) -> usize {
        let read = self.shared.join(id, identity, &(0..identity.size), Duration::MAX);
        read.map_or(0, |read| read.readers() - 1)
    }
}

/// Parts that are fetched with one request. However it ends, nobody waits for them for ever.
struct Landing<O: Origin> {
    fetching: Arc<Fetching<O>>,
    object: Arc<Object>,
    run: Vec<(u32, Arc<Fill>)>,
}

impl<O: Origin> Landing<O> {
    async fn fetch(self) {
        let result = self.fetch_run().await;
        let end = result.err().unwrap_or_else(|| OriginError::Unavailable("not fetched".into()));
        for (_, fill) in &self.run {
            fill.finish(Err(end.clone()));
        }
    }

    async fn fetch_run(&self) -> Result<(), OriginError> {
        let (identity, id) = (self.object.identity, &self.object.id);
        let (Some((first, _)), Some((last, _))) = (self.run.first(), self.run.last()) else { return Ok(()) };
        let range = part(*first, identity.size).start..part(*last, identity.size).end;
        metrics::counter!("fdfs_front_origin_reads_total", "cached" => "yes").increment(1);
        let mut blocks = self.fetching.origin.read(id, identity, range);
        let mut rest = Bytes::new();
        for (index, fill) in &self.run {
            let Ok(place) = Arc::clone(&self.fetching.places).try_acquire_owned() else {
                metrics::counter!("fdfs_front_fetches_refused_total").increment(1);
                return Err(OriginError::Unavailable("too much is being fetched at once".into()));
            };
            fill.begin(place);
            let part = part(*index, identity.size);
            let mut left = part.end - part.start;
            // The end of a content that is fetched in one piece is held back until it is known to be right.
            let mut sum = self.is_checked().then(crc32fast::Hasher::new);
            while left > 0 {
                if rest.is_empty() {
                    rest = match tokio::time::timeout(STALL, blocks.next()).await {
                        Ok(Some(block)) => block?,
                        Ok(None) => return Err(OriginError::Unavailable("the content breaks off".into())),
                        Err(_) => return Err(OriginError::Unavailable("the content stalls".into())),
                    };
                    continue;
                }
                let block = rest.split_to(usize::try_from(left).unwrap_or(usize::MAX).min(rest.len()));
                metrics::counter!("fdfs_front_origin_bytes_total").increment(block.len() as u64);
                left -= block.len() as u64;
                if let Some(sum) = &mut sum {
                    sum.update(&block);
                    if left == 0 && !self.object.accepts(sum.clone().finalize()) {
                        return Err(self.damaged());
                    }
                }
                fill.push(block);
            }
            fill.finish(Ok(()));
            self.store(*index, fill).await;
        }
        Ok(())
    }

    async fn store(&self, index: u32, fill: &Arc<Fill>) {
        let (fetching, object, fill) =
            (Arc::clone(&self.fetching), Arc::clone(&self.object), Arc::clone(fill));
        let stored = tokio::task::spawn_blocking(move || {
            if let Some(cache) = &fetching.cache {
                cache.store(&object, index, &fill.blocks());
            }
            fill.set_stored();
            fetching.fills.lock().remove(&(object.number, index));
        });
        if let Err(error) = stored.await {
            warn!(%error, "a part was not cached");
        }
    }

    /// Whether the checksum in the name tells whether the content is right.
    fn is_checked(&self) -> bool {
        self.object.identity.size <= Cache::SLICE && crate::is_immutable(&self.object.id.filename)
    }

    fn damaged(&self) -> OriginError {
        info!(file_id = %self.object.id, "content does not have the checksum in its name");
        metrics::counter!("fdfs_front_damaged_total").increment(1);
        OriginError::Damaged
    }
}

impl<O: Origin> Drop for Landing<O> {
    fn drop(&mut self) {
        let mut fills = self.fetching.fills.lock();
        for (index, fill) in &self.run {
            fill.finish(Err(OriginError::Unavailable("not fetched".into())));
            let key = (self.object.number, *index);
            if fills.get(&key).is_some_and(|present| Arc::ptr_eq(present, fill)) {
                fills.remove(&key);
            }
        }
    }
}

/// The bytes of a part of a content.
pub(super) fn part(index: u32, size: u64) -> Range<u64> {
    let start = u64::from(index) * Cache::SLICE;
    start..(start + Cache::SLICE).min(size)
}

/// Longest time without a byte.
const STALL: Duration = Duration::from_secs(60);
