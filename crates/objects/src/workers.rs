//! Work in the background: joining parts, deleting what was freed, trimming, asking for new groups.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fdfs_namespace::{Extent, FreedFile, NamespaceError, WaitingJoin};
use fdfs_types::FileId;
use futures_util::{StreamExt, stream};
use tracing::{debug, info, warn};

use crate::error::ObjectsError;
use crate::files::FilesError;
use crate::objects::{JoinMultipart, Objects, now_ms};
use crate::writer::extension_of;
use crate::xattr;

impl Objects {
    /// Begins the work in the background, on the current runtime. It ends with [`Objects::stop`].
    pub fn start(self: &Arc<Self>) {
        let mut workers = self.workers.lock();
        let objects = Arc::clone(self);
        workers.spawn(async move {
            objects
                .every(objects.settings.groups_interval, async || {
                    let groups = objects.refresh_groups().await;
                    groups.map(drop)
                })
                .await;
        });
        let objects = Arc::clone(self);
        workers.spawn(async move {
            loop {
                let _ = tokio::time::timeout(objects.settings.free_interval, objects.free_wanted.notified())
                    .await;
                log_failure("freeing", objects.free_due().await.map(drop));
            }
        });
        if self.settings.join_multipart == JoinMultipart::Background {
            let objects = Arc::clone(self);
            workers.spawn(async move {
                loop {
                    log_failure("joining", objects.join_due().await.map(drop));
                    let _ = tokio::time::timeout(JOIN_INTERVAL, objects.join_wanted.notified()).await;
                }
            });
        }
        let objects = Arc::clone(self);
        workers.spawn(async move {
            objects
                .every(HOUSEKEEPING_INTERVAL, async || {
                    objects.names.renew_session().await?;
                    objects.names.remove_orphans().await?;
                    while objects.names.trim_changes(CHANGES_KEPT).await? {}
                    Ok(())
                })
                .await;
        });
        let objects = Arc::clone(self);
        workers.spawn(async move {
            objects
                .every(TRIM_INTERVAL, async || Ok(objects.names.trim_completed(COMPLETED_KEPT).await?))
                .await;
        });
    }

    /// Ends the work in the background. What was under way is found again at the next start.
    pub async fn stop(&self) {
        let mut workers = std::mem::take(&mut *self.workers.lock());
        workers.shutdown().await;
    }

    /// Deletes the files that are due; how many. The worker calls it from time to time.
    pub async fn free_due(self: &Arc<Self>) -> Result<usize, ObjectsError> {
        let mut deleted = 0;
        loop {
            let free_after = u64::try_from(self.settings.free_after.as_millis()).unwrap_or(u64::MAX);
            let due = now_ms().saturating_add(1).saturating_sub(free_after);
            let before = due.min(self.pins.oldest().unwrap_or(u64::MAX));
            let batch = self.names.freed(before, FREE_BATCH).await?;
            if batch.is_empty() {
                return Ok(deleted);
            }
            let results: Vec<bool> = stream::iter(batch)
                .map(|file| self.delete_freed(file))
                .buffer_unordered(FREE_AT_ONCE)
                .collect()
                .await;
            let now_deleted = results.into_iter().filter(|deleted| *deleted).count();
            deleted += now_deleted;
            if now_deleted == 0 {
                return Ok(deleted);
            }
        }
    }

    /// Joins the parts of the objects that wait for it; how many objects. The worker calls it after every Complete.
    pub async fn join_due(self: &Arc<Self>) -> Result<usize, ObjectsError> {
        let mut joined = 0;
        loop {
            let waiting = self.names.waiting_joins(JOIN_BATCH).await?;
            if waiting.is_empty() {
                return Ok(joined);
            }
            for waiting in waiting {
                joined += usize::from(self.join(waiting).await?);
            }
        }
    }

    async fn delete_freed(&self, file: FreedFile) -> bool {
        let result = self.files.delete(&file.file).await;
        let retry_in = match &result {
            Ok(()) | Err(FilesError::NotFound) => None,
            Err(error) => {
                metrics::counter!("fdfs_objects_free_failures_total").increment(1);
                warn!(file_id = %file.file, %error, attempts = file.attempts, "freed file not deleted");
                Some(back_off(file.attempts))
            }
        };
        let deleted = retry_in.is_none();
        if deleted {
            metrics::counter!("fdfs_objects_freed_total").increment(1);
            debug!(file_id = %file.file, "freed file deleted");
        }
        log_failure("freeing", self.names.freed_done(file, retry_in).await.map_err(ObjectsError::from));
        deleted
    }

    /// Joins one object's parts; true if it has one file now.
    async fn join(self: &Arc<Self>, waiting: WaitingJoin) -> Result<bool, ObjectsError> {
        let inode = waiting.inode;
        let record = match self.names.record(inode).await {
            Ok(record) => record,
            Err(NamespaceError::NotFound) => {
                self.names.join_failed(inode, None).await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let Some(parts) = whole_files(&record.extents, record.attributes.size) else {
            // Cut or written to since: what is fragmented is another work.
            self.names.join_failed(inode, None).await?;
            return Ok(false);
        };
        let (_, name) = self.names.location(inode).await?;
        let bucket = self.names.bucket_of(record.attributes.bucket).await?;
        let concern = self.settings.write_concern.of(&bucket.name);
        let extension = extension_of(&name);
        let file = match self.files.join(&parts, &extension, self.owner_token(), concern).await {
            Ok(file) => file,
            Err(error) => {
                let never =
                    matches!(error, FilesError::Unsupported | FilesError::NotFound | FilesError::Refused(_));
                metrics::counter!("fdfs_objects_join_failures_total").increment(1);
                warn!(ino = inode, %error, attempts = waiting.attempts, never, "parts not joined");
                let retry_in = (!never).then(|| back_off(waiting.attempts));
                self.names.join_failed(inode, retry_in).await?;
                return Ok(false);
            }
        };
        let mirrored = xattr::mirror(self, Some(&file), &record.extended).await;
        let whole = Extent::whole(file.clone(), record.attributes.size);
        match self.names.joined(inode, record.extents, whole, mirrored).await {
            Ok(_) => {
                info!(ino = inode, file_id = %file, parts = parts.len(), "parts joined");
                Ok(true)
            }
            Err(NamespaceError::ContentChanged | NamespaceError::NotFound) => {
                Self::free(self, vec![file]);
                self.names.join_failed(inode, None).await?;
                Ok(false)
            }
            Err(error) => {
                Self::free(self, vec![file]);
                Err(error.into())
            }
        }
    }

    async fn every<F: Future<Output = Result<(), ObjectsError>>>(
        &self,
        interval: Duration,
        work: impl Fn() -> F,
    ) {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            log_failure("housekeeping", work().await);
        }
    }
}

/// The files that make up the content one after the other, each from its first byte to its last.
fn whole_files(extents: &[Extent], size: u64) -> Option<Vec<FileId>> {
    let mut at = 0;
    for extent in extents {
        let named = extent.file.filename.fields().ok().and_then(|fields| fields.size.size());
        if extent.offset != at || extent.file_offset != 0 || named.is_some_and(|named| named != extent.length)
        {
            return None;
        }
        at = extent.end();
    }
    (at == size).then(|| extents.iter().map(|extent| extent.file.clone()).collect())
}

fn log_failure(what: &str, result: Result<(), ObjectsError>) {
    if let Err(error) = result {
        metrics::counter!("fdfs_objects_worker_failures_total", "work" => what.to_owned()).increment(1);
        warn!(%error, what, "background work failed; it is tried again");
    }
}

/// How long to wait after so many failures.
fn back_off(attempts: u32) -> Duration {
    let seconds = 5_u64.saturating_mul(1 << attempts.min(10));
    Duration::from_secs(seconds.min(3_600))
}

/// Files read from the free list at once.
const FREE_BATCH: usize = 100;
/// Deletions under way at once.
const FREE_AT_ONCE: usize = 4;
/// Objects joined before the list is read again.
const JOIN_BATCH: usize = 16;
/// How often joins that failed are looked at.
const JOIN_INTERVAL: Duration = Duration::from_secs(5);
/// How often the session is renewed and changes are trimmed.
const HOUSEKEEPING_INTERVAL: Duration = Duration::from_secs(10);
/// How often what is kept of completed uploads is trimmed.
const TRIM_INTERVAL: Duration = Duration::from_secs(3_600);
/// How long a repeated Complete is answered.
const COMPLETED_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// How long changes are kept.
const CHANGES_KEPT: Duration = Duration::from_secs(3_600);
