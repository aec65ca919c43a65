//! What can go wrong among names.

use thiserror::Error;

use crate::engine::EngineError;
use crate::tree::versions::VersionId;

/// Why an operation on names was refused or failed. Nothing of a refused operation is written.
#[derive(Clone, Debug, Error)]
pub enum NamespaceError {
    /// No entry, inode or row of that name.
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
    /// The bucket holds uploads under way, and nothing else.
    #[error("the bucket has uploads under way")]
    UploadsOpen,
    /// The bucket's files are private, and this one is not.
    #[error("the file can be read by its ID, and those of this bucket cannot")]
    NotPrivate,
    /// A group's bucket can be neither removed nor renamed.
    #[error("the bucket belongs to a group")]
    GroupBucket,
    /// The name or key is empty, too long, or has bytes no name can have.
    #[error("invalid name")]
    InvalidName,
    /// The operation would leave its bucket.
    #[error("source and target are in different buckets")]
    CrossBucket,
    /// A directory would become its own descendant.
    #[error("a directory cannot move below itself")]
    Loop,
    /// The key has no version of that ID.
    #[error("no such version")]
    NoSuchVersion,
    /// The version is a delete marker; its ID, and when it was put (ms).
    #[error("the version is a delete marker")]
    DeleteMarker(VersionId, u64),
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
    /// The inode has no such extended attribute.
    #[error("no such attribute")]
    NoAttribute,
    /// The attributes of one inode would be larger than allowed.
    #[error("the attributes are too large")]
    AttributesTooLarge,
    /// The content would fall into too many pieces.
    #[error("the content would fall into too many pieces")]
    TooManyExtents,
    /// The owner holds too many ranges of the file.
    #[error("too many locks")]
    TooManyLocks,
    /// The content changed while somebody worked on it.
    #[error("the content has changed meanwhile")]
    ContentChanged,
    /// The session was fenced: it may not commit any more.
    #[error("this session has been fenced")]
    Fenced,
    /// A row cannot be read.
    #[error("a row of family `{family}` is damaged: {what}")]
    Corrupt {
        /// First byte of the row's key.
        family: char,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The store's format is not one that this program can use.
    #[error("{0}")]
    Format(String),
    /// The engine did not answer in time; whether the write happened is not known.
    #[error("the namespace did not answer in time")]
    Timeout,
    /// The leased numbers ran out; a new block is taken and the operation runs again.
    #[error("no leased number is left")]
    LeaseExhausted,
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
