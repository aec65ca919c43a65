//! The records of one store path, for a peer that rebuilds it.

use std::io;

use fdfs_types::RemoteFilename;
use rustix::{
    fs::{AtFlags, FileType, readlinkat, statat},
    io::Errno,
};
use tracing::warn;

use super::Store;
use crate::{BinlogReader, Change, Position, Record, StoreError};

/// Reads the records of one store path that tell which files are there now.
///
/// Records of files that are gone are left out, and a record says link where a link is there, and file where a file
/// is. Lines that cannot be understood are passed over and counted.
#[derive(Debug)]
pub struct PathBinlog {
    store: Store,
    path: u8,
    reader: BinlogReader,
    end: Position,
    damaged: u64,
}

impl Store {
    /// The records of a store path up to now.
    pub fn path_binlog(&self, path: u8) -> Result<PathBinlog, StoreError> {
        let shared = &self.0;
        if usize::from(path) >= shared.paths.len() {
            return Err(StoreError::NoSuchStorePath { index: path });
        }
        let first = shared.binlog.first();
        let (reader, end) = (shared.binlog.reader(first), shared.binlog.end());
        Ok(PathBinlog { store: self.clone(), path, reader, end, damaged: 0 })
    }
}

impl PathBinlog {
    /// Appends lines to `lines` until it has about `size` bytes; `false` at the end.
    pub fn read(&mut self, lines: &mut String, size: usize) -> io::Result<bool> {
        while lines.len() < size {
            if self.reader.position() >= self.end {
                return Ok(false);
            }
            let Some(entry) = self.reader.next_entry()? else { return Ok(false) };
            match entry.record {
                Ok(record) => {
                    if let Some(record) = self.told(record) {
                        lines.push_str(&format!("{record}\n"));
                    }
                }
                Err(error) => {
                    self.damaged += 1;
                    if self.damaged == 1 {
                        warn!(at = ?entry.start, %error, "a damaged record is left out of what a peer gets");
                    }
                }
            }
        }
        Ok(true)
    }

    /// Lines passed over that cannot be understood.
    pub fn damaged(&self) -> u64 {
        self.damaged + self.reader.skipped()
    }

    /// The record as the peer is told it.
    fn told(&self, record: Record) -> Option<Record> {
        let Record { timestamp, origin, change } = record;
        let (Change::Create { name } | Change::Link { name, .. } | Change::Rename { name, .. }) = change
        else {
            return None;
        };
        let file: RemoteFilename = name.parse().ok()?;
        if file.store_path() != self.path {
            return None;
        }
        let change = self.present(&file)?;
        Some(Record { timestamp, origin, change })
    }

    /// What is there now, in the form of a record.
    fn present(&self, file: &RemoteFilename) -> Option<Change> {
        let path = &self.store.0.paths[usize::from(self.path)];
        let local = file.local_path();
        let name = file.as_str().into();
        if let Ok(Some(slot)) = path.slot_of(file) {
            return Some(match slot.target().ok()? {
                Some(source) => Change::Link { name, source: Some(source.as_str().into()) },
                None => Change::Create { name },
            });
        }
        match statat(&path.data, local, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => Some(Change::Create { name }),
                FileType::Symlink => {
                    statat(&path.data, local, AtFlags::empty()).ok()?;
                    let target = readlinkat(&path.data, local, Vec::new()).ok()?;
                    let source = self.store.name_at(target.to_str().ok()?)?;
                    Some(Change::Link { name, source: Some(source.as_str().into()) })
                }
                _ => None,
            },
            Err(Errno::NOENT) => None,
            Err(error) => {
                warn!(file_id = %file, %error, "a file cannot be looked up and is left out of what a peer gets");
                None
            }
        }
    }
}
