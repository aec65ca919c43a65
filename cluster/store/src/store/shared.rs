//! What every operation shares: the parts of a store, and the steps of a change.

use std::{
    io,
    os::fd::AsFd,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use fdfs_types::{FileKind, RemoteFilename, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use rustix::{
    fs::{
        AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, fsync, futimens, openat, statat,
        utimensat,
    },
    io::Errno,
};

use crate::{
    Binlog, Change, Counter, InitFlag, OpenReport, Record, StorageStat, StoreError,
    contents::Contents,
    journal::{Intent, Journal},
    layout::{BasePath, StorePath, make_directory},
    owners::Owners,
    placement::Placement,
    tombstones::Tombstones,
    trunk::Trunk,
};

/// The parts of a store.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) base: BasePath,
    pub(crate) paths: Vec<StorePath>,
    pub(crate) binlog: Binlog,
    pub(crate) journal: Journal,
    pub(crate) owners: Owners,
    pub(crate) tombstones: Tombstones,
    pub(crate) contents: Contents,
    pub(crate) placement: Placement,
    pub(crate) stat: StorageStat,
    pub(crate) trunk: Trunk,
    pub(crate) saved_stat: Mutex<String>,
    pub(crate) init_flag: Mutex<InitFlag>,
    pub(crate) report: OpenReport,
    pub(crate) fsync_after: u64,
    pub(crate) locks: [Mutex<()>; LOCKS],
    pub(crate) temporary_number: AtomicU64,
}

impl Shared {
    /// The store path that a name lies on.
    pub(crate) fn path_of(&self, name: &RemoteFilename) -> Result<&StorePath, StoreError> {
        let index = name.store_path();
        self.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })
    }

    /// The store path of a name that a client may use. Sidecars and trunk containers are "not there".
    pub(crate) fn path_for_client(&self, name: &RemoteFilename) -> Result<&StorePath, StoreError> {
        let path = self.path_of(name)?;
        name.kind().map_err(|_| StoreError::NotFound)?;
        if let Some(owner) = name.local_path().strip_suffix(SIDECAR)
            && is_there(path, owner)
        {
            return Err(StoreError::NotFound);
        }
        Ok(path)
    }

    /// Checks that a name is the name of an appender file that is there.
    pub(crate) fn appender(&self, name: &RemoteFilename) -> Result<(&StorePath, Stat), StoreError> {
        if name.as_str().len() < RemoteFilename::NORMAL_LEN {
            return Err(StoreError::InvalidName { reason: "too short for an appender file" });
        }
        let path = self.path_for_client(name)?;
        let stat = stat_regular(path, name)?;
        if name.kind() != Ok(FileKind::Appender) {
            return Err(StoreError::NotAppender);
        }
        if name.as_str().len() > RemoteFilename::NORMAL_LEN {
            return Err(StoreError::InvalidName { reason: "a slave is no appender file" });
        }
        Ok((path, stat))
    }

    /// Keeps others from changing the same file, its sidecar or its name.
    pub(crate) fn lock(&self, name: &RemoteFilename) -> MutexGuard<'_, ()> {
        self.locks[lock_of(name)].lock()
    }

    /// Keeps others from changing either of two files.
    pub(crate) fn lock_both(
        &self,
        one: &RemoteFilename,
        other: &RemoteFilename,
    ) -> (MutexGuard<'_, ()>, Option<MutexGuard<'_, ()>>) {
        let (one, other) = (lock_of(one), lock_of(other));
        // Whoever takes two takes the lower one first.
        let lower = self.locks[one.min(other)].lock();
        (lower, (one != other).then(|| self.locks[one.max(other)].lock()))
    }

    /// Notes in the journal that `record` is about to be true; the line to write when it is.
    pub(crate) fn intend(&self, record: &Record) -> Result<(Intent<'_>, String), StoreError> {
        let mut line = record.to_string();
        let intent = self.journal.begin(self.binlog.end(), &line).map_err(io_error("writing the journal"))?;
        line.push('\n');
        Ok((intent, line))
    }

    /// Writes records for what has been done.
    pub(crate) fn record(&self, lines: &str, durable: bool) -> Result<(), StoreError> {
        self.binlog.append(lines, durable)?;
        self.stat.set(Counter::LastSourceUpdate, now().0.unsigned_abs());
        Ok(())
    }

    /// Writes records for what a peer has sent.
    pub(crate) fn record_replica(&self, lines: &str, durable: bool) -> Result<(), StoreError> {
        self.binlog.append(lines, durable)?;
        self.stat.set(Counter::LastSyncUpdate, now().0.unsigned_abs());
        Ok(())
    }

    /// Forgets for whom a file was uploaded that is not there any more. A token that stays is dropped by the
    /// next start.
    pub(crate) fn forget_owner_of(&self, name: &RemoteFilename) {
        if let Err(error) = self.owners.forget_file(name) {
            tracing::warn!(file_id = %name, %error, "the owner token of a deleted file stays");
        }
    }

    /// Remembers that a name was deleted.
    pub(crate) fn bury(&self, name: &RemoteFilename, time: Timestamp) {
        self.tombstones.add(name.as_str(), time, now(), self.fsync_after != 0);
    }

    /// Whether what a peer has made of a name at `time` was deleted since. Names of normal and of appender files are
    /// never given twice; of others, what was made later than they were deleted is new.
    pub(crate) fn is_deleted(&self, path: &StorePath, name: &RemoteFilename, time: Timestamp) -> bool {
        let local = name.local_path();
        if let Some(owner) = local.strip_suffix(SIDECAR) {
            let logic = name.as_str();
            let of_owner = self.tombstones.get(&logic[..logic.len() - SIDECAR.len()]);
            if of_owner.is_some() && !is_there(path, owner) {
                return true;
            }
        }
        match self.tombstones.get(name.as_str()) {
            Some(deleted) if comes_again(name) => time < deleted,
            Some(_) => !is_there(path, local),
            None => false,
        }
    }

    /// Whether a change of `bytes` must be on the disk before it is answered.
    pub(crate) fn is_durable(&self, bytes: u64) -> bool {
        self.fsync_after != 0 && bytes.max(1) >= self.fsync_after
    }

    /// A name for a new temporary file.
    pub(crate) fn temporary_name(&self) -> String {
        format!("{:x}", self.temporary_number.fetch_add(1, Ordering::Relaxed))
    }
}

/// Whether there is something under a path: a file of its own, or one in a slot of a trunk file.
pub(crate) fn is_there(path: &StorePath, local: &str) -> bool {
    if local.len() == RemoteFilename::TRUNK_LEN - 4
        && let Ok(name) = format!("M{:02X}/{local}", path.index).parse()
        && matches!(path.slot_of(&name), Ok(Some(_)))
    {
        return true;
    }
    statat(&path.data, local, AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

/// Whether a name may be made again after it was deleted: slaves and metadata are called after their file.
pub(crate) fn comes_again(name: &RemoteFilename) -> bool {
    match name.kind() {
        _ if name.local_path().ends_with(SIDECAR) => true,
        Ok(FileKind::Slave) => true,
        // A slave of an appender file.
        Ok(FileKind::Appender) => name.as_str().len() > RemoteFilename::NORMAL_LEN,
        _ => false,
    }
}

/// The lock of a file and its sidecar.
fn lock_of(name: &RemoteFilename) -> usize {
    let local = name.local_path();
    let owner = local.strip_suffix(SIDECAR).unwrap_or(local);
    let step = |hash: usize, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte));
    owner.bytes().fold(0, step) % LOCKS
}

/// Does what needs the directory of a name; where somebody has removed that, it is made.
pub(crate) fn in_directory(
    path: &StorePath,
    name: &RemoteFilename,
    mut act: impl FnMut() -> Result<(), Errno>,
) -> Result<(), StoreError> {
    match act() {
        Err(Errno::NOENT) => {
            let subdir = name.subdir();
            let high = format!("{:02X}", subdir.high);
            make_directory(&path.data, &high).map_err(io_error("creating a directory"))?;
            let both = format!("{high}/{:02X}", subdir.low);
            make_directory(&path.data, &both).map_err(io_error("creating a directory"))?;
            act()
        }
        result => result,
    }
    .map_err(StoreError::doing("naming a file"))
}

/// What is under a name, which must be a regular file and no link.
fn stat_regular(path: &StorePath, name: &RemoteFilename) -> Result<Stat, StoreError> {
    let stat = statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(StoreError::doing("looking up the file"))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(stat),
        _ => Err(StoreError::NotRegular),
    }
}

/// Gives a replica the time that its file has on the peer. Where that cannot be done, the content counts all the same.
pub(crate) fn set_times(file: impl AsFd, time: Timestamp) {
    let time = Timespec { tv_sec: time.0, tv_nsec: 0 };
    if let Err(error) = futimens(file, &Timestamps { last_access: time, last_modification: time }) {
        tracing::warn!(%error, "a replica keeps the time of its arrival");
    }
}

/// Gives a link the time that its record has: names that may be made again are compared by it.
pub(crate) fn set_link_time(path: &StorePath, local: &str, time: Timestamp) {
    let time = Timespec { tv_sec: time.0, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    if let Err(error) = utimensat(&path.data, local, &times, AtFlags::SYMLINK_NOFOLLOW) {
        tracing::warn!(%error, "a link keeps the time at which it was made here");
    }
}

/// Makes the entries of a file's directory durable.
pub(crate) fn sync_directory_of(path: &StorePath, name: &RemoteFilename) -> Result<(), StoreError> {
    let local = name.local_path();
    let directory = &local[..local.len() - name.base_name().len()];
    let sync = || -> Result<(), Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        fsync(openat(&path.data, directory, flags, Mode::empty())?)
    };
    sync().map_err(StoreError::doing("syncing the directory"))
}

/// A logic name as a field of a record.
pub(crate) fn field(name: &RemoteFilename) -> Box<str> {
    name.as_str().into()
}

/// The logic name of a file's sidecar, as a field of a record.
pub(crate) fn sidecar_field(name: &str) -> Box<str> {
    format!("{name}{SIDECAR}").into()
}

/// A function for `map_err` on what the standard library answered to `action`.
pub(crate) fn io_error(action: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { action, source: Arc::new(source) }
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A time as the 32-bit field of a name holds it.
pub(crate) fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// The record of a delete.
pub(crate) fn delete_record(name: Box<str>) -> Record {
    Record::source(now().0, Change::Delete { name })
}

/// What the name of a metadata file adds to its owner's.
pub(crate) const SIDECAR: &str = "-m";
pub(crate) const LOCKS: usize = 256;
