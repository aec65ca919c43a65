//! The store: every operation on the files of one storage.

mod copy;
mod delete;
mod info;
mod join;
mod listing;
mod metadata;
mod open_file;
mod owned;
mod patch;
mod regenerate;
mod truncate;
mod upload;

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use fdfs_types::{FileKind, RemoteFilename, Timestamp};
use parking_lot::{Mutex, MutexGuard};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fsync, openat, statat},
    io::Errno,
};
use tracing::info;

pub(crate) use self::info::crc32_of;
pub(crate) use self::regenerate::{move_sidecar, sidecar_records};
pub use self::{
    info::FileInfo,
    listing::{FileListing, ListedFile},
    metadata::MetadataFlag,
    open_file::OpenFile,
    patch::{Patch, Patched},
    upload::{NewFile, StorePathChoice, StoredFile, Upload},
};
use crate::{
    Binlog, Change, Counter, DiskSpace, InitFlag, OpenError, OpenReport, Policy, Record, StorageStat,
    StoreError, StoreOptions,
    journal::{Intent, Journal},
    layout::{self, BasePath, StorePath},
    owners::Owners,
    placement::Placement,
    reconcile, recover,
    run_state::{self, RunState},
    state_file,
};

/// The files of one storage. Clones are handles to the same store.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) base: BasePath,
    pub(crate) paths: Vec<StorePath>,
    pub(crate) binlog: Binlog,
    pub(crate) journal: Journal,
    owners: Owners,
    pub(crate) placement: Placement,
    pub(crate) stat: StorageStat,
    saved_stat: Mutex<String>,
    init_flag: Mutex<InitFlag>,
    report: OpenReport,
    fsync_after: u64,
    locks: [Mutex<()>; LOCKS],
    temporary_number: AtomicU64,
}

/// What one store path looks like now.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorePathStatus {
    /// Its directory of files.
    pub data_path: PathBuf,
    /// It takes no new files from clients.
    pub read_only: bool,
    /// Its space.
    pub space: DiskSpace,
}

impl Store {
    /// Opens a storage: makes what is missing, and finishes or undoes what an earlier run left
    /// behind. When this returns every change that was ever answered is in the binlog.
    ///
    /// `options.policy.source` should be right already: it tells files of ours from replicated ones where
    /// both are found without a record.
    pub fn open(options: &StoreOptions) -> Result<Self, OpenError> {
        layout::check_paths(options)?;
        let base = BasePath::open(&options.base_path)?;
        let now = now();
        let flag_path = base.init_flag();
        let loaded = InitFlag::load(&flag_path)?;
        let new_storage = loaded.is_none();
        let mut flag = loaded.unwrap_or_else(|| InitFlag {
            storage_join_time: now.0.unsigned_abs(),
            last_ip_addr: options.ip_addr.clone(),
            last_server_port: options.port,
            ..InitFlag::default()
        });
        let mut changed = new_storage;
        let mut paths = Vec::with_capacity(options.store_paths.len());
        for (index, _) in (0..=u8::MAX).zip(&options.store_paths) {
            let path = StorePath::open(index, options)?;
            if options.check_store_path_mark {
                changed |= path.check_mark(&mut flag, options, seconds(now))?;
            }
            paths.push(path);
        }
        if changed {
            flag.save(&flag_path).map_err(OpenError::doing("writing", &flag_path))?;
        }
        let stat = StorageStat::load(&base.stat())?;
        let binlog = Binlog::open(&base.sync, options.binlog_rotate_at)?;
        let journal_path = base.own.join("intents");
        let (journal, unfinished) =
            Journal::open(&journal_path).map_err(OpenError::doing("opening", &journal_path))?;
        let mut report = recover::run(&paths, &binlog, &unfinished)?;
        let run_path = base.own.join("run");
        let previous = RunState::load(&run_path).map_err(OpenError::doing("reading", &run_path))?;
        let boot_id = run_state::boot_id();
        if let Some(doubt) = RunState::doubt(previous.as_ref(), binlog.end(), &boot_id) {
            info!(?doubt, "looking for files without a record");
            let done = reconcile::run(&paths, &binlog, options.policy.source, options.subdir_count)?;
            (report.reconciled, report.broken) = (done.recorded, done.broken);
        }
        let run_state = RunState { boot_id, clean: false, end: binlog.end() };
        run_state.save(&run_path).map_err(OpenError::doing("writing", &run_path))?;
        report.new_storage = new_storage;
        report.created_paths = paths.iter().filter(|path| path.created).map(|path| path.index).collect();
        journal.clear().map_err(OpenError::doing("clearing", &journal_path))?;
        let owners_path = base.own.join("owners");
        let is_there = |name: &RemoteFilename| {
            let path = paths.get(usize::from(name.store_path()));
            path.is_some_and(|path| statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW).is_ok())
        };
        let owners =
            Owners::open(&owners_path, is_there).map_err(OpenError::doing("opening", &owners_path))?;
        let placement = Placement::new(options.distribution, options.subdir_count, options.policy, &stat);
        Ok(Self(Arc::new(Shared {
            base,
            paths,
            binlog,
            journal,
            owners,
            placement,
            saved_stat: Mutex::new(stat.to_text()),
            stat,
            init_flag: Mutex::new(flag),
            report,
            fsync_after: options.fsync_after_written_bytes,
            locks: [const { Mutex::new(()) }; LOCKS],
            temporary_number: AtomicU64::new(0),
        })))
    }

    /// What was found and done when the store was opened.
    pub fn report(&self) -> &OpenReport {
        &self.0.report
    }

    /// The binlog, to read from.
    pub fn binlog(&self) -> &Binlog {
        &self.0.binlog
    }

    /// The counters.
    pub fn stat(&self) -> &StorageStat {
        &self.0.stat
    }

    /// How files are placed.
    pub fn policy(&self) -> Policy {
        self.0.placement.policy()
    }

    /// Places files differently from now on.
    pub fn set_policy(&self, policy: Policy) {
        self.0.placement.set_policy(policy);
    }

    /// The content of `.data_init_flag`.
    pub fn init_flag(&self) -> InitFlag {
        self.0.init_flag.lock().clone()
    }

    /// Changes `.data_init_flag`; on an error it stays as it was.
    pub fn update_init_flag(&self, change: impl FnOnce(&mut InitFlag)) -> Result<(), StoreError> {
        let mut flag = self.0.init_flag.lock();
        let mut changed = flag.clone();
        change(&mut changed);
        if changed != *flag {
            changed.save(&self.0.base.init_flag()).map_err(io_error("writing the init flag"))?;
            *flag = changed;
        }
        Ok(())
    }

    /// The directory of binlog and mark files (`<base>/data/sync`).
    pub fn sync_directory(&self) -> PathBuf {
        self.0.base.sync.clone()
    }

    /// The store paths, by index.
    pub fn store_paths(&self) -> Vec<StorePathStatus> {
        let status = |path: &StorePath| StorePathStatus {
            data_path: path.data_path.clone(),
            read_only: path.read_only,
            space: path.space.now(),
        };
        self.0.paths.iter().map(status).collect()
    }

    /// Free and total space of the storage: the sum over store paths.
    pub fn space(&self) -> DiskSpace {
        self.0.paths.iter().map(|path| path.space.now()).fold(DiskSpace::default(), |sum, space| DiskSpace {
            free: sum.free.saturating_add(space.free),
            total: sum.total.saturating_add(space.total),
        })
    }

    /// Measures free space again; to be called every few seconds.
    pub fn refresh_space(&self) {
        for path in &self.0.paths {
            path.space.refresh(&path.data);
        }
    }

    /// Writes `storage_stat.dat` if anything has changed, and tidies the journal; to be called every
    /// `sync_stat_file_interval`.
    pub fn save_stat(&self) -> Result<(), StoreError> {
        self.0.journal.tidy();
        self.0.placement.store_turn(&self.0.stat);
        let mut saved = self.0.saved_stat.lock();
        let text = self.0.stat.to_text();
        if *saved != text {
            state_file::replace(&self.0.base.stat(), text.as_bytes())
                .map_err(io_error("writing storage_stat.dat"))?;
            *saved = text;
        }
        Ok(())
    }

    /// Puts the binlog on the disk; to be called every `sync_binlog_buff_interval`.
    pub fn sync_binlog(&self) -> Result<(), StoreError> {
        self.0.binlog.sync()
    }

    /// Writes all state; to be called at the end, when no operation is under way.
    pub fn close(&self) -> Result<(), StoreError> {
        self.0.binlog.sync()?;
        self.save_stat()?;
        let state = RunState { boot_id: run_state::boot_id(), clean: true, end: self.0.binlog.end() };
        state.save(&self.0.base.own.join("run")).map_err(io_error("writing the end of the run"))
    }
}

impl Shared {
    /// The store path that a name lies on.
    pub(crate) fn path_of(&self, name: &RemoteFilename) -> Result<&StorePath, StoreError> {
        let index = name.store_path();
        self.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })
    }

    /// The store path of a name that a client may use. Sidecars and trunk containers are "not there".
    fn path_for_client(&self, name: &RemoteFilename) -> Result<&StorePath, StoreError> {
        let path = self.path_of(name)?;
        let kind = name.kind().map_err(|_| StoreError::NotFound)?;
        if matches!(kind, FileKind::Trunk(_)) {
            return Err(StoreError::Trunk);
        }
        if let Some(owner) = name.local_path().strip_suffix(SIDECAR)
            && statat(&path.data, owner, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        {
            return Err(StoreError::NotFound);
        }
        Ok(path)
    }

    /// Checks that a name is the name of an appender file that is there.
    fn appender(&self, name: &RemoteFilename) -> Result<(&StorePath, Stat), StoreError> {
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
        let hash = name
            .local_path()
            .bytes()
            .fold(0usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.locks[hash % LOCKS].lock()
    }

    /// Notes in the journal that `record` is about to be true; the line to write when it is.
    fn intend(&self, record: &Record) -> Result<(Intent<'_>, String), StoreError> {
        let mut line = record.to_string();
        let intent = self.journal.begin(self.binlog.end(), &line).map_err(io_error("writing the journal"))?;
        line.push('\n');
        Ok((intent, line))
    }

    /// Writes records for what has been done.
    fn record(&self, lines: &str, durable: bool) -> Result<(), StoreError> {
        self.binlog.append(lines, durable)?;
        self.stat.set(Counter::LastSourceUpdate, now().0.unsigned_abs());
        Ok(())
    }

    /// Forgets for whom a file was uploaded that is not there any more. A token that stays is dropped by the
    /// next start.
    fn forget_owner_of(&self, name: &RemoteFilename) {
        if let Err(error) = self.owners.forget_file(name) {
            tracing::warn!(file_id = %name, %error, "the owner token of a deleted file stays");
        }
    }

    /// Whether a change of `bytes` must be on the disk before it is answered.
    fn is_durable(&self, bytes: u64) -> bool {
        self.fsync_after != 0 && bytes.max(1) >= self.fsync_after
    }

    /// A name for a new temporary file.
    fn temporary_name(&self) -> String {
        format!("{:x}", self.temporary_number.fetch_add(1, Ordering::Relaxed))
    }
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

/// Makes the entries of a file's directory durable.
fn sync_directory_of(path: &StorePath, name: &RemoteFilename) -> Result<(), StoreError> {
    let local = name.local_path();
    let directory = &local[..local.len() - name.base_name().len()];
    let sync = || -> Result<(), Errno> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        fsync(openat(&path.data, directory, flags, Mode::empty())?)
    };
    sync().map_err(StoreError::doing("syncing the directory"))
}

/// A logic name as a field of a record.
fn field(name: &RemoteFilename) -> Box<str> {
    name.as_str().into()
}

/// The logic name of a file's sidecar, as a field of a record.
pub(crate) fn sidecar_field(name: &str) -> Box<str> {
    format!("{name}{SIDECAR}").into()
}

/// A function for `map_err` on what the standard library answered to `action`.
fn io_error(action: &'static str) -> impl Fn(io::Error) -> StoreError {
    move |source| StoreError::Io { action, source: Arc::new(source) }
}

pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}

/// A time as the 32-bit field of a name holds it.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.0.clamp(0, i64::from(u32::MAX))).unwrap_or(u32::MAX)
}

/// The record of a delete.
pub(crate) fn delete_record(name: Box<str>) -> Record {
    Record::source(now().0, Change::Delete { name })
}

/// What the name of a metadata file adds to its owner's.
pub(crate) const SIDECAR: &str = "-m";
const LOCKS: usize = 256;

#[cfg(test)]
mod tests;
