//! Files open for reading.

use std::{fs::File, os::fd::OwnedFd};

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::fs::{FileType, Mode, OFlags, fstat, openat};

use super::Store;
use crate::{Counter, StoreError};

/// A file open for reading. It stays readable when the name is deleted.
#[derive(Debug)]
pub struct OpenFile {
    /// The file.
    pub file: File,
    /// Its size, in bytes.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
}

impl Store {
    /// Opens a file for reading. Links are followed.
    pub fn open_file(&self, name: &RemoteFilename) -> Result<OpenFile, StoreError> {
        let shared = &self.0;
        let path = shared.path_for_client(name)?;
        shared.stat.add(Counter::TotalFileOpenCount, 1);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file: OwnedFd = openat(&path.data, name.local_path(), flags, Mode::empty())
            .map_err(StoreError::doing("opening the file"))?;
        let stat = fstat(&file).map_err(StoreError::doing("looking up the file"))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {}
            FileType::Directory => return Err(StoreError::IsDirectory),
            _ => return Err(StoreError::NotRegular),
        }
        shared.stat.add(Counter::SuccessFileOpenCount, 1);
        Ok(OpenFile {
            file: file.into(),
            size: stat.st_size.unsigned_abs(),
            modified: Timestamp(stat.st_mtime),
        })
    }
}

impl OpenFile {
    /// The bytes that a download of `length` bytes from `offset` on gets: 0 means up to the end, and
    /// so does more than there is. The beginning of an empty file is a range of no bytes.
    pub fn range(&self, offset: u64, length: u64) -> Result<std::ops::Range<u64>, StoreError> {
        if offset >= self.size && (offset, self.size) != (0, 0) {
            return Err(StoreError::BeyondEnd { offset, size: self.size });
        }
        let end = match length {
            0 => self.size,
            length => self.size.min(offset.saturating_add(length)),
        };
        Ok(offset..end)
    }
}
