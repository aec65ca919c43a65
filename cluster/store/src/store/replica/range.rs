//! Changes of appender files by peers: append, modify, truncate.

use std::fs::File;

use fdfs_types::{FileKind, RemoteFilename, Timestamp};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, fdatasync, ftruncate, openat, statat};

use super::{Content, Discard, Replica, Replicated, Shared, Store, is_sidecar};
use crate::{
    Change, Record, StoreError,
    layout::StorePath,
    store::{Patch, field, patch::open_for_change, shared::set_times},
};

impl Store {
    /// Begins to take bytes that a peer has appended when the file had `offset` bytes.
    pub fn receive_append(
        &self,
        name: &RemoteFilename,
        offset: u64,
        length: u64,
        time: Timestamp,
    ) -> Result<Replica, StoreError> {
        let shared = &self.0;
        let (path, size) = shared.range_of(name)?;
        Ok(match size {
            Err(answer) => unused(answer),
            Ok(size) if size == offset => match length {
                0 => unused(Replicated::Done),
                _ => {
                    shared.binlog.check()?;
                    let patch = Patch::append_of_peer(shared, path.index, name, offset, length, time);
                    Replica(Content::Patch(patch))
                }
            },
            Ok(size) if size >= offset.saturating_add(length) => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
                match openat(&path.data, name.local_path(), flags, Mode::empty()) {
                    Ok(file) => Replica(Content::Discard(Discard::compared(File::from(file), offset))),
                    Err(_) => unused(Replicated::Lacks),
                }
            }
            Ok(_) => unused(Replicated::Lacks),
        })
    }

    /// Begins to take bytes that a peer has overwritten.
    pub fn receive_modify(
        &self,
        name: &RemoteFilename,
        offset: u64,
        length: u64,
        time: Timestamp,
    ) -> Result<Replica, StoreError> {
        let shared = &self.0;
        let (path, size) = shared.range_of(name)?;
        Ok(match size {
            Err(answer) => unused(answer),
            Ok(size) if offset > size => unused(Replicated::Lacks),
            Ok(_) => {
                shared.binlog.check()?;
                Replica(Content::Patch(Patch::modify_of_peer(shared, path.index, name, offset, length, time)))
            }
        })
    }

    /// Gives a file the size that a peer has given it, where it has the size from before.
    pub fn replicate_truncate(
        &self,
        name: &RemoteFilename,
        old_size: u64,
        new_size: u64,
        time: Timestamp,
    ) -> Result<Replicated, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let (path, size) = shared.range_of(name)?;
        if let Err(answer) = size {
            return Ok(answer);
        }
        let _lock = shared.lock(name);
        let (file, size) = match open_for_change(path, name) {
            Ok(opened) => opened,
            Err(error) => return answer_of(error),
        };
        if size != old_size {
            return Ok(Replicated::Has);
        }
        let change = Change::Truncate { name: field(name), old_size, new_size };
        let (intent, line) = shared.intend(&Record::replica(time, change))?;
        ftruncate(&file, new_size).map_err(StoreError::doing("truncating the file"))?;
        set_times(&file, time);
        let durable = shared.fsync_after != 0;
        let synced = if durable { fdatasync(&file) } else { Ok(()) };
        intent.conclude(shared.record_replica(&line, durable))?;
        synced.map_err(StoreError::doing("syncing the file"))?;
        Ok(Replicated::Done)
    }
}

impl Shared {
    /// The size of a file that a peer changes, or what is to be answered at once.
    fn range_of(&self, name: &RemoteFilename) -> Result<(&StorePath, Result<u64, Replicated>), StoreError> {
        let path = self.path_for_peer(name)?;
        if is_sidecar(name) || name.kind() != Ok(FileKind::Appender) {
            return Err(StoreError::NotAppender);
        }
        let found = statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW);
        let size = match found.map_err(StoreError::doing("looking up the file")) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(stat.st_size.unsigned_abs())
            }
            Ok(_) => Err(Replicated::Has),
            Err(error) => Err(answer_of(error)?),
        };
        Ok((path, size))
    }
}

/// Puts what has come into place. The file may have changed since it began.
pub(super) fn finish(patch: Patch) -> Result<Replicated, StoreError> {
    match patch.finish() {
        Ok(_) => Ok(Replicated::Done),
        Err(error) => answer_of(error),
    }
}

/// What a peer is answered where the file is not as its change needs it.
fn answer_of(error: StoreError) -> Result<Replicated, StoreError> {
    match error {
        StoreError::NotFound | StoreError::BeyondEnd { .. } => Ok(Replicated::Lacks),
        StoreError::NotRegular => Ok(Replicated::Has),
        error => Err(error),
    }
}

fn unused(answer: Replicated) -> Replica {
    Replica(Content::Discard(Discard::unused(answer)))
}
