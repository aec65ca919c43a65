//! How many connections there are, and what became of the others.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use metrics::{Counter, Gauge, counter, gauge};
use tokio::sync::Notify;

/// Counts of connections, as storages report them to trackers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ConnectionCounts {
    /// Connections now.
    pub current: u32,
    /// The most at one time since the start.
    pub max: u32,
}

pub(crate) struct Counters {
    current: AtomicUsize,
    max: AtomicUsize,
    emptied: Notify,
    accepted: Counter,
    too_many: Counter,
    not_allowed: Counter,
    timed_out: Counter,
    open: Gauge,
}

impl Counters {
    pub(crate) fn new(server: &'static str) -> Self {
        Self {
            current: AtomicUsize::new(0),
            max: AtomicUsize::new(0),
            emptied: Notify::new(),
            accepted: counter!("fdfs_connections_accepted_total", "server" => server),
            too_many: counter!("fdfs_connections_refused_total", "server" => server, "reason" => "too_many"),
            not_allowed: counter!("fdfs_connections_refused_total", "server" => server, "reason" => "not_allowed"),
            timed_out: counter!("fdfs_connections_timed_out_total", "server" => server),
            open: gauge!("fdfs_connections", "server" => server),
        }
    }

    /// Counts one more connection, unless there are `limit` already.
    pub(crate) fn enter(&self, limit: usize) -> bool {
        let entered = self.current.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |current| {
            (current < limit).then_some(current + 1)
        });
        match entered {
            Ok(before) => {
                self.max.fetch_max(before + 1, Ordering::Relaxed);
                self.accepted.increment(1);
                self.open.increment(1);
                true
            }
            Err(_full) => {
                self.too_many.increment(1);
                false
            }
        }
    }

    pub(crate) fn leave(&self) {
        self.open.decrement(1);
        if self.current.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.emptied.notify_waiters();
        }
    }

    pub(crate) fn not_allowed(&self) {
        self.not_allowed.increment(1);
    }

    pub(crate) fn timed_out(&self) {
        self.timed_out.increment(1);
    }

    pub(crate) fn connections(&self) -> ConnectionCounts {
        let number = |count: &AtomicUsize| u32::try_from(count.load(Ordering::Relaxed)).unwrap_or(u32::MAX);
        ConnectionCounts { current: number(&self.current), max: number(&self.max) }
    }

    /// Waits until no connection is left, but not longer than `limit`; returns how many are left.
    pub(crate) async fn wait_until_empty(&self, limit: Duration) -> usize {
        let empty = async {
            loop {
                let emptied = self.emptied.notified();
                if self.current.load(Ordering::Acquire) == 0 {
                    return;
                }
                emptied.await;
            }
        };
        let _ = tokio::time::timeout(limit, empty).await;
        self.current.load(Ordering::Acquire)
    }
}

impl std::fmt::Debug for Counters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Counters").field(&self.connections()).finish()
    }
}
