//! Metadata of files: the sidecar `<name>-m`.

use std::{fs::File, io::Read, sync::Arc};

use fdfs_types::{Metadata, RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fdatasync, fstat, openat, renameat, statat, unlinkat},
    io::Errno,
};

use super::{
    SIDECAR, Shared, Store, io_error, shared::set_times, sidecar_field, sync_directory_of, upload::write_all,
};
use crate::{Change, Record, StoreError, layout::StorePath};

/// What setting metadata does to what is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetadataFlag {
    /// Everything there goes; nothing new means that no metadata is left.
    Overwrite,
    /// What is there stays, unless a new value of its name comes.
    Merge,
}

impl Store {
    /// The metadata of a file, in the bytes it is kept in.
    pub fn metadata(&self, name: &RemoteFilename) -> Result<Vec<u8>, StoreError> {
        let path = self.0.path_for_client(name)?;
        look_up(path, name)?;
        read_sidecar(path, name)?.ok_or(StoreError::NoMetadata)
    }

    /// Sets the metadata of a file. Returns the record that tells it, if anything changes.
    pub fn set_metadata(
        &self,
        name: &RemoteFilename,
        flag: MetadataFlag,
        metadata: Metadata,
    ) -> Result<Option<Record>, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_client(name)?;
        let _lock = shared.lock(name);
        look_up(path, name)?;
        match (flag, metadata.is_empty()) {
            (MetadataFlag::Overwrite, true) => shared.remove_sidecar(path, name),
            (MetadataFlag::Merge, true) => Ok(None),
            (MetadataFlag::Overwrite, false) => {
                let is_there = statat(&path.data, sidecar(name), AtFlags::SYMLINK_NOFOLLOW).is_ok();
                shared.write_sidecar(path, name, &metadata, is_there)
            }
            (MetadataFlag::Merge, false) => {
                let present = read_sidecar(path, name)?;
                let is_there = present.is_some();
                let mut merged = decode_leniently(&present.unwrap_or_default());
                merged.merge(metadata);
                shared.write_sidecar(path, name, &merged, is_there)
            }
        }
    }
}

impl Shared {
    fn write_sidecar(
        self: &Arc<Self>,
        path: &StorePath,
        name: &RemoteFilename,
        metadata: &Metadata,
        is_there: bool,
    ) -> Result<Option<Record>, StoreError> {
        let temporary = self.temporary_name();
        let write = || {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let file = openat(&path.temporary, &temporary, flags, Mode::from_raw_mode(0o644))
                .map_err(StoreError::doing("creating a file"))?;
            write_all(&file, &metadata.encode(), 0)?;
            // The original does so too, and a rename over the old content must not leave an empty file.
            fdatasync(&file).map_err(StoreError::doing("syncing the metadata"))?;
            let field = sidecar_field(name.as_str());
            // Later than they were deleted: a peer may hear of the two in any order.
            let least = self.tombstones.get(&field).map_or(0, |deleted| deleted.0 + 1);
            let change =
                if is_there { Change::Update { name: field } } else { Change::Create { name: field } };
            let time = time_of_change(path, name).max(Timestamp(least));
            set_times(&file, time);
            let record = Record::source(time.0, change);
            let (intent, line) = self.intend(&record)?;
            renameat(&path.temporary, &temporary, &path.data, sidecar(name))
                .map_err(StoreError::doing("renaming the metadata"))?;
            Ok((intent, line, record))
        };
        let written = write();
        if written.is_err() {
            // It may not have been made; what stays is swept by the next start.
            let _ = unlinkat(&path.temporary, &temporary, AtFlags::empty());
        }
        let (intent, line, record) = written?;
        let durable = self.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, name) } else { Ok(()) };
        intent.conclude(self.record(&line, durable))?;
        synced?;
        Ok(Some(record))
    }

    fn remove_sidecar(&self, path: &StorePath, name: &RemoteFilename) -> Result<Option<Record>, StoreError> {
        let time = time_of_change(path, name);
        let change = Change::Delete { name: sidecar_field(name.as_str()) };
        let record = Record::source(time.0, change);
        let (intent, line) = self.intend(&record)?;
        match unlinkat(&path.data, sidecar(name), AtFlags::empty()) {
            Ok(()) => {
                self.tombstones.add(&sidecar_field(name.as_str()), time, super::now(), self.fsync_after != 0);
                intent.conclude(self.record(&line, self.fsync_after != 0))?;
                Ok(Some(record))
            }
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(StoreError::from_errno("deleting the metadata", error)),
        }
    }
}

/// The time of a change of metadata: now, but later than the change that it is made on, which may be of this very second or
/// of a clock ahead of ours. Members keep the later of two changes.
fn time_of_change(path: &StorePath, name: &RemoteFilename) -> Timestamp {
    let present = statat(&path.data, sidecar(name), AtFlags::SYMLINK_NOFOLLOW);
    let before = present.map_or(0, |stat| stat.st_mtime);
    // However far our clock is behind: of two changes of one time, members would not keep the later.
    Timestamp(super::now().0.max(before + 1))
}

/// Where the sidecar of a file lies.
fn sidecar(name: &RemoteFilename) -> String {
    format!("{}{SIDECAR}", name.local_path())
}

/// Checks that there is a file, or a link to one, under a name.
fn look_up(path: &StorePath, name: &RemoteFilename) -> Result<(), StoreError> {
    if path.slot_of(name).map_err(StoreError::doing("looking up the file"))?.is_some() {
        return Ok(());
    }
    let stat = statat(&path.data, name.local_path(), AtFlags::empty())
        .map_err(StoreError::doing("looking up the file"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(StoreError::IsDirectory),
        _ => Err(StoreError::NotRegular),
    }
}

/// The bytes of a sidecar; `None` where there is none.
fn read_sidecar(path: &StorePath, name: &RemoteFilename) -> Result<Option<Vec<u8>>, StoreError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = match openat(&path.data, sidecar(name), flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(StoreError::from_errno("opening the metadata", error)),
    };
    let stat = fstat(&file).map_err(StoreError::doing("looking up the metadata"))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(StoreError::IsDirectory);
    }
    let size = stat.st_size.unsigned_abs();
    if size > LARGEST {
        return Err(StoreError::MetadataTooLarge { size, limit: LARGEST });
    }
    let mut bytes = Vec::new();
    file.take(LARGEST).read_to_end(&mut bytes).map_err(io_error("reading the metadata"))?;
    Ok(Some(bytes))
}

/// What can be understood of a sidecar: the original may have left stale bytes behind a NUL, rows
/// without a separator, and several rows of one name.
pub(crate) fn decode_leniently(bytes: &[u8]) -> Metadata {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let mut metadata = Metadata::new();
    for row in bytes[..end].split(|byte| *byte == 1) {
        if let Ok(pair) = Metadata::decode(row) {
            metadata.merge(pair);
        }
    }
    metadata
}

/// A sidecar of more bytes is not read.
const LARGEST: u64 = 4 << 20;
