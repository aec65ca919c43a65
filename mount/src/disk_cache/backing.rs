//! Files that the kernel reads by itself.
//!
//! The kernel wants all who have an inode open to read it in the same way: from one file of ours, or through its own pages. So only inodes are read so whose content never
//! changes while they are open: raw files, and on a mount that is read-only all others.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::{fs::File, io};

use fuser::BackingId;
use parking_lot::Mutex;
use tracing::info;

/// How the kernel reads an inode that is open.
#[derive(Debug, Default)]
pub(crate) struct Backing {
    /// Handles that are read through the kernel's pages.
    through_pages: usize,
    /// What the others are read from.
    id: Weak<BackingId>,
}

/// How the kernel reads through a handle.
#[derive(Debug, Default)]
pub(crate) struct HandleBacking(Mutex<Through>);

#[derive(Debug, Default)]
enum Through {
    /// Nobody knows.
    #[default]
    Nothing,
    Pages,
    File(#[expect(dead_code, reason = "the kernel reads the file as long as this is there")] Arc<BackingId>),
}

/// Whether the kernel reads files by itself: until it refuses one.
#[derive(Debug, Default)]
pub(crate) struct Passthrough(AtomicBool);

impl Passthrough {
    /// The kernel offers it.
    pub(crate) fn offer(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Decides how a handle is read: from `file`, which `open` tells the kernel of, or through its pages.
    pub(crate) fn decide(
        &self,
        inode: &Mutex<Backing>,
        handle: &HandleBacking,
        file: Option<&Arc<File>>,
        open: impl FnOnce(&File) -> io::Result<BackingId>,
    ) -> Option<Arc<BackingId>> {
        if !self.0.load(Ordering::Acquire) {
            return None;
        }
        let mut inode = inode.lock();
        let mut id = inode.id.upgrade();
        if id.is_none()
            && inode.through_pages == 0
            && let Some(file) = file
        {
            match open(file) {
                Ok(opened) => {
                    let opened = Arc::new(opened);
                    inode.id = Arc::downgrade(&opened);
                    id = Some(opened);
                }
                Err(error) => {
                    info!(%error, "the kernel does not read the cache on disk by itself");
                    self.0.store(false, Ordering::Release);
                }
            }
        }
        *handle.0.lock() = match &id {
            Some(id) => {
                metrics::counter!("fdfs_mount_passthrough_opens_total").increment(1);
                Through::File(Arc::clone(id))
            }
            None => {
                inode.through_pages += 1;
                Through::Pages
            }
        };
        id
    }
}

impl HandleBacking {
    /// True if the kernel reads a file of the cache.
    pub(crate) fn passes_through(&self) -> bool {
        matches!(*self.0.lock(), Through::File(_))
    }

    /// The handle is closed.
    pub(crate) fn close(&self, inode: &Mutex<Backing>) {
        let mut inode = inode.lock();
        if matches!(std::mem::take(&mut *self.0.lock()), Through::Pages) {
            inode.through_pages = inode.through_pages.saturating_sub(1);
        }
    }
}
