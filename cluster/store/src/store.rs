//! The store: every operation on the files of one storage.

mod body;
mod contents;
mod copy;
mod delete;
mod deletions;
mod for_peer;
mod info;
mod join;
mod link;
mod listing;
mod metadata;
mod open_file;
mod owned;
mod patch;
mod path_binlog;
mod regenerate;
mod replica;
mod scrub;
mod shared;
mod slots;
mod truncate;
mod upload;

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use fdfs_types::{FileKind, RemoteFilename};
use parking_lot::Mutex;
use rustix::{
    fs::{AtFlags, FileType, statat},
    io::Errno,
};
use tracing::info;

use self::shared::{LOCKS, field, seconds, sync_directory_of};
pub use self::{
    contents::ContentCounts,
    deletions::Deletions,
    for_peer::ForPeer,
    info::FileInfo,
    listing::{FileListing, ListedFile},
    metadata::MetadataFlag,
    open_file::{OpenFile, SlotContent},
    patch::{Patch, Patched},
    path_binlog::PathBinlog,
    regenerate::Regenerated,
    replica::{Replica, Replicated},
    scrub::{Damage, Examination, Healed, Healing, Suspect, Verdict},
    slots::Placed,
    upload::{Elsewhere, NewFile, StorePathChoice, StoredFile, Upload},
};
pub(crate) use self::{
    info::crc32_of,
    metadata::decode_leniently,
    regenerate::{move_sidecar, sidecar_records},
    shared::{SIDECAR, Shared, delete_record, io_error, is_there, now, sidecar_field},
};
use crate::{
    Binlog, DiskSpace, InitFlag, OpenError, OpenReport, PathRecovery, Policy, StorageStat, StoreError,
    StoreOptions,
    contents::{Circumstances, Contents},
    journal::Journal,
    layout::{self, BasePath, StorePath},
    owners::Owners,
    placement::Placement,
    reconcile, recover,
    run_state::{self, RunState},
    state_file,
    tombstones::Tombstones,
    trunk::Trunk,
};

/// The files of one storage. Clones are handles to the same store.
#[derive(Clone, Debug)]
pub struct Store(pub(crate) Arc<Shared>);

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
        let known = loaded.clone();
        let mut flag = loaded.unwrap_or_else(|| InitFlag {
            storage_join_time: now.0.unsigned_abs(),
            last_ip_addr: options.ip_addr.clone(),
            last_server_port: options.port,
            ..InitFlag::default()
        });
        let mut changed = new_storage;
        let mut paths = Vec::with_capacity(options.store_paths.len());
        for (index, _) in (0..=u8::MAX).zip(&options.store_paths) {
            let path = StorePath::open(index, options, known.as_ref())?;
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
        let doubt = RunState::doubt(previous.as_ref(), binlog.end(), &boot_id);
        // A tool does not know what names say of this storage.
        let is_tool = options.policy.source == fdfs_types::Source::Ip(std::net::Ipv4Addr::UNSPECIFIED);
        if is_tool && doubt.is_some() {
            let reason = "the machine has been started since this storage ran: start it, and stop it again";
            return Err(OpenError::Options { reason: reason.to_owned() });
        }
        if let Some(doubt) = doubt {
            info!(?doubt, "looking for files without a record");
            let done = reconcile::run(&paths, &binlog, options.policy.source, options.subdir_count)?;
            (report.reconciled, report.broken) = (done.recorded, done.broken);
        }
        let run_state = RunState { boot_id, clean: false, end: binlog.end() };
        run_state.save(&run_path).map_err(OpenError::doing("writing", &run_path))?;
        report.new_storage = new_storage;
        report.created_paths = paths.iter().filter(|path| path.created).map(|path| path.index).collect();
        for path in &paths {
            let recovery = PathRecovery::new(path.index, &path.data_path);
            let flag =
                recovery.flag().map_err(OpenError::doing("reading the recovery of", &path.data_path))?;
            report.wiped_paths.extend(flag.map(|_| path.index));
        }
        let around = Circumstances {
            paths: &paths,
            unfinished: &unfinished,
            is_doubtful: doubt.is_some(),
            is_new: new_storage,
        };
        let contents_path = base.own.join("contents");
        let (contents, rebuilt) = Contents::open(contents_path.clone(), options, &around)
            .map_err(OpenError::doing("opening the index of contents in", &contents_path))?;
        report.contents_rebuilt = rebuilt;
        journal.clear().map_err(OpenError::doing("clearing", &journal_path))?;
        let owners_path = base.own.join("owners");
        let is_there = |name: &RemoteFilename| {
            let path = paths.get(usize::from(name.store_path()));
            path.is_some_and(|path| is_there(path, name.local_path()))
        };
        let owners =
            Owners::open(&owners_path, is_there).map_err(OpenError::doing("opening", &owners_path))?;
        let tombstones_path = base.own.join("tombstones");
        let tombstones = Tombstones::open(&tombstones_path, options.tombstones_kept, Tombstones::MAX_LINES)
            .map_err(OpenError::doing("opening", &tombstones_path))?;
        for (name, time) in recover::deletions(&paths, &unfinished) {
            tombstones.add(name, time, now, false);
        }
        let placement = Placement::new(options.distribution, options.subdir_count, options.policy, &stat);
        // Where links may be missing that are to come back, what they lead to is kept.
        let frees = doubt.is_none() && !rebuilt && report.wiped_paths.is_empty();
        let trunk = Trunk::new(&base);
        let store = Self(Arc::new(Shared {
            base,
            paths,
            binlog,
            journal,
            owners,
            tombstones,
            contents,
            placement,
            saved_stat: Mutex::new(stat.to_text()),
            stat,
            trunk,
            init_flag: Mutex::new(flag),
            report,
            fsync_after: options.fsync_after_written_bytes,
            locks: [const { Mutex::new(()) }; LOCKS],
            temporary_number: AtomicU64::new(0),
        }));
        if frees {
            store.free_unused();
        }
        Ok(store)
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

    /// The recoveries that are not over, by store path.
    pub fn recoveries(&self) -> Vec<PathRecovery> {
        let path = |index: &u8| &self.0.paths[usize::from(*index)];
        let wiped = self.0.report.wiped_paths.iter().map(path);
        wiped.map(|path| PathRecovery::new(path.index, &path.data_path)).collect()
    }

    /// Whether a file has to be fetched: it is not here, or does not have the size that its name tells.
    pub fn lacks(&self, name: &RemoteFilename) -> Result<bool, StoreError> {
        let path = self.0.path_of(name)?;
        if path.slot_of(name).map_err(StoreError::doing("looking up the file"))?.is_some() {
            return Ok(false);
        }
        match statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => {
                let told = match (name.kind(), name.fields()) {
                    (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields))
                        if !name.as_str().ends_with(SIDECAR) =>
                    {
                        fields.size.size()
                    }
                    _ => None,
                };
                let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
                Ok(is_file && told.is_some_and(|told| told != stat.st_size.unsigned_abs()))
            }
            Err(Errno::NOENT) => Ok(true),
            Err(error) => Err(StoreError::from_errno("looking up the file", error)),
        }
    }

    /// Whether a file is not here, and was deleted of late: here, or by a peer.
    pub fn was_deleted(&self, name: &RemoteFilename) -> bool {
        let shared = &self.0;
        let Ok(path) = shared.path_of(name) else { return false };
        shared.tombstones.get(name.as_str()).is_some() && !is_there(path, name.local_path())
    }

    /// Gives the marks of peers whose names carry our port the names for a new one, unless those are taken.
    pub fn move_marks(&self, old_port: u16, new_port: u16) -> std::io::Result<()> {
        for entry in std::fs::read_dir(&self.0.base.sync)? {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let moved = [".mark", ".failed"].into_iter().find_map(|kind| {
                Some(format!("{}_{new_port}{kind}", name.strip_suffix(&format!("_{old_port}{kind}"))?))
            });
            if let Some(moved) = moved.map(|moved| path.with_file_name(moved))
                && !moved.exists()
            {
                std::fs::rename(&path, &moved)?;
            }
        }
        Ok(())
    }

    /// Where state of ours lies that the original does not know.
    pub fn own_directory(&self) -> &std::path::Path {
        &self.0.base.own
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
        self.0.contents.sync();
        if let Err(crate::AllocError::Store(error)) = self.settle_trunk_office(std::time::Duration::ZERO) {
            return Err(error);
        }
        self.save_stat()?;
        let state = RunState { boot_id: run_state::boot_id(), clean: true, end: self.0.binlog.end() };
        state.save(&self.0.base.own.join("run")).map_err(io_error("writing the end of the run"))
    }
}

#[cfg(test)]
mod tests;
