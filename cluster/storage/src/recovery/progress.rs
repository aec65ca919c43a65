//! How far a recovery has come, for logs, metrics and health.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use fdfs_store::Record;
use parking_lot::Mutex;
use tracing::warn;

use super::fetch::Fetched;

/// How many files were dealt with, and how.
#[derive(Debug, Default)]
pub(super) struct Progress {
    pub(super) total: AtomicU64,
    pub(super) restored: AtomicU64,
    pub(super) present: AtomicU64,
    pub(super) gone: AtomicU64,
    pub(super) parked: AtomicU64,
}

impl Progress {
    /// Counts one file.
    pub(super) fn count(&self, fetched: &Fetched) {
        let (counter, result) = match fetched {
            Fetched::Restored => (&self.restored, "restored"),
            Fetched::Present => (&self.present, "present"),
            Fetched::Gone => (&self.gone, "gone"),
            Fetched::Parked(_) => (&self.parked, "parked"),
        };
        counter.fetch_add(1, Relaxed);
        metrics::counter!("fdfs_storage_recovery_files_total", "result" => result).increment(1);
    }

    /// Files dealt with.
    pub(super) fn done(&self) -> u64 {
        [&self.restored, &self.present, &self.gone, &self.parked]
            .map(|counter| counter.load(Relaxed))
            .iter()
            .sum()
    }
}

impl std::fmt::Display for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [total, restored, present, gone, parked] =
            [&self.total, &self.restored, &self.present, &self.gone, &self.parked].map(|n| n.load(Relaxed));
        write!(
            f,
            "{} of {total}: {restored} fetched, {present} here, {gone} deleted, {parked} parked",
            self.done()
        )
    }
}

/// `data/rs/parked`: files that could not be had when they were looked for last, with the reason behind each line.
#[derive(Debug)]
pub(super) struct Parked {
    path: PathBuf,
    file: Mutex<Option<File>>,
}

impl Parked {
    /// The list in `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        Self { path: directory.join("parked"), file: Mutex::default() }
    }

    /// Everything is looked for again.
    pub(super) fn clear(&self) {
        *self.file.lock() = None;
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(path = %self.path.display(), %error, "the list of parked files cannot be cleared");
        }
    }

    /// A file cannot be had.
    pub(super) fn park(&self, record: &Record, reason: &str) {
        warn!(file_id = record.change.name(), reason, "a file cannot be fetched and is parked");
        let mut file = self.file.lock();
        let added = match &mut *file {
            Some(file) => Ok(file),
            none => OpenOptions::new()
                .create(true)
                .append(true)
                .open(&self.path)
                .map(|opened| none.insert(opened)),
        }
        .and_then(|file| writeln!(file, "{record} # {reason}"));
        if let Err(error) = added {
            warn!(path = %self.path.display(), %error, "the list of parked files cannot be written");
        }
    }
}
