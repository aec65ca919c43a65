//! Making an appender file a normal one, under a new name.

use std::fs::File;

use fdfs_types::{NameFields, RemoteFilename, SizeField, Timestamp};
use rustix::{
    fs::{
        AtFlags, Mode, OFlags, RenameFlags, Timespec, Timestamps, linkat, openat, renameat, renameat_with,
        statat, unlinkat, utimensat,
    },
    io::Errno,
};

use super::{SIDECAR, Store, StoredFile, field, info::crc32_of, seconds, sidecar_field, sync_directory_of};
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
        if let Some(time) = move_sidecar(path, name, &filename, now) {
            for record in sidecar_records(name, &filename, time) {
                lines.push_str(&format!("{record}\n"));
                records.push(record);
            }
        }
        let durable = shared.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, &filename) } else { Ok(()) };
        intent.conclude(shared.record(&lines, durable))?;
        shared.owners.rename(name, &filename).map_err(super::io_error("writing owner tokens"))?;
        synced?;
        let file = StoredFile { filename, size, crc32, modified: Timestamp(stat.st_mtime), content: None };
        Ok(Regenerated { file, records })
    }
}

/// Moves the metadata of a file that was renamed at `time`; the time they have from then on, if they were moved.
///
/// Two members may move what they had of one file, which need not be the same: both give it the time of the rename, so that
/// they agree on which stays.
pub(crate) fn move_sidecar(
    path: &StorePath,
    old: &RemoteFilename,
    new: &RemoteFilename,
    time: Timestamp,
) -> Option<Timestamp> {
    let sidecar = |name: &RemoteFilename| format!("{}{SIDECAR}", name.local_path());
    let (from, to) = (sidecar(old), sidecar(new));
    let modified = |local: &str| {
        statat(&path.data, local, AtFlags::SYMLINK_NOFOLLOW).map(|stat| Timestamp(stat.st_mtime))
    };
    let step = || {
        let time = modified(&from)?.max(time);
        let times = Timespec { tv_sec: time.0, tv_nsec: 0 };
        let times = Timestamps { last_access: times, last_modification: times };
        utimensat(&path.data, &from, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        match rename(path, &from, &to) {
            // Another member has told of metadata under the new name: the later stay.
            Err(Errno::EXIST) if modified(&to)? >= time => {
                unlinkat(&path.data, &from, AtFlags::empty()).map(|()| None)
            }
            Err(Errno::EXIST) => renameat(&path.data, &from, &path.data, &to).map(|()| Some(time)),
            result => result.map(|()| Some(time)),
        }
    };
    match step() {
        Ok(moved) => moved,
        Err(Errno::NOENT) => None,
        Err(error) => {
            tracing::warn!(file_id = %old, %error, "metadata stay under the old name");
            None
        }
    }
}

/// The records that make peers move the metadata too, which the rename record does not.
pub(crate) fn sidecar_records(old: &RemoteFilename, new: &RemoteFilename, time: Timestamp) -> [Record; 2] {
    let created = Record::source(time.0, Change::Create { name: sidecar_field(new.as_str()) });
    let deleted = Record::source(time.0, Change::Delete { name: sidecar_field(old.as_str()) });
    [created, deleted]
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
