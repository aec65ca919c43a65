//! Multipart uploads: parts beside each other on one store path, made one object without moving a byte.

use std::ops::Range;
use std::sync::Arc;

use fdfs_namespace::{
    Checksum, CompletePart, Completion, ETag, NamespaceError, ObjectPart, Part, PartPlacement, Preconditions,
    Upload, UploadId, UploadPage, UploadQuery, VersionId,
};
use fdfs_ops::fault_point;
use fdfs_types::StorageId;
use md5::{Digest, Md5};
use tracing::info;

use crate::buckets::BucketInfo;
use crate::error::ObjectsError;
use crate::files::{NewUpload, UploadTarget};
use crate::info::{ObjectInfo, split_record};
use crate::objects::{JoinMultipart, Objects, now_ms};
use crate::writer::{Incoming, PartWriter, extension_of};

/// What is said when a multipart upload begins.
pub type UploadOptions = fdfs_namespace::NewUpload;

/// What Complete asks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CompleteOptions {
    /// The parts, in the order named.
    pub parts: Vec<CompletePart>,
    /// The object's checksum, made of the parts'.
    pub checksum: Option<Checksum>,
    /// What must hold of the key.
    pub preconditions: Preconditions,
}

/// A part that is taken out of what is there.
#[derive(Clone, Debug, PartialEq)]
pub struct ShareOptions {
    /// The part's number.
    pub number: u16,
    /// Which bytes of the source.
    pub range: Range<u64>,
    /// Checksums of these bytes.
    pub checksums: Vec<Checksum>,
    /// Which version of the source; none: the current one.
    pub source_version: Option<VersionId>,
    /// What must hold of the source.
    pub source_preconditions: Preconditions,
}

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

    /// One page of uploads under way, rolled up by a delimiter.
    pub async fn list_uploads(&self, bucket: &str, query: UploadQuery) -> Result<UploadPage, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        Ok(self.names.list_uploads(bucket.root, query).await?)
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
            private: bucket.native_read_off,
            length,
            extension: extension_of(key),
            target: Some(target),
            ..NewUpload::default()
        };
        let incoming = Incoming::digested(self, new);
        Ok(PartWriter::new(incoming, bucket, key.to_vec(), &upload, number))
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

    /// Keeps as a part a range of an object or of a raw file: no byte moves, the files are used once more. Nothing where that would make the part
    /// of too many pieces: then its bytes are to be written as any other part's.
    pub async fn share_part(
        &self,
        source: (&str, &[u8]),
        target: (&str, &[u8]),
        upload_id: UploadId,
        part: ShareOptions,
    ) -> Result<Option<Part>, ObjectsError> {
        let ShareOptions { number, range, checksums, source_version, source_preconditions } = part;
        let bucket = self.bucket(target.0).await?;
        let (info, content) = self.source(source, source_version, source_preconditions).await?;
        if range.start > range.end || range.end > info.size() {
            return Err(ObjectsError::InvalidRange);
        }
        if bucket.native_read_off && !self.is_private(&content).await? {
            return Ok(None);
        }
        let md5 = shared_digest(&info, &range);
        let part = Part { number, md5, checksums, time: now_ms(), ..Part::default() };
        let (size, key) = (range.end.saturating_sub(range.start), target.1);
        let shared = self.names.share_part(bucket.root, key, upload_id, part.clone(), content, range).await?;
        Ok(shared.then_some(Part { size, ..part }))
    }

    /// Makes the object of the named parts; a repeated Complete is answered as the first was. The parts become one file later, in the background.
    pub async fn complete_upload(
        &self,
        bucket: &str,
        key: &[u8],
        upload_id: UploadId,
        options: CompleteOptions,
    ) -> Result<ObjectInfo, ObjectsError> {
        let CompleteOptions { parts, checksum, preconditions } = options;
        let bucket = self.bucket(bucket).await?;
        let digests = self.part_digests(bucket.root, key, upload_id, &parts).await?;
        let mut digest = Md5::new();
        digests.iter().for_each(|md5| digest.update(md5));
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let named = parts.iter().zip(&digests);
        let completion = Completion {
            parts: named.map(|(part, md5)| CompletePart { md5: Some(*md5), ..*part }).collect(),
            etag: ETag { digest: digest.finalize().into(), parts: Some(count) },
            checksum,
            min_part: self.settings.min_part,
            preconditions,
        };
        fault_point("complete.checked");
        let completed = self.names.complete_upload(bucket.root, key, upload_id, completion).await?;
        fault_point("complete.committed");
        self.seen().await;
        if self.settings.join_multipart == JoinMultipart::Background {
            self.join_wanted.notify_one();
        }
        let mut info = match self.names.record(completed.inode).await {
            Ok(record) => split_record(record).0,
            // A repeated Complete of an object that is already gone again.
            Err(_) => ObjectInfo::default(),
        };
        info.attributes.etag = Some(completed.etag);
        Ok(info.in_bucket(&bucket))
    }

    /// Ends the uploads of keys that begin with `prefix` which began before `before` (milliseconds since 1970); how many.
    pub async fn abort_stale_uploads(
        &self,
        bucket: &str,
        prefix: &[u8],
        before: u64,
    ) -> Result<usize, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        let (mut after, mut ended) = (None, 0);
        loop {
            let page = self.names.uploads(bucket.root, prefix, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(ended) };
            after = Some((last.key.clone(), last.upload_id));
            for upload in page.into_iter().filter(|upload| upload.initiated < before) {
                match self.names.abort_upload(bucket.root, &upload.key, upload.upload_id).await {
                    Ok(()) => ended += 1,
                    // Completed or aborted meanwhile.
                    Err(NamespaceError::NoSuchUpload) => continue,
                    Err(error) => return Err(error.into()),
                }
                metrics::counter!("fdfs_objects_abandoned_uploads_total").increment(1);
                let key = String::from_utf8_lossy(&upload.key);
                info!(bucket = bucket.name, %key, upload_id = %upload.upload_id, "abandoned upload ended");
            }
        }
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

    /// The parts that an object was made of; none for one put whole.
    pub async fn object_parts(&self, info: &ObjectInfo) -> Result<Vec<ObjectPart>, ObjectsError> {
        Ok(self.names.object_parts(info.attributes.inode).await?)
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

/// What stands for the MD5 of bytes that nobody reads: the MD5 itself where the range is a whole content that has one, else something that is
/// unlike for unlike bytes.
fn shared_digest(info: &ObjectInfo, range: &Range<u64>) -> [u8; 16] {
    match info.etag() {
        Some(ETag { digest, parts: None }) if *range == (0..info.size()) => digest,
        etag => {
            let etag = etag.map(|etag| etag.to_string()).unwrap_or_default();
            Md5::digest(format!("{etag} {} {}", range.start, range.end)).into()
        }
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
