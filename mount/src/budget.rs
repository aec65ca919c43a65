//! The memory for content that is on its way through the mount: one budget for all who read and write.
//!
//! One half is for requests under way: who gets none waits, and gets it in the order of coming, since every request ends by itself. The other half is for what
//! is kept between requests, small files being written and what is read ahead: who gets none of that does without, so that nobody waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much memory may be taken, and how much is.
#[derive(Debug)]
pub(crate) struct Budget {
    under_way: Arc<Semaphore>,
    /// Units of all requests under way together.
    units: u32,
    limit: usize,
    kept: AtomicUsize,
}

/// The memory of a request, until it is dropped. A request takes one before it takes any lock, and no second one.
#[derive(Debug)]
pub(crate) struct Pass {
    _units: Option<OwnedSemaphorePermit>,
}

/// Memory that is kept from one request to the next.
#[derive(Debug)]
pub(crate) struct Reserved {
    budget: Arc<Budget>,
    bytes: usize,
}

impl Budget {
    /// The budget of a mount whose process may take `memory` bytes.
    pub(crate) fn new(memory: usize) -> Arc<Self> {
        let half = memory.saturating_sub(PROCESS) / 2;
        let units = u32::try_from(half / UNIT).unwrap_or(u32::MAX).max(LEAST_UNITS);
        let under_way = Arc::new(Semaphore::new(units as usize));
        Arc::new(Self { under_way, units, limit: half, kept: AtomicUsize::new(0) })
    }

    /// Memory for a request about so many bytes; waits until others have given back theirs.
    pub(crate) async fn pass(&self, bytes: usize) -> Pass {
        let units = self.units_of(bytes);
        if let Ok(permit) = Arc::clone(&self.under_way).try_acquire_many_owned(units) {
            return Pass { _units: Some(permit) };
        }
        metrics::counter!("fdfs_mount_memory_waits_total").increment(1);
        // It is never closed.
        Pass { _units: Arc::clone(&self.under_way).acquire_many_owned(units).await.ok() }
    }

    /// The same on a thread that takes requests from the kernel and holds the bytes already. It does not wait for long: those who wait for an answer about
    /// something else are behind it.
    pub(crate) fn pass_here(&self, bytes: usize, runtime: &Handle) -> Pass {
        let units = self.units_of(bytes);
        if let Ok(permit) = Arc::clone(&self.under_way).try_acquire_many_owned(units) {
            return Pass { _units: Some(permit) };
        }
        let waiting = async { tokio::time::timeout(PATIENCE, self.pass(bytes)).await };
        runtime.block_on(waiting).unwrap_or_else(|_elapsed| {
            metrics::counter!("fdfs_mount_memory_overdrawn_total").increment(1);
            Pass { _units: None }
        })
    }

    /// Bytes that are taken by requests and kept between them.
    pub(crate) fn taken(&self) -> (usize, usize) {
        let free = self.under_way.available_permits();
        ((self.units as usize).saturating_sub(free) * UNIT, self.kept.load(Ordering::Relaxed))
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.units)
    }
}

impl Reserved {
    /// Nothing yet.
    pub(crate) fn nothing(budget: &Arc<Budget>) -> Self {
        Self { budget: Arc::clone(budget), bytes: 0 }
    }

    /// Bytes that are reserved.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Has `bytes` reserved in all, or leaves things as they are and says false: there is no room.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        if let Some(more) = bytes.checked_sub(self.bytes) {
            let taken = self.budget.kept.fetch_add(more, Ordering::Relaxed).saturating_add(more);
            if more > 0 && taken > self.budget.limit {
                self.budget.kept.fetch_sub(more, Ordering::Relaxed);
                return false;
            }
        } else {
            self.budget.kept.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
        true
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.kept.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What the process takes without any content: code, threads, buffers for requests, connections.
const PROCESS: usize = 96 << 20;
/// Requests are counted in these.
const UNIT: usize = 4 << 10;
/// One request of the largest kind can always be under way, and one beside it.
const LEAST_UNITS: u32 = 1 << 10;
/// How long a thread that takes requests from the kernel waits.
const PATIENCE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn requests_wait_for_memory_in_the_order_of_coming() {
        let budget = Budget::new(PROCESS + (16 << 20));
        let first = budget.pass(5 << 20).await;
        let mut large = pin!(budget.pass(100 << 20));
        assert!(poll!(&mut large).is_pending());
        let mut small = pin!(budget.pass(1));
        assert!(poll!(&mut small).is_pending(), "nobody is overtaken");
        drop(first);
        let large = large.await;
        assert_eq!(budget.taken(), (8 << 20, 0));
        assert!(poll!(&mut small).is_pending());
        drop(large);
        drop(small.await);
        assert_eq!(budget.taken(), (0, 0));
    }

    #[test]
    fn a_thread_of_the_kernels_does_not_wait_for_ever() {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let budget = Budget::new(0);
        let all = budget.pass_here(1 << 30, runtime.handle());
        drop(budget.pass_here(1, runtime.handle()));
        drop(all);
        assert_eq!(budget.taken(), (0, 0));
    }

    #[test]
    fn what_is_kept_is_refused_where_there_is_no_room() {
        let budget = Budget::new(PROCESS + (2 << 20));
        let (mut one, mut other) = (Reserved::nothing(&budget), Reserved::nothing(&budget));
        assert!(one.set(700 << 10) && !other.set(400 << 10) && other.set(300 << 10));
        assert_eq!((one.bytes(), other.bytes(), budget.taken().1), (700 << 10, 300 << 10, 1_000 << 10));
        assert!(one.set(100) && other.set(900 << 10));
        drop((one, other));
        assert_eq!(budget.taken(), (0, 0));
    }
}
