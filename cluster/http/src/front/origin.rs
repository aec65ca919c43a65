//! Where the front has files from.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use futures_util::Stream;
use thiserror::Error;

use crate::SourceError;

/// What tells one content from another under the same ID.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Identity {
    /// Its size, in bytes.
    pub size: u64,
    /// When it last changed.
    pub modified: Timestamp,
    /// Its checksum.
    pub crc32: u32,
}

/// Why the origin has no answer.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum OriginError {
    /// Nobody has the file, and everybody who could was asked.
    #[error("no such file")]
    NotFound,
    /// The storages refuse the name.
    #[error("the storages refuse this name")]
    Foreign,
    /// Somebody who may have the file cannot be reached.
    #[error("{0}")]
    Unavailable(Arc<str>),
    /// The content is another one than was asked for.
    #[error("the file has changed while it was read")]
    Changed,
    /// The bytes do not have the checksum that the file's name tells.
    #[error("the content does not have the checksum in its name")]
    Damaged,
}

/// Content that is being read.
pub type Blocks = Pin<Box<dyn Stream<Item = Result<Bytes, OriginError>> + Send>>;

/// The cluster, as the front's cache sees it.
pub trait Origin: Send + Sync + 'static {
    /// What a storage that has the file tells about it.
    fn stat(&self, id: &FileId) -> impl Future<Output = Result<Identity, OriginError>> + Send + 'static;

    /// Reads a range of the content that `identity` tells, and of no other.
    fn read(&self, id: &FileId, identity: Identity, range: Range<u64>) -> Blocks;
}

impl From<OriginError> for SourceError {
    fn from(error: OriginError) -> Self {
        match error {
            OriginError::NotFound => Self::NotFound,
            OriginError::Foreign => Self::Foreign("the storages refuse this name"),
            OriginError::Unavailable(_) | OriginError::Changed => Self::Unavailable,
            OriginError::Damaged => Self::Damaged,
        }
    }
}

impl From<OriginError> for std::io::Error {
    fn from(error: OriginError) -> Self {
        Self::other(error)
    }
}
