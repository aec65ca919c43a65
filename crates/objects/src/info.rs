//! What is told of an object.

use fdfs_namespace::{
    Attributes, Bucket, Checksum, ContentHeaders, ETag, ExtendedAttributes, Extent, FileRecord, Mirrored,
    VersionId, Versioning,
};
use fdfs_types::FileId;

/// Everything about an object but its bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ObjectInfo {
    /// Size, times, ETag, mode, owner.
    pub attributes: Attributes,
    /// Headers of the content.
    pub headers: ContentHeaders,
    /// Extended attributes: `user.NAME` is `x-amz-meta-NAME`.
    pub extended: ExtendedAttributes,
    /// Object tags.
    pub tags: ExtendedAttributes,
    /// Checksums that S3 keeps.
    pub checksums: Vec<Checksum>,
    /// The FastDFS file with exactly these bytes: the legacy ID. None while parts wait to be joined.
    pub file_id: Option<FileId>,
    /// How many parts it was uploaded in; 0 for one put whole.
    pub part_count: u32,
    /// How much of the metadata also stands at the file.
    pub mirrored: Mirrored,
    /// True for a raw file, shown by its ID.
    pub raw: bool,
    /// The target of a symbolic link.
    pub target: Vec<u8>,
    /// Which version of its key it is, in a bucket that keeps versions.
    pub version_id: Option<VersionId>,
}

impl ObjectInfo {
    /// Bytes of content.
    pub fn size(&self) -> u64 {
        self.attributes.size
    }

    /// The ETag, for S3; content without one has none yet.
    pub fn etag(&self) -> Option<ETag> {
        self.attributes.etag
    }

    /// The ID by which FastDFS clients read the same bytes; none where its files are private.
    pub fn native_id(&self) -> Option<&FileId> {
        self.file_id.as_ref().filter(|file| !file.filename.is_private())
    }

    /// What its bucket's callers are told of it.
    pub(crate) fn in_bucket(self, bucket: &Bucket) -> Self {
        let version_id = (bucket.versioning != Versioning::Off).then_some(self.attributes.version_id);
        Self { version_id, ..self }
    }

    /// The value of a `user.` attribute by its short name.
    pub fn user_metadata(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.extended
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix(b"user.")?, value.as_slice())))
    }
}

/// Reads a record into what is told of it and where its bytes are.
pub(crate) fn split_record(record: FileRecord) -> (ObjectInfo, Vec<Extent>) {
    let file_id = whole_file(&record.extents, record.attributes.size);
    let info = ObjectInfo {
        attributes: record.attributes,
        headers: record.headers,
        extended: record.extended,
        tags: record.tags,
        checksums: record.checksums,
        file_id,
        part_count: record.part_count,
        mirrored: record.mirrored,
        raw: false,
        target: record.target,
        version_id: None,
    };
    (info, record.extents)
}

/// The file whose bytes are the content from the first to the last.
pub(crate) fn whole_file(extents: &[Extent], size: u64) -> Option<FileId> {
    match extents {
        [extent] if extent.offset == 0 && extent.file_offset == 0 && extent.length == size => {
            let named = extent.file.filename.fields().ok().and_then(|fields| fields.size.size());
            named.is_none_or(|named| named == size).then(|| extent.file.clone())
        }
        _ => None,
    }
}
