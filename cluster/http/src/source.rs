//! Where the bytes of a file come from.

use std::fs::File;
use std::future::Future;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use fdfs_types::{FileId, Timestamp};
use thiserror::Error;

/// A place that knows files by their ID: a storage's disk, or the cluster.
pub trait Source: Send + Sync + 'static {
    /// Opens a file for reading. The content that is opened does not change under the reader where
    /// the file is not an appender file.
    fn open(&self, id: &FileId) -> impl Future<Output = Result<Content, SourceError>> + Send;
}

/// An opened file.
pub struct Content {
    /// Its size, in bytes.
    pub size: u64,
    /// When its content last changed, in whole seconds, the same on every replica.
    pub modified: Timestamp,
    /// Reads it.
    pub reader: Box<dyn Reader>,
}

/// Reads ranges of an opened file, one after the other.
pub trait Reader: Send + 'static {
    /// Starts at a new range. Called before the first [`Self::poll_block`] and between ranges.
    fn seek(&mut self, range: Range<u64>);

    /// The next bytes of the range, at most a few hundred KiB; an empty block ends it.
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>>;
}

/// Why a file cannot be opened.
#[derive(Debug, Error)]
pub enum SourceError {
    /// No member that could have the file has it.
    #[error("no such file")]
    NotFound,
    /// The group or store path is not of this cluster, or the name cannot be one of its files.
    #[error("not a file of this server: {0}")]
    Foreign(&'static str),
    /// Nobody who could tell was reachable.
    #[error("every storage that may hold the file is unreachable")]
    Unavailable,
    /// The disk failed.
    #[error("file cannot be read")]
    Io(#[from] std::io::Error),
}

/// A file of the local disk as content.
///
/// Blocks are read where the request is served: a file in the page cache costs no change of threads.
pub struct FileContent {
    file: Arc<File>,
    next: u64,
    end: u64,
}

impl FileContent {
    const BLOCK: u64 = 256 * 1024;

    /// Reads from `file`.
    pub fn new(file: Arc<File>) -> Self {
        Self { file, next: 0, end: 0 }
    }
}

impl Reader for FileContent {
    fn seek(&mut self, range: Range<u64>) {
        (self.next, self.end) = (range.start, range.end);
    }

    fn poll_block(&mut self, _cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
        let wanted = (self.end - self.next).min(Self::BLOCK);
        let mut block = BytesMut::zeroed(usize::try_from(wanted).expect("a block is small"));
        let result = self.file.read_exact_at(&mut block, self.next);
        self.next += wanted;
        Poll::Ready(result.map(|()| block.freeze()))
    }
}
