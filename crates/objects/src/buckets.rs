//! Buckets, and the groups that each have one.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fdfs_namespace::{Bucket, BucketSettings, NamespaceError, NewBucket};
use fdfs_types::GroupName;
use parking_lot::Mutex;

use crate::error::ObjectsError;
use crate::files::GroupSpace;
use crate::objects::Objects;

/// A bucket as callers see it.
pub type BucketInfo = Bucket;

/// What a new bucket is to be like.
pub type NewBucketOptions = NewBucket;

/// The groups as the trackers told them last.
#[derive(Debug, Default)]
pub(crate) struct Groups(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    groups: Vec<GroupSpace>,
    asked: Option<Instant>,
}

impl Objects {
    /// Up to `limit` buckets after the name `after`, by name.
    pub async fn buckets(&self, after: &str, limit: usize) -> Result<Vec<BucketInfo>, ObjectsError> {
        Ok(self.names.buckets(after, limit).await?)
    }

    /// The bucket called `name`. An unknown name may be that of a new group: then the trackers are asked, not too often.
    pub async fn bucket(&self, name: &str) -> Result<BucketInfo, ObjectsError> {
        match self.names.bucket(name).await {
            Err(NamespaceError::NoSuchBucket) if self.groups.may_ask(self.settings.groups_interval) => {
                self.refresh_groups().await?;
                Ok(self.names.bucket(name).await?)
            }
            found => Ok(found?),
        }
    }

    /// Makes a bucket. The groups of its placement must exist.
    pub async fn create_bucket(&self, name: &str, new: NewBucketOptions) -> Result<BucketInfo, ObjectsError> {
        if !new.placement.is_empty() {
            let groups = self.known_groups().await?;
            let known = |wanted: &GroupName| groups.iter().any(|group| group.name == *wanted);
            if !new.placement.iter().all(known) {
                return Err(ObjectsError::NoSuchGroup);
            }
        }
        if new.native_read_off && !self.files.keeps_private(&new.placement).await? {
            return Err(ObjectsError::NotPrivate);
        }
        let made = self.names.create_bucket(name, new).await?;
        self.seen().await;
        Ok(made)
    }

    /// Removes an empty bucket. Uploads under way end with it.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), ObjectsError> {
        for _ in 0..END_UPLOADS_TRIES {
            match self.names.delete_bucket(name).await {
                Err(NamespaceError::UploadsOpen) => self.abort_stale_uploads(name, b"", u64::MAX).await?,
                deleted => {
                    deleted?;
                    self.seen().await;
                    return Ok(());
                }
            };
        }
        Err(ObjectsError::BucketNotEmpty)
    }

    /// Has the files of an empty bucket be private, where its storages can keep them so, or the further files of any bucket not.
    pub async fn set_native_read(&self, name: &str, is_off: bool) -> Result<(), ObjectsError> {
        let bucket = self.bucket(name).await?;
        if is_off && !self.files.keeps_private(&bucket.placement).await? {
            return Err(ObjectsError::NotPrivate);
        }
        Ok(self.names.set_native_read(name, is_off).await?)
    }

    /// All settings of a bucket, by the names of S3's subresources. They are known here until somebody changes them: asking costs next to nothing.
    pub async fn bucket_settings(&self, bucket: &BucketInfo) -> Result<Arc<BucketSettings>, ObjectsError> {
        Ok(self.names.bucket_settings(bucket.root).await?)
    }

    /// All settings of the bucket whose root inode this is, as [`Attributes::bucket`](crate::Attributes::bucket) tells it.
    pub async fn settings_of_root(&self, root: u64) -> Result<Arc<BucketSettings>, ObjectsError> {
        Ok(self.names.bucket_settings(root).await?)
    }

    /// Keeps a setting of a bucket; none forgets it. Whoever asks after this has returned is told the new one; other gateways within a second.
    pub async fn set_bucket_setting(
        &self,
        bucket: &BucketInfo,
        name: &str,
        value: Option<Bytes>,
    ) -> Result<(), ObjectsError> {
        Ok(self.names.set_bucket_setting(bucket.root, name, value).await?)
    }

    /// Asks the trackers for their groups and makes the buckets that are missing.
    pub async fn refresh_groups(&self) -> Result<Vec<GroupSpace>, ObjectsError> {
        self.groups.0.lock().asked = Some(Instant::now());
        let groups = self.files.groups().await?;
        let known = self.groups.0.lock().groups.clone();
        for group in &groups {
            if !known.iter().any(|other| other.name == group.name) {
                self.names.group_bucket(&group.name).await?;
            }
        }
        self.groups.0.lock().groups.clone_from(&groups);
        Ok(groups)
    }

    /// Asks the trackers if that was not done lately.
    pub(crate) async fn refresh_groups_if_due(&self) -> Result<(), ObjectsError> {
        if self.groups.may_ask(self.settings.groups_interval) {
            self.refresh_groups().await?;
        }
        Ok(())
    }

    /// The groups, as told last; asked for if they never were.
    pub(crate) async fn known_groups(&self) -> Result<Vec<GroupSpace>, ObjectsError> {
        let known = self.groups.0.lock().groups.clone();
        if known.is_empty() { self.refresh_groups().await } else { Ok(known) }
    }
}

impl Groups {
    /// True if the trackers were not asked within `interval`; of several who want to, one asks.
    fn may_ask(&self, interval: std::time::Duration) -> bool {
        let mut known = self.0.lock();
        let due = known.asked.is_none_or(|asked| asked.elapsed() >= interval);
        if due {
            known.asked = Some(Instant::now());
        }
        due
    }
}

/// How often uploads that begin while their bucket is removed are ended.
const END_UPLOADS_TRIES: usize = 5;
