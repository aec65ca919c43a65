//! Deleting files, with their metadata.

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, statat, unlinkat},
    io::Errno,
};

use super::{
    SIDECAR, Store, delete_record, field, now, shared::comes_again, sidecar_field, sync_directory_of,
};
use crate::{Change, Record, StoreError, layout::StorePath};

impl Store {
    /// Deletes a file or a link, and its metadata. What a link leads to stays, but for a content that has lost its last link
    /// by that. Returns the records that tell it.
    pub fn delete(&self, name: &RemoteFilename) -> Result<Vec<Record>, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_client(name)?;
        if shared.holds_links(name) {
            return Err(StoreError::Shared);
        }
        let lock = shared.lock(name);
        let mut records = vec![Record::source(time_of(path, name).0, Change::Delete { name: field(name) })];
        let (intent, mut lines) = shared.intend(&records[0])?;
        let local = name.local_path();
        let slot = path.slot_of(name).map_err(StoreError::doing("looking up the file"))?;
        match &slot {
            Some(slot) => slot.clear(path)?,
            None => unlinkat(&path.data, local, AtFlags::empty()).map_err(|error| match error {
                Errno::ISDIR | Errno::PERM => StoreError::NotRegular,
                error => StoreError::from_errno("deleting the file", error),
            })?,
        }
        match unlinkat(&path.data, format!("{local}{SIDECAR}"), AtFlags::empty()) {
            Ok(()) => {
                let record = delete_record(sidecar_field(name.as_str()));
                lines.push_str(&format!("{record}\n"));
                records.push(record);
            }
            Err(Errno::NOENT) => {}
            Err(error) => tracing::warn!(file_id = %name, %error, "metadata of a deleted file stays"),
        }
        let unused = shared.follow_link(path, name);
        shared.bury(name, Timestamp(records[0].timestamp));
        let durable = shared.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, name) } else { Ok(()) };
        intent.conclude(shared.record(&lines, durable))?;
        shared.slot_of_deleted(name, slot.as_ref());
        shared.forget_owner_of(name);
        synced?;
        drop(lock);
        records.extend(unused.and_then(|unused| shared.free(unused)));
        Ok(records)
    }
}

/// The time of a delete: now. Of a file whose name may be made again, later than the time of the file, which may be of this
/// very second, or of a clock that goes ahead of ours: peers compare the two, and the file may reach one after its delete.
fn time_of(path: &StorePath, name: &RemoteFilename) -> Timestamp {
    if !comes_again(name) {
        return now();
    }
    let stat = statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW);
    now().max(stat.map_or(Timestamp::ZERO, |stat| Timestamp(stat.st_mtime + 1)))
}
