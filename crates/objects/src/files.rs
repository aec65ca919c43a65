//! What this crate needs of the cluster's files.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use fdfs_client::Piece;
use fdfs_types::{Extension, FileId, GroupName, Metadata, RemoteFilename, StorageId, StorageStatus};
use futures_util::{Stream, TryStreamExt as _};
use thiserror::Error;

use crate::write_concern::WriteConcern;

/// Bytes of a file as they come.
pub type FileStream = Pin<Box<dyn Stream<Item = Result<Bytes, FilesError>> + Send>>;

/// Pieces of a file as they come.
pub type PieceStream = Pin<Box<dyn Stream<Item = Result<Piece, FilesError>> + Send>>;

/// The files of a cluster. Every call has a deadline of its own and retries where that is safe.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// A storage and store path for content whose files must lie beside each other.
    async fn place(&self, groups: &[GroupName]) -> Result<UploadTarget, FilesError>;

    /// Begins to upload a file.
    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError>;

    /// Reads `length` bytes from `offset` on. A stream that ends early is an error of its last item.
    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError>;

    /// As [`Files::read`], but what lies on this machine may come as pieces of files, to be sent on without being read.
    async fn read_pieces(&self, file: &FileId, offset: u64, length: u64) -> Result<PieceStream, FilesError> {
        Ok(Box::pin(self.read(file, offset, length).await?.map_ok(Piece::Bytes)))
    }

    /// Deletes a file. [`FilesError::NotFound`] only if it is certain that there is none.
    async fn delete(&self, file: &FileId) -> Result<(), FilesError>;

    /// What is known of a file.
    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError>;

    /// The storages that surely have a file which was not removed, whatever their state.
    async fn replicas(&self, file: &FileId) -> Result<Vec<Replica>, FilesError>;

    /// A file's metadata; none is empty.
    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError>;

    /// Replaces a file's metadata.
    async fn set_metadata(&self, file: &FileId, metadata: &Metadata) -> Result<(), FilesError>;

    /// Makes one file of others, whole and in this order, at the storage that has them all; they stay. Moves nothing over the network.
    async fn join(
        &self,
        parts: &[FileId],
        extension: &Extension,
        owner: OwnerToken,
        write_concern: WriteConcern,
    ) -> Result<FileId, FilesError>;

    /// Lists the files of a store path, whoever uploaded them: up to `limit`, in byte order of their names, behind `after` (which need
    /// not exist).
    async fn list(
        &self,
        group: &GroupName,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<RawFiles, FilesError>;

    /// The groups and their space.
    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError>;

    /// Whether every storage of these groups, of all where none is named, keeps private files for members alone.
    async fn keeps_private(&self, _groups: &[GroupName]) -> Result<bool, FilesError> {
        Ok(false)
    }

    /// Storages that may keep whose the files are which were uploaded there.
    async fn keepers(&self) -> Result<Vec<TokenKeeper>, FilesError> {
        Ok(Vec::new())
    }

    /// Files that a storage keeps for an owner, with their sequence, behind the sequence `after`; whether there are more. [`FilesError::Unsupported`]
    /// where it keeps none for anybody.
    async fn owned(
        &self,
        _keeper: &TokenKeeper,
        _owner: u64,
        _after: u64,
        _limit: usize,
    ) -> Result<(Vec<(u64, FileId)>, bool), FilesError> {
        Err(FilesError::Unsupported)
    }

    /// Has a storage forget tokens.
    async fn forget(
        &self,
        _keeper: &TokenKeeper,
        _owner: u64,
        _sequences: Vec<u64>,
    ) -> Result<(), FilesError> {
        Err(FilesError::Unsupported)
    }

    /// How many files this process has given to storages that keep no owners.
    fn unowned_uploads(&self) -> u64 {
        0
    }
}

/// An upload under way. Dropped before [`FileUpload::finish`], it leaves nothing.
#[async_trait]
pub trait FileUpload: Send {
    /// Sends bytes; waits while the storage is slower than the caller.
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError>;

    /// Ends the upload; the file exists from now on.
    async fn finish(self: Box<Self>) -> Result<FileId, FilesError>;
}

/// A file that is to be uploaded.
#[derive(Clone, Debug, PartialEq)]
pub struct NewUpload {
    /// Groups that it may go to, in order of preference; empty: the trackers' choice.
    pub groups: Vec<GroupName>,
    /// Exactly there, beside another file.
    pub target: Option<UploadTarget>,
    /// Its length, if known.
    pub length: Option<u64>,
    /// Its extension.
    pub extension: Extension,
    /// Whose it is until a name refers to it.
    pub owner: Option<OwnerToken>,
    /// What must be true before it counts as stored.
    pub write_concern: WriteConcern,
    /// Whether it is for members alone, and not for whoever knows its ID.
    pub private: bool,
}

impl Default for NewUpload {
    fn default() -> Self {
        Self {
            groups: Vec::new(),
            target: None,
            length: None,
            extension: Extension::none(),
            owner: None,
            write_concern: WriteConcern::Storage,
            private: false,
        }
    }
}

/// A storage and one of its store paths.
#[derive(Clone, Debug, PartialEq)]
pub struct UploadTarget {
    /// The group.
    pub group: GroupName,
    /// The storage.
    pub storage: StorageId,
    /// The store path.
    pub path: u8,
}

/// A storage that may keep whose its files are.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenKeeper {
    /// Its group.
    pub group: GroupName,
    /// The storage.
    pub storage: StorageId,
    /// Where it answers.
    pub address: SocketAddr,
}

/// Who uploaded a file: a session of a namespace and a number in it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnerToken {
    /// The session.
    pub session: u64,
    /// Counts the session's uploads.
    pub sequence: u64,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct FileStat {
    /// Bytes.
    pub size: u64,
    /// Creation time, seconds since 1970.
    pub created: i64,
    /// CRC-32 of the content.
    pub crc32: u32,
    /// The storage that took the upload, if its address is known.
    pub source: Option<IpAddr>,
}

/// A storage that has a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Replica {
    /// The storage.
    pub storage: StorageId,
    /// Its address, if it is known.
    pub address: Option<IpAddr>,
    /// Its state, as the trackers tell it.
    pub status: StorageStatus,
}

/// Files of a store path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RawFiles {
    /// The files.
    pub files: Vec<RawFile>,
    /// True if there are more behind the last.
    pub more: bool,
}

/// A file as its storage lists it.
#[derive(Clone, Debug, PartialEq)]
pub struct RawFile {
    /// Its name in the group.
    pub filename: RemoteFilename,
    /// Bytes.
    pub size: u64,
}

/// The space of a group.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupSpace {
    /// The group.
    pub name: GroupName,
    /// Bytes in all.
    pub total: u64,
    /// Bytes that are free.
    pub free: u64,
    /// How many store paths its storages have.
    pub store_paths: u32,
    /// Directories of each of the two levels of a store path.
    pub subdirs: u32,
}

/// Why something with a file did not work.
#[derive(Clone, Debug, Error)]
pub enum FilesError {
    /// There is no such file, for certain.
    #[error("no such file")]
    NotFound,
    /// No storage has space for it.
    #[error("no storage has space")]
    NoSpace,
    /// What is asked for is something that these storages cannot do.
    #[error("the storage cannot do this")]
    Unsupported,
    /// The storage does not let this process: the file is private, and it has not proved the secret of the cluster.
    #[error(
        "the storage gives private files only to who knows the secret of the cluster: set cluster_secret_file"
    )]
    NoSecret,
    /// The storage refuses the request as wrong.
    #[error("refused: {0}")]
    Refused(String),
    /// Nobody who could do it can be reached now.
    #[error("unavailable: {0}")]
    Unavailable(String),
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { storage, address, status } = self;
        match address {
            Some(address) => write!(f, "{storage} {address} {status}"),
            None => write!(f, "{storage} - {status}"),
        }
    }
}

impl fmt::Display for OwnerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.session, self.sequence)
    }
}
