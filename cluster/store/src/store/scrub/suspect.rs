//! A file that is not what its name says.

use std::{fmt, io};

use fdfs_types::RemoteFilename;
use rustix::fs::{AtFlags, FileType, Stat, statat};

use super::Told;
use crate::layout::StorePath;

/// A file that is not what its name says, as it was when that was seen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Suspect {
    /// Its name.
    pub name: RemoteFilename,
    /// What is wrong with it.
    pub damage: Damage,
    pub(super) told: Told,
    pub(super) seen: Fingerprint,
}

/// What is wrong with a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Damage {
    /// It does not have the size that its name tells.
    Size {
        /// The size of the name.
        told: u64,
        /// Its size.
        found: u64,
    },
    /// Its content does not have the CRC32 that its name tells.
    Content {
        /// The CRC32 of the name.
        told: u32,
        /// The CRC32 of the content.
        found: u32,
    },
    /// The disk does not give its content.
    Unreadable {
        /// What it answers, as `errno`.
        errno: i32,
    },
}

/// What tells whether a name still has the very file that was looked at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fingerprint {
    inode: u64,
    pub(super) size: u64,
    pub(super) modified: (i64, i64),
}

impl Suspect {
    /// The size that its name tells.
    pub fn size(&self) -> u64 {
        self.told.size
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Size { told, found } => write!(f, "it has {found} bytes, its name says {told}"),
            Self::Content { told, found } => write!(f, "its CRC32 is {found:08x}, its name says {told:08x}"),
            Self::Unreadable { errno } => {
                write!(f, "the disk does not give it: {}", io::Error::from_raw_os_error(*errno))
            }
        }
    }
}

impl Fingerprint {
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            inode: stat.st_ino,
            size: stat.st_size.unsigned_abs(),
            modified: (stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
        }
    }

    /// Whether the name still has the file.
    pub(super) fn is_still(self, path: &StorePath, name: &RemoteFilename) -> bool {
        statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile && Self::of(&stat) == self
        })
    }
}
