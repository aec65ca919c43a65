//! What becomes of contents when links to them come and go.

use fdfs_types::{RemoteFilename, Source};
use rustix::{
    fs::{AtFlags, unlinkat},
    io::Errno,
};

use super::{Shared, Store, field, io_error, now, sidecar_field, sync_directory_of};
use crate::{
    Change, Record, StoreError,
    contents::{
        self, ContentCheck, IndexError, Kept, Signature, content_at, is_content, note_condemned, unusable,
    },
    layout::StorePath,
    store::SIDECAR,
};

/// What a store knows of its contents.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContentCounts {
    /// Contents that names are links to.
    pub contents: u64,
    /// Names that are links to contents.
    pub links: u64,
    /// Contents without a link, about to go.
    pub unlinked: u64,
}

/// A content that has lost its last link here, and goes now.
#[derive(Debug)]
#[must_use = "it stays for ever otherwise"]
pub(crate) struct Unused {
    content: RemoteFilename,
    kept: Kept,
}

impl Store {
    /// What is known of contents; `None` where there are none.
    pub fn content_counts(&self) -> Result<Option<ContentCounts>, StoreError> {
        let Some(index) = self.0.contents.index() else { return Ok(None) };
        let [contents, links, unlinked] = index.counts().map_err(unusable)?;
        Ok(Some(ContentCounts { contents, links, unlinked }))
    }

    /// Compares the index of contents with the disk. Reads all directories; what changes meanwhile may count as wrong.
    pub fn check_contents(&self) -> Result<ContentCheck, StoreError> {
        let shared = &self.0;
        let places: Vec<_> = shared.paths.iter().map(|path| (path.index, path.data_path.as_path())).collect();
        ContentCheck::compare(shared.contents.index(), &places)
            .map_err(io_error("comparing contents with their index"))
    }

    /// Takes over the contents of members that have left for good: they take no more links, and each goes here with its last
    /// link. Says how many these are.
    pub fn release_contents(&self, has_left: impl Fn(Source) -> bool) -> Result<u64, StoreError> {
        let shared = &self.0;
        let Some(index) = shared.contents.index() else { return Ok(0) };
        let (mut after, mut released) = (None, 0);
        loop {
            let page = index.contents_after(after.as_ref()).map_err(unusable)?;
            for content in &page {
                if shared.is_ours(content) || !content.fields().is_ok_and(|fields| has_left(fields.source)) {
                    continue;
                }
                let lock = shared.lock(content);
                let unlinked = index.release(content).map_err(unusable)?;
                if let Ok(path) = shared.path_of(content) {
                    note_condemned(path, content);
                }
                drop(lock);
                released += 1;
                if let Some(unlinked) = unlinked {
                    shared.free(Unused { content: unlinked.name, kept: unlinked.kept });
                }
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last),
                None => return Ok(released),
            }
        }
    }

    /// Deletes contents whose last link has gone while a start came between.
    pub(super) fn free_unused(&self) {
        let Some(index) = self.0.contents.index() else { return };
        let unlinked = match index.unlinked() {
            Ok(unlinked) => unlinked,
            Err(error) => return self.0.contents.distrust(&error),
        };
        for found in unlinked {
            self.0.free(Unused { content: found.name, kept: found.kept });
        }
    }
}

impl Shared {
    /// Enters what a name leads to now, whose lock is held. Tells the content that nothing leads to any more by that, to be
    /// freed when the lock is given up.
    pub(crate) fn follow_link(&self, path: &StorePath, name: &RemoteFilename) -> Option<Unused> {
        let index = self.contents.index()?;
        if is_content(name) {
            return None;
        }
        let entered =
            content_at(&self.paths, path, name.local_path()).map_err(IndexError::from).and_then(|content| {
                let is_ours = content.as_ref().is_some_and(|content| self.is_ours(content));
                index.set_link(name, content.as_ref(), is_ours)
            });
        match entered {
            Ok(unlinked) => {
                let unlinked = unlinked?;
                Some(Unused { content: unlinked.name, kept: unlinked.kept })
            }
            Err(error) => {
                self.contents.distrust(&error);
                None
            }
        }
    }

    /// Deletes a content that nothing leads to. No lock of a name is held. What cannot be deleted is by the next start.
    pub(crate) fn free(&self, unused: Unused) -> Option<Record> {
        match self.try_free(&unused) {
            Ok(record) => record,
            Err(error) => {
                tracing::warn!(file_id = %unused.content, %error, "a content without links stays until the next start");
                None
            }
        }
    }

    fn try_free(&self, unused: &Unused) -> Result<Option<Record>, StoreError> {
        let Unused { content, kept } = unused;
        let Some(index) = self.contents.index() else { return Ok(None) };
        let path = self.path_of(content)?;
        let _lock = self.lock(content);
        if index.content(content).map_err(unusable)?.is_none()
            || index.has_links(content).map_err(unusable)?
        {
            return Ok(None);
        }
        let change = Change::Delete { name: field(content) };
        let record =
            if kept.is_ours { Record::source(now().0, change) } else { Record::replica(now(), change) };
        let (intent, mut lines) = self.intend(&record)?;
        let gone = match unlinkat(&path.data, content.local_path(), AtFlags::empty()) {
            Ok(()) => true,
            Err(Errno::NOENT) => false,
            Err(error) => return Err(StoreError::from_errno("deleting a content", error)),
        };
        if unlinkat(&path.data, format!("{}{SIDECAR}", content.local_path()), AtFlags::empty()).is_ok() {
            let change = Change::Delete { name: sidecar_field(content.as_str()) };
            lines.push_str(&format!("{}\n", Record { change, ..record.clone() }));
        }
        if let Err(error) = index.remove_content(content) {
            self.contents.distrust(&error);
        }
        // Of others the delete by the maker is remembered; one who has left may come back with it.
        if kept.is_ours {
            self.bury(content, now());
        }
        if !gone {
            return Ok(None);
        }
        let durable = self.fsync_after != 0;
        let synced = if durable { sync_directory_of(path, content) } else { Ok(()) };
        intent.conclude(if kept.is_ours {
            self.record(&lines, durable)
        } else {
            self.record_replica(&lines, durable)
        })?;
        synced?;
        metrics::counter!("fdfs_storage_contents_freed_total").increment(1);
        Ok(Some(record))
    }

    /// A peer has deleted a content. Whether links lead to it here: then it goes with the last of them.
    pub(crate) fn condemn(&self, content: &RemoteFilename) -> bool {
        let Some(index) = self.contents.index() else { return false };
        match index.condemn(content) {
            Ok(has_links) => {
                if has_links && let Ok(path) = self.path_of(content) {
                    note_condemned(path, content);
                }
                has_links
            }
            Err(error) => {
                self.contents.distrust(&error);
                false
            }
        }
    }

    /// A content has come from a peer, who may be asked for links to it.
    pub(crate) fn learn_content(&self, content: &RemoteFilename, signature: Signature) {
        let learned = self
            .contents
            .index_or_new()
            .and_then(|index| index.learn(content, signature, self.is_ours(content)));
        if let Err(error) = learned {
            self.contents.distrust(&error);
        }
    }

    /// A content has gone from the disk.
    pub(crate) fn forget_content(&self, content: &RemoteFilename) {
        if let Some(index) = self.contents.index()
            && let Err(error) = index.remove_content(content)
        {
            self.contents.distrust(&error);
        }
    }

    /// Whether links lead to a name here, so that a client must not delete it.
    pub(crate) fn holds_links(&self, name: &RemoteFilename) -> bool {
        is_content(name) && self.contents.index().is_some_and(|index| index.has_links(name).unwrap_or(true))
    }

    /// Whether names say that this storage has accepted a file.
    pub(crate) fn is_ours(&self, name: &RemoteFilename) -> bool {
        contents::is_of(name, self.placement.policy().source)
    }
}
