//! The directories of a storage.

use std::{
    fs::{self, File},
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use rustix::{
    fs::{AtFlags, FlockOperation, Mode, OFlags, flock, mkdirat, open, openat, statat},
    io::Errno,
};
use tracing::info;

use crate::{
    InitFlag, OpenError, PathRecovery, StoreOptions, draft::Staging, space::Space, trunk::TrunkFiles,
};

/// Paths below a base path.
#[derive(Debug)]
pub(crate) struct BasePath {
    pub(crate) data: PathBuf,
    pub(crate) sync: PathBuf,
    /// What the original does not know lies in `data/rs`.
    pub(crate) own: PathBuf,
    /// Held as long as the store is open.
    _lock: File,
}

/// One store path, open.
#[derive(Debug)]
pub(crate) struct StorePath {
    pub(crate) index: u8,
    pub(crate) read_only: bool,
    pub(crate) data_path: PathBuf,
    pub(crate) data: OwnedFd,
    pub(crate) temporary: OwnedFd,
    pub(crate) staging: Staging,
    pub(crate) space: Space,
    /// Its trunk files.
    pub(crate) trunk: TrunkFiles,
    /// Its directories were made just now.
    pub(crate) created: bool,
}

impl BasePath {
    /// Makes the directories and takes the lock.
    pub(crate) fn open(base: &Path) -> Result<Self, OpenError> {
        let data = base.join("data");
        let (sync, own) = (data.join("sync"), data.join("rs"));
        for directory in [&data, &sync, &own] {
            fs::create_dir_all(directory).map_err(OpenError::doing("creating", directory))?;
        }
        let path = own.join("lock");
        let lock = File::options().write(true).create(true).truncate(false).open(&path);
        let lock = lock.map_err(OpenError::doing("opening", &path))?;
        let deadline = Instant::now() + LOCK_WAIT;
        loop {
            match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { data, sync, own, _lock: lock }),
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => thread::sleep(LOCK_WAIT / 100),
                Err(Errno::WOULDBLOCK) => return Err(OpenError::InUse { path: base.to_owned() }),
                Err(error) => return Err(OpenError::doing("locking", &path)(error)),
            }
        }
    }

    pub(crate) fn init_flag(&self) -> PathBuf {
        self.data.join(".data_init_flag")
    }

    pub(crate) fn stat(&self) -> PathBuf {
        self.data.join("storage_stat.dat")
    }
}

impl StorePath {
    /// Makes the directories of store path `index` where they are missing.
    ///
    /// `flag` is what an earlier run knows. Where that had this path filled, it is noted that it has to be again.
    pub(crate) fn open(
        index: u8,
        options: &StoreOptions,
        flag: Option<&InitFlag>,
    ) -> Result<Self, OpenError> {
        let configured = &options.store_paths[usize::from(index)];
        // Links say where their files lie, wherever the process was started.
        let data_path = configured.path.join("data");
        let data_path = std::path::absolute(&data_path).map_err(OpenError::doing("resolving", &data_path))?;
        fs::create_dir_all(&data_path).map_err(OpenError::doing("creating", &data_path))?;
        let data = open_directory(&data_path)?;
        PathRecovery::new(index, &data_path)
            .intend_where_wiped(options, flag, has_subdirs(&data, options.subdir_count))
            .map_err(OpenError::doing("noting the recovery of", &data_path))?;
        let created =
            make_subdirs(&data, options.subdir_count).map_err(OpenError::doing("filling", &data_path))?;
        if created {
            info!(path = %data_path.display(), "directories of the store path made");
        }
        make_directory(&data, TEMPORARY).map_err(OpenError::doing("filling", &data_path))?;
        let temporary = open_directory(&data_path.join(TEMPORARY))?;
        let staging = Staging::probe(&temporary);
        let space = Space::measure(rustix::fd::AsFd::as_fd(&data));
        Ok(Self {
            index,
            read_only: configured.read_only,
            data_path,
            data,
            temporary,
            staging,
            space,
            trunk: TrunkFiles::default(),
            created,
        })
    }
}

/// Store paths must be distinct, and none may lie in the files of another.
pub(crate) fn check_paths(options: &StoreOptions) -> Result<(), OpenError> {
    let refuse = |reason| Err(OpenError::Options { reason });
    if !(1..=256).contains(&options.subdir_count) {
        return refuse(format!("{} directories a level; 1 to 256 are allowed", options.subdir_count));
    }
    if options.store_paths.is_empty() || options.store_paths.len() > 256 {
        return refuse(format!("{} store paths; 1 to 256 are allowed", options.store_paths.len()));
    }
    let mut seen: Vec<PathBuf> = Vec::new();
    for store_path in &options.store_paths {
        let path = &store_path.path;
        if *path == options.base_path {
            fs::create_dir_all(path).map_err(OpenError::doing("creating", path))?;
        }
        let path = fs::canonicalize(path).map_err(OpenError::doing("resolving", path))?;
        for other in &seen {
            if *other == path {
                return refuse(format!("store path {} is given twice", path.display()));
            }
            if path.starts_with(other.join("data")) || other.starts_with(path.join("data")) {
                return refuse(format!(
                    "store paths {} and {} lie in each other",
                    other.display(),
                    path.display()
                ));
            }
        }
        seen.push(path);
    }
    Ok(())
}

/// Makes the directory `name` in `parent`; whether it was missing.
pub(crate) fn make_directory(parent: &OwnedFd, name: &str) -> io::Result<bool> {
    match mkdirat(parent, name, Mode::from_raw_mode(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn open_directory(path: &Path) -> Result<OwnedFd, OpenError> {
    open(path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .map_err(OpenError::doing("opening", path))
}

/// Whether the first and the last `HH/LL` are there.
fn has_subdirs(data: &OwnedFd, count: u32) -> bool {
    let last = count - 1;
    let is_there = |name: &str| statat(data, name, AtFlags::empty()).is_ok();
    is_there("00/00") && is_there(&format!("{last:02X}/{last:02X}"))
}

/// Makes `HH/LL`, unless the first and the last are there; whether any were missing.
fn make_subdirs(data: &OwnedFd, count: u32) -> io::Result<bool> {
    if has_subdirs(data, count) {
        return Ok(false);
    }
    for high in 0..count {
        let high = format!("{high:02X}");
        make_directory(data, &high)?;
        let level = openat(data, &high, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        for low in 0..count {
            make_directory(&level, &format!("{low:02X}"))?;
        }
    }
    Ok(true)
}

/// Directory of unfinished files, below `data`.
pub(crate) const TEMPORARY: &str = ".tmp";
/// How long an earlier process, or one that is just being started by this one, may still hold the lock.
const LOCK_WAIT: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use fdfs_types::Source;

    use super::*;

    fn options(base: &Path) -> StoreOptions {
        let mut options = StoreOptions::new(base, Source::Ip(Ipv4Addr::new(127, 0, 0, 2)));
        options.subdir_count = 2;
        options
    }

    #[test]
    fn directories_are_made_once_in_upper_hex() {
        let base = tempfile::tempdir().unwrap();
        let mut options = options(base.path());
        options.subdir_count = 12;
        assert!(StorePath::open(0, &options, None).unwrap().created);
        assert!(base.path().join("data/0A/0B").is_dir());
        assert!(!StorePath::open(0, &options, None).unwrap().created);
    }

    #[test]
    fn paths_that_are_one_or_lie_in_each_other_are_refused() {
        let base = tempfile::tempdir().unwrap();
        let mut options = options(base.path());
        options.store_paths.push(options.store_paths[0].clone());
        assert!(matches!(check_paths(&options), Err(OpenError::Options { .. })));
        options.store_paths[1].path = base.path().join("data/00");
        fs::create_dir_all(base.path().join("data/00")).unwrap();
        assert!(matches!(check_paths(&options), Err(OpenError::Options { .. })));
        options.store_paths[1].path = base.path().join("disk1");
        fs::create_dir(base.path().join("disk1")).unwrap();
        assert!(check_paths(&options).is_ok());
    }

    #[test]
    fn a_store_path_that_is_not_there_is_not_made() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().join("base");
        let mut options = options(&base);
        assert!(check_paths(&options).is_ok());
        assert!(base.is_dir());
        options.store_paths[0].path = directory.path().join("disk");
        assert!(matches!(check_paths(&options), Err(OpenError::Io { .. })));
        assert!(!directory.path().join("disk").exists());
    }

    #[test]
    fn one_base_path_is_open_once() {
        let base = tempfile::tempdir().unwrap();
        let first = BasePath::open(base.path()).unwrap();
        assert!(matches!(BasePath::open(base.path()), Err(OpenError::InUse { .. })));
        drop(first);
        assert!(BasePath::open(base.path()).is_ok());
    }
}
