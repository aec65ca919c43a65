//! Changes of names by peers: delete, link, rename.

use fdfs_types::{RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, FileType, statat, unlinkat},
    io::Errno,
};

use super::{
    Replicated, Shared, Store,
    file::{is_not, is_regular, size_of},
    is_sidecar,
};
use crate::{
    Change, Record, StoreError,
    contents::{content_at, is_content, unusable},
    layout::StorePath,
    store::{
        SIDECAR,
        contents::Unused,
        field,
        link::target_of,
        regenerate::{move_sidecar, rename, sidecar_records},
        shared::{comes_again, in_directory, io_error, is_there, set_link_time, sync_directory_of},
        sidecar_field,
        slots::Slot,
    },
    trunk::{Block, Content, SlotHeader, SlotKind},
};

impl Store {
    /// Deletes what a peer has deleted: a file or a link with its metadata, or metadata alone.
    pub fn replicate_delete(&self, name: &RemoteFilename, time: Timestamp) -> Result<Replicated, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_peer(name)?;
        let lock = shared.lock(name);
        let (replicated, unused) = shared.delete_for_peer(path, name, time)?;
        drop(lock);
        if let Some(unused) = unused {
            shared.free(unused);
        }
        Ok(replicated)
    }

    /// Makes a link that a peer has made, unless something has its name. What it leads to may still be on its way.
    pub fn replicate_link(
        &self,
        name: &RemoteFilename,
        source: &RemoteFilename,
        time: Timestamp,
    ) -> Result<Replicated, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let (path, source_path) = (shared.path_for_peer(name)?, shared.path_for_peer(source)?);
        let target = target_of(source_path, source);
        let block = Block::of_name(name);
        let lock = shared.lock(name);
        if shared.is_deleted(path, name, time) {
            return Ok(Replicated::Lacks);
        }
        if is_content(source) {
            shared.contents.index_or_new().map_err(unusable)?;
        }
        let change = Change::Link { name: field(name), source: Some(field(source)) };
        let (intent, line) = shared.intend(&Record::replica(time, change))?;
        if block.is_some() && is_there(path, name.local_path()) {
            intent.conclude(shared.record_replica(&line, false))?;
            return Ok(Replicated::Done);
        }
        let header = SlotHeader::of_name(name, SlotKind::Link);
        let filled = match (block, header) {
            (Some(block), Some(header)) if header.size as usize == source.as_str().len() => {
                let content = Content::Bytes(source.as_str().as_bytes());
                path.fill_slot(block, &header, &content, shared.trunk_file_size()).map(|_| true)
            }
            _ => Ok(false),
        };
        match filled {
            Ok(false) | Err(StoreError::Exists) => {}
            Ok(true) => {
                intent.conclude(shared.record_replica(&line, shared.fsync_after != 0))?;
                return Ok(Replicated::Done);
            }
            Err(error) => return Err(error),
        }
        match in_directory(path, name, || rustix::fs::symlinkat(&target, &path.data, name.local_path())) {
            Ok(()) => set_link_time(path, name.local_path(), time),
            Err(StoreError::Exists) => {
                if comes_again(name) && is_older(shared, path, name, source, time)? {
                    shared.replace_by_link(path, name, &target, time)?;
                }
            }
            Err(error) => return Err(error),
        }
        let unused = shared.follow_link(path, name);
        let durable = shared.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, name) } else { Ok(()) };
        intent.conclude(shared.record_replica(&line, durable))?;
        synced?;
        drop(lock);
        if let Some(unused) = unused {
            shared.free(unused);
        }
        Ok(Replicated::Done)
    }

    /// Gives a file the name that a peer has given it.
    ///
    /// A file that is not what its new name tells has missed a change that nobody brings under the old name any more: it
    /// goes, and its peer is told to send it. Files of some size are read for that.
    pub fn replicate_rename(
        &self,
        new: &RemoteFilename,
        old: &RemoteFilename,
        time: Timestamp,
    ) -> Result<Replicated, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_peer(new)?;
        shared.path_for_peer(old)?;
        if new.store_path() != old.store_path() {
            return Err(StoreError::InvalidName { reason: "a file is not renamed to another store path" });
        }
        if is_sidecar(new) || is_sidecar(old) {
            return Err(StoreError::InvalidName { reason: "metadata is not renamed" });
        }
        let _locks = shared.lock_both(new, old);
        let look_up =
            |name: &RemoteFilename| statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW);
        // Whatever becomes of this, the old name is not given again.
        match look_up(new) {
            Ok(stat) => {
                shared.bury(old, time);
                shared.take_metadata_along(path, new, old, time)?;
                if look_up(old).is_ok_and(|stat| is_file_or_link(stat.st_mode)) {
                    shared.drop_old_name(path, old, time)?;
                }
                let is_other = is_regular(&stat) && is_not(path, new, new, size_of(&stat))?;
                return Ok(if is_other { Replicated::Lacks } else { Replicated::Has });
            }
            Err(Errno::NOENT) => {}
            Err(error) => return Err(StoreError::from_errno("looking up the file", error)),
        }
        let present = match look_up(old) {
            Ok(stat) if is_file_or_link(stat.st_mode) => stat,
            Ok(_) => return Err(StoreError::NotRegular),
            Err(Errno::NOENT) => {
                shared.bury(old, time);
                shared.take_metadata_along(path, new, old, time)?;
                return Ok(Replicated::Lacks);
            }
            Err(error) => return Err(StoreError::from_errno("looking up the file", error)),
        };
        if shared.is_deleted(path, new, time) {
            // Deleted under its new name, which was heard of before: what is here goes, too.
            let change = Change::Delete { name: field(old) };
            let (intent, mut lines) = shared.intend(&Record::replica(time, change))?;
            unlinkat(&path.data, old.local_path(), AtFlags::empty())
                .map_err(StoreError::doing("deleting the file"))?;
            lines.extend(drop_sidecar(path, old, time));
            shared.bury(old, time);
            intent.conclude(shared.record_replica(&lines, shared.fsync_after != 0))?;
            shared.forget_owner_of(old);
            return Ok(Replicated::Has);
        }
        if is_regular(&present) && is_not(path, old, new, size_of(&present))? {
            metrics::counter!("fdfs_storage_renamed_otherwise_total").increment(1);
            tracing::info!(file_id = %old, renamed = %new, "lacks changes made before a peer renamed it: asks for the whole");
            shared.take_metadata_along(path, new, old, time)?;
            shared.drop_old_name(path, old, time)?;
            shared.owners.rename(old, new).map_err(io_error("writing owner tokens"))?;
            return Ok(Replicated::Lacks);
        }
        let change = Change::Rename { name: field(new), old_name: field(old) };
        let (intent, mut lines) = shared.intend(&Record::replica(time, change))?;
        in_directory(path, new, || rename(path, old.local_path(), new.local_path()))?;
        shared.bury(old, time);
        // Metadata that were set here while the file was renamed elsewhere: nobody else knows them under the new name.
        if let Some(time) = move_sidecar(path, old, new, time) {
            for record in sidecar_records(old, new, time) {
                lines.push_str(&format!("{record}\n"));
            }
        }
        let durable = shared.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, new) } else { Ok(()) };
        intent.conclude(shared.record_replica(&lines, durable))?;
        shared.owners.rename(old, new).map_err(io_error("writing owner tokens"))?;
        synced?;
        Ok(Replicated::Done)
    }
}

impl Shared {
    /// Puts a link in the place of what has its name. The lock of that is held.
    fn replace_by_link(
        &self,
        path: &StorePath,
        name: &RemoteFilename,
        target: &std::path::Path,
        time: Timestamp,
    ) -> Result<(), StoreError> {
        let temporary = self.temporary_name();
        rustix::fs::symlinkat(target, &path.temporary, &temporary)
            .map_err(StoreError::doing("making a link"))?;
        rustix::fs::renameat(&path.temporary, &temporary, &path.data, name.local_path())
            .map_err(StoreError::doing("naming a link"))?;
        set_link_time(path, name.local_path(), time);
        Ok(())
    }

    /// Removes a file that has another name at its peer, and comes or has come from there under that. Its lock is held.
    fn drop_old_name(
        &self,
        path: &StorePath,
        old: &RemoteFilename,
        time: Timestamp,
    ) -> Result<(), StoreError> {
        let (intent, line) = self.intend(&Record::replica(time, Change::Delete { name: field(old) }))?;
        unlinkat(&path.data, old.local_path(), AtFlags::empty())
            .map_err(StoreError::doing("deleting the file"))?;
        self.bury(old, time);
        let durable = self.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, old) } else { Ok(()) };
        intent.conclude(self.record_replica(&line, durable))?;
        synced
    }

    /// Deletes a file in a trunk file. The lock of its name is held.
    fn empty_slot_for_peer(
        &self,
        path: &StorePath,
        name: &RemoteFilename,
        slot: &Slot,
        time: Timestamp,
    ) -> Result<(Replicated, Option<Unused>), StoreError> {
        let (intent, mut lines) =
            self.intend(&Record::replica(time, Change::Delete { name: field(name) }))?;
        slot.clear(path)?;
        lines.extend(drop_sidecar(path, name, time));
        self.bury(name, time);
        intent.conclude(self.record_replica(&lines, self.fsync_after != 0))?;
        self.slot_of_deleted(name, Some(slot));
        self.forget_owner_of(name);
        Ok((Replicated::Done, None))
    }

    /// Deletes a name whose lock is held. Tells a content that has lost its last link by that.
    fn delete_for_peer(
        &self,
        path: &StorePath,
        name: &RemoteFilename,
        time: Timestamp,
    ) -> Result<(Replicated, Option<Unused>), StoreError> {
        let slot = path.slot_of(name).map_err(StoreError::doing("looking up the file"))?;
        if let Some(slot) = slot {
            return self.empty_slot_for_peer(path, name, &slot, time);
        }
        let local = name.local_path();
        match statat(&path.data, local, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_file_or_link(stat.st_mode) => {
                // Made anew since.
                let is_newer = comes_again(name) && stat.st_mtime > time.0;
                let is_orphan = local.strip_suffix(SIDECAR).is_some_and(|owner| !is_there(path, owner));
                if is_newer && !is_orphan {
                    return Ok((Replicated::Lacks, None));
                }
            }
            Ok(_) => return Err(StoreError::NotRegular),
            Err(Errno::NOENT) => {
                // What comes later of this name, from another member, must not bring it back.
                let unused = self.follow_link(path, name);
                if is_content(name) {
                    self.forget_content(name);
                }
                self.bury(name, time);
                self.slot_of_deleted(name, None);
                // Metadata that another member has set may have come before the file: nobody else tells that they go.
                if let Some(line) = drop_sidecar(path, name, time) {
                    self.record_replica(&line, self.fsync_after != 0)?;
                }
                return Ok((Replicated::Lacks, unused));
            }
            Err(error) => return Err(StoreError::from_errno("looking up the file", error)),
        }
        if is_content(name) && self.condemn(name) {
            // Links that are still to go lead to it. While it is here, nothing comes of this.
            self.bury(name, time);
            return Ok((Replicated::Done, None));
        }
        let (intent, mut lines) =
            self.intend(&Record::replica(time, Change::Delete { name: field(name) }))?;
        unlinkat(&path.data, local, AtFlags::empty()).map_err(StoreError::doing("deleting the file"))?;
        lines.extend(drop_sidecar(path, name, time));
        let unused = self.follow_link(path, name);
        if is_content(name) {
            self.forget_content(name);
        }
        self.bury(name, time);
        let durable = self.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, name) } else { Ok(()) };
        intent.conclude(self.record_replica(&lines, durable))?;
        self.forget_owner_of(name);
        synced?;
        Ok((Replicated::Done, unused))
    }

    /// Metadata that are here under the old name of a file that is not, or has its new name already, go to the new name. That
    /// is a change made here: who has set them may have sent them to nobody else.
    fn take_metadata_along(
        &self,
        path: &StorePath,
        new: &RemoteFilename,
        old: &RemoteFilename,
        time: Timestamp,
    ) -> Result<(), StoreError> {
        let durable = self.fsync_after != 0;
        if !is_there(path, &format!("{}{SIDECAR}", old.local_path())) {
            return Ok(());
        }
        if self.is_deleted(path, new, time) {
            let line = drop_sidecar(path, old, time);
            return line.map_or(Ok(()), |line| self.record_replica(&line, durable));
        }
        let (intent, _) =
            self.intend(&Record::source(time.0, Change::Create { name: sidecar_field(new.as_str()) }))?;
        let Some(time) = move_sidecar(path, old, new, time) else { return Ok(()) };
        let lines = sidecar_records(old, new, time).map(|record| format!("{record}\n"));
        intent.conclude(self.record(&lines.concat(), durable))
    }
}

/// Whether what has the name of a slave is older than a link of that name. Of two links of one second the one to the greater
/// name stays at every member, of a link and a file the file.
fn is_older(
    shared: &Shared,
    path: &StorePath,
    name: &RemoteFilename,
    content: &RemoteFilename,
    time: Timestamp,
) -> Result<bool, StoreError> {
    let stat = statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW)
        .map_err(StoreError::doing("looking up the file"))?;
    if !is_file_or_link(stat.st_mode) || stat.st_mtime != time.0 || is_file(stat.st_mode) {
        return Ok(is_file_or_link(stat.st_mode) && stat.st_mtime < time.0);
    }
    let present = content_at(&shared.paths, path, name.local_path()).map_err(io_error("reading a link"))?;
    Ok(present.is_some_and(|present| present.as_str() < content.as_str()))
}

/// Deletes the metadata of a file that has gone; the line that records it, if there were any.
fn drop_sidecar(path: &StorePath, name: &RemoteFilename, time: Timestamp) -> Option<String> {
    if is_sidecar(name) {
        return None;
    }
    match unlinkat(&path.data, format!("{}{SIDECAR}", name.local_path()), AtFlags::empty()) {
        Ok(()) => {
            let change = Change::Delete { name: sidecar_field(name.as_str()) };
            Some(format!("{}\n", Record::replica(time, change)))
        }
        Err(Errno::NOENT) => None,
        Err(error) => {
            tracing::warn!(file_id = %name, %error, "metadata of a deleted file stay");
            None
        }
    }
}

fn is_file(mode: u32) -> bool {
    FileType::from_raw_mode(mode) == FileType::RegularFile
}

fn is_file_or_link(mode: u32) -> bool {
    matches!(FileType::from_raw_mode(mode), FileType::RegularFile | FileType::Symlink)
}
