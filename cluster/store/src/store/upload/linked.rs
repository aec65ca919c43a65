//! Uploads whose name is a link to their content.
//!
//! ```text
//! equal content is here:   intend L ─► index ─► symlink ─► record L
//! else, and for slaves:    intend C, L ─► index ─► file ─► symlink ─► record C, L
//! ```
//!
//! Cut off anywhere, a start finds the intents, records what is on the disk, and brings the index up to that; a content
//! without its link goes.

use std::os::fd::OwnedFd;

use fdfs_types::{Extension, NameFields, RemoteFilename, SizeField, Subdir, Timestamp};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, fstat, fsync, openat, symlinkat, unlinkat},
    io::{Errno, pread},
};
use tracing::warn;

use super::{StoredFile, TRIES, Target, Upload};
use crate::{
    Change, Record, StoreError,
    contents::{Index, Kept, Signature, TAIL, note_signature},
    layout::StorePath,
    store::{
        field, io_error,
        link::target_of,
        now, seconds,
        shared::{in_directory, set_link_time, sync_directory_of},
    },
};

impl Upload {
    /// Whether the name is to be a link.
    pub(in crate::store) fn is_linked(&self) -> bool {
        match self.target {
            Target::Normal(_) => self.signer.is_some(),
            Target::Slave(_) => self.store.contents.links_slaves,
            Target::Private(_) | Target::Appender(_) => false,
        }
    }

    /// Shows the file as a link to its content; `None` where that cannot be done, and nothing has happened.
    pub(super) fn finish_linked(&mut self) -> Result<Option<StoredFile>, StoreError> {
        let store = std::sync::Arc::clone(&self.store);
        let index = match store.contents.index_or_new() {
            Ok(index) => index,
            Err(error) => {
                warn!(%error, "the index of contents cannot be used: an upload gets a file of its own");
                metrics::counter!("fdfs_storage_contents_failures_total").increment(1);
                return Ok(None);
            }
        };
        let signature = self.signer.take().map(|signer| signer.finish(self.size));
        // Of equal uploads at once the first stores the content.
        let _turn = signature.as_ref().map(|signature| store.contents.turn(signature));
        if let Some(signature) = &signature {
            // Those of others are linked to by them.
            let candidates = index.candidates(signature).unwrap_or_default();
            for content in candidates.into_iter().filter(|content| store.is_ours(content)) {
                if let Some(stored) = self.link_to(index, &content)? {
                    metrics::counter!("fdfs_storage_duplicates_total").increment(1);
                    metrics::counter!("fdfs_storage_duplicate_bytes_total").increment(self.size);
                    return Ok(Some(stored));
                }
            }
        }
        self.store_content(index, signature)
    }

    /// Makes a link to a content that is here, if it is equal.
    fn link_to(&mut self, index: &Index, content: &RemoteFilename) -> Result<Option<StoredFile>, StoreError> {
        let store = std::sync::Arc::clone(&self.store);
        let path = store.path_of(content)?;
        if !self.is_still_equal(index, content) {
            return Ok(None);
        }
        let modified = now();
        let mut tries = 0;
        loop {
            tries += 1;
            let name = self.draw_name(path, store.placement.next_subdir(), modified)?;
            let _locks = store.lock_both(content, &name);
            // Its last link may have gone meanwhile, and it with that.
            match index.content(content) {
                Ok(Some(kept)) if !kept.is_condemned => {}
                _ => return Ok(None),
            }
            let record = link_record(&name, content, modified);
            let (intent, line) = store.intend(&record)?;
            if index.set_link(&name, Some(content), true).is_err() {
                return Ok(None);
            }
            let target = target_of(path, content);
            let made = self.set_owner_of(&name, store.is_durable(self.size)).and_then(|()| {
                in_directory(path, &name, || symlinkat(&target, &path.data, name.local_path()))
            });
            match made {
                Ok(()) => {}
                Err(error) => {
                    self.unset_owner_of(&name);
                    // The lock is held: what is under the name is another's, or nothing.
                    let _ = store.follow_link(path, &name);
                    match error {
                        StoreError::Exists if tries < TRIES => continue,
                        error => return Err(error),
                    }
                }
            }
            let durable = store.is_durable(self.size);
            let synced = if durable { sync_directory_of(path, &name) } else { Ok(()) };
            intent.conclude(store.record(&line, durable))?;
            synced?;
            return Ok(Some(self.stored(name, content, modified)));
        }
    }

    /// Stores the content under a name of its own, and the link to it.
    fn store_content(
        &mut self,
        index: &Index,
        signature: Option<Signature>,
    ) -> Result<Option<StoredFile>, StoreError> {
        let store = std::sync::Arc::clone(&self.store);
        let path = &store.paths[usize::from(self.path)];
        let durable = store.is_durable(self.size);
        if let Some(signature) = &signature {
            note_signature(self.file()?, signature);
        }
        if durable {
            fsync(self.file()?).map_err(StoreError::doing("syncing the file"))?;
        }
        let stat = fstat(self.file()?).map_err(StoreError::doing("looking up the file"))?;
        let created = Timestamp(stat.st_mtime);
        let mut modified = now();
        if let Target::Slave(name) = &self.target {
            // Peers compare the two: it is later than what was deleted, whatever the clocks say.
            let deleted = store.tombstones.get(name.as_str());
            modified = modified.max(deleted.map_or(Timestamp::ZERO, |deleted| Timestamp(deleted.0 + 1)));
        }
        let kept = Kept { is_ours: true, is_condemned: false, signature };
        let mut tries = 0;
        loop {
            tries += 1;
            let subdir = store.placement.next_subdir();
            let content = self.compose(path, subdir, created, TAIL)?;
            let name = match &self.target {
                Target::Slave(name) => name.clone(),
                _ => self.draw_name(path, subdir, modified)?,
            };
            let _lock = store.lock(&name);
            let created_record = Record::source(created.0, Change::Create { name: field(&content) });
            let (content_intent, mut lines) = store.intend(&created_record)?;
            let (link_intent, line) = store.intend(&link_record(&name, &content, modified))?;
            lines.push_str(&line);
            if index.add_linked(&content, kept, &name).is_err() {
                return Ok(None);
            }
            let owned = self.set_owner_of(&name, durable);
            let owned = owned.map_err(|error| ShowError { error, is_taken: false });
            if let Err(failed) = owned.and_then(|()| self.show_both(path, &content, &name, modified)) {
                self.unset_owner_of(&name);
                let _ = store.follow_link(path, &name);
                store.forget_content(&content);
                if failed.is_taken && tries < TRIES {
                    continue;
                }
                return Err(failed.error);
            }
            if matches!(self.target, Target::Slave(_)) {
                store.tombstones.remove(name.as_str(), now());
            }
            path.space.settle(std::mem::take(&mut self.promised), self.size);
            let synced = if durable {
                sync_directory_of(path, &content).and(sync_directory_of(path, &name))
            } else {
                Ok(())
            };
            let recorded = store.record(&lines, durable);
            let concluded = content_intent.conclude(recorded.clone());
            link_intent.conclude(recorded).and(concluded)?;
            synced?;
            metrics::counter!("fdfs_storage_contents_stored_total").increment(1);
            return Ok(Some(self.stored(name, &content, modified)));
        }
    }

    /// Gives the content its name, and makes the link. On an error there is neither.
    fn show_both(
        &mut self,
        path: &StorePath,
        content: &RemoteFilename,
        name: &RemoteFilename,
        modified: Timestamp,
    ) -> Result<(), ShowError> {
        self.show(path, content).map_err(|error| {
            let is_taken = matches!(error, StoreError::Exists);
            ShowError { error, is_taken }
        })?;
        let target = target_of(path, content);
        let linked = in_directory(path, name, || symlinkat(&target, &path.data, name.local_path()));
        if linked.is_err()
            && let Err(error) = unlinkat(&path.data, content.local_path(), AtFlags::empty())
        {
            warn!(file_id = %content, %error, "a content without a link stays");
        }
        if linked.is_ok() && matches!(self.target, Target::Slave(_)) {
            set_link_time(path, name.local_path(), modified);
        }
        linked.map_err(|error| ShowError { error, is_taken: false })
    }

    /// Whether a content is a file of the same bytes.
    pub(super) fn is_equal(&mut self, path: &StorePath, content: &RemoteFilename) -> Result<bool, Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&path.data, content.local_path(), flags, Mode::empty())?;
        let stat = fstat(&file)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || stat.st_size.unsigned_abs() != self.size
        {
            return Ok(false);
        }
        let size = self.size;
        have_equal_bytes(self.file().map_err(|_| Errno::IO)?, &file, size)
    }

    /// A name for the link.
    pub(super) fn draw_name(
        &self,
        path: &StorePath,
        subdir: Subdir,
        created: Timestamp,
    ) -> Result<RemoteFilename, StoreError> {
        let extension = match &self.target {
            Target::Normal(extension) | Target::Private(extension) | Target::Appender(extension) => {
                *extension
            }
            Target::Slave(_) => Extension::none(),
        };
        self.compose(path, subdir, created, &extension.tail(|| fastrand::u8(0..10)))
    }

    fn compose(
        &self,
        path: &StorePath,
        subdir: Subdir,
        created: Timestamp,
        tail: &str,
    ) -> Result<RemoteFilename, StoreError> {
        let size = SizeField::normal(self.size, fastrand::u32(..));
        let fields = NameFields {
            source: self.store.placement.policy().source,
            created: seconds(created),
            // The content of a slave is as private as its master.
            size: if matches!(&self.target, Target::Slave(name) if name.is_private()) {
                size.private()
            } else {
                size
            },
            crc32: self.crc32(),
        };
        RemoteFilename::compose(path.index, subdir, &fields, None, tail)
            .map_err(|_| StoreError::InvalidName { reason: "no name can be made" })
    }

    pub(super) fn set_owner_of(&self, name: &RemoteFilename, durable: bool) -> Result<(), StoreError> {
        match self.owner {
            Some(owner) => {
                self.store.owners.add(owner, name, durable).map_err(io_error("writing owner tokens"))
            }
            None => Ok(()),
        }
    }

    pub(super) fn unset_owner_of(&self, name: &RemoteFilename) {
        if self.owner.is_some() {
            self.store.forget_owner_of(name);
        }
    }

    pub(super) fn stored(
        &self,
        filename: RemoteFilename,
        content: &RemoteFilename,
        modified: Timestamp,
    ) -> StoredFile {
        StoredFile {
            filename,
            size: self.size,
            crc32: self.crc32(),
            modified,
            content: Some(content.clone()),
        }
    }
}

/// Why content and link are not there, and whether another name for the content may do.
struct ShowError {
    error: StoreError,
    is_taken: bool,
}

pub(super) fn link_record(name: &RemoteFilename, content: &RemoteFilename, time: Timestamp) -> Record {
    Record::source(time.0, Change::Link { name: field(name), source: Some(field(content)) })
}

fn have_equal_bytes(one: &OwnedFd, other: &OwnedFd, size: u64) -> Result<bool, Errno> {
    let block = usize::try_from(size.min(BLOCK)).unwrap_or(0);
    let (mut left, mut right) = (vec![0; block], vec![0; block]);
    let mut offset = 0;
    while offset < size {
        let length = usize::try_from((size - offset).min(BLOCK)).unwrap_or(0);
        if !(fill(one, &mut left[..length], offset)? && fill(other, &mut right[..length], offset)?)
            || left[..length] != right[..length]
        {
            return Ok(false);
        }
        offset += length as u64;
    }
    Ok(true)
}

/// Reads so many bytes; whether there were as many.
fn fill(file: &OwnedFd, bytes: &mut [u8], offset: u64) -> Result<bool, Errno> {
    let mut filled = 0;
    while filled < bytes.len() {
        match pread(file, &mut bytes[filled..], offset + filled as u64) {
            Ok(0) => return Ok(false),
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

const BLOCK: u64 = 128 * 1024;
