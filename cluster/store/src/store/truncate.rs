//! Changing the size of appender files.

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::fs::{fdatasync, fstat, ftruncate};

use super::{Patched, Store, field, patch::open_for_change};
use crate::{Change, Record, StoreError};

impl Store {
    /// Gives an appender file another size. What it grows by reads as zeros. Returns the record that tells it.
    pub fn truncate(&self, name: &RemoteFilename, new_size: u64) -> Result<Option<Record>, StoreError> {
        self.resize(name, None, new_size)
    }

    /// Takes back an append, unless the file has changed since. Returns the record that tells it.
    pub fn take_back(&self, name: &RemoteFilename, append: &Patched) -> Result<Option<Record>, StoreError> {
        self.resize(name, Some(append.size), append.offset)
    }

    /// Gives an appender file another size, where it has the size `only_from` if that is given.
    fn resize(
        &self,
        name: &RemoteFilename,
        only_from: Option<u64>,
        new_size: u64,
    ) -> Result<Option<Record>, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let (path, _) = shared.appender(name)?;
        let _lock = shared.lock(name);
        let (file, old_size) = open_for_change(path, name)?;
        if new_size == old_size || only_from.is_some_and(|size| size != old_size) {
            return Ok(None);
        }
        let growth = new_size.saturating_sub(old_size);
        if growth > 0 && !shared.placement.has_room(&shared.paths, path, growth) {
            return Err(StoreError::NoSpace);
        }
        let record = |time: Timestamp| {
            Record::source(time.0, Change::Truncate { name: field(name), old_size, new_size })
        };
        let (intent, _) = shared.intend(&record(super::now()))?;
        ftruncate(&file, new_size).map_err(StoreError::doing("truncating the file"))?;
        let durable = shared.fsync_after != 0;
        let synced = if durable { fdatasync(&file) } else { Ok(()) };
        let modified = fstat(&file).map_or_else(|_| super::now(), |stat| Timestamp(stat.st_mtime));
        let record = record(modified);
        intent.conclude(shared.record(&format!("{record}\n"), durable))?;
        synced.map_err(StoreError::doing("syncing the file"))?;
        Ok(Some(record))
    }
}
