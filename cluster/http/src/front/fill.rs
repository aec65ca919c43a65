//! A part of a content while it is being fetched: one writer, any number of readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::front::OriginError;

/// A part of a content, as far as it has come.
#[derive(Debug, Default)]
pub(super) struct Fill {
    state: Mutex<State>,
    changed: Notify,
    /// Whether the part has been handed to the cache.
    stored: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    /// The blocks, with their offsets in the part.
    blocks: Vec<(u64, Bytes)>,
    length: u64,
    end: Option<Result<(), OriginError>>,
    /// The place in memory; it is free again when the last reader has gone.
    _place: Option<OwnedSemaphorePermit>,
}

impl Fill {
    /// Takes the place in memory that the part needs.
    pub(super) fn begin(&self, place: OwnedSemaphorePermit) {
        self.state.lock()._place = Some(place);
    }

    /// More of the part has come.
    pub(super) fn push(&self, block: Bytes) {
        let mut state = self.state.lock();
        let at = state.length;
        state.length += block.len() as u64;
        state.blocks.push((at, block));
        drop(state);
        self.changed.notify_waiters();
    }

    /// All of it has come, or no more will.
    pub(super) fn finish(&self, end: Result<(), OriginError>) {
        self.state.lock().end.get_or_insert(end);
        self.changed.notify_waiters();
    }

    /// The cache was given the part.
    pub(super) fn set_stored(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// Whether the cache was given the part.
    pub(super) fn is_stored(&self) -> bool {
        self.stored.load(Ordering::Acquire)
    }

    /// All blocks so far.
    pub(super) fn blocks(&self) -> Vec<Bytes> {
        self.state.lock().blocks.iter().map(|(_, block)| block.clone()).collect()
    }

    /// What there is from `offset` on, at once.
    pub(super) fn get(&self, offset: u64) -> Option<Result<Bytes, OriginError>> {
        let state = self.state.lock();
        let index = state.blocks.partition_point(|(at, _)| *at <= offset);
        let block = index.checked_sub(1).and_then(|index| state.blocks.get(index));
        let rest = block.and_then(|(at, block)| {
            block.get(usize::try_from(offset - at).ok()?..).map(|rest| block.slice_ref(rest))
        });
        match rest.filter(|rest| !rest.is_empty()) {
            Some(rest) => Some(Ok(rest)),
            None => state.end.clone().map(|end| end.map(|()| Bytes::new())),
        }
    }

    /// What there is from `offset` on, as soon as there is something.
    pub(super) async fn next(self: Arc<Self>, offset: u64) -> Result<Bytes, OriginError> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if let Some(result) = self.get(offset) {
                return result;
            }
            changed.await;
        }
    }
}
