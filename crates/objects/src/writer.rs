//! Writing an object: bytes go to a storage as they come, then one transaction gives them their name.

use std::sync::Arc;

use bytes::Bytes;
use fdfs_namespace::{
    Attributes, Bucket, Checksum, ETag, Extent, NewFile, Part, Upload, UploadId, Versioning,
};
use fdfs_ops::fault_point;
use fdfs_types::{Extension, FileId};
use tracing::warn;

use crate::digest::Digest;
use crate::error::ObjectsError;
use crate::files::{FileUpload, FilesError, NewUpload};
use crate::info::ObjectInfo;
use crate::keyed::PutOptions;
use crate::objects::Objects;
use crate::patch::ContentPatch;
use crate::xattr;

/// A content on its way to a name. Dropped before [`ObjectWriter::commit`], it leaves nothing.
pub struct ObjectWriter {
    incoming: Incoming,
    destination: Destination,
}

/// A part on its way into a multipart upload.
pub struct PartWriter {
    incoming: Incoming,
    bucket: Bucket,
    key: Vec<u8>,
    upload_id: UploadId,
    number: u16,
    checksum_algorithm: u32,
}

/// What is known of a content only when all of it has come.
#[derive(Clone, Debug, Default)]
pub struct CommitOptions {
    /// The MD5 that the content must have.
    pub expected_md5: Option<[u8; 16]>,
    /// Checksums that S3 keeps, already verified.
    pub checksums: Vec<Checksum>,
    /// Modification time, nanoseconds since 1970; else now.
    pub mtime: Option<i64>,
    /// The size of a content that goes on with zeros after what was written.
    pub size: Option<u64>,
}

/// Where a content goes.
pub(crate) enum Destination {
    /// Under a key, in place of what is there.
    Key { bucket: Bucket, key: Vec<u8>, options: Box<PutOptions> },
    /// Into an inode that is there: name and attributes stay.
    Inode(u64),
    /// Over parts of an inode's content.
    Parts(u64, ContentPatch),
}

impl ObjectWriter {
    pub(crate) fn new(incoming: Incoming, destination: Destination) -> Self {
        Self { incoming, destination }
    }

    /// Takes more bytes; waits while the storage is slower.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        self.incoming.write(bytes).await
    }

    /// Bytes taken so far.
    pub fn written(&self) -> u64 {
        self.incoming.written
    }

    /// Ends the content and gives it its name. Answered, it is there for everybody; refused, nothing is.
    pub async fn commit(self, options: CommitOptions) -> Result<ObjectInfo, ObjectsError> {
        let objects = Arc::clone(&self.incoming.objects);
        let finished = self.incoming.finish(options.expected_md5).await?;
        fault_point("put.stored");
        let extents = finished.extents();
        let size = finished.size.max(options.size.unwrap_or_default());
        let keeps_versions = matches!(&self.destination, Destination::Key { bucket, .. } if bucket.versioning != Versioning::Off);
        let attributes = match self.destination {
            Destination::Key { bucket, key, options: put } => {
                let mirrored = xattr::mirror(&objects, finished.file.as_ref(), &put.extended).await;
                let file = NewFile {
                    extents,
                    size,
                    etag: Some(finished.etag),
                    headers: put.headers,
                    extended: put.extended,
                    tags: put.tags,
                    checksums: options.checksums,
                    mirrored,
                    mode: put.mode,
                    owner: put.owner,
                    mtime: options.mtime.or(put.mtime),
                };
                objects.names.put(bucket.root, &key, file, put.preconditions).await?
            }
            Destination::Inode(inode) => {
                objects.names.set_content(inode, extents, size, finished.etag, options.mtime).await?
            }
            Destination::Parts(inode, patch) => {
                let patch = patch.with_file(extents.into_iter().next());
                objects.names.patch_content(inode, patch, finished.etag, options.mtime).await?
            }
        };
        fault_point("put.committed");
        finished.keep();
        objects.seen().await;
        let info = objects.told(attributes).await?;
        let version_id = keeps_versions.then_some(info.attributes.version_id);
        Ok(ObjectInfo { version_id, ..info })
    }
}

impl PartWriter {
    pub(crate) fn new(
        incoming: Incoming,
        bucket: Bucket,
        key: Vec<u8>,
        upload: &Upload,
        number: u16,
    ) -> Self {
        let (upload_id, checksum_algorithm) = (upload.upload_id, upload.new.checksum_algorithm);
        Self { incoming, bucket, key, upload_id, number, checksum_algorithm }
    }

    /// The checksum that its upload asks each part for; 0 for none.
    pub fn checksum_algorithm(&self) -> u32 {
        self.checksum_algorithm
    }

    /// Takes more bytes; waits while the storage is slower.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        self.incoming.write(bytes).await
    }

    /// Ends the part and keeps it in its upload. Its ETag is its MD5.
    pub async fn commit(self, options: CommitOptions) -> Result<Part, ObjectsError> {
        let objects = Arc::clone(&self.incoming.objects);
        let finished = self.incoming.finish(options.expected_md5).await?;
        let part = Part {
            number: self.number,
            size: finished.size,
            md5: finished.etag.digest,
            extents: finished.extents(),
            checksums: options.checksums,
            time: crate::objects::now_ms(),
        };
        fault_point("part.stored");
        objects.names.put_part(self.bucket.root, &self.key, self.upload_id, part.clone()).await?;
        fault_point("part.committed");
        finished.keep();
        Ok(part)
    }
}

/// Bytes on their way to a storage.
pub(crate) struct Incoming {
    objects: Arc<Objects>,
    new: NewUpload,
    upload: Option<Box<dyn FileUpload>>,
    waiting: Vec<Bytes>,
    written: u64,
    digest: Option<Digest>,
}

impl Incoming {
    /// A content that S3 puts: its ETag is the MD5.
    pub(crate) fn digested(objects: &Arc<Objects>, new: NewUpload) -> Self {
        Self { digest: Some(Digest::new()), ..Self::plain(objects, new) }
    }

    /// A content without a digest.
    pub(crate) fn plain(objects: &Arc<Objects>, new: NewUpload) -> Self {
        let new = NewUpload { owner: Some(objects.owner_token()), ..new };
        Self {
            objects: Arc::clone(objects),
            new,
            upload: None,
            waiting: Vec::new(),
            written: 0,
            digest: None,
        }
    }

    pub(crate) async fn write(&mut self, bytes: Bytes) -> Result<(), ObjectsError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let written = self.written.saturating_add(bytes.len() as u64);
        if let Some(expected) = self.new.length.filter(|expected| written > *expected) {
            return Err(ObjectsError::WrongLength { expected, written });
        }
        self.written = written;
        if let Some(digest) = &self.digest {
            digest.update(bytes.clone()).await;
        }
        if let Some(upload) = &mut self.upload {
            return Ok(upload.write(bytes).await?);
        }
        self.waiting.push(bytes);
        let gather = self.new.length.is_none() && self.written <= self.objects.settings.small_file as u64;
        if gather { Ok(()) } else { self.begin().await }
    }

    /// Begins the upload and sends what waited for it.
    async fn begin(&mut self) -> Result<(), ObjectsError> {
        let mut upload = self.objects.files.upload(self.new.clone()).await?;
        for bytes in self.waiting.drain(..) {
            upload.write(bytes).await?;
        }
        self.upload = Some(upload);
        fault_point("upload.begun");
        Ok(())
    }

    pub(crate) async fn finish(mut self, expected_md5: Option<[u8; 16]>) -> Result<Finished, ObjectsError> {
        let size = self.written;
        if let Some(expected) = self.new.length.filter(|expected| *expected != size) {
            return Err(ObjectsError::WrongLength { expected, written: size });
        }
        let etag = match self.digest.take() {
            Some(digest) => ETag { digest: digest.finish().await, parts: None },
            None => {
                let mut digest = [0; 16];
                fastrand::fill(&mut digest);
                ETag { digest, parts: Some(0) }
            }
        };
        if expected_md5.is_some_and(|expected| expected != etag.digest) {
            return Err(ObjectsError::BadDigest);
        }
        if self.upload.is_none() {
            self.new.length = Some(size);
            match self.begin().await {
                // Original storages cannot serve an empty file: such content has none.
                Err(ObjectsError::Unsupported) if size == 0 => {
                    return Ok(Finished { objects: self.objects, file: None, size, etag });
                }
                begun => begun?,
            }
        }
        let upload = self.upload.take().ok_or(FilesError::Unsupported)?;
        fault_point("upload.sent");
        let file = upload.finish().await?;
        Ok(Finished { objects: self.objects, file: Some(file), size, etag })
    }
}

/// A file that is whole and has no name yet. Dropped before it is kept, it is freed, unless a name has come to refer to it.
pub(crate) struct Finished {
    objects: Arc<Objects>,
    file: Option<FileId>,
    size: u64,
    etag: ETag,
}

impl Finished {
    pub(crate) fn extents(&self) -> Vec<Extent> {
        self.file.iter().map(|file| Extent::whole(file.clone(), self.size)).collect()
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn etag(&self) -> ETag {
        self.etag
    }

    pub(crate) fn keep(mut self) {
        self.file = None;
    }

    /// The file, which the caller has to free if it comes to nothing.
    pub(crate) fn into_file(mut self) -> Option<FileId> {
        self.file.take()
    }
}

impl Drop for Finished {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        Objects::free(&self.objects, vec![file]);
    }
}

impl Objects {
    /// Has files deleted that got no name.
    pub(crate) fn free(objects: &Arc<Self>, files: Vec<FileId>) {
        let objects = Arc::clone(objects);
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            warn!(?files, "files without a name are left to the sweeper");
            return;
        };
        runtime.spawn(async move {
            match objects.names.free_unnamed(files.clone()).await {
                Ok(()) => objects.free_wanted.notify_one(),
                Err(error) => warn!(?files, %error, "files without a name are left to the sweeper"),
            }
        });
    }

    /// What is told of an inode after a write.
    async fn told(&self, attributes: Attributes) -> Result<ObjectInfo, ObjectsError> {
        let record = self.names.record(attributes.inode).await;
        Ok(match record {
            Ok(record) => crate::info::split_record(record).0,
            // Somebody already put something else there.
            Err(_) => ObjectInfo { attributes, ..ObjectInfo::default() },
        })
    }
}

/// The extension that a FastDFS file of this name gets.
pub(crate) fn extension_of(name: &[u8]) -> Extension {
    let last = name.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    std::str::from_utf8(last).map_or_else(|_| Extension::none(), Extension::from_local_name)
}
