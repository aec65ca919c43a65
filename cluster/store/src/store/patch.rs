//! Appending to and overwriting appender files.
//!
//! Bytes are gathered first, in memory or in a temporary file, and put into place in one go when they
//! are whole. Nobody sees half of a change, a client that goes away changes nothing, and a slow one
//! holds nobody up: the file's lock is taken for the last step alone.

use std::{os::fd::OwnedFd, sync::Arc};

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{Mode, OFlags, fdatasync, fstat, ftruncate, openat},
    io::Errno,
};

use super::{Shared, Store, copy::copy, field, shared::set_times, upload::write_all};
use crate::{Change, Counter, Record, StoreError, draft::Draft, journal::Intent, layout::StorePath};

/// A change of an appender file under way. Dropped before [`Patch::finish`], it changes nothing.
#[derive(Debug)]
pub struct Patch {
    store: Arc<Shared>,
    path: u8,
    name: RemoteFilename,
    target: Target,
    announced: Option<u64>,
    content: Content,
    size: u64,
    /// When it happened at the peer that sends it; `None` for a client's.
    peer_time: Option<Timestamp>,
}

/// What [`Patch::finish`] has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Patched {
    /// Where the bytes were put.
    pub offset: u64,
    /// Size of the file now.
    pub size: u64,
    /// The record that tells it; none where no bytes came.
    pub record: Option<Record>,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    End,
    /// The end, where that is here.
    EndAt(u64),
    Offset(u64),
}

#[derive(Debug)]
enum Content {
    Memory(Vec<u8>),
    File(Draft),
}

impl Store {
    /// Begins to append to an appender file. `size`, where it is known, must be met.
    pub fn append(&self, name: &RemoteFilename, size: Option<u64>) -> Result<Patch, StoreError> {
        self.patch(name, Target::End, size)
    }

    /// Begins to overwrite an appender file from `offset` on, which may be its end, but not lie behind.
    pub fn modify(&self, name: &RemoteFilename, offset: u64, size: Option<u64>) -> Result<Patch, StoreError> {
        self.patch(name, Target::Offset(offset), size)
    }

    fn patch(
        &self,
        name: &RemoteFilename,
        target: Target,
        announced: Option<u64>,
    ) -> Result<Patch, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let (path, stat) = shared.appender(name)?;
        let size = stat.st_size.unsigned_abs();
        let offset = match target {
            Target::End => size,
            Target::EndAt(offset) | Target::Offset(offset) => offset,
        };
        if offset > size {
            return Err(StoreError::BeyondEnd { offset, size });
        }
        let growth = offset.saturating_add(announced.unwrap_or(0)).saturating_sub(size);
        if growth > 0 && !shared.placement.has_room(&shared.paths, path, growth) {
            return Err(StoreError::NoSpace);
        }
        Ok(Patch {
            store: Arc::clone(shared),
            path: path.index,
            name: name.clone(),
            target,
            announced,
            content: Content::Memory(Vec::new()),
            size: 0,
            peer_time: None,
        })
    }
}

impl Patch {
    /// Begins to append what a peer has appended, when the end of the file is `offset` still.
    pub(super) fn append_of_peer(
        store: &Arc<Shared>,
        path: u8,
        name: &RemoteFilename,
        offset: u64,
        size: u64,
        time: Timestamp,
    ) -> Self {
        Self::of_peer(store, path, name, Target::EndAt(offset), size, time)
    }

    /// Begins to overwrite what a peer has overwritten.
    pub(super) fn modify_of_peer(
        store: &Arc<Shared>,
        path: u8,
        name: &RemoteFilename,
        offset: u64,
        size: u64,
        time: Timestamp,
    ) -> Self {
        Self::of_peer(store, path, name, Target::Offset(offset), size, time)
    }

    fn of_peer(
        store: &Arc<Shared>,
        path: u8,
        name: &RemoteFilename,
        target: Target,
        size: u64,
        time: Timestamp,
    ) -> Self {
        Self {
            store: Arc::clone(store),
            path,
            name: name.clone(),
            target,
            announced: Some(size),
            content: Content::Memory(Vec::new()),
            size: 0,
            peer_time: Some(time),
        }
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.size.saturating_add(bytes.len() as u64);
        if let Some(announced) = self.announced
            && end > announced
        {
            return Err(StoreError::WrongLength { announced, received: end });
        }
        if let Content::Memory(memory) = &mut self.content {
            if end <= IN_MEMORY {
                memory.extend_from_slice(bytes);
                self.size = end;
                return Ok(());
            }
            let path = &self.store.paths[usize::from(self.path)];
            let draft = Draft::create(path, || self.store.temporary_name())
                .map_err(StoreError::doing("creating a file"))?;
            let memory = std::mem::take(memory);
            self.content = Content::File(draft);
            self.spool(&memory, 0)?;
        }
        self.spool(bytes, self.size)?;
        self.size = end;
        Ok(())
    }

    /// Puts the bytes into place and records it. Takes as long as the disk needs for the copy.
    pub fn finish(self) -> Result<Patched, StoreError> {
        if let Some(announced) = self.announced
            && announced != self.size
        {
            return Err(StoreError::WrongLength { announced, received: self.size });
        }
        let store = &self.store;
        let path = &store.paths[usize::from(self.path)];
        let _lock = store.lock(&self.name);
        let (file, old_size) = open_for_change(path, &self.name)?;
        let offset = match self.target {
            Target::End => old_size,
            Target::EndAt(offset) | Target::Offset(offset) => offset,
        };
        if offset > old_size || (matches!(self.target, Target::EndAt(_)) && offset != old_size) {
            return Err(StoreError::BeyondEnd { offset, size: old_size });
        }
        if self.size == 0 {
            return Ok(Patched { offset, size: old_size, record: None });
        }
        let (intent, _) = store.intend(&self.record(offset, self.size, super::now()))?;
        store.stat.add(Counter::TotalFileWriteCount, 1);
        match self.put(&file, offset) {
            (_, Ok(())) => {}
            (written, Err(error)) => {
                self.undo(&file, old_size, offset, written, intent)?;
                return Err(error);
            }
        }
        store.stat.add(Counter::SuccessFileWriteCount, 1);
        let size = old_size.max(offset + self.size);
        path.space.settle(0, size - old_size);
        let durable = store.is_durable(self.size);
        if let Some(time) = self.peer_time {
            set_times(&file, time);
        }
        let synced = if durable { fdatasync(&file) } else { Ok(()) };
        let stat = fstat(&file).map_err(StoreError::doing("looking up the file"));
        let modified = stat.map_or_else(|_| super::now(), |stat| Timestamp(stat.st_mtime));
        let record = self.record(offset, self.size, modified);
        intent.conclude(self.write_record(&record, durable))?;
        synced.map_err(StoreError::doing("syncing the file"))?;
        Ok(Patched { offset, size, record: Some(record) })
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn spool(&self, bytes: &[u8], offset: u64) -> Result<(), StoreError> {
        match &self.content {
            Content::File(draft) => write_all(&draft.file, bytes, offset),
            Content::Memory(_) => Ok(()),
        }
    }

    fn record(&self, offset: u64, length: u64, time: Timestamp) -> Record {
        let name = field(&self.name);
        let change = match self.target {
            Target::End | Target::EndAt(_) => Change::Append { name, offset, length },
            Target::Offset(_) => Change::Modify { name, offset, length },
        };
        match self.peer_time {
            None => Record::source(time.0, change),
            Some(time) => Record::replica(time, change),
        }
    }

    fn write_record(&self, record: &Record, durable: bool) -> Result<(), StoreError> {
        let line = format!("{record}\n");
        match self.peer_time {
            None => self.store.record(&line, durable),
            Some(_) => self.store.record_replica(&line, durable),
        }
    }

    /// Writes the content at `offset`; how much of it got there.
    fn put(&self, file: &OwnedFd, offset: u64) -> (u64, Result<(), StoreError>) {
        match &self.content {
            Content::Memory(memory) => match write_all(file, memory, offset) {
                Ok(()) => (self.size, Ok(())),
                // Some of it may have got there.
                Err(error) => (self.size, Err(error)),
            },
            Content::File(draft) => {
                let (written, result) = copy((&draft.file, 0), file, offset, self.size);
                (written, result.map_err(StoreError::doing("writing a file")))
            }
        }
    }

    /// Takes back what a failed change has added. What it has overwritten cannot be taken back; that
    /// range is recorded, so that the other members of the group become like this one.
    fn undo(
        &self,
        file: &OwnedFd,
        old_size: u64,
        offset: u64,
        written: u64,
        intent: Intent<'_>,
    ) -> Result<(), StoreError> {
        if let Err(error) = ftruncate(file, old_size) {
            // The next start does it.
            return intent.conclude(Err(StoreError::from_errno("cutting back a file", error)));
        }
        let overwritten = written.min(old_size - offset);
        if overwritten == 0 {
            return Ok(());
        }
        let record = self.record(offset, overwritten, super::now());
        intent.conclude(self.write_record(&record, false))
    }
}

impl Drop for Patch {
    fn drop(&mut self) {
        if let Content::File(draft) = &mut self.content {
            draft.discard(&self.store.paths[usize::from(self.path)]);
        }
    }
}

/// Opens a regular file for writing; it and its size.
pub(super) fn open_for_change(path: &StorePath, name: &RemoteFilename) -> Result<(OwnedFd, u64), StoreError> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
    let file = openat(&path.data, name.local_path(), flags, Mode::empty()).map_err(|error| match error {
        Errno::LOOP | Errno::ISDIR | Errno::NXIO => StoreError::NotRegular,
        error => StoreError::from_errno("opening the file", error),
    })?;
    let stat = fstat(&file).map_err(StoreError::doing("looking up the file"))?;
    Ok((file, stat.st_size.unsigned_abs()))
}

/// Changes up to this size are gathered in memory.
const IN_MEMORY: u64 = 64 * 1024;
