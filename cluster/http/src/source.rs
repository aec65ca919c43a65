//! Where the bytes of a file come from.

use std::future::Future;
use std::net::IpAddr;
use std::ops::Range;
use std::task::{Context, Poll};

use bytes::Bytes;
use fdfs_types::{FileId, Timestamp};
use thiserror::Error;

use crate::{FileContent, FilePiece};

/// A place that knows files by their ID: a storage's disk and its group, or the cluster.
pub trait Source: Send + Sync + 'static {
    /// Opens a file for reading, wherever it is. The content that is opened does not change under the reader
    /// where the file is not an appender file.
    fn open(&self, id: &FileId) -> impl Future<Output = Result<Content, SourceError>> + Send;

    /// Members of the cluster that may have a file, the likeliest first: those whom a request may be passed on
    /// to over HTTP. Never another address, whatever the name of the file says.
    fn members(&self, id: &FileId) -> impl Future<Output = Vec<IpAddr>> + Send {
        let _ = id;
        std::future::ready(Vec::new())
    }
}

/// An opened file.
pub struct Content {
    /// Its size, in bytes.
    pub size: u64,
    /// When its content last changed, in whole seconds, the same on every replica.
    pub modified: Timestamp,
    /// The member that it is read from, where it is not here.
    pub holder: Option<IpAddr>,
    /// Reads it.
    pub reader: Box<dyn Reader>,
}

/// Reads ranges of an opened file, one after the other.
pub trait Reader: Send + 'static {
    /// Starts at a new range. Called before the first [`Self::poll_block`] and between ranges.
    fn seek(&mut self, range: Range<u64>);

    /// The next bytes of the range, at most a few hundred KiB; an empty block ends it.
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>>;

    /// Waits until the first bytes of the range are at hand, without taking them: until then a failure can be told by
    /// the status of the response.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let _ = cx;
        Poll::Ready(Ok(()))
    }

    /// Where the next bytes of the range, at most `most`, lie in a file of this machine, so that they can be sent
    /// without being read; `None` where they do not. They count as read.
    fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<std::io::Result<Option<FilePiece>>> {
        let _ = (cx, most);
        Poll::Ready(Ok(None))
    }
}

impl Reader for FileContent {
    fn seek(&mut self, range: Range<u64>) {
        Self::seek(self, range);
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
        Self::poll_block(self, cx)
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>, most: u64) -> Poll<std::io::Result<Option<FilePiece>>> {
        Self::poll_piece(self, cx, most).map_ok(Some)
    }
}

/// Why a file cannot be opened.
#[derive(Debug, Error)]
pub enum SourceError {
    /// No member that could have the file has it.
    #[error("no such file")]
    NotFound,
    /// The name cannot be one of this server's files.
    #[error("not a file of this server: {0}")]
    Foreign(&'static str),
    /// Nobody who could tell was reachable.
    #[error("every storage that may hold the file is unreachable")]
    Unavailable,
    /// The file here is not what its name says, and nobody else has a better one.
    #[error("the file is damaged")]
    Damaged,
    /// The disk failed.
    #[error("file cannot be read")]
    Io(#[from] std::io::Error),
}
