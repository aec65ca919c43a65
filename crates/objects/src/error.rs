//! What can go wrong between names and files.

use fdfs_namespace::{NamespaceError, VersionId};
use thiserror::Error;

use crate::files::FilesError;

/// Why an operation on objects was refused or failed. Nothing of it is visible under any name.
#[derive(Clone, Debug, Error)]
pub enum ObjectsError {
    /// No such key, name or inode.
    #[error("not found")]
    NotFound,
    /// The name is taken.
    #[error("already exists")]
    AlreadyExists,
    /// The directory has entries.
    #[error("the directory is not empty")]
    NotEmpty,
    /// A directory stands where a file is wanted.
    #[error("is a directory")]
    IsDirectory,
    /// Something else stands where a directory is wanted.
    #[error("is not a directory")]
    NotDirectory,
    /// A condition of the request does not hold.
    #[error("a precondition failed")]
    PreconditionFailed,
    /// No bucket of that name.
    #[error("no such bucket")]
    NoSuchBucket,
    /// The bucket's name is taken.
    #[error("the bucket already exists")]
    BucketExists,
    /// The bucket holds names or uploads.
    #[error("the bucket is not empty")]
    BucketNotEmpty,
    /// Files of this bucket would have to be private, and a storage that may get them cannot keep them so.
    #[error(
        "private files need storages of ours that share a secret: set cluster_secret_file at every tracker and storage of \
         the bucket's groups, and here"
    )]
    NotPrivate,
    /// A private file, and this process does not know the secret of the cluster.
    #[error(
        "the content is private, and this server does not know the secret of the cluster: set cluster_secret_file"
    )]
    NoSecret,
    /// No group of that name, or none at all.
    #[error("no such group")]
    NoSuchGroup,
    /// This cannot be done to raw files, a group's bucket or read-only attributes.
    #[error("not permitted: {0}")]
    NotPermitted(&'static str),
    /// The name or key is empty, too long, or has bytes no name can have.
    #[error("invalid name")]
    InvalidName,
    /// The operation would leave its bucket.
    #[error("source and target are in different buckets")]
    CrossBucket,
    /// A directory would become its own descendant.
    #[error("a directory cannot move below itself")]
    Loop,
    /// The range begins after the content's end.
    #[error("the range is outside of the content")]
    InvalidRange,
    /// The bytes do not have the digest that was said.
    #[error("the content has another digest")]
    BadDigest,
    /// Fewer or more bytes came than were said.
    #[error("{written} bytes came, {expected} were said")]
    WrongLength {
        /// What was said.
        expected: u64,
        /// What came.
        written: u64,
    },
    /// No multipart upload of that ID for that key.
    #[error("no such upload")]
    NoSuchUpload,
    /// A part that Complete names is missing or has another ETag.
    #[error("part {0} is missing or differs")]
    InvalidPart(u16),
    /// The parts of Complete are not in ascending order.
    #[error("the parts are not in ascending order")]
    InvalidPartOrder,
    /// A part other than the last is smaller than allowed.
    #[error("part {0} is too small")]
    PartTooSmall(u16),
    /// The key has no version of that ID.
    #[error("no such version")]
    NoSuchVersion,
    /// A delete marker stands for the key, or is the version that was named.
    #[error("a delete marker stands there")]
    DeleteMarker {
        /// Its ID.
        version_id: VersionId,
        /// When it was put, milliseconds since 1970.
        since: u64,
        /// The request named it.
        named: bool,
    },
    /// No such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The attributes of one inode would be larger than allowed.
    #[error("the attributes are too large")]
    AttributesTooLarge,
    /// No space is left, for files or for names.
    #[error("no space left")]
    NoSpace,
    /// The storages cannot do what is asked for.
    #[error("the storages of this cluster cannot do this")]
    Unsupported,
    /// Something cannot be reached; it may work later.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// A fault on our side.
    #[error("internal: {0}")]
    Internal(String),
}

impl From<NamespaceError> for ObjectsError {
    fn from(error: NamespaceError) -> Self {
        use fdfs_namespace::engine::EngineError;
        match error {
            NamespaceError::NotFound => Self::NotFound,
            NamespaceError::AlreadyExists => Self::AlreadyExists,
            NamespaceError::NotEmpty => Self::NotEmpty,
            NamespaceError::IsDirectory => Self::IsDirectory,
            NamespaceError::NotDirectory => Self::NotDirectory,
            NamespaceError::PreconditionFailed | NamespaceError::ContentChanged => Self::PreconditionFailed,
            NamespaceError::NoSuchBucket => Self::NoSuchBucket,
            NamespaceError::BucketExists => Self::BucketExists,
            NamespaceError::BucketNotEmpty | NamespaceError::UploadsOpen => Self::BucketNotEmpty,
            NamespaceError::GroupBucket => Self::NotPermitted("the bucket belongs to a group"),
            NamespaceError::InvalidName => Self::InvalidName,
            NamespaceError::CrossBucket => Self::CrossBucket,
            NamespaceError::TooManyExtents => Self::Unsupported,
            NamespaceError::TooManyLocks => Self::NoSpace,
            NamespaceError::Loop => Self::Loop,
            NamespaceError::NoSuchUpload => Self::NoSuchUpload,
            NamespaceError::NoSuchVersion => Self::NoSuchVersion,
            NamespaceError::DeleteMarker(version_id, since) => {
                Self::DeleteMarker { version_id, since, named: true }
            }
            NamespaceError::InvalidPart(number) => Self::InvalidPart(number),
            NamespaceError::InvalidPartOrder => Self::InvalidPartOrder,
            NamespaceError::PartTooSmall(number) => Self::PartTooSmall(number),
            NamespaceError::NoAttribute => Self::NoAttribute,
            NamespaceError::AttributesTooLarge => Self::AttributesTooLarge,
            NamespaceError::Engine(EngineError::NoSpace) => Self::NoSpace,
            NamespaceError::Engine(EngineError::KeyTooLong(_)) => Self::InvalidName,
            // The bucket was made private a moment ago: the next try does as that wants.
            NamespaceError::Timeout
            | NamespaceError::NotPrivate
            | NamespaceError::Fenced
            | NamespaceError::Engine(
                EngineError::Stopped(_) | EngineError::Unavailable(_) | EngineError::Refused(_),
            ) => Self::Unavailable(error.to_string()),
            error => Self::Internal(error.to_string()),
        }
    }
}

impl From<FilesError> for ObjectsError {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::NotFound => Self::NotFound,
            FilesError::NoSpace => Self::NoSpace,
            FilesError::Unsupported => Self::Unsupported,
            FilesError::NoSecret => Self::NoSecret,
            FilesError::Refused(what) => Self::Internal(what),
            FilesError::Unavailable(what) => Self::Unavailable(what),
        }
    }
}
