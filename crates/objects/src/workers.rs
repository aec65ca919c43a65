//! Work in the background: joining parts, deleting what was freed, trimming, asking for new groups.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fdfs_namespace::{Extent, FileRecord, FreedFile, NamespaceError, WaitingJoin};
use fdfs_ops::fault_point;
use fdfs_types::{Extension, FileId};
use futures_util::{StreamExt, stream};
use tracing::{debug, info, warn};

use crate::error::ObjectsError;
use crate::files::{FilesError, NewUpload};
use crate::info::{split_record, whole_file};
use crate::objects::{JoinMultipart, Objects, now_ms};
use crate::reader::ObjectReader;
use crate::write_concern::WriteConcern;
use crate::writer::{Incoming, extension_of};
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
            // Apart, as it takes as long as the content is large.
            let objects = Arc::clone(self);
            workers.spawn(async move {
                loop {
                    log_failure("rewriting", objects.rewrite_due().await.map(drop));
                    let _ = tokio::time::timeout(JOIN_INTERVAL, objects.rewrite_wanted.notified()).await;
                }
            });
        }
        let objects = Arc::clone(self);
        workers.spawn(async move {
            objects
                .every(HOUSEKEEPING_INTERVAL, async || {
                    objects.renew_session().await?;
                    objects.names.remove_orphans().await?;
                    objects.names.remove_dead_locks().await?;
                    while objects.names.trim_changes(CHANGES_KEPT).await? {}
                    Ok(())
                })
                .await;
        });
        if let Some(interval) = self.settings.sweep_interval {
            let objects = Arc::clone(self);
            workers.spawn(async move {
                objects.every(interval, async || objects.sweep().await.map(drop)).await;
            });
        }
        let objects = Arc::clone(self);
        workers.spawn(async move {
            objects
                .every(TRIM_INTERVAL, async || {
                    objects.end_abandoned_uploads().await?;
                    Ok(objects.names.trim_completed(COMPLETED_KEPT).await?)
                })
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
            let elsewhere = self.names.oldest_open_elsewhere().await?.unwrap_or(u64::MAX);
            let before = due.min(self.pins.oldest().unwrap_or(u64::MAX)).min(elsewhere);
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
                joined += usize::from(self.make_whole(waiting, false).await?);
            }
        }
    }

    /// Writes anew the content of the objects whose parts no storage can join where they are; how many objects.
    pub async fn rewrite_due(self: &Arc<Self>) -> Result<usize, ObjectsError> {
        let mut rewritten = 0;
        loop {
            let waiting = self.names.waiting_rewrites(JOIN_BATCH).await?;
            if waiting.is_empty() {
                return Ok(rewritten);
            }
            for waiting in waiting {
                rewritten += usize::from(self.make_whole(waiting, true).await?);
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
            fault_point("free.deleted");
            metrics::counter!("fdfs_objects_freed_total").increment(1);
            debug!(file_id = %file.file, "freed file deleted");
        }
        log_failure("freeing", self.names.freed_done(file, retry_in).await.map_err(ObjectsError::from));
        deleted
    }

    /// Makes one file of an object's parts; true if it has one now.
    async fn make_whole(self: &Arc<Self>, waiting: WaitingJoin, rewrite: bool) -> Result<bool, ObjectsError> {
        let inode = waiting.inode;
        let record = match self.names.record(inode).await {
            Ok(record) => record,
            Err(NamespaceError::NotFound) => {
                self.names.join_failed(inode, None).await?;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        let is_patched = record.part_count == 0;
        let is_whole =
            record.extents.is_empty() || whole_file(&record.extents, record.attributes.size).is_some();
        if is_whole || (is_patched && !rewrite) {
            // Cut or written to since. Or it got the file of a copy.
            self.names.join_failed(inode, None).await?;
            return Ok(false);
        }
        let made = if rewrite { self.rewrite(&record).await } else { self.join(&record).await };
        let file = match made {
            Ok(Some(file)) => file,
            Ok(None) => {
                self.names.needs_rewrite(inode).await?;
                self.rewrite_wanted.notify_one();
                return Ok(false);
            }
            Err(error) => {
                let never = matches!(error, ObjectsError::Unsupported);
                // Where storages cannot, as original ones, nobody has to do anything.
                if matches!(error, ObjectsError::Unsupported) {
                    debug!(ino = inode, "the storages cannot join parts");
                } else {
                    metrics::counter!("fdfs_objects_join_failures_total").increment(1);
                    warn!(ino = inode, %error, attempts = waiting.attempts, never, "parts not joined");
                }
                let retry_in = (!never).then(|| back_off(waiting.attempts));
                self.names.join_failed(inode, retry_in).await?;
                return Ok(false);
            }
        };
        fault_point("join.stored");
        let parts = record.extents.len();
        let mirrored = xattr::mirror(self, Some(&file), &record.extended).await;
        let whole = Extent::whole(file.clone(), record.attributes.size);
        match self.names.joined(inode, record.extents, whole, mirrored).await {
            Ok(_) => {
                fault_point("join.swapped");
                info!(ino = inode, file_id = %file, parts, rewrite, "parts joined");
                Ok(true)
            }
            Err(NamespaceError::ContentChanged | NamespaceError::NotFound) => {
                Self::free(self, vec![file]);
                // One that is written to in parts wants to be whole again when that has ended.
                let retry_in = is_patched.then_some(PATCHED_AGAIN);
                self.names.join_failed(inode, retry_in).await?;
                Ok(false)
            }
            Err(error) => {
                Self::free(self, vec![file]);
                Err(error.into())
            }
        }
    }

    /// Has the parts joined by the storage that has them; nothing where that cannot be.
    async fn join(&self, record: &FileRecord) -> Result<Option<FileId>, ObjectsError> {
        let Some(parts) = whole_files(&record.extents, record.attributes.size) else { return Ok(None) };
        let (extension, concern) = self.like(record).await?;
        match self.files.join(&parts, &extension, self.owner_token(), concern).await {
            Ok(file) => Ok(Some(file)),
            // One that was uploaded elsewhere is not there.
            Err(FilesError::NotFound | FilesError::Refused(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the content and uploads it as one file.
    async fn rewrite(self: &Arc<Self>, record: &FileRecord) -> Result<Option<FileId>, ObjectsError> {
        let bucket = self.names.bucket_of(record.attributes.bucket).await?;
        let (extension, write_concern) = self.like(record).await?;
        let (info, extents) = split_record(record.clone());
        let size = info.size();
        let groups = Self::placement(&bucket);
        let private = bucket.native_read_off;
        let length = Some(size);
        let new = NewUpload { groups, write_concern, length, extension, private, ..NewUpload::default() };
        let mut incoming = Incoming::plain(self, new);
        let mut content =
            ObjectReader::new(info, extents, Arc::clone(&self.files), self.pins.pin()).read(0..size);
        while let Some(bytes) = content.next().await.transpose()? {
            incoming.write(bytes).await?;
        }
        let finished = incoming.finish(None).await?;
        Ok(finished.into_file())
    }

    /// The extension and the write concern of another file of the same content.
    async fn like(&self, record: &FileRecord) -> Result<(Extension, WriteConcern), ObjectsError> {
        let (_, name) = self.names.location(record.attributes.inode).await?;
        let bucket = self.names.bucket_of(record.attributes.bucket).await?;
        Ok((extension_of(&name), self.settings.write_concern.of(&bucket.name)))
    }

    /// Ends multipart uploads that nobody has ended for so long that nobody will.
    pub async fn end_abandoned_uploads(&self) -> Result<usize, ObjectsError> {
        let Some(age) = self.settings.abandoned_uploads_after else { return Ok(0) };
        let before = now_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let (mut after, mut ended) = (String::new(), 0);
        loop {
            let buckets = self.names.buckets(&after, BUCKETS).await?;
            let Some(last) = buckets.last() else { return Ok(ended) };
            after.clone_from(&last.name);
            for bucket in &buckets {
                match self.abort_stale_uploads(&bucket.name, b"", before).await {
                    Ok(count) => ended += count,
                    Err(ObjectsError::NoSuchBucket) => {}
                    Err(error) => return Err(error),
                }
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
    let one_group = extents.windows(2).all(|two| two[0].file.group == two[1].file.group);
    (at == size && one_group).then(|| extents.iter().map(|extent| extent.file.clone()).collect())
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
/// When a content that was written to while it was made one file is looked at again.
const PATCHED_AGAIN: Duration = Duration::from_secs(60);
/// Objects joined before the list is read again.
const JOIN_BATCH: usize = 16;
/// Buckets looked at together.
const BUCKETS: usize = 100;
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
