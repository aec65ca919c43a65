//! Making an appender file a normal one, under a new name.

use std::fs::File;

use fdfs_types::{NameFields, RemoteFilename, SizeField, Timestamp};
use rustix::{
    fs::{AtFlags, Mode, OFlags, RenameFlags, linkat, openat, renameat_with, unlinkat},
    io::Errno,
};

use super::{
    SIDECAR, Store, StoredFile, delete_record, field, info::crc32_of, seconds, sidecar_field,
    sync_directory_of,
};
use crate::{Change, Record, StoreError, layout::StorePath};

/// An appender file that has become a normal one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Regenerated {
    /// The file under its new name.
    pub file: StoredFile,
    /// The records that tell it.
    pub records: Vec<Record>,
}

impl Store {
    /// Gives an appender file its final name, which tells its size and CRC32. Its metadata goes with it.
    /// Reads the whole file; nobody else changes it meanwhile.
    pub fn regenerate(&self, name: &RemoteFilename) -> Result<Regenerated, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let (path, _) = shared.appender(name)?;
        let _lock = shared.lock(name);
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut file = File::from(
            openat(&path.data, name.local_path(), flags, Mode::empty())
                .map_err(StoreError::doing("opening the file"))?,
        );
        let crc32 = crc32_of(&mut file)?;
        let stat = rustix::fs::fstat(&file).map_err(StoreError::doing("looking up the file"))?;
        let size = stat.st_size.unsigned_abs();
        let now = super::now();
        let mut tries = 0;
        let (intent, mut lines, renamed, filename) = loop {
            tries += 1;
            let fields = NameFields {
                source: shared.placement.policy().source,
                created: seconds(now),
                size: SizeField::normal(size, fastrand::u32(..)),
                crc32,
            };
            let base_name = format!("{}{}", fields.encode(), name.tail());
            let filename = name
                .with_base_name(&base_name)
                .map_err(|_| StoreError::InvalidName { reason: "no name can be made" })?;
            let change = Change::Rename { name: field(&filename), old_name: field(name) };
            let renamed = Record::source(now.0, change);
            let (intent, line) = shared.intend(&renamed)?;
            match rename(path, name.local_path(), filename.local_path()) {
                Ok(()) => break (intent, line, renamed, filename),
                Err(Errno::EXIST) if tries < TRIES => {}
                Err(error) => return Err(StoreError::from_errno("renaming the file", error)),
            }
        };
        shared.bury(name, now);
        let mut records = vec![renamed];
        if move_sidecar(path, name, &filename) {
            for record in sidecar_records(name, &filename, now) {
                lines.push_str(&format!("{record}\n"));
                records.push(record);
            }
        }
        let durable = shared.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, &filename) } else { Ok(()) };
        intent.conclude(shared.record(&lines, durable))?;
        shared.owners.rename(name, &filename).map_err(super::io_error("writing owner tokens"))?;
        synced?;
        let file = StoredFile { filename, size, crc32, modified: Timestamp(stat.st_mtime) };
        Ok(Regenerated { file, records })
    }
}

/// Moves the metadata of a renamed file; whether there was any.
pub(crate) fn move_sidecar(path: &StorePath, old: &RemoteFilename, new: &RemoteFilename) -> bool {
    let sidecar = |name: &RemoteFilename| format!("{}{SIDECAR}", name.local_path());
    match rename(path, &sidecar(old), &sidecar(new)) {
        Ok(()) => true,
        Err(Errno::NOENT) => false,
        Err(error) => {
            tracing::warn!(file_id = %old, %error, "metadata stays under the old name");
            false
        }
    }
}

/// The records that make peers move the metadata too, which the rename record does not.
pub(crate) fn sidecar_records(old: &RemoteFilename, new: &RemoteFilename, now: Timestamp) -> [Record; 2] {
    let created = Record::source(now.0, Change::Create { name: sidecar_field(new.as_str()) });
    [created, delete_record(sidecar_field(old.as_str()))]
}

pub(super) fn rename(path: &StorePath, from: &str, to: &str) -> Result<(), Errno> {
    match renameat_with(&path.data, from, &path.data, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            linkat(&path.data, from, &path.data, to, AtFlags::empty())?;
            unlinkat(&path.data, from, AtFlags::empty())
        }
        result => result,
    }
}

const TRIES: u32 = 10;
