//! The search for damaged files: in the background every file whose name tells its size and CRC32 is read and compared
//! with its name; what is damaged is healed from another member.
//!
//! What is promised stands in COMPATIBILITY.md.

mod pace;
mod scrubber;
mod walk;

use std::{
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use fdfs_ops::PartState;
use fdfs_proto::ours::{DamagedFile, ScrubAction, ScrubResponse};
use fdfs_store::{DamagedFiles, ScrubProgress};
use fdfs_types::{RemoteFilename, Timestamp};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

pub(crate) use self::scrubber::Scrubber;

/// How the search goes, for whoever asks.
#[derive(Debug)]
pub(crate) struct Scrub {
    directory: PathBuf,
    progress: Mutex<ScrubProgress>,
    left: Mutex<DamagedFiles>,
    /// What `/healthz` says, which must not wait for a disk.
    words: Mutex<Option<String>>,
    wants: Mutex<Wants>,
    wanted: Notify,
}

/// What somebody has asked for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Wants {
    try_again: bool,
    search: bool,
}

impl Scrub {
    /// Reads from `directory` how far an earlier run was.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        let scrub = Self {
            directory: directory.to_owned(),
            progress: Mutex::new(ScrubProgress::load(directory)?),
            left: Mutex::new(DamagedFiles::open(directory)?),
            words: Mutex::default(),
            wants: Mutex::default(),
            wanted: Notify::new(),
        };
        scrub.say(&scrub.left.lock());
        scrub.show_last_whole();
        Ok(scrub)
    }

    /// Asks for something.
    pub(crate) fn want(&self, action: ScrubAction) {
        {
            let mut wants = self.wants.lock();
            match action {
                ScrubAction::Tell => return,
                ScrubAction::TryAgain => wants.try_again = true,
                ScrubAction::Search => wants.search = true,
            }
        }
        self.wanted.notify_one();
    }

    /// How the search goes. May wait for the disk.
    pub(crate) fn tell(&self) -> ScrubResponse {
        let progress = self.progress.lock().clone();
        let left = self.left.lock();
        let file = |file: &fdfs_store::DamagedFile| DamagedFile {
            found: file.found,
            tried: file.tried,
            tries: file.tries,
            filename: file.name.clone(),
            why: file.why.clone(),
        };
        ScrubResponse {
            is_searching: progress.is_under_way,
            begun: progress.begun,
            last_whole: progress.last_whole,
            files: progress.files,
            bytes: progress.bytes,
            damaged: progress.damaged,
            healed: progress.healed,
            left: u32::try_from(left.files().len()).unwrap_or(u32::MAX),
            files_left: left.files().iter().take(ScrubResponse::MOST).map(file).collect(),
        }
    }

    /// Whether files are damaged, in words.
    pub(crate) fn health(&self) -> PartState {
        self.words.lock().clone().map_or(PartState::Ok, PartState::Degraded)
    }

    /// What was asked for since this was called last.
    fn take_wants(&self) -> Wants {
        std::mem::take(&mut self.wants.lock())
    }

    fn progress(&self) -> ScrubProgress {
        self.progress.lock().clone()
    }

    /// Changes the progress in memory.
    fn advance(&self, change: impl FnOnce(&mut ScrubProgress)) {
        change(&mut self.progress.lock());
    }

    /// Writes the progress. To be called where waiting for the disk blocks nobody.
    fn save(&self) {
        let progress = self.progress();
        if let Err(error) = progress.save(&self.directory) {
            warn!(%error, "how far the search for damage is cannot be written: a restart repeats a part of it");
        }
        self.show_last_whole();
    }

    /// A file cannot be healed. To be called where waiting for the disk blocks nobody; whether that is new.
    fn note(&self, name: &RemoteFilename, why: &str) -> bool {
        self.change_list(|left| left.note(name, why, now()))
    }

    /// A file is sound or gone. To be called where waiting for the disk blocks nobody; whether it was damaged.
    fn forget(&self, name: &RemoteFilename) -> bool {
        self.is_left(name) && self.change_list(|left| left.forget(name))
    }

    fn is_left(&self, name: &RemoteFilename) -> bool {
        self.left.lock().files().iter().any(|file| file.name == *name)
    }

    fn change_list(&self, change: impl FnOnce(&mut DamagedFiles) -> io::Result<bool>) -> bool {
        let mut left = self.left.lock();
        let changed = change(&mut left).unwrap_or_else(|error| {
            warn!(%error, "the list of damaged files cannot be written: a restart forgets a part of it");
            true
        });
        self.say(&left);
        changed
    }

    fn say(&self, left: &DamagedFiles) {
        let count = left.files().len();
        metrics::gauge!("fdfs_storage_scrub_unhealed_files").set(count as f64);
        *self.words.lock() = left.files().first().map(|first| {
            format!(
                "{count} damaged files cannot be healed, the first is {}: {}; bring members with sound copies back, \
                 restore the files from a backup or delete them, then run fdfs repair",
                first.name, first.why
            )
        });
    }

    fn show_last_whole(&self) {
        let last = self.progress.lock().last_whole;
        metrics::gauge!("fdfs_storage_scrub_last_whole_timestamp_seconds").set(last.0 as f64);
    }
}

fn now() -> Timestamp {
    SystemTime::now().into()
}
