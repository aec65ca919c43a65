//! Threads that each run their own connections.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::warn;

/// Threads that each run their own connections: one never waits for another's.
pub(super) struct Workers {
    handles: Vec<Handle>,
    turn: AtomicUsize,
    /// Dropped when the threads are to end.
    running: watch::Sender<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// No thread at all.
    pub(super) fn none() -> Self {
        let (running, _) = watch::channel(());
        Self { handles: Vec::new(), turn: AtomicUsize::new(0), running, threads: Vec::new() }
    }

    /// Starts `count` threads.
    pub(super) fn start(count: usize) -> io::Result<Self> {
        let mut workers = Self::none();
        for index in 0..count {
            let name = format!("http-{index}");
            let (handle, thread) =
                fdfs_net::serving_thread(&name, DISK_THREADS, workers.running.subscribe())?;
            workers.handles.push(handle);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// The one whose turn it is.
    pub(super) fn next(&self) -> Option<&Handle> {
        let count = self.handles.len().max(1);
        self.handles.get(self.turn.fetch_add(1, Ordering::Relaxed) % count)
    }

    /// Ends the threads.
    pub(super) async fn end(self) {
        let Self { running, threads, .. } = self;
        drop(running);
        let joined =
            tokio::task::spawn_blocking(move || threads.into_iter().all(|thread| thread.join().is_ok()));
        if !joined.await.unwrap_or(false) {
            warn!("a thread for HTTP has panicked");
        }
    }
}

/// Threads for what blocks, at most, beside each that serves.
const DISK_THREADS: usize = 64;
