//! One reading of a content that is not cached, for all who want the same bytes at the same time.
//!
//! Whoever of them is ahead asks the origin for more; the others take what has come. Only the last bytes are kept: who
//! falls behind them, or waits for too long, goes on alone.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use super::origin::{Blocks, Identity};
use crate::front::OriginError;

/// Readings that may be joined, by what is read.
#[derive(Default)]
pub(super) struct SharedReads(Mutex<HashMap<Key, Weak<SharedRead>>>);

/// A file, its content, and the bytes of it.
type Key = (FileId, (u64, Timestamp, u32), Range<u64>);

/// A reading that goes on.
pub(super) struct SharedRead {
    state: Mutex<State>,
    changed: Notify,
    began: Instant,
    /// The place in memory for what is kept.
    _place: OwnedSemaphorePermit,
}

struct State {
    /// What came last, with its offsets in the content.
    blocks: VecDeque<(u64, Bytes)>,
    kept: usize,
    /// Where the reading began.
    first: u64,
    /// Where what is kept begins, and where it ends.
    start: u64,
    end: u64,
    /// Brings more; absent while one of the readers waits for it.
    origin: Option<Blocks>,
    over: Option<Result<(), OriginError>>,
}

/// What a reader is to do.
enum Step {
    Take(Bytes),
    End,
    Fail(OriginError),
    /// What it wants next is not kept any more, or does not come.
    GoAlone,
}

impl SharedReads {
    /// Most bytes that are kept of one reading.
    pub(super) const KEPT: u64 = 4 << 20;

    /// A reading that began no longer than `window` ago and of which all is kept yet.
    pub(super) fn join(
        &self,
        id: &FileId,
        identity: Identity,
        range: &Range<u64>,
        window: Duration,
    ) -> Option<Arc<SharedRead>> {
        let key = key(id, identity, range);
        let read = self.0.lock().get(&key).and_then(Weak::upgrade)?;
        let is_whole = {
            let state = read.state.lock();
            state.start == range.start && state.over.is_none()
        };
        (is_whole && read.began.elapsed() < window).then_some(read)
    }

    /// A reading that others may join.
    pub(super) fn begin(
        &self,
        id: &FileId,
        identity: Identity,
        range: &Range<u64>,
        origin: Blocks,
        place: OwnedSemaphorePermit,
    ) -> Arc<SharedRead> {
        let (blocks, start) = (VecDeque::new(), range.start);
        let state =
            State { blocks, kept: 0, first: start, start, end: start, origin: Some(origin), over: None };
        let read = Arc::new(SharedRead {
            state: Mutex::new(state),
            changed: Notify::new(),
            began: Instant::now(),
            _place: place,
        });
        let mut reads = self.0.lock();
        // Those that have ended go when others begin: there are never more than twice as many as go on.
        if reads.len() == reads.capacity() {
            reads.retain(|_, read| read.strong_count() > 0);
        }
        reads.insert(key(id, identity, range), Arc::downgrade(&read));
        read
    }
}

impl SharedRead {
    /// The bytes from `at` on; `alone` reads from some offset on without the others.
    pub(super) fn blocks(
        self: Arc<Self>,
        at: u64,
        alone: impl FnOnce(u64) -> Blocks + Send + 'static,
    ) -> Blocks {
        let reading = (Some((self, alone)), None, at);
        let blocks = futures_util::stream::unfold(reading, |(mut shared, mut own, at)| async move {
            if let Some((read, alone)) = shared.take() {
                match read.next(at).await {
                    Step::Take(block) => {
                        let next = at + block.len() as u64;
                        return Some((Ok(block), (Some((read, alone)), own, next)));
                    }
                    Step::End => return None,
                    Step::Fail(error) => return Some((Err(error), (None, None, at))),
                    Step::GoAlone => {
                        drop(read);
                        own = Some(alone(at));
                    }
                }
            }
            let mut blocks: Blocks = own?;
            let block = blocks.next().await?;
            Some((block, (None, Some(blocks), at)))
        });
        Box::pin(blocks)
    }

    /// How many read.
    #[cfg(test)]
    pub(super) fn readers(self: &Arc<Self>) -> usize {
        Arc::strong_count(self)
    }

    async fn next(self: &Arc<Self>, at: u64) -> Step {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            let origin = {
                let mut state = self.state.lock();
                if let Some(step) = state.step(at) {
                    return step;
                }
                state.origin.take()
            };
            match origin {
                Some(origin) => {
                    let mut turn = Turn { read: self, origin: Some(origin) };
                    let block = match &mut turn.origin {
                        Some(origin) => origin.next().await,
                        None => None,
                    };
                    self.state.lock().add(block, Arc::strong_count(self) == 1);
                    // The others are told.
                    drop(turn);
                }
                None if tokio::time::timeout(PATIENCE, changed).await.is_err() => return Step::GoAlone,
                None => {}
            }
        }
    }
}

impl State {
    /// What a reader at this place is to do; `None` if more has to come.
    fn step(&self, at: u64) -> Option<Step> {
        if at < self.start {
            return Some(Step::GoAlone);
        }
        let index = self.blocks.partition_point(|(offset, _)| *offset <= at);
        let block = index.checked_sub(1).and_then(|index| self.blocks.get(index));
        let rest = block.and_then(|(offset, block)| {
            block.get(usize::try_from(at - offset).ok()?..).map(|rest| block.slice_ref(rest))
        });
        match rest.filter(|rest| !rest.is_empty()) {
            Some(rest) => Some(Step::Take(rest)),
            None => self.over.clone().map(|over| over.map_or_else(Step::Fail, |()| Step::End)),
        }
    }

    /// More has come, or the end.
    fn add(&mut self, block: Option<Result<Bytes, OriginError>>, is_alone: bool) {
        match block {
            Some(Ok(block)) => {
                self.kept += block.len();
                let at = self.end;
                self.end += block.len() as u64;
                self.blocks.push_back((at, block));
            }
            Some(Err(error)) => self.over = Some(Err(error)),
            None => self.over = Some(Ok(())),
        }
        // Where nobody else reads, and nobody can join any more, the rest is for one alone.
        let is_past = self.end - self.first > SharedReads::KEPT;
        let most = if is_alone && is_past { 0 } else { SharedReads::KEPT };
        while self.kept as u64 > most && self.blocks.len() > 1 {
            let Some((_, block)) = self.blocks.pop_front() else { return };
            self.kept -= block.len();
            self.start += block.len() as u64;
        }
    }
}

/// One reader waits for the origin on behalf of all. When it leaves, another one does.
struct Turn<'a> {
    read: &'a SharedRead,
    origin: Option<Blocks>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.read.state.lock().origin = self.origin.take();
        self.read.changed.notify_waiters();
    }
}

fn key(id: &FileId, identity: Identity, range: &Range<u64>) -> Key {
    (id.clone(), (identity.size, identity.modified, identity.crc32), range.clone())
}

/// For so long a reader waits for what another one asks for, before it asks by itself.
const PATIENCE: Duration = Duration::from_secs(5);
