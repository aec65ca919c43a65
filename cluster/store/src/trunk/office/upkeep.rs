//! Trunk files made before they are needed, the log written anew, trunk files without content deleted.

use rustix::fs::AtFlags;
use tracing::warn;

use super::AllocError;
use crate::{
    Store, StoreError,
    layout::StorePath,
    store::{io_error, now},
    trunk::files,
};

impl Store {
    /// Makes trunk files until so many bytes are free; how many were made.
    pub fn make_trunk_files(&self, free: u64) -> Result<u32, AllocError> {
        let mut made = 0;
        let paths: Vec<&StorePath> = self.0.paths.iter().filter(|path| !path.read_only).collect();
        for path in paths.iter().cycle() {
            let mut guard = self.0.trunk.office()?;
            let office = &mut *guard;
            if office.free.total() >= free || paths.is_empty() {
                break;
            }
            let size = office.settings.policy.file_size;
            if !self.0.placement.has_room(&self.0.paths, path, size.into()) {
                warn!("no space for more trunk files");
                break;
            }
            let whole = self.make_trunk_file(path, size)?;
            let mut lines = std::mem::take(&mut office.unlogged);
            office.free.add(whole, None, false, now().0, &mut lines);
            let logged = self.0.trunk.log.append(&lines, false);
            drop(guard);
            self.logged(logged)?;
            made += 1;
        }
        Ok(made)
    }

    /// Writes the trunk binlog anew, in the fewest lines, and deletes trunk files without content where that is wanted.
    /// Peers have to get all of it again.
    pub fn compress_trunk_binlog(&self) -> Result<(), AllocError> {
        let shared = &self.0;
        let mut guard = shared.trunk.office()?;
        let office = &mut *guard;
        let mut unused = Vec::new();
        if office.settings.delete_unused {
            let size = office.settings.policy.file_size;
            unused = office
                .free
                .blocks()
                .into_iter()
                .filter(|block| block.offset == 0 && block.size >= size)
                .collect();
            let mut lines = String::new();
            for block in &unused {
                office.free.withdraw(*block, now().0, &mut lines);
            }
        }
        office.unlogged.clear();
        let logged = shared.trunk.log.replace(&office.free.snapshot(now().0));
        for block in unused {
            let path = &shared.paths[usize::from(block.file.store_path)];
            path.trunk.forget(block.file);
            if let Err(error) = rustix::fs::unlinkat(&path.data, block.file.local_path(), AtFlags::empty()) {
                warn!(file = %block.file.container_name(), %error, "an unused trunk file stays");
            }
        }
        drop(guard);
        self.logged(logged)?;
        let time = now().0.unsigned_abs();
        self.update_init_flag(|flag| {
            flag.trunk_last_compress_time = time;
            flag.trunk_binlog_compress_stage = 9;
        })?;
        Ok(())
    }

    /// Deletes trunk files in which nothing is, at a member that is not the trunk server; how many. One is made anew when something
    /// for it comes.
    pub fn delete_empty_trunk_files(&self) -> Result<u64, AllocError> {
        let mut deleted = 0;
        for file in self.0.trunk_files()? {
            if self.is_trunk_server() {
                return Err(AllocError::Invalid("this storage is the trunk server"));
            }
            let path = &self.0.paths[usize::from(file.store_path)];
            let Ok(open) = path.trunk.open(path, file) else { continue };
            let reading = io_error("reading a trunk file");
            let length = open.metadata().map_err(&reading)?.len();
            // Once without keeping others from writing, for that takes its time, and then for sure.
            if !files::is_unwritten(&open, length).map_err(&reading)? {
                continue;
            }
            let _claim = path.trunk.claim(file.whole());
            if files::is_unwritten(&open, length).map_err(&reading)? {
                path.trunk.forget(file);
                match rustix::fs::unlinkat(&path.data, file.local_path(), AtFlags::empty()) {
                    Ok(()) => deleted += 1,
                    Err(error) => return Err(StoreError::from_errno("deleting a trunk file", error).into()),
                }
            }
        }
        Ok(deleted)
    }
}
