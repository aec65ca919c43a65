//! What a peer gets of a name: the file as it is now.

use std::{
    fs::{self, File},
    os::fd::OwnedFd,
    path::Path,
};

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{FileType, Mode, OFlags, fstat, openat, readlinkat},
    io::Errno,
};

use super::{OpenFile, Store, io_error, is_there};
use crate::{Mark, StoreError, trunk::SlotKind};

/// What is under a name, files of metadata among them.
#[derive(Debug)]
pub enum ForPeer {
    /// Nothing, any more.
    Missing,
    /// A file.
    File(OpenFile),
    /// A symbolic link, to this name if it leads to a file of this storage.
    Link(Option<RemoteFilename>),
}

impl Store {
    /// Opens what is under a name, for a peer that is to have the same. Links are not followed.
    pub fn open_for_peer(&self, name: &RemoteFilename) -> Result<ForPeer, StoreError> {
        let path = self.0.path_of(name)?;
        if let Some(slot) = path.slot_of(name).map_err(StoreError::doing("opening the file"))? {
            return Ok(match slot.header.kind {
                SlotKind::File => ForPeer::File(slot.open()),
                SlotKind::Link => ForPeer::Link(slot.target()?),
            });
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file: OwnedFd = match openat(&path.data, name.local_path(), flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(ForPeer::Missing),
            Err(Errno::LOOP) => {
                let target = readlinkat(&path.data, name.local_path(), Vec::new())
                    .map_err(StoreError::doing("reading a link"))?;
                return Ok(ForPeer::Link(self.name_at(&target.to_string_lossy())));
            }
            Err(error) => return Err(StoreError::doing("opening the file")(error)),
        };
        let stat = fstat(&file).map_err(StoreError::doing("looking up the file"))?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok(ForPeer::File(OpenFile {
                file: File::from(file).into(),
                start: 0,
                crc32: None,
                size: stat.st_size.unsigned_abs(),
                modified: Timestamp(stat.st_mtime),
            })),
            FileType::Directory => Err(StoreError::IsDirectory),
            _ => Err(StoreError::NotRegular),
        }
    }

    /// Whether anything is under a name.
    pub fn is_there(&self, name: &RemoteFilename) -> bool {
        self.0.path_of(name).is_ok_and(|path| is_there(path, name.local_path()))
    }

    /// Where marks and the like of each peer lie.
    pub fn sync_directory(&self) -> &Path {
        &self.0.base.sync
    }

    /// Compresses the finished files of the binlog that every peer has read; how many. Takes its time.
    pub fn compress_binlog(&self) -> Result<u32, StoreError> {
        let read = fs::read_dir(self.sync_directory()).map_err(io_error("reading the marks"))?;
        let marks = read.filter_map(|entry| {
            let path = entry.ok()?.path();
            // A mark that cannot be read is made anew, from the first file on; compressed ones are read, too.
            (path.extension()? == "mark").then(|| Mark::load(&path).ok().flatten()).flatten()
        });
        let lowest = marks.map(|mark| mark.position.index).min();
        let binlog = &self.0.binlog;
        binlog.compress(lowest.unwrap_or(binlog.end().index)).map_err(io_error("compressing the binlog"))
    }

    /// The logic name of a path, if it lies in one of the store paths.
    pub(super) fn name_at(&self, path: &str) -> Option<RemoteFilename> {
        self.0.paths.iter().find_map(|store_path| {
            let local = path.strip_prefix(store_path.data_path.to_str()?)?.strip_prefix('/')?;
            format!("M{:02X}/{local}", store_path.index).parse().ok()
        })
    }
}
