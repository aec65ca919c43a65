//! The mark of one peer: how far it has everything, on the disk often enough.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use fdfs_store::{Mark, Position};
use tracing::error;

/// Keeps the mark of one peer, and writes it when that is due.
#[derive(Debug)]
pub(super) struct MarkKeeper {
    path: PathBuf,
    mark: Mark,
    saved: Mark,
    saved_at: Instant,
    failed: bool,
}

impl MarkKeeper {
    /// Begins with `mark`, and writes it.
    pub(super) fn new(path: PathBuf, mark: Mark) -> Self {
        let mut keeper = Self { path, mark, saved: mark, saved_at: Instant::now(), failed: false };
        keeper.write();
        keeper
    }

    pub(super) fn mark(&self) -> &Mark {
        &self.mark
    }

    /// Everything before `position` is done.
    pub(super) fn advance(&mut self, position: Position) {
        self.mark.position = position;
    }

    /// A record was read.
    pub(super) fn scanned(&mut self) {
        self.mark.scan_row_count += 1;
    }

    /// A record was sent.
    pub(super) fn sent(&mut self) {
        self.mark.sync_row_count += 1;
    }

    /// The peer has the old files.
    pub(super) fn old_done(&mut self) {
        self.mark.sync_old_done = true;
        self.write();
    }

    /// Writes if `frequency` records were sent since, if another file was begun, or if a change has waited for long.
    pub(super) fn write_if_due(&mut self, frequency: u64) {
        if self.mark == self.saved && !self.failed {
            return;
        }
        let age = self.saved_at.elapsed();
        let sent = self.mark.sync_row_count - self.saved.sync_row_count;
        let is_next_file = self.mark.position.index != self.saved.position.index;
        if age >= LONGEST || age >= SHORTEST && !self.failed && (sent >= frequency || is_next_file) {
            self.write();
        }
    }

    /// Writes what is not written.
    pub(super) fn finish(&mut self) {
        if self.mark != self.saved || self.failed {
            self.write();
        }
    }

    fn write(&mut self) {
        self.saved_at = Instant::now();
        match self.mark.save(&self.path) {
            Ok(()) => {
                self.saved = self.mark;
                self.failed = false;
            }
            Err(error) => {
                metrics::counter!("fdfs_sync_mark_failures_total").increment(1);
                if !self.failed {
                    error!(path = %self.path.display(), %error, "the mark cannot be written; after a restart records are sent again");
                }
                self.failed = true;
            }
        }
    }
}

/// A mark is not written more often than this; each time costs a sync of the disk.
const SHORTEST: Duration = Duration::from_millis(100);
/// A change is not kept in memory longer than this.
const LONGEST: Duration = Duration::from_secs(1);
