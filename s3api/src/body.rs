//! Bodies of responses.

use std::fmt;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use fdfs_net::{FilePiece, Outgoing};
use fdfs_objects::Piece;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use tracing::warn;

/// Why a body ended early; its cause has been logged where it happened.
#[derive(Debug, thiserror::Error)]
#[error("the content could not be read to its end")]
pub(crate) struct BodyError;

/// The body of a response.
///
/// A small one is a single piece that is ready at once, so that it leaves in one segment with the head.
pub(crate) enum ResponseBody {
    /// All of it, in memory.
    Full(Bytes),
    /// Content of an object, as it is read.
    Content(Box<ContentBody>),
    /// Pieces whose number nobody knows yet.
    Open(Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>),
}

/// Content of an object. What lies in files of this machine goes to a plain connection unread; for another it is read here.
pub(crate) struct ContentBody {
    pieces: Pieces,
    /// Bytes still to come.
    remaining: u64,
    outgoing: Option<Outgoing>,
    /// What of a piece is still to be read.
    unread: Option<FilePiece>,
}

/// Pieces of an object as they come.
type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, BodyError>> + Send>>;

impl ContentBody {
    /// Pieces from this size on are sent unread. Smaller ones leave in one segment with what stands before them.
    const SENT_UNREAD: usize = 32 * 1024;
    /// Most that is read at once.
    const BLOCK: usize = 128 * 1024;

    /// A body of `remaining` bytes.
    pub(crate) fn new(pieces: Pieces, remaining: u64) -> Self {
        Self { pieces, remaining, outgoing: None, unread: None }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, BodyError>>> {
        let piece = match self.unread.take() {
            Some(piece) => Piece::File(piece),
            None => match ready!(self.pieces.as_mut().poll_next(cx)).transpose()? {
                Some(piece) => piece,
                None => return Poll::Ready((self.remaining > 0).then_some(Err(BodyError))),
            },
        };
        let bytes = match (piece, &self.outgoing) {
            (Piece::Bytes(bytes), _) => bytes,
            (Piece::File(piece), Some(outgoing)) if piece.length >= Self::SENT_UNREAD => outgoing.push(piece),
            (Piece::File(piece), _) => self.read(piece)?,
        };
        self.remaining = self.remaining.saturating_sub(bytes.len() as u64);
        Poll::Ready(Some(Ok(bytes)))
    }

    /// Reads the beginning of a piece. The page cache had it just now, so that nothing is waited for.
    fn read(&mut self, piece: FilePiece) -> Result<Bytes, BodyError> {
        let mut bytes = BytesMut::zeroed(piece.length.min(Self::BLOCK));
        piece.file.read_exact_at(&mut bytes, piece.offset).map_err(|error| {
            warn!(%error, "content broke off");
            BodyError
        })?;
        let (offset, length) = (piece.offset + bytes.len() as u64, piece.length - bytes.len());
        self.unread = (length > 0).then_some(FilePiece { offset, length, ..piece });
        Ok(bytes.freeze())
    }
}

impl ResponseBody {
    /// The bytes of a body in memory; none of another.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Full(bytes) => bytes,
            Self::Content(_) | Self::Open(_) => Bytes::new(),
        }
    }

    /// Lets pieces of files go to a connection without being read. To be called when nothing but this body will be sent on it
    /// next.
    pub(crate) fn send_files_through(&mut self, outgoing: Option<&Outgoing>) {
        if let Self::Content(content) = self {
            content.outgoing = outgoing.cloned();
        }
    }

    /// No body.
    pub(crate) fn empty() -> Self {
        Self::Full(Bytes::new())
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Full(bytes) if bytes.is_empty() => Poll::Ready(None),
            Self::Full(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Self::Content(content) => {
                content.poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
            Self::Open(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Content(content) => content.remaining == 0,
            Self::Open(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Content(content) => SizeHint::with_exact(content.remaining),
            Self::Open(_) => SizeHint::default(),
        }
    }
}

impl From<String> for ResponseBody {
    fn from(text: String) -> Self {
        Self::Full(text.into())
    }
}

impl fmt::Debug for ResponseBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ResponseBody").field(&self.size_hint().exact()).finish()
    }
}
