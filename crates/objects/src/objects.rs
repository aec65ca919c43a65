//! The crate's main type and its settings.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use fdfs_namespace::{Change, Namespace};
use fdfs_types::GroupName;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio::task::JoinSet;

use crate::buckets::Groups;
use crate::files::{Files, OwnerToken};
use crate::pins::Pins;
use crate::raw::RawInodes;
use crate::sweeper::UnnamedFiles;
use crate::views::Watched;
use crate::write_concern::WriteConcerns;

/// Names and files of one cluster. Shared by everything that serves it.
pub struct Objects {
    pub(crate) names: Namespace,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) settings: Settings,
    pub(crate) pins: Arc<Pins>,
    pub(crate) groups: Groups,
    pub(crate) raw_inodes: RawInodes,
    pub(crate) join_wanted: Notify,
    pub(crate) rewrite_wanted: Notify,
    pub(crate) free_wanted: Notify,
    pub(crate) unnamed: Mutex<UnnamedFiles>,
    pub(crate) fenced: Notify,
    pub(crate) views: Mutex<Vec<Watched>>,
    sequence: AtomicU64,
    pub(crate) workers: Mutex<JoinSet<()>>,
}

/// How objects are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A replaced or deleted file is deleted at its storage after this.
    pub free_after: Duration,
    /// How often the free list is looked at.
    pub free_interval: Duration,
    /// How often the files of sessions that are gone are looked for; never, where that is somebody else's work.
    pub sweep_interval: Option<Duration>,
    /// A session that has said nothing for so long is taken for dead, and commits nothing any more.
    pub fence_after: Duration,
    /// When parts are joined into one file.
    pub join_multipart: JoinMultipart,
    /// Content of unknown length is gathered up to this many bytes before the upload begins, and is an ordinary upload if that was all. 0 where
    /// the files below do so themselves, as [`fdfs_client::Client`] does.
    pub small_file: usize,
    /// A multipart upload that was neither completed nor aborted ends after this; none: never.
    pub abandoned_uploads_after: Option<Duration>,
    /// The smallest part that may be followed by another; S3 says 5 MiB.
    pub min_part: u64,
    /// How often the trackers are asked for their groups.
    pub groups_interval: Duration,
    /// Raw files may be deleted by their paths.
    pub raw_delete: bool,
    /// What must be true of content before it counts as stored.
    pub write_concern: WriteConcerns,
}

/// When the parts of a multipart upload become one file.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum JoinMultipart {
    /// Soon after Complete.
    #[default]
    Background,
    /// Never: the object keeps its parts and has no legacy ID.
    Never,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            free_after: Duration::from_secs(3_600),
            free_interval: Duration::from_secs(30),
            sweep_interval: Some(Duration::from_secs(60)),
            fence_after: Duration::from_secs(300),
            join_multipart: JoinMultipart::Background,
            small_file: 0,
            abandoned_uploads_after: None,
            min_part: 5 * 1024 * 1024,
            groups_interval: Duration::from_secs(10),
            raw_delete: false,
            write_concern: WriteConcerns::default(),
        }
    }
}

impl Objects {
    /// Joins names and files. [`Objects::start`] begins the work in the background.
    pub fn new(names: Namespace, files: Arc<dyn Files>, settings: Settings) -> Arc<Self> {
        Arc::new(Self {
            names,
            files,
            settings,
            pins: Arc::new(Pins::default()),
            groups: Groups::default(),
            raw_inodes: RawInodes::default(),
            join_wanted: Notify::new(),
            rewrite_wanted: Notify::new(),
            free_wanted: Notify::new(),
            unnamed: Mutex::default(),
            fenced: Notify::new(),
            views: Mutex::default(),
            sequence: AtomicU64::new(1),
            workers: Mutex::new(JoinSet::new()),
        })
    }

    /// The namespace below.
    pub fn namespace(&self) -> &Namespace {
        &self.names
    }

    /// Changes as they are committed by this process; a receiver that lags must drop what it knows.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.names.changes()
    }

    /// The token of the next upload.
    pub(crate) fn owner_token(&self) -> OwnerToken {
        OwnerToken { session: self.names.owner(), sequence: self.sequence.fetch_add(1, Ordering::Relaxed) }
    }

    /// Groups that content of a bucket may go to.
    pub(crate) fn placement(bucket: &fdfs_namespace::Bucket) -> Vec<GroupName> {
        bucket.placement.clone()
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}
