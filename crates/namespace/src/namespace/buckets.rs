//! Buckets.

use fdfs_types::GroupName;

use super::Namespace;
use crate::buckets::{self, Bucket, NewBucket};
use crate::engine::Sharing;
use crate::error::NamespaceError;
use crate::tree::versions::Versioning;

impl Namespace {
    /// The bucket called `name`: read once, and again when it changes, where no other process can change it.
    pub async fn bucket(&self, name: &str) -> Result<Bucket, NamespaceError> {
        if self.engine.sharing() != Sharing::Alone {
            let name = name.to_owned();
            return self.read(move |read| buckets::get(read, &name)).await;
        }
        let mark = match self.shared.announce.settings.bucket(name) {
            Ok(known) => return Ok(Bucket::clone(&known)),
            Err(mark) => mark,
        };
        let name = name.to_owned();
        let bucket = self.read(move |read| buckets::get(read, &name)).await?;
        self.shared.announce.settings.keep_bucket(mark, &bucket);
        Ok(bucket)
    }

    /// Up to `limit` buckets after the name `after`.
    pub async fn buckets(&self, after: &str, limit: usize) -> Result<Vec<Bucket>, NamespaceError> {
        let after = after.to_owned();
        self.read(move |read| buckets::list(read, &after, limit)).await
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, name: &str, new: NewBucket) -> Result<Bucket, NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::create(tx, &name, &new)).await
    }

    /// The bucket of a group, which is made when it is missing.
    pub async fn group_bucket(&self, group: &GroupName) -> Result<Bucket, NamespaceError> {
        let group = *group;
        self.write(move |tx| buckets::of_group(tx, &group)).await
    }

    /// Begins or stops keeping versions.
    pub async fn set_versioning(&self, name: &str, versioning: Versioning) -> Result<(), NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::set_versioning(tx, &name, versioning)).await
    }

    /// Has the files of an empty bucket be private, or the further files of any bucket not.
    pub async fn set_native_read(&self, name: &str, is_off: bool) -> Result<(), NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::set_native_read(tx, &name, is_off)).await
    }

    /// Removes an empty bucket.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::delete(tx, &name)).await
    }
}
