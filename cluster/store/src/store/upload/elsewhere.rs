//! Uploads whose content another member keeps.
//!
//! ```text
//! compare with the copy here ─► draw a name ─► the member that made the content makes the link ─► the link here, record L
//! ```
//!
//! Links are counted where the content was made, so that member makes every link to it first, and tells all. When it cannot, or
//! nobody knows whether it has, the upload is stored as if there were no such content.

use std::sync::Arc;

use fdfs_types::{FileKind, RemoteFilename, Source};
use rustix::{
    fs::{AtFlags, FileType, statat, symlinkat},
    io::Errno,
};
use tracing::warn;

use super::{StoredFile, Target, Upload, linked::link_record};
use crate::{
    StoreError,
    contents::{Index, content_at, is_content, unusable},
    store::{
        Shared, Store, io_error,
        link::target_of,
        now,
        shared::{in_directory, sync_directory_of},
    },
};

/// A content of another member that is equal to an upload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Elsewhere {
    /// The name that the upload is to have, a link to the content.
    pub name: RemoteFilename,
    /// The content.
    pub content: RemoteFilename,
}

impl Upload {
    /// Whether equal contents are sought.
    pub fn is_sought(&self) -> bool {
        self.signer.is_some() && matches!(self.target, Target::Normal(_))
    }

    /// An equal content that a member has made who may be asked, where this storage has made none. The file may be read as a
    /// whole. What comes of it is told by [`Self::finish_elsewhere`], or [`Self::not_elsewhere`].
    pub fn equal_elsewhere(&mut self, may_ask: impl Fn(Source) -> bool) -> Option<Elsewhere> {
        if !self.is_sought() || self.announced.is_some_and(|announced| announced != self.size) {
            return None;
        }
        let store = Arc::clone(&self.store);
        let index = store.contents.index()?;
        let signature = self.signer.clone()?.finish(self.size);
        let candidates = index.candidates(&signature).unwrap_or_default();
        if candidates.iter().any(|content| store.is_ours(content)) {
            return None;
        }
        candidates.into_iter().find_map(|content| {
            let maker = content.fields().ok()?.source;
            let may = !content.is_private() && may_ask(maker) && self.is_still_equal(index, &content);
            may.then(|| self.offer(content)).flatten()
        })
    }

    /// Shows the file as a link to a content whose maker has made the link, too.
    pub fn finish_elsewhere(self, found: &Elsewhere) -> Result<StoredFile, StoreError> {
        let modified = now();
        self.store.link_content(&found.name, &found.content, self.size)?;
        metrics::counter!("fdfs_storage_duplicates_total").increment(1);
        metrics::counter!("fdfs_storage_duplicate_bytes_total").increment(self.size);
        Ok(self.stored(found.name.clone(), &found.content, modified))
    }

    /// The maker of the content has made no link: the upload is another file.
    pub fn not_elsewhere(&self, found: &Elsewhere) {
        self.unset_owner_of(&found.name);
    }

    /// Draws the name, and notes whose it is.
    fn offer(&self, content: RemoteFilename) -> Option<Elsewhere> {
        let path = self.store.path_of(&content).ok()?;
        let subdir = self.store.placement.next_subdir();
        let drawn = self.draw_name(path, subdir, now());
        let owned = drawn.and_then(|name| {
            self.set_owner_of(&name, self.store.is_durable(self.size)).map(|()| Elsewhere { name, content })
        });
        owned.inspect_err(|error| warn!(%error, "an equal upload is stored anew")).ok()
    }

    /// Whether a content that may be equal is.
    pub(super) fn is_still_equal(&mut self, index: &Index, content: &RemoteFilename) -> bool {
        let store = Arc::clone(&self.store);
        let Ok(path) = store.path_of(content) else { return false };
        match self.is_equal(path, content) {
            Ok(is_equal) => is_equal,
            Err(error) => {
                warn!(file_id = %content, %error, "a content cannot be compared with: an equal upload is stored anew");
                if error == Errno::NOENT
                    && let Err(error) = index.forget_signature(content)
                {
                    store.contents.distrust(&error);
                }
                false
            }
        }
    }
}

impl Store {
    /// Makes a link to a content of this storage, of the name that another member gives to an equal upload.
    pub fn link_for_member(&self, name: &RemoteFilename, content: &RemoteFilename) -> Result<(), StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_client(name)?;
        if !is_content(content) || !is_name_for(name, content) {
            return Err(StoreError::InvalidName { reason: "not the name of a link to this content" });
        }
        if !shared.is_ours(content) {
            return Err(StoreError::NotFound);
        }
        let size = content.fields().ok().and_then(|fields| fields.size.size()).ok_or(StoreError::NotFound)?;
        let stat = statat(&path.data, content.local_path(), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(StoreError::doing("looking up a content"))?;
        // Damaged, it takes no more links.
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
            || stat.st_size.unsigned_abs() != size
        {
            return Err(StoreError::NotFound);
        }
        shared.link_content(name, content, size)
    }

    /// Deletes a link that the maker of its content may have made, or may still make.
    pub fn unlink_elsewhere(&self, found: &Elsewhere) -> Result<(), StoreError> {
        // Members that have the link are told by the record of a delete, and there is one for what was here.
        self.0.link_content(&found.name, &found.content, 0)?;
        self.delete(&found.name).map(drop)
    }
}

impl Shared {
    /// Makes a link to a content, and records it; nothing if it is there.
    fn link_content(
        &self,
        name: &RemoteFilename,
        content: &RemoteFilename,
        size: u64,
    ) -> Result<(), StoreError> {
        let path = self.path_of(content)?;
        let is_ours = self.is_ours(content);
        let index = self.contents.index_or_new().map_err(unusable)?;
        let durable = self.is_durable(size);
        let _locks = self.lock_both(content, name);
        if self.tombstones.get(name.as_str()).is_some() {
            return Err(StoreError::NotFound);
        }
        let present = content_at(&self.paths, path, name.local_path());
        if present.map_err(io_error("reading a link"))?.as_ref() == Some(content) {
            return Ok(());
        }
        // Its last link may have gone meanwhile, and it with that.
        let kept = index.content(content).map_err(unusable)?;
        if is_ours && !kept.is_some_and(|kept| kept.is_ours && !kept.is_condemned) {
            return Err(StoreError::NotFound);
        }
        let (intent, line) = self.intend(&link_record(name, content, now()))?;
        index.set_link(name, Some(content), is_ours).map_err(unusable)?;
        let target = target_of(path, content);
        let made = in_directory(path, name, || symlinkat(&target, &path.data, name.local_path()));
        if let Err(error) = made {
            let _ = self.follow_link(path, name);
            return Err(error);
        }
        let synced = if durable { sync_directory_of(path, name) } else { Ok(()) };
        intent.conclude(self.record(&line, durable))?;
        synced
    }
}

/// Whether a name says of its file what that of a content says.
fn is_name_for(name: &RemoteFilename, content: &RemoteFilename) -> bool {
    let (Ok(one), Ok(other)) = (name.fields(), content.fields()) else { return false };
    let is_plain = name.kind() == Ok(FileKind::Normal)
        && name.as_str().len() == RemoteFilename::NORMAL_LEN
        && !is_content(name);
    is_plain
        && !name.is_private()
        && name.has_store_path()
        && name.store_path() == content.store_path()
        && (one.crc32, one.size.size()) == (other.crc32, other.size.size())
}
