//! Names and files together: open, read, write, commit, copy, join, free.
//!
//! [`Objects`] is the only way from S3, the mount and the HTTP front to names and bytes, so that the order of writes exists once: upload,
//! then one transaction (check the preconditions, swap the content, free what was there, log the change), then answer. A crash
//! leaves the old or the new, never a mix. `PROMISES.md` beside this crate says what holds and which test shows it.

pub mod access;
mod access_keys;
mod buckets;
mod cluster_files;
mod digest;
mod error;
mod files;
mod info;
mod inodes;
mod keyed;
mod locks;
mod multipart;
mod objects;
mod patch;
mod pins;
mod raw;
mod reader;
mod sweeper;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod versions;
mod views;
mod workers;
mod write_concern;
mod writer;
mod xattr;

#[cfg(test)]
mod tests;

pub use buckets::{BucketInfo, NewBucketOptions};
pub use error::ObjectsError;
pub use fdfs_client::Piece;
pub use fdfs_namespace::{
    AccessGrant, AccessKey, Attributes, BucketSettings, Change, ChangeKind, Checksum, ChecksumForm,
    CompletePart, Completed, ContentHeader, ContentHeaders, Defaults, Deleted, DirectoryState, ETag,
    ETagMatch, Entry, ExtendedAttributes, Kind, ListFrom, ListItem, ListPage, ListQuery, Lock, LockKind,
    LockOwner, MAX_KEY_LENGTH, Mirrored, Namespace, NewInode, ObjectPart, Origin, Part, Preconditions, ROOT,
    RenameConditions, RenameMode, SetAttributes, SetMode, Upload, UploadId, UploadItem, UploadMarker,
    UploadPage, UploadQuery, VersionId, VersionItem, VersionPage, VersionQuery, VersionStart, Versioning,
    may_block,
};
pub use files::{
    FileStat, FileStream, FileUpload, Files, FilesError, GroupSpace, NewUpload, OwnerToken, PieceStream,
    RawFile, RawFiles, Replica, TokenKeeper, UploadTarget,
};
pub use info::ObjectInfo;
pub use inodes::{DirectoryEntry, DirectoryPage, Space};
pub use keyed::{CopyOptions, PutOptions};
pub use multipart::{CompleteOptions, ShareOptions, UploadOptions};
pub use objects::{JoinMultipart, Objects, Settings};
pub use patch::ContentPatch;
pub use reader::{ObjectPieces, ObjectReader, ObjectStream};
pub use sweeper::Swept;
pub use views::View;
pub use write_concern::{WriteConcern, WriteConcerns};
pub use writer::{CommitOptions, ObjectWriter, PartWriter};
