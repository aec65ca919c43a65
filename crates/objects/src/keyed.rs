//! Objects by bucket and key, as S3 sees them.

use std::sync::Arc;

use fdfs_namespace::{
    Checksum, ContentHeader, ContentHeaders, ContentSource, Deleted, ExtendedAttributes, Extent, ListPage,
    ListQuery, NamespaceError, NewFile, Preconditions, RenameConditions, VersionId,
};

use fdfs_ops::fault_point;
use futures_util::StreamExt as _;

use crate::buckets::BucketInfo;
use crate::error::ObjectsError;
use crate::files::NewUpload;
use crate::info::{ObjectInfo, split_record};
use crate::objects::Objects;
use crate::raw;
use crate::reader::ObjectReader;
use crate::writer::{Destination, Finished, Incoming, ObjectWriter, extension_of};

/// What is known of an object before its bytes come.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Its length, if known.
    pub length: Option<u64>,
    /// Headers of the content.
    pub headers: ContentHeaders,
    /// Extended attributes: `x-amz-meta-NAME` is `user.NAME`.
    pub extended: ExtendedAttributes,
    /// Object tags.
    pub tags: ExtendedAttributes,
    /// What must hold when it gets its name.
    pub preconditions: Preconditions,
    /// Permission bits; else those of the replaced entry, else the defaults.
    pub mode: Option<u32>,
    /// Owner and group; else those of the replaced entry, else the defaults.
    pub owner: Option<(u32, u32)>,
    /// Modification time, nanoseconds since 1970; else now.
    pub mtime: Option<i64>,
}

/// How an object is copied.
#[derive(Clone, Debug, Default)]
pub struct CopyOptions {
    /// Headers and attributes of the copy; none: those of the source.
    pub replace: Option<(ContentHeaders, ExtendedAttributes)>,
    /// Tags of the copy; none: those of the source.
    pub tags: Option<ExtendedAttributes>,
    /// Checksums of the copy; none: those of the source.
    pub checksums: Option<Vec<Checksum>>,
    /// The canned ACL of the copy: none is `private`, whatever the source has.
    pub acl: Option<String>,
    /// Which version of the source; none: the current one.
    pub source_version: Option<VersionId>,
    /// What must hold of the source.
    pub source_preconditions: Preconditions,
    /// What must hold of the target.
    pub preconditions: Preconditions,
}

impl Objects {
    /// What is known of the object under `key`.
    pub async fn head(&self, bucket: &str, key: &[u8]) -> Result<ObjectInfo, ObjectsError> {
        self.head_version(bucket, key, None).await
    }

    /// Opens the object under `key` for reading.
    pub async fn open(&self, bucket: &str, key: &[u8]) -> Result<ObjectReader, ObjectsError> {
        self.open_version(bucket, key, None).await
    }

    /// Begins to put an object under `key`. What can be refused is refused now, before a byte comes; the conditions are checked again at the commit.
    pub async fn writer(
        self: &Arc<Self>,
        bucket: &str,
        key: &[u8],
        options: PutOptions,
    ) -> Result<ObjectWriter, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        self.check_preconditions(bucket.root, key, &options.preconditions).await?;
        let new = NewUpload {
            groups: Self::placement(&bucket),
            write_concern: self.settings.write_concern.of(&bucket.name),
            private: bucket.native_read_off,
            length: options.length,
            extension: extension_of(key),
            ..NewUpload::default()
        };
        let incoming = Incoming::digested(self, new);
        Ok(ObjectWriter::new(
            incoming,
            Destination::Key { bucket, key: key.to_vec(), options: Box::new(options) },
        ))
    }

    /// Removes the object under `key`; in a bucket that keeps versions, puts a delete marker over it. [`ObjectsError::NotFound`] where there is none
    /// and no versions are kept: S3 answers that as a success.
    pub async fn delete(
        &self,
        bucket: &str,
        key: &[u8],
        preconditions: Preconditions,
    ) -> Result<Deleted, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        if let Some(path) = raw::path_of(&bucket, key) {
            return self.raw_delete(&path?).await.map(|()| Deleted::default());
        }
        fault_point("delete.checked");
        let deleted = self.names.delete(bucket.root, key, preconditions).await?;
        fault_point("delete.committed");
        self.seen().await;
        Ok(deleted)
    }

    /// True for keys that raw files have in a group's bucket.
    pub fn is_raw(&self, bucket: &BucketInfo, key: &[u8]) -> bool {
        raw::is_reserved(bucket, key)
    }

    /// Deletes a raw file by its path. Whether that is permitted the caller has to know.
    pub async fn delete_raw(&self, bucket: &str, key: &[u8]) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        match raw::path_of(&bucket, key) {
            Some(path) => self.raw_delete_permitted(&path?).await,
            None => Err(ObjectsError::NotFound),
        }
    }

    /// One page of keys. Raw files are listed only where the prefix names a store path: `M00/…`.
    pub async fn list(&self, bucket: &str, query: ListQuery) -> Result<ListPage, ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        if let Some(path) = raw::prefix_of(&bucket, &query.prefix) {
            return self.raw_list(&path, &query).await;
        }
        Ok(self.names.list(bucket.root, query).await?)
    }

    /// Copies an object: no byte moves, the files are shared. Those of a raw file stay whose they are. Only into a bucket of private
    /// files those that are not are copied, byte by byte.
    pub async fn copy(
        self: &Arc<Self>,
        source: (&str, &[u8]),
        target: (&str, &[u8]),
        options: CopyOptions,
    ) -> Result<ObjectInfo, ObjectsError> {
        let target_bucket = self.bucket(target.0).await?;
        self.check_writable(&target_bucket, target.1)?;
        let (info, content) =
            self.source(source, options.source_version, options.source_preconditions).await?;
        let rewritten = match target_bucket.native_read_off && !self.is_private(&content).await? {
            true => Some(self.rewritten(&target_bucket, target.1, &info, &content).await?),
            false => None,
        };
        // An ACL is not copied, who copies says whether the copy is public; nor is where a website sends those who ask.
        let mut source_headers = info.headers;
        source_headers.remove(&ContentHeader::WebsiteRedirect);
        let (mut headers, extended) = options.replace.unwrap_or((source_headers, info.extended));
        headers.remove(&ContentHeader::Acl);
        headers.extend(options.acl.map(|acl| (ContentHeader::Acl, acl)));
        let file = NewFile {
            etag: info.attributes.etag,
            headers,
            extended,
            tags: options.tags.unwrap_or(info.tags),
            checksums: options.checksums.unwrap_or(info.checksums),
            ..NewFile::default()
        };
        fault_point("copy.checked");
        let copied = match rewritten {
            Some(copy) => {
                let file =
                    NewFile { extents: copy.extents(), size: copy.size(), etag: Some(copy.etag()), ..file };
                let put = self.names.put(target_bucket.root, target.1, file, options.preconditions).await?;
                copy.keep();
                put
            }
            None => {
                self.names.copy(content, target_bucket.root, target.1, file, options.preconditions).await?
            }
        };
        fault_point("copy.committed");
        self.seen().await;
        Ok(split_record(self.names.record(copied.inode).await?).0.in_bucket(&target_bucket))
    }

    /// What a copy takes its content from. The conditions, and that it is still this content, are checked again when it is taken.
    pub(crate) async fn source(
        &self,
        (bucket, key): (&str, &[u8]),
        version_id: Option<VersionId>,
        conditions: Preconditions,
    ) -> Result<(ObjectInfo, ContentSource), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        let info = match raw::path_of(&bucket, key) {
            Some(path) => self.raw_info(&path?).await?,
            None => split_record(self.record_of(&bucket, key, version_id).await?).0.in_bucket(&bucket),
        };
        conditions.check(Some(&info.attributes))?;
        let content = match &info.file_id {
            Some(file) if info.raw => ContentSource::File(file.clone(), info.size()),
            _ => ContentSource::Inode(info.attributes.inode, Preconditions::same(info.etag())),
        };
        Ok((info, content))
    }

    /// Whether nobody can read the content by the IDs of its files.
    pub(crate) async fn is_private(&self, content: &ContentSource) -> Result<bool, ObjectsError> {
        Ok(match content {
            ContentSource::File(file, _) => file.filename.is_private(),
            ContentSource::Inode(inode, _) => {
                let extents = self.names.record(*inode).await?.extents;
                extents.iter().all(|extent| extent.file.filename.is_private())
            }
        })
    }

    /// The content as a file of its own for a key.
    async fn rewritten(
        self: &Arc<Self>,
        bucket: &BucketInfo,
        key: &[u8],
        info: &ObjectInfo,
        content: &ContentSource,
    ) -> Result<Finished, ObjectsError> {
        let pin = self.pins.pin();
        let extents = match content {
            ContentSource::File(file, size) => vec![Extent::whole(file.clone(), *size)],
            ContentSource::Inode(inode, conditions) => {
                let record = self.names.record(*inode).await?;
                conditions.check(Some(&record.attributes))?;
                record.extents
            }
        };
        let size = info.size();
        let new = NewUpload {
            groups: Self::placement(bucket),
            write_concern: self.settings.write_concern.of(&bucket.name),
            private: bucket.native_read_off,
            length: Some(size),
            extension: extension_of(key),
            ..NewUpload::default()
        };
        let mut incoming = Incoming::digested(self, new);
        let mut bytes = ObjectReader::new(info.clone(), extents, Arc::clone(&self.files), pin).read(0..size);
        while let Some(chunk) = bytes.next().await.transpose()? {
            incoming.write(chunk).await?;
        }
        incoming.finish(None).await
    }

    /// Moves an object in its bucket, atomically. Keys that end in a slash move with everything below them.
    pub async fn rename(
        &self,
        bucket: &str,
        key: &[u8],
        new_key: &[u8],
        conditions: RenameConditions,
    ) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        self.check_writable(&bucket, new_key)?;
        self.names.rename_key(bucket.root, key, new_key, conditions).await?;
        self.seen().await;
        Ok(())
    }

    /// Sets the tags of a version of an object; of the current one, where none is named.
    pub async fn set_tags(
        &self,
        bucket: &str,
        key: &[u8],
        version_id: Option<VersionId>,
        tags: ExtendedAttributes,
    ) -> Result<(), ObjectsError> {
        let bucket = self.bucket(bucket).await?;
        self.check_writable(&bucket, key)?;
        Ok(self.names.set_tags(bucket.root, key, version_id, tags).await?)
    }

    pub(crate) fn check_writable(
        &self,
        bucket: &fdfs_namespace::Bucket,
        key: &[u8],
    ) -> Result<(), ObjectsError> {
        match raw::is_reserved(bucket, key) {
            true => Err(ObjectsError::NotPermitted("raw files are not written by their paths")),
            false => Ok(()),
        }
    }

    /// An early look at conditions that the commit checks again.
    async fn check_preconditions(
        &self,
        root: u64,
        key: &[u8],
        preconditions: &Preconditions,
    ) -> Result<(), ObjectsError> {
        if *preconditions == Preconditions::default() {
            return Ok(());
        }
        let existing = match self.names.get(root, key).await {
            Ok(record) => Some(record.attributes),
            Err(NamespaceError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(preconditions.check(existing.as_ref())?)
    }
}
