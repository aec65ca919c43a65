//! Multipart uploads: parts beside each other on one store path, made one object without moving a byte.

use std::sync::Arc;

use fdfs_namespace::{CompletePart, ETag, Part, PartPlacement, Preconditions, Upload, UploadId};
use fdfs_types::StorageId;
use md5::{Digest, Md5};

use crate::buckets::BucketInfo;
use crate::error::ObjectsError;
use crate::files::{NewUpload, UploadTarget};
use crate::info::{ObjectInfo, split_record};
use crate::objects::{JoinMultipart, Objects};
use crate::writer::{Incoming, PartWriter, extension_of};

/// What is said when a multipart upload begins.
pub type UploadOptions = fdfs_namespace::NewUpload;

impl Objects {
    /// Begins a multipart upload.
    pub async fn create_upload(
        &self,
        bucket: &str,
        key: &[u8],
        options: UploadOptions,
    ) -> Result<UploadId, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        Ok(self.names.create_upload(bucket.root, key, options).await?)
    }

    /// An upload under way.
    pub async fn upload(
        &self,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
    ) -> Result<Upload, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.upload(bucket.root, key, upload_id).await?)
    }

    /// Uploads under way of keys that begin with `prefix`, after the given one, in order of keys.
    pub async fn uploads(
        &self,
        bucket: &str,
        prefix: &[u8],
        after: Option<(Vec<u8>, UploadId)>,
        limit: usize,
    ) -> Result<Vec<Upload>, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.uploads(bucket.root, prefix, after, limit).await?)
    }

    /// Begins to write a part: number 1 to 10,000, its length if known.
    pub async fn part_writer(
        self: &Arc<Self>,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
        number: u16,
        length: Option<u64>,
    ) -> Result<PartWriter, ObjectsError> {
        if !(1..=MAX_PARTS).contains(&number) {
            return Err(ObjectsError::InvalidPart(number));
        }
        let bucket = self.bucket(bucket).await?;
        let upload = self.names.upload(bucket.root, key, upload_id).await?;
        let target = match upload.placement.as_ref().and_then(target_of) {
            Some(target) => target,
            None => self.place_upload(&bucket, key, upload_id).await?,
        };
        let new = NewUpload {
            groups: Self::placement(&bucket),
            write_concern: self.settings.write_concern.of(&bucket.name),
            length,
            extension: extension_of(key),
            target: Some(target),
            ..NewUpload::default()
        };
        let incoming = Incoming::digested(self, new);
        Ok(PartWriter::new(incoming, bucket, key.to_vec(), upload_id, number))
    }

    /// Decides where the parts of an upload go. Of several parts that come first at once one does, and the others follow it.
    async fn place_upload(
        &self,
        bucket: &BucketInfo,
        key: &[u8],
        upload_id: UploadId,
    ) -> Result<UploadTarget, ObjectsError> {
        let wanted = self.files.place(&Self::placement(bucket)).await?;
        let placement = PartPlacement {
            group: wanted.group.to_string(),
            storage: wanted.storage.to_string(),
            path: wanted.path,
        };
        let placed = self.names.place_upload(bucket.root, key, upload_id, placement).await?;
        Ok(target_of(&placed).unwrap_or(wanted))
    }

    /// Parts of an upload after the number `after`.
    pub async fn parts(
        &self,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<Part>, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.parts(bucket.root, key, upload_id, after, limit).await?)
    }

    /// Makes the object of the named parts; a repeated Complete is answered as the first was. The parts become one file later, in the background.
    pub async fn complete_upload(
        &self,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
        parts: Vec<CompletePart>,
        preconditions: Preconditions,
    ) -> Result<ObjectInfo, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        let digests = self.part_digests(bucket.root, key, upload_id, &parts).await?;
        let mut digest = Md5::new();
        digests.iter().for_each(|md5| digest.update(md5));
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let named = parts.iter().zip(&digests);
        let parts = named.map(|(part, md5)| CompletePart { md5: Some(*md5), ..*part }).collect();
        let etag = ETag { digest: digest.finalize().into(), parts: Some(count) };
        let min_part = self.settings.min_part;
        let completed = self
            .names
            .complete_upload(bucket.root, key, upload_id, parts, etag, min_part, preconditions)
            .await?;
        if self.settings.join_multipart == JoinMultipart::Background {
            self.join_wanted.notify_one();
        }
        let mut info = match self.names.record(completed.inode).await {
            Ok(record) => split_record(record).0,
            // A repeated Complete of an object that is already gone again.
            Err(_) => ObjectInfo::default(),
        };
        info.attributes.etag = Some(completed.etag);
        Ok(info)
    }

    /// Ends an upload without an object; its parts are freed.
    pub async fn abort_upload(
        &self,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
    ) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.abort_upload(bucket.root, key, upload_id).await?)
    }

    /// Sizes of the parts that an object was made of; empty for one put whole.
    pub async fn part_sizes(&self, info: &ObjectInfo) -> Result<Vec<u64>, ObjectsError> {
        Ok(self.names.part_sizes(info.attributes.inode).await?)
    }

    /// MD5s of the named parts, from Complete where it says them, else as kept.
    async fn part_digests(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        wanted: &[CompletePart],
    ) -> Result<Vec<[u8; 16]>, ObjectsError> {
        if wanted.is_empty() || wanted.len() > usize::from(MAX_PARTS) {
            return Err(ObjectsError::InvalidPart(0));
        }
        if let Some(digests) = wanted.iter().map(|part| part.md5).collect() {
            return Ok(digests);
        }
        let mut kept = std::collections::BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.names.parts(root, key, upload_id, after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.number;
            kept.extend(page.into_iter().map(|part| (part.number, part.md5)));
        }
        wanted
            .iter()
            .map(|part| part.md5.or_else(|| kept.get(&part.number).copied()))
            .map(|md5| md5.ok_or(ObjectsError::InvalidPart(0)))
            .collect()
    }
}

fn target_of(placement: &PartPlacement) -> Option<UploadTarget> {
    let storage: StorageId = placement.storage.parse().ok()?;
    Some(UploadTarget { group: placement.group.parse().ok()?, storage, path: placement.path })
}

/// The most parts of an upload.
const MAX_PARTS: u16 = 10_000;
/// Parts read at once.
const PAGE: usize = 1_000;
