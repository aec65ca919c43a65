//! Putting the files of another tracker in the place of our own, all or none.
//!
//! They are written into `fetching`, made durable, and the directory is renamed to `fetched`: from then
//! on they count. Then each is renamed over ours; a start finishes what a crash has interrupted.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use fdfs_rules::{DataFile, Settings};

use super::load::{self, Loaded};
use super::{CHANGELOG, Changelog, Disk, name_of};

/// The names of the files in the order of their numbers on the wire.
const NAMES: [&str; 4] =
    [name_of(DataFile::Groups), name_of(DataFile::Storages), name_of(DataFile::SyncTimestamps), CHANGELOG];
const FETCHING: &str = "fetching";
const FETCHED: &str = "fetched";

impl Disk {
    /// Takes the files, in the order of their numbers on the wire, if they make sense.
    pub(crate) fn install(&self, files: &[Vec<u8>; 4], settings: &Settings) -> io::Result<Loaded> {
        let _one_at_a_time = self.saving.lock();
        let mut changelog = self.changelog.lock();
        let (fetching, fetched) = (self.data.join(FETCHING), self.data.join(FETCHED));
        remove(&fetching)?;
        fs::create_dir(&fetching)?;
        for (name, content) in NAMES.into_iter().zip(files) {
            let mut file = File::create(fetching.join(name))?;
            file.write_all(content)?;
            file.sync_all()?;
        }
        File::open(&fetching)?.sync_all()?;
        let loaded = load::load(&fetching, files[3].len() as u64, settings)?;
        if loaded.groups.is_empty() {
            remove(&fetching)?;
            return Err(io::Error::new(io::ErrorKind::InvalidData, "there is no group in them"));
        }
        fs::rename(&fetching, &fetched)?;
        finish(&self.data)?;
        *changelog = Changelog::open(&self.data.join(CHANGELOG))?;
        Ok(loaded)
    }
}

/// Puts fetched files in their places, if there are any.
pub(super) fn finish(data: &Path) -> io::Result<()> {
    let fetched = data.join(FETCHED);
    if !fetched.is_dir() {
        return Ok(());
    }
    for name in NAMES {
        match fs::rename(fetched.join(name), data.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    File::open(data)?.sync_all()?;
    fs::remove_dir_all(&fetched)
}

fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_finishes_what_a_crash_has_interrupted() {
        let dir = tempfile::tempdir().expect("a directory");
        drop(Disk::open(dir.path()).expect("a new one"));
        let data = dir.path().join("data");
        fs::write(data.join(NAMES[0]), "old groups").expect("room");
        fs::write(data.join(CHANGELOG), "old changelog").expect("room");
        // Two of four were moved when it crashed.
        fs::create_dir(data.join(FETCHED)).expect("room");
        fs::write(data.join(NAMES[1]), "new storages").expect("room");
        fs::write(data.join(FETCHED).join(NAMES[0]), "new groups").expect("room");
        fs::write(data.join(FETCHED).join(CHANGELOG), "new changelog").expect("room");
        // And what is not complete does not count.
        fs::create_dir(data.join(FETCHING)).expect("room");
        fs::write(data.join(FETCHING).join(NAMES[1]), "torn").expect("room");
        drop(Disk::open(dir.path()).expect("the directory"));
        let text = |name: &str| fs::read_to_string(data.join(name)).expect("a file");
        let found = [NAMES[0], NAMES[1], CHANGELOG].map(text);
        assert_eq!(found, ["new groups", "new storages", "new changelog"]);
        assert!(!data.join(FETCHED).exists());
    }
}
