//! Versions of objects.

use std::sync::Arc;

use fdfs_namespace::{
    Bucket, Deleted, FileRecord, NamespaceError, Preconditions, VersionId, VersionPage, VersionQuery,
    Versioning,
};

use crate::error::ObjectsError;
use crate::info::{ObjectInfo, split_record};
use crate::objects::Objects;
use crate::raw;
use crate::reader::ObjectReader;

impl Objects {
    /// What is known of a version of an object; of the current one, where none is named.
    pub async fn head_version(
        &self,
        bucket: &str,
        key: &[u8],
        version_id: Option<VersionId>,
    ) -> Result<ObjectInfo, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        if let Some(path) = raw::path_of(&bucket, key) {
            return self.raw_info(&path?).await;
        }
        Ok(split_record(self.record_of(&bucket, key, version_id).await?).0.in_bucket(&bucket))
    }

    /// Opens a version of an object for reading; the current one, where none is named.
    pub async fn open_version(
        &self,
        bucket: &str,
        key: &[u8],
        version_id: Option<VersionId>,
    ) -> Result<ObjectReader, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        let pin = self.pins.pin();
        if let Some(path) = raw::path_of(&bucket, key) {
            return self.raw_open(&path?, pin).await;
        }
        let (info, extents) = split_record(self.record_of(&bucket, key, version_id).await?);
        Ok(ObjectReader::new(info.in_bucket(&bucket), extents, Arc::clone(&self.files), pin))
    }

    /// Removes a version of an object for ever. One that is not there counts as removed.
    pub async fn delete_version(
        &self,
        bucket: &str,
        key: &[u8],
        version_id: VersionId,
        preconditions: Preconditions,
    ) -> Result<Deleted, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        if let Some(path) = raw::path_of(&bucket, key) {
            return self.raw_delete(&path?).await.map(|()| Deleted::default());
        }
        let deleted = self.names.delete_version(bucket.root, key, version_id, preconditions).await?;
        self.seen().await;
        Ok(deleted)
    }

    /// One page of versions and delete markers. Raw files are in no such list: they have no names.
    pub async fn list_versions(
        &self,
        bucket: &str,
        query: VersionQuery,
    ) -> Result<VersionPage, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.list_versions(bucket.root, query).await?)
    }

    /// Begins or stops keeping versions of a bucket's objects.
    pub async fn set_versioning(&self, bucket: &str, versioning: Versioning) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.set_versioning(&bucket.name, versioning).await?)
    }

    /// The record of a version. Where a delete marker stands for the key, that is told.
    pub(crate) async fn record_of(
        &self,
        bucket: &Bucket,
        key: &[u8],
        version_id: Option<VersionId>,
    ) -> Result<FileRecord, ObjectsError> {
        match self.names.get_version(bucket.root, key, version_id).await {
            Err(NamespaceError::NotFound) if bucket.versioning != Versioning::Off => {
                let marker = self.names.latest_marker(bucket.root, key).await?;
                let told =
                    |(version_id, since)| ObjectsError::DeleteMarker { version_id, since, named: false };
                Err(marker.map_or(ObjectsError::NotFound, told))
            }
            record => Ok(record?),
        }
    }
}
