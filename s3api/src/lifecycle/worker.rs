//! Works the rules off, in the background, at a bounded rate, by one gateway at a time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fdfs_objects::{
    BucketInfo, ExtendedAttributes, Objects, ObjectsError, Preconditions, VersionId, VersionItem,
    VersionQuery, VersionStart,
};
use thiserror::Error;
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Lifecycle, NAME, Subject};

/// What was done.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LifecycleReport {
    /// Objects that expired: deleted, or a delete marker put over them.
    pub expired: u64,
    /// Noncurrent versions and lone delete markers that were removed.
    pub removed: u64,
    /// Uploads that were ended.
    pub aborted: u64,
}

/// Why the rules of a bucket were not worked off to the end. The next time begins anew.
#[derive(Debug, Error)]
pub enum LifecycleError {
    /// Names or files failed.
    #[error(transparent)]
    Objects(#[from] ObjectsError),
    /// Another gateway has taken over.
    #[error("another gateway works the rules off")]
    TakenOver,
}

/// Works off the rules of all buckets as of `now`, deleting at most `per_second` things a second. One that another gateway has is not waited for.
pub async fn apply_lifecycle(
    objects: &Arc<Objects>,
    now: SystemTime,
    per_second: u32,
) -> Result<LifecycleReport, LifecycleError> {
    let mut worker = Worker::new(Arc::clone(objects), per_second);
    let mut report = LifecycleReport::default();
    if objects.namespace().take_task(TASK, TASK_FOR).await.map_err(ObjectsError::from)? {
        report = worker.all_buckets(now).await?;
        objects.namespace().give_back_task(TASK).await.map_err(ObjectsError::from)?;
    }
    Ok(report)
}

/// Works the rules off again and again, until `stopped`.
pub(crate) async fn run(
    objects: Arc<Objects>,
    interval: Duration,
    per_second: u32,
    mut stopped: watch::Receiver<bool>,
) {
    let mut worker = Worker::new(objects, per_second);
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let work = async {
            ticks.tick().await;
            worker.round().await;
        };
        let is_stopped = tokio::select! {
            () = work => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        if is_stopped {
            // Another gateway need not wait for this one's time to pass.
            let given = tokio::time::timeout(GIVE_BACK, worker.objects.namespace().give_back_task(TASK));
            return drop(given.await);
        }
    }
}

struct Worker {
    objects: Arc<Objects>,
    per_second: u32,
    /// On which day which rules of a bucket were worked off: everything happens at midnight.
    done: HashMap<u64, (u64, Bytes)>,
}

impl Worker {
    fn new(objects: Arc<Objects>, per_second: u32) -> Self {
        Self { objects, per_second: per_second.max(1), done: HashMap::new() }
    }

    /// Takes the task if nobody has it, and does what is due.
    async fn round(&mut self) {
        match self.objects.namespace().take_task(TASK, TASK_FOR).await {
            Ok(false) => return,
            Ok(true) => {}
            Err(error) => return warn!(%error, "lifecycle rules are not worked off"),
        }
        match self.all_buckets(SystemTime::now()).await {
            Ok(report) if report == LifecycleReport::default() => {}
            Ok(LifecycleReport { expired, removed, aborted }) => {
                info!(expired, removed, aborted, "lifecycle rules were worked off");
            }
            Err(error) => {
                metrics::counter!("fdfs_s3_lifecycle_failures_total").increment(1);
                warn!(%error, "lifecycle rules were not worked off to the end");
            }
        }
        if let Err(error) = self.objects.namespace().give_back_task(TASK).await {
            warn!(%error, "the lifecycle task is not given back; it ends by itself");
        }
    }

    async fn all_buckets(&mut self, now: SystemTime) -> Result<LifecycleReport, LifecycleError> {
        let now = millis(now);
        let (mut report, mut after) = (LifecycleReport::default(), String::new());
        loop {
            let buckets = self.objects.buckets(&after, BUCKETS_AT_ONCE).await?;
            let Some(last) = buckets.last() else { return Ok(report) };
            after.clone_from(&last.name);
            for bucket in buckets {
                self.bucket(&bucket, now, &mut report).await?;
            }
        }
    }

    async fn bucket(
        &mut self,
        bucket: &BucketInfo,
        now: u64,
        report: &mut LifecycleReport,
    ) -> Result<(), LifecycleError> {
        let settings = self.objects.bucket_settings(bucket).await?;
        let Some(document) = settings.get(NAME).cloned() else {
            self.done.remove(&bucket.root);
            return Ok(());
        };
        let today = (now / DAY, document.clone());
        if self.done.get(&bucket.root) == Some(&today) {
            return Ok(());
        }
        let Ok(rules) = Lifecycle::parse(&document) else {
            warn!(bucket = bucket.name, "lifecycle rules cannot be read: put them again");
            return Ok(());
        };
        let walked = async {
            self.versions(bucket, &rules, now, report).await?;
            self.uploads(bucket, &rules, now, report).await
        };
        match walked.await {
            // It was deleted meanwhile.
            Err(LifecycleError::Objects(ObjectsError::NoSuchBucket)) => {}
            walked => walked?,
        }
        self.done.insert(bucket.root, today);
        Ok(())
    }

    /// Walks all versions, newest first of each key.
    async fn versions(
        &self,
        bucket: &BucketInfo,
        rules: &Lifecycle,
        now: u64,
        report: &mut LifecycleReport,
    ) -> Result<(), LifecycleError> {
        let mut from = VersionStart::Start;
        let mut history = History::default();
        let mut marker: Option<(Vec<u8>, VersionId)> = None;
        loop {
            let query = VersionQuery { from, limit: PAGE, ..VersionQuery::default() };
            let page = self.objects.list_versions(&bucket.name, query).await?;
            let mut done = 0;
            for item in &page.items {
                let VersionItem::Version {
                    key,
                    version_id,
                    is_latest,
                    delete_marker,
                    size,
                    etag,
                    content_time,
                } = item
                else {
                    continue;
                };
                // A marker with versions behind it is not alone.
                if let Some((lone, version_id)) = marker.take_if(|(lone, _)| lone != key) {
                    done += self.remove(bucket, &lone, version_id, report).await?;
                }
                marker = None;
                let noncurrent = history.next(key, *is_latest, *content_time);
                // A directory that a mount made has no content that could grow old.
                if key.ends_with(b"/") && etag.is_none() && !delete_marker {
                    continue;
                }
                let subject = Subject { key, size: *size, tags: None };
                match noncurrent {
                    None if *delete_marker => {
                        marker =
                            rules.drops_marker(key, *content_time, now).then(|| (key.clone(), *version_id));
                    }
                    None => {
                        let is_due = |tags: Option<&ExtendedAttributes>| {
                            let expires = rules.expires(Subject { tags, ..subject }, *content_time);
                            expires.is_some_and(|(time, _)| time <= now)
                        };
                        if !is_due(None) {
                            continue;
                        }
                        let tags = self.tags(bucket, rules, key, *version_id).await?;
                        if tags.is_some_and(|tags| is_due(Some(&tags))) {
                            done += self.expire(bucket, key, *size, *content_time, report).await?;
                        }
                    }
                    Some((since, newer)) => {
                        let is_due = |tags: Option<&ExtendedAttributes>| {
                            rules.drops_noncurrent(Subject { tags, ..subject }, since, newer, now)
                        };
                        if !is_due(None) {
                            continue;
                        }
                        let tags = match delete_marker {
                            true => Some(ExtendedAttributes::new()),
                            false => self.tags(bucket, rules, key, *version_id).await?,
                        };
                        if tags.is_some_and(|tags| is_due(Some(&tags))) {
                            done += self.remove(bucket, key, *version_id, report).await?;
                        }
                    }
                }
            }
            let last = page.items.into_iter().next_back();
            from = match last {
                Some(VersionItem::Version { key, version_id, .. }) if page.is_truncated => {
                    VersionStart::AfterVersion(key, version_id)
                }
                _ => break,
            };
            self.pause(done).await?;
        }
        if let Some((lone, version_id)) = marker {
            self.remove(bucket, &lone, version_id, report).await?;
        }
        Ok(())
    }

    async fn uploads(
        &self,
        bucket: &BucketInfo,
        rules: &Lifecycle,
        now: u64,
        report: &mut LifecycleReport,
    ) -> Result<(), LifecycleError> {
        let mut after = None;
        loop {
            let page = self.objects.uploads(&bucket.name, b"", after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some((last.key.clone(), last.upload_id));
            let mut done = 0;
            for upload in page.iter().filter(|upload| rules.drops_upload(&upload.key, upload.initiated, now))
            {
                match self.objects.abort_upload(&bucket.name, &upload.key, upload.upload_id).await {
                    Ok(()) => (done, report.aborted) = (done + 1, report.aborted + 1),
                    Err(ObjectsError::NoSuchUpload) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            metrics::counter!("fdfs_s3_lifecycle_aborted_uploads_total").increment(done);
            self.pause(done).await?;
        }
    }

    /// A version's tags, looked up where rules ask for tags; none where it is gone.
    async fn tags(
        &self,
        bucket: &BucketInfo,
        rules: &Lifecycle,
        key: &[u8],
        version_id: VersionId,
    ) -> Result<Option<ExtendedAttributes>, LifecycleError> {
        if !rules.asks_for_tags() {
            return Ok(Some(ExtendedAttributes::new()));
        }
        match self.objects.head_version(&bucket.name, key, Some(version_id)).await {
            Ok(info) => Ok(Some(info.tags)),
            Err(ObjectsError::NotFound | ObjectsError::NoSuchVersion | ObjectsError::DeleteMarker { .. }) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes an object, unless it was replaced meanwhile.
    async fn expire(
        &self,
        bucket: &BucketInfo,
        key: &[u8],
        size: u64,
        content_time: u64,
        report: &mut LifecycleReport,
    ) -> Result<u64, LifecycleError> {
        let same = Preconditions {
            modified_at: Some(content_time / 1_000),
            size: Some(size),
            ..Preconditions::default()
        };
        match self.objects.delete(&bucket.name, key, same).await {
            Ok(_) => {
                report.expired += 1;
                metrics::counter!("fdfs_s3_lifecycle_expired_total").increment(1);
                Ok(1)
            }
            Err(ObjectsError::NotFound | ObjectsError::PreconditionFailed) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }

    async fn remove(
        &self,
        bucket: &BucketInfo,
        key: &[u8],
        version_id: VersionId,
        report: &mut LifecycleReport,
    ) -> Result<u64, LifecycleError> {
        self.objects.delete_version(&bucket.name, key, version_id, Preconditions::default()).await?;
        report.removed += 1;
        metrics::counter!("fdfs_s3_lifecycle_removed_total").increment(1);
        Ok(1)
    }

    /// Waits as long as so many deletions are worth, keeps the task, and lets others have the names for a moment.
    async fn pause(&self, done: u64) -> Result<(), LifecycleError> {
        let deletions =
            Duration::from_secs(1).saturating_mul(u32::try_from(done).unwrap_or(u32::MAX)) / self.per_second;
        tokio::time::sleep(deletions.max(BETWEEN_PAGES)).await;
        let kept = self.objects.namespace().take_task(TASK, TASK_FOR).await.map_err(ObjectsError::from)?;
        if kept { Ok(()) } else { Err(LifecycleError::TakenOver) }
    }
}

/// Where a walk stands among the versions of a key.
#[derive(Default)]
struct History {
    key: Vec<u8>,
    newer_time: u64,
    noncurrent: u64,
}

impl History {
    /// Of a noncurrent version: since when it is that, and how many noncurrent ones are newer.
    fn next(&mut self, key: &[u8], is_latest: bool, content_time: u64) -> Option<(u64, u64)> {
        if is_latest || self.key != key {
            *self = Self { key: key.to_vec(), newer_time: content_time, noncurrent: 0 };
            return None;
        }
        let told = (self.newer_time, self.noncurrent);
        (self.newer_time, self.noncurrent) = (content_time, self.noncurrent + 1);
        Some(told)
    }
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The task that one gateway has.
const TASK: &str = "s3-lifecycle";
/// A gateway that says nothing for so long has lost the task: longer than any page takes.
const TASK_FOR: Duration = Duration::from_secs(3_600);
/// Time for the names to take the task back when this gateway ends.
const GIVE_BACK: Duration = Duration::from_secs(2);
const DAY: u64 = 24 * 60 * 60 * 1_000;
const PAGE: usize = 1_000;
const BUCKETS_AT_ONCE: usize = 1_000;
const BETWEEN_PAGES: Duration = Duration::from_millis(5);
