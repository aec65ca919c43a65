//! Comparing a file with its name, a piece at a time.

use std::{fs::File, time::Duration};

use fdfs_types::RemoteFilename;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat},
    io::Errno,
};

use super::{Damage, Fingerprint, Suspect, Told, gentle_read, told_by};
use crate::{Store, StoreError, layout::StorePath, store::now};

/// A file that is being compared with its name.
#[derive(Debug)]
pub struct Examination {
    store: Store,
    name: RemoteFilename,
    told: Told,
    seen: Fingerprint,
    /// The file, or why it cannot be opened.
    file: Result<File, Errno>,
    hasher: crc32fast::Hasher,
    offset: u64,
    /// It is read for a second time, since the first time it was not what its name says.
    is_second: bool,
}

/// What an examination has found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// The file is what its name says.
    Sound,
    /// It is what its name says, and was not when it was read a moment before: memory, cables or the disk are not.
    Misread,
    /// Meanwhile it was deleted, or is another.
    Changed,
    /// It is not what its name says.
    Damaged(Suspect),
}

impl Store {
    /// Begins to compare a file with its name; nothing where the name tells nothing, the file is gone, is a link, or
    /// was changed within `min_age`.
    pub fn examine(
        &self,
        name: &RemoteFilename,
        min_age: Duration,
    ) -> Result<Option<Examination>, StoreError> {
        let Some(told) = told_by(name) else { return Ok(None) };
        let path = self.0.path_of(name)?;
        let stat = match statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(StoreError::from_errno("looking up the file", error)),
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || is_young(&stat, min_age) {
            return Ok(None);
        }
        let file = match open(path, name) {
            Ok(file) => Ok(file),
            Err(Errno::NOENT | Errno::LOOP) => return Ok(None),
            Err(error) if is_of_the_disk(error) => Err(error),
            Err(error) => return Err(StoreError::from_errno("opening the file", error)),
        };
        let seen = match &file {
            Ok(file) => {
                gentle_read::prepare(file);
                Fingerprint::of(&fstat(file).map_err(StoreError::doing("looking up the file"))?)
            }
            Err(_) => Fingerprint::of(&stat),
        };
        Ok(Some(Examination {
            store: self.clone(),
            name: name.clone(),
            told,
            seen,
            file,
            hasher: crc32fast::Hasher::new(),
            offset: 0,
            is_second: false,
        }))
    }
}

impl Examination {
    /// The name.
    pub fn name(&self) -> &RemoteFilename {
        &self.name
    }

    /// Reads on into `block`; how many bytes, and the verdict when there is one.
    pub fn step(&mut self, block: &mut [u8]) -> Result<(usize, Option<Verdict>), StoreError> {
        let file = match &self.file {
            Ok(file) => file,
            Err(error) => {
                let damage = Damage::Unreadable { errno: error.raw_os_error() };
                return Ok((0, Some(self.conclude(damage))));
            }
        };
        let (told, found) = (self.told.size, self.seen.size);
        if told != found {
            return Ok((0, Some(self.conclude(Damage::Size { told, found }))));
        }
        let damage = match gentle_read::read(file, block, self.offset) {
            // Shorter than a moment ago: not the file that was looked up.
            Ok(0) if self.offset < told => return Ok((0, Some(Verdict::Changed))),
            Ok(0) => {
                let found = self.hasher.clone().finalize();
                if found == self.told.crc32 {
                    let verdict = if self.is_second { Verdict::Misread } else { Verdict::Sound };
                    return Ok((0, Some(verdict)));
                }
                Damage::Content { told: self.told.crc32, found }
            }
            Ok(length) => {
                self.hasher.update(&block[..length]);
                self.offset += length as u64;
                return Ok((length, None));
            }
            Err(error) if is_of_the_disk(error) => Damage::Unreadable { errno: error.raw_os_error() },
            Err(error) => return Err(StoreError::from_errno("reading the file", error)),
        };
        if self.is_second {
            return Ok((0, Some(self.conclude(damage))));
        }
        gentle_read::drop_from_memory(file, 0, 0);
        (self.is_second, self.offset, self.hasher) = (true, 0, crc32fast::Hasher::new());
        Ok((0, None))
    }

    /// The verdict on what was read, unless it is not what has the name now.
    fn conclude(&self, damage: Damage) -> Verdict {
        let is_still = self.store.0.path_of(&self.name).is_ok_and(|path| {
            let _lock = self.store.0.lock(&self.name);
            self.seen.is_still(path, &self.name)
        });
        if !is_still {
            return Verdict::Changed;
        }
        Verdict::Damaged(Suspect { name: self.name.clone(), damage, told: self.told, seen: self.seen })
    }
}

fn open(path: &StorePath, name: &RemoteFilename) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let open = |flags| openat(&path.data, name.local_path(), flags, Mode::empty());
    // Who does not own the file may not leave its time of access alone.
    match open(flags | OFlags::NOATIME) {
        Err(Errno::PERM) => open(flags),
        other => other,
    }
    .map(File::from)
}

/// Whether an error says that the disk, or what the file system has on it, is broken.
fn is_of_the_disk(error: Errno) -> bool {
    matches!(error, Errno::IO | Errno::BADMSG | Errno::UCLEAN | Errno::NODATA | Errno::ILSEQ)
}

/// Whether a file was made or changed just now, by the clock of this machine.
fn is_young(stat: &Stat, min_age: Duration) -> bool {
    let age = now().0.saturating_sub(stat.st_ctime);
    i64::try_from(min_age.as_secs()).is_ok_and(|min_age| age < min_age)
}
