//! The tracker's files: what survives its process, in the formats of the original.

mod atomic;
mod changelog;
mod groups_file;
mod install;
mod load;
mod old_formats;
mod reading;
mod storages_file;
mod sync_timestamps_file;
mod tracker_status;
mod trunk_log;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fdfs_rules::{ChangelogEntry, Cluster, DataFile, TrunkChange};
use parking_lot::Mutex;

use changelog::Changelog;
pub(crate) use tracker_status::TrackerStatusFile;

/// The directory of a tracker. One writer at a time.
#[derive(Debug)]
pub(crate) struct Disk {
    data: PathBuf,
    logs: PathBuf,
    changelog: Mutex<Changelog>,
    saving: Mutex<()>,
}

impl Disk {
    /// Opens the directory, making what is missing of it below `base_path`.
    pub(crate) fn open(base_path: &Path) -> io::Result<Self> {
        let (data, logs) = (base_path.join("data"), base_path.join("logs"));
        for path in [base_path, &data, &logs] {
            match fs::create_dir(path) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        install::finish(&data)?;
        let changelog = Mutex::new(Changelog::open(&data.join(CHANGELOG))?);
        Ok(Self { data, logs, changelog, saving: Mutex::default() })
    }

    /// Writes a file anew. `cluster` gives the state at the moment of writing; saves do not overtake
    /// each other, so that the last one has the last state.
    pub(crate) fn save(&self, file: DataFile, render: impl FnOnce() -> String) -> io::Result<()> {
        let _one_at_a_time = self.saving.lock();
        atomic::replace(&self.data.join(name_of(file)), render().as_bytes())
    }

    /// Appends a line to the changelog.
    pub(crate) fn append(&self, entry: &ChangelogEntry) -> io::Result<()> {
        self.changelog.lock().append(&entry.line())
    }

    /// The present length of the changelog.
    pub(crate) fn changelog_length(&self) -> u64 {
        self.changelog.lock().length()
    }

    /// Whole lines of the changelog from `offset` on, as many as original storages take.
    pub(crate) fn changelog_from(&self, offset: u64) -> io::Result<Vec<u8>> {
        self.changelog.lock().read_from(offset)
    }

    /// All of the changelog.
    pub(crate) fn whole_changelog(&self) -> io::Result<Vec<u8>> {
        self.changelog.lock().read_all()
    }

    /// Appends a line to the history of trunk servers.
    pub(crate) fn log_trunk_change(&self, change: &TrunkChange) -> io::Result<()> {
        trunk_log::append(&self.logs.join("trunk_server_change.log"), change)
    }

    /// When the last run was seen last.
    pub(crate) fn tracker_status(&self) -> TrackerStatusFile {
        TrackerStatusFile::load(&self.data.join(TrackerStatusFile::NAME))
    }

    /// Notes that this run is seen now.
    pub(crate) fn save_tracker_status(&self, status: &TrackerStatusFile) -> io::Result<()> {
        atomic::replace(&self.data.join(TrackerStatusFile::NAME), status.render().as_bytes())
    }
}

/// The files that hold the state.
pub(crate) const FILES: [DataFile; 3] = [DataFile::Groups, DataFile::Storages, DataFile::SyncTimestamps];

const CHANGELOG: &str = "storage_changelog.dat";

/// The content of a file for this state.
pub(crate) fn render(file: DataFile, cluster: &Cluster) -> String {
    match file {
        DataFile::Groups => groups_file::render(cluster),
        DataFile::Storages => storages_file::render(cluster),
        DataFile::SyncTimestamps => sync_timestamps_file::render(cluster),
    }
}

const fn name_of(file: DataFile) -> &'static str {
    match file {
        DataFile::Groups => "storage_groups_new.dat",
        DataFile::Storages => "storage_servers_new.dat",
        DataFile::SyncTimestamps => "storage_sync_timestamp.dat",
    }
}

/// Reads bytes as each of the files.
pub(crate) fn read_as_each(bytes: &[u8]) {
    if let Some(ini) = reading::Ini::parse(Path::new("data file"), bytes) {
        let _ = (groups_file::parse(&ini), storages_file::parse(&ini), TrackerStatusFile::parse(&ini));
    }
    let text = String::from_utf8_lossy(bytes);
    let _ = (sync_timestamps_file::parse(&text), old_formats::parse_groups(&text));
    let _ = old_formats::parse_storages(&text, u64::MAX);
}

#[cfg(test)]
mod tests;
