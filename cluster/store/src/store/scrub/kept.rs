//! `data/rs/damaged` of each store path: damaged files in whose place a sound copy stands.

use std::{os::fd::OwnedFd, time::Duration};

use fdfs_types::RemoteFilename;
use rustix::{
    fs::{AtFlags, Dir, Mode, OFlags, linkat, openat, statat, unlinkat},
    io::Errno,
};
use tracing::info;

use crate::{
    Store, StoreError,
    layout::{StorePath, make_directory},
    store::{io_error, now},
};

impl Store {
    /// Deletes damaged files that were kept aside longer than `time` ago.
    pub fn delete_kept(&self, time: Duration) -> Result<(), StoreError> {
        let doing = StoreError::doing("deleting damaged files that were kept");
        let oldest = now().0.saturating_sub(i64::try_from(time.as_secs()).unwrap_or(i64::MAX));
        for path in &self.0.paths {
            let directory = match open(path) {
                Ok(directory) => directory,
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(doing(error)),
            };
            for entry in Dir::read_from(&directory).map_err(&doing)? {
                let entry = entry.map_err(&doing)?;
                let name = entry.file_name();
                if name.to_bytes().starts_with(b".") {
                    continue;
                }
                // Its last change is that it was linked here.
                let stat = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(&doing)?;
                if stat.st_ctime < oldest {
                    info!(?name, "a damaged file was kept aside for long and is deleted");
                    unlinkat(&directory, name, AtFlags::empty()).map_err(&doing)?;
                }
            }
        }
        Ok(())
    }
}

/// Gives the damaged file a second name, in place of what was kept of it before.
pub(super) fn keep(path: &StorePath, name: &RemoteFilename) -> Result<(), StoreError> {
    let doing = StoreError::doing("keeping a damaged file");
    make_directory(&path.data, OWN).map_err(io_error("creating a directory"))?;
    make_directory(&path.data, KEPT).map_err(io_error("creating a directory"))?;
    let directory = open(path).map_err(&doing)?;
    let kept = name.local_path().replace('/', "_");
    match unlinkat(&directory, &kept, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(doing(error)),
    }
    linkat(&path.data, name.local_path(), &directory, &kept, AtFlags::empty()).map_err(&doing)
}

fn open(path: &StorePath) -> Result<OwnedFd, Errno> {
    openat(&path.data, KEPT, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

const OWN: &str = "rs";
const KEPT: &str = "rs/damaged";
