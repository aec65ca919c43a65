//! What the operations share.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fdfs_objects::{Attributes, Objects, ObjectsError, Origin, ROOT};
use futures_util::{StreamExt, stream};
use tracing::warn;

use crate::accesses::Accesses;
use crate::budget::Budget;
use crate::config::Config;
use crate::directory::OpenDirectory;
use crate::disk_cache::{DiskCache, HandleBacking, Local, Passthrough};
use crate::error::FsError;
use crate::handles::Handles;
use crate::kernel_cache::{Keep, KernelCache};
use crate::locks::Locks;
use crate::open_file::{OpenFile, OpenFiles, Overlay};
use crate::ops::stats;
use crate::read_ahead::ReadAhead;

/// What the operations share: objects, and what is open.
pub(crate) struct FileSystem {
    pub(crate) objects: Arc<Objects>,
    pub(crate) files: OpenFiles,
    pub(crate) handles: Handles<Handle>,
    pub(crate) directories: Handles<OpenDirectory>,
    /// Open `.stats`.
    pub(crate) reports: Handles<String>,
    pub(crate) locks: Locks,
    pub(crate) budget: Arc<Budget>,
    /// Whole files on a local disk.
    pub(crate) disk_cache: Option<Arc<DiskCache>>,
    /// Whether the kernel reads those by itself.
    pub(crate) passthrough: Passthrough,
    read_only: bool,
    /// What the kernel keeps.
    pub(crate) cache: Arc<KernelCache>,
    /// When files were read last.
    pub(crate) accesses: Accesses,
    /// What the kernel asked for.
    pub(crate) requests: AtomicU64,
    /// Whose the changes are that are made here.
    pub(crate) origin: Origin,
    pub(crate) raw_delete: bool,
    spool: PathBuf,
    is_ending: AtomicBool,
}

/// A file that one program has open.
pub(crate) struct Handle {
    /// The file, shared by all who have it open.
    pub(crate) file: Arc<OpenFile>,
    /// Where this one reads.
    pub(crate) read_ahead: tokio::sync::Mutex<ReadAhead>,
    /// The pages that the kernel has of the file are of the content that was opened.
    pub(crate) keeps_pages: bool,
    /// It may write.
    pub(crate) writes: bool,
    /// What of the file is on the local disk.
    pub(crate) local: Local,
    /// How the kernel reads it.
    pub(crate) backing: HandleBacking,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// User.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
}

impl FileSystem {
    /// A file system over `objects`.
    #[cfg(test)]
    pub(crate) fn new(objects: Arc<Objects>, config: &Config) -> Arc<Self> {
        Self::with_cache(objects, config, None)
    }

    /// A file system over `objects` that keeps whole files on a local disk.
    pub(crate) fn with_cache(
        objects: Arc<Objects>,
        config: &Config,
        disk_cache: Option<Arc<DiskCache>>,
    ) -> Arc<Self> {
        Arc::new(Self {
            disk_cache,
            passthrough: Passthrough::default(),
            read_only: config.read_only,
            objects,
            files: OpenFiles::default(),
            handles: Handles::default(),
            directories: Handles::default(),
            reports: Handles::default(),
            locks: Locks::default(),
            budget: Budget::new(config.memory),
            cache: Arc::new(KernelCache::new(config.cache)),
            accesses: Accesses::default(),
            requests: AtomicU64::new(0),
            origin: Origin::unique(),
            raw_delete: config.raw_delete,
            spool: config.spool.clone(),
            is_ending: AtomicBool::new(false),
        })
    }

    /// The attributes of an inode as programs here see them.
    pub(crate) async fn attributes(&self, inode: u64) -> Result<Attributes, FsError> {
        if inode == stats::INODE {
            return Ok(stats::attributes());
        }
        let overlay = self.overlay(inode);
        match self.objects.attributes(inode).await {
            // It is open here, and another process removed its last name.
            Err(ObjectsError::NotFound) => {
                let left = self.files.get(inode).and_then(|file| file.left());
                Ok(overlay.over(left.ok_or(FsError::OldName)?))
            }
            attributes => Ok(overlay.over(attributes?)),
        }
    }

    /// What of an inode's attributes is not committed yet.
    pub(crate) fn overlay(&self, inode: u64) -> Overlay {
        self.files.get(inode).map_or(Overlay::NONE, |file| file.overlay())
    }

    /// For how long the kernel may keep what it is told of an inode. What is not committed changes without a word.
    pub(crate) fn keep(&self, inode: u64) -> Keep {
        if self.is_raw(inode) {
            return self.cache.keep_raw();
        }
        let keep = self.cache.keep(self.objects.namespace().follows_changes());
        if self.overlay(inode).is_empty() { keep } else { Keep { attributes: Duration::ZERO, ..keep } }
    }

    /// For how long the kernel may keep that there is no such name.
    pub(crate) fn keep_absent(&self, parent: u64, name: &[u8]) -> Duration {
        // Raw files come without a word, and new groups, too.
        let silent = parent == ROOT || self.is_raw(parent) || name.starts_with(b"M");
        if silent {
            return Duration::ZERO;
        }
        self.cache.keep(self.objects.namespace().follows_changes()).name
    }

    /// True for what is shown by its ID, `M00` itself included: it has no row in the namespace.
    pub(crate) fn is_raw(&self, inode: u64) -> bool {
        inode & RAW != 0
    }

    /// True for files whose content stays what it is while they are open here, as far as programs of this mount can tell.
    pub(crate) fn keeps_content(&self, inode: u64) -> bool {
        self.read_only || self.is_raw(inode)
    }

    /// From here on nobody waits for a lock any more.
    pub(crate) fn end(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
        self.accesses.end();
    }

    /// True when the mount ends.
    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }

    /// A local file without a name.
    pub(crate) fn spool_file(&self) -> Result<File, FsError> {
        Ok(tempfile::tempfile_in(&self.spool)?)
    }

    /// Commits everything that was written; how many files that failed for.
    pub(crate) async fn flush_all(&self) -> usize {
        let flushed = stream::iter(self.files.all()).map(async |file| {
            let flushed = file.flush(self).await;
            if let Err(error) = &flushed {
                warn!(ino = file.inode(), %error, "written content is not committed");
            }
            flushed.is_err()
        });
        let failed = flushed.buffer_unordered(FLUSHED_AT_ONCE).filter(|failed| std::future::ready(*failed));
        failed.count().await
    }

    /// Lets go of what nobody uses: streams to and from storages that stand still.
    pub(crate) async fn rest(&self, idle: Duration) {
        let (under_way, kept) = self.budget.taken();
        metrics::gauge!("fdfs_mount_memory_bytes", "for" => "requests").set(under_way as f64);
        metrics::gauge!("fdfs_mount_memory_bytes", "for" => "kept").set(kept as f64);
        if let Some(cache) = &self.disk_cache {
            metrics::gauge!("fdfs_mount_disk_cache_bytes").set(cache.used().0 as f64);
        }
        for file in self.files.all() {
            file.rest(self, idle).await;
        }
        for handle in self.handles.all() {
            if let Ok(mut read_ahead) = handle.read_ahead.try_lock() {
                read_ahead.rest(idle);
            }
        }
    }
}

/// Files that are committed at once when all are.
const FLUSHED_AT_ONCE: usize = 8;
/// The bit that only inode numbers of raw files and directories have.
const RAW: u64 = 1 << 63;
