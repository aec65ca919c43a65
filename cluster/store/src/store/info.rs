//! What can be told about a file without its content, and its CRC32.

use std::{fs::File, io::Read, os::unix::fs::FileExt};

use fdfs_types::{FileKind, RemoteFilename, Source, Timestamp};
use rustix::fs::{AtFlags, FileType, statat};

use super::{OpenFile, Store, io_error, slots::Slot};
use crate::{Counter, StoreError, trunk::SlotKind};

/// What a store tells about a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FileInfo {
    /// Its size; of a link, the size of its target.
    pub size: u64,
    /// When it was modified last; of a link, when the link was made.
    pub modified: Timestamp,
    /// Its CRC32: from the name where that tells it, else from the content, `None` where that was
    /// not wanted.
    pub crc32: Option<u32>,
    /// The storage that accepted it.
    pub source: Source,
    /// What kind of file it is.
    pub kind: FileKind,
}

impl Store {
    /// Tells about a file. With `compute_crc32` the content of an appender or slave file is read, which
    /// takes its time.
    pub fn info(&self, name: &RemoteFilename, compute_crc32: bool) -> Result<FileInfo, StoreError> {
        let path = self.0.path_for_client(name)?;
        let local = name.local_path();
        let look_up =
            |flags| statat(&path.data, local, flags).map_err(StoreError::doing("looking up the file"));
        if let Some(slot) = path.slot_of(name).map_err(StoreError::doing("looking up the file"))? {
            return self.info_of_slot(name, &slot);
        }
        let entry = look_up(AtFlags::SYMLINK_NOFOLLOW)?;
        let target = match FileType::from_raw_mode(entry.st_mode) {
            FileType::RegularFile => entry,
            FileType::Symlink => look_up(AtFlags::empty())?,
            FileType::Directory => return Err(StoreError::IsDirectory),
            _ => return Err(StoreError::NotRegular),
        };
        let fields = name.fields().map_err(|_| StoreError::NotFound)?;
        let kind = name.kind().map_err(|_| StoreError::NotFound)?;
        let crc32 = match kind {
            FileKind::Normal | FileKind::Trunk(_) => Some(fields.crc32),
            FileKind::Appender | FileKind::Slave if compute_crc32 => {
                self.0.stat.add(Counter::TotalFileReadCount, 1);
                let crc32 = self.open_file(name)?.compute_crc32()?;
                self.0.stat.add(Counter::SuccessFileReadCount, 1);
                Some(crc32)
            }
            FileKind::Appender | FileKind::Slave => None,
        };
        Ok(FileInfo {
            size: target.st_size.unsigned_abs(),
            modified: Timestamp(entry.st_mtime),
            crc32,
            source: fields.source,
            kind,
        })
    }
}

impl Store {
    fn info_of_slot(&self, name: &RemoteFilename, slot: &Slot) -> Result<FileInfo, StoreError> {
        let fields = name.fields().map_err(|_| StoreError::NotFound)?;
        let kind = name.kind().map_err(|_| StoreError::NotFound)?;
        let size = match slot.header.kind {
            SlotKind::File => slot.header.size.into(),
            SlotKind::Link => self.open_file(name)?.size,
        };
        let modified = Timestamp(slot.header.modified.into());
        Ok(FileInfo { size, modified, crc32: Some(fields.crc32), source: fields.source, kind })
    }
}

impl OpenFile {
    /// The CRC32 of the content.
    pub(super) fn compute_crc32(&self) -> Result<u32, StoreError> {
        let mut hasher = crc32fast::Hasher::new();
        let mut block = vec![0; BLOCK];
        let mut done = 0;
        while done < self.size {
            let wanted = BLOCK.min(usize::try_from(self.size - done).unwrap_or(BLOCK));
            match self.file.read_at(&mut block[..wanted], self.start + done) {
                Ok(0) => break,
                Ok(length) => {
                    hasher.update(&block[..length]);
                    done += length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error("reading the file")(error)),
            }
        }
        Ok(hasher.finalize())
    }
}

/// The CRC32 of what is left to read.
pub(crate) fn crc32_of(file: &mut File) -> Result<u32, StoreError> {
    let mut hasher = crc32fast::Hasher::new();
    let mut block = vec![0; BLOCK];
    loop {
        match file.read(&mut block) {
            Ok(0) => return Ok(hasher.finalize()),
            Ok(length) => hasher.update(&block[..length]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("reading the file")(error)),
        }
    }
}

const BLOCK: usize = 256 * 1024;
