//! Bodies of responses.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};

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
    /// Pieces, as they are read.
    Stream {
        /// The pieces.
        pieces: Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>,
        /// Bytes still to come.
        remaining: u64,
    },
    /// Pieces whose number nobody knows yet.
    Open(Pin<Box<dyn Stream<Item = Result<Bytes, BodyError>> + Send>>),
}

impl ResponseBody {
    /// The bytes of a body in memory; none of another.
    pub(crate) fn into_bytes(self) -> Bytes {
        match self {
            Self::Full(bytes) => bytes,
            Self::Stream { .. } | Self::Open(_) => Bytes::new(),
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
            Self::Stream { pieces, remaining } => match ready!(pieces.as_mut().poll_next(cx)) {
                Some(Ok(piece)) => {
                    *remaining = remaining.saturating_sub(piece.len() as u64);
                    Poll::Ready(Some(Ok(Frame::data(piece))))
                }
                Some(Err(error)) => Poll::Ready(Some(Err(error))),
                None if *remaining > 0 => Poll::Ready(Some(Err(BodyError))),
                None => Poll::Ready(None),
            },
            Self::Open(pieces) => {
                pieces.as_mut().poll_next(cx).map(|piece| piece.map(|piece| piece.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(bytes) => bytes.is_empty(),
            Self::Stream { remaining, .. } => *remaining == 0,
            Self::Open(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Stream { remaining, .. } => SizeHint::with_exact(*remaining),
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
