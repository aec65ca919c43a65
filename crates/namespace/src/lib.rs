//! Access to names: tree, attributes, buckets, engines.
//!
//! FastDFS gives out file IDs and knows no names. This crate keeps them: a tree of inodes in S3's key order, in an ordered transactional
//! store. `FORMAT.md` beside this crate lists every row. [`Namespace`] is what others use; it knows nothing of sockets or of
//! the files' bytes.

pub mod engine;
pub mod operations;
pub mod remote;

mod access_keys;
mod attributes;
mod buckets;
mod changes;
mod content;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod keys;
mod locks;
mod names;
mod namespace;
mod origin;
mod rows;
mod sessions;
mod settings;
mod stamp;
mod store_url;
mod tasks;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod transaction;
mod tree;
mod uploads;

pub use access_keys::{AccessGrant, AccessKey};
pub use attributes::{
    Attributes, Checksum, ChecksumForm, ContentHeader, ContentHeaders, DirectoryState, ETag, Entry,
    ExtendedAttributes, Extent, Kind, Mirrored, ParseETagError,
};
pub use buckets::{Bucket, NewBucket};
pub use changes::{Change, ChangeKind};
pub use content::FreedFile;
pub use error::NamespaceError;
pub use keys::ROOT;
pub use locks::{Lock, LockKind, LockOwner};
pub use names::{MAX_KEY_LENGTH, MAX_POSIX_NAME};
pub use namespace::{Namespace, may_block};
pub use origin::Origin;
pub use sessions::{Session, SessionReport};
pub use settings::BucketSettings;
pub use store_url::{ParseStoreUrlError, StoreUrl};
pub use transaction::Defaults;
pub use tree::keyed::{FileRecord, NewFile, RenameConditions};
pub use tree::listing::{ListFrom, ListItem, ListPage, ListQuery};
pub use tree::patches::Patch;
pub use tree::posix::{NewInode, RenameMode, SetAttributes, SetMode};
pub use tree::preconditions::{ETagMatch, Preconditions};
pub use tree::shared::ContentSource;
pub use tree::version_listing::{VersionItem, VersionPage, VersionQuery, VersionStart};
pub use tree::versions::{Deleted, ParseVersionIdError, VersionId, Versioning};
pub use uploads::{
    CompletePart, Completed, Completion, NewUpload, ObjectPart, ParseUploadIdError, Part, PartPlacement,
    Upload, UploadId, UploadItem, UploadMarker, UploadPage, UploadQuery, WaitingJoin,
};
