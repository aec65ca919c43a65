//! Whether a store path takes writes: the disk is asked, not what is remembered of it.

use std::io;

use rustix::fs::{Mode, OFlags, fdatasync, openat, unlinkat};
use thiserror::Error;

use crate::{DiskSpace, Store, layout::StorePath};

/// What is wrong with a store path.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum DiskTrouble {
    /// A file cannot be written there: the disk is broken, or mounted read-only.
    #[error("{path}: cannot write: {reason}; look at the kernel's log and the mount")]
    Unwritable {
        /// Its directory of files.
        path: String,
        /// What the system answered.
        reason: String,
    },
    /// Less is free than must stay free.
    #[error("{path}: {free_mb} MB free, which is the reserve: no new files; free space or add a store path")]
    BelowReserve {
        /// Its directory of files.
        path: String,
        /// What is free.
        free_mb: u64,
    },
}

impl Store {
    /// Asks the disk of every store path that takes files, by writing a little. It may block.
    pub fn check_disks(&self) -> Vec<Result<(), DiskTrouble>> {
        self.0.paths.iter().map(|path| self.check_disk(path)).collect()
    }

    fn check_disk(&self, path: &StorePath) -> Result<(), DiskTrouble> {
        if path.read_only {
            return Ok(());
        }
        path.space.refresh_if_old(&path.data);
        let DiskSpace { free, .. } = path.space.now();
        let name = || path.data_path.display().to_string();
        let below_reserve = || DiskTrouble::BelowReserve { path: name(), free_mb: free >> 20 };
        match write_a_little(path) {
            Err(error) if error.raw_os_error() == Some(ENOSPC) => return Err(below_reserve()),
            Err(error) => {
                return Err(DiskTrouble::Unwritable { path: name(), reason: error.to_string() });
            }
            Ok(()) => {}
        }
        if self.0.placement.has_room(&self.0.paths, path, 0) { Ok(()) } else { Err(below_reserve()) }
    }
}

/// Writes a block, has it brought to the disk, and removes it.
fn write_a_little(path: &StorePath) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = openat(&path.temporary, NAME, flags, Mode::RUSR | Mode::WUSR)?;
    let written = rustix::io::write(&file, &[0; BLOCK]).map(drop).and_then(|()| fdatasync(&file));
    let removed = unlinkat(&path.temporary, NAME, rustix::fs::AtFlags::empty());
    // What the disk said first is what is wrong with it.
    Ok(written.and(removed)?)
}

/// What a crash leaves of it is swept with other leftovers.
const NAME: &str = "disk_check";
const BLOCK: usize = 4096;
const ENOSPC: i32 = 28;

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use fdfs_types::Source;

    use super::*;
    use crate::{Reserve, StoreOptions};

    fn open(reserve: Reserve) -> (tempfile::TempDir, Store) {
        let base = tempfile::tempdir().unwrap();
        let mut options = StoreOptions::new(base.path(), Source::Ip(Ipv4Addr::LOCALHOST));
        options.subdir_count = 1;
        options.policy.reserve = reserve;
        let store = Store::open(&options).unwrap();
        (base, store)
    }

    #[test]
    fn a_healthy_disk_is_asked_and_nothing_stays() {
        let (base, store) = open(Reserve::Megabytes(0));
        assert_eq!(store.check_disks(), [Ok(())]);
        let found = walk(base.path());
        assert!(!found.iter().any(|name| name == NAME), "{found:?}");
    }

    #[test]
    fn a_disk_below_its_reserve_is_named() {
        let (_base, store) = open(Reserve::Ratio(1.0));
        let found = store.check_disks();
        assert!(matches!(&found[..], [Err(DiskTrouble::BelowReserve { .. })]), "{found:?}");
        assert!(found[0].as_ref().unwrap_err().to_string().contains("/data: "), "{found:?}");
    }

    fn walk(path: &std::path::Path) -> Vec<String> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(path).unwrap().flatten() {
            names.push(entry.file_name().to_string_lossy().into_owned());
            if entry.path().is_dir() {
                names.extend(walk(&entry.path()));
            }
        }
        names
    }
}
