//! Free space of one store path: measured now and then, counted in between.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::fs::fstatvfs;
use tracing::warn;

/// Free and total space of a file system, and what is promised to uploads under way.
#[derive(Debug)]
pub(crate) struct Space {
    free: AtomicU64,
    total: AtomicU64,
    promised: AtomicU64,
    measured: Mutex<Option<Instant>>,
}

/// Free and total space, in bytes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DiskSpace {
    /// Bytes that can still be written by others than root, less what uploads under way will take.
    pub free: u64,
    /// Size of the file system.
    pub total: u64,
}

impl Space {
    /// Measures the file system that `directory` lies on.
    pub(crate) fn measure(directory: BorrowedFd<'_>) -> Self {
        let space = Self {
            free: AtomicU64::new(0),
            total: AtomicU64::new(0),
            promised: AtomicU64::new(0),
            measured: Mutex::new(None),
        };
        space.refresh(directory);
        space
    }

    /// Measures again.
    pub(crate) fn refresh(&self, directory: impl AsFd) {
        *self.measured.lock() = Some(Instant::now());
        match fstatvfs(directory) {
            Ok(stat) => {
                self.free.store(stat.f_bavail.saturating_mul(stat.f_frsize), Ordering::Relaxed);
                self.total.store(stat.f_blocks.saturating_mul(stat.f_frsize), Ordering::Relaxed);
            }
            Err(error) => warn!(%error, "free space cannot be measured"),
        }
    }

    /// Measures again, unless that was just done; whether it was.
    pub(crate) fn refresh_if_old(&self, directory: impl AsFd) -> bool {
        let old = self.measured.lock().is_none_or(|at| at.elapsed() >= MIN_AGE);
        if old {
            self.refresh(directory);
        }
        old
    }

    /// What is free now, as far as is known.
    pub(crate) fn now(&self) -> DiskSpace {
        let promised = self.promised.load(Ordering::Relaxed);
        DiskSpace {
            free: self.free.load(Ordering::Relaxed).saturating_sub(promised),
            total: self.total.load(Ordering::Relaxed),
        }
    }

    /// Whether there is room for `bytes`, with nothing kept in reserve.
    pub(crate) fn holds(&self, directory: impl AsFd, bytes: u64) -> bool {
        let holds = || bytes <= self.now().free;
        // What was measured may be old: files have been deleted since.
        holds() || (self.refresh_if_old(directory) && holds())
    }

    /// Keeps `bytes` for an upload.
    pub(crate) fn promise(&self, bytes: u64) {
        self.promised.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Gives back what was kept; `written` bytes of it are in files now.
    pub(crate) fn settle(&self, promised: u64, written: u64) {
        self.promised.fetch_sub(promised, Ordering::Relaxed);
        if written > 0 {
            // The closure always gives a value.
            let _ = self.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| {
                Some(free.saturating_sub(written))
            });
        }
    }
}

const MIN_AGE: Duration = Duration::from_secs(1);
