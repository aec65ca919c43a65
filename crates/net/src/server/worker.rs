//! What the connections of one thread share, and the place one of them takes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use tokio::sync::Notify;

use super::{Limits, counters::Counters};

/// What the connections of one thread share. Each thread has its own, so that waiting costs no contention.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) limits: Arc<Limits>,
    pub(crate) counters: Arc<Counters>,
    is_stopping: AtomicBool,
    stop: Notify,
}

impl Worker {
    pub(crate) fn new(limits: Arc<Limits>, counters: Arc<Counters>) -> Self {
        Self { limits, counters, is_stopping: AtomicBool::new(false), stop: Notify::new() }
    }

    pub(crate) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
        self.stop.notify_waiters();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Acquire)
    }

    /// Ends when the server is stopping.
    pub(crate) async fn stopping(&self) {
        let stop = self.stop.notified();
        if !self.is_stopping() {
            stop.await;
        }
    }
}

/// The place of one connection among the allowed ones; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Worker>);

impl Seat {
    /// Takes a place, if one is free.
    pub(crate) fn take(worker: &Arc<Worker>) -> Option<Self> {
        worker.counters.enter(worker.limits.max_connections).then(|| Self(Arc::clone(worker)))
    }

    pub(crate) fn worker(&self) -> &Arc<Worker> {
        &self.0
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.counters.leave();
    }
}
