//! The body of a response: text, parts of a file, or what another server sends.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fdfs_net::Outgoing;
use futures_util::Stream;
use http_body::{Frame, SizeHint};

use crate::front::OriginError;
use crate::{Reader, SourceError};

/// A response body that is read as the peer takes it.
pub struct Body {
    pieces: Pieces,
    reader: Option<Box<dyn Reader>>,
    reading: Option<u64>,
    left: u64,
    outgoing: Option<Outgoing>,
    /// What another server sends; the rest is empty then.
    passed_on: Option<PassedOn>,
    meter: Option<Meter>,
}

/// Counts the bytes of a body, and tells when it is over.
struct Meter {
    bytes: u64,
    tell: Option<Box<dyn FnOnce(u64) + Send>>,
}

/// What is to come. Nearly all bodies have one piece alone, which needs no memory of its own.
#[derive(Default)]
struct Pieces {
    first: Option<Piece>,
    rest: VecDeque<Piece>,
}

enum Piece {
    Text(Bytes),
    Range(Range<u64>),
}

struct PassedOn {
    blocks: Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>,
    /// Bytes that are still to come, where the other server said so.
    left: Option<u64>,
}

impl Pieces {
    fn push(&mut self, piece: Piece) {
        if self.first.is_none() && self.rest.is_empty() {
            self.first = Some(piece);
        } else {
            self.rest.push_back(piece);
        }
    }

    fn pop(&mut self) -> Option<Piece> {
        self.first.take().or_else(|| self.rest.pop_front())
    }

    /// The first piece, if that is a part of a file.
    fn pop_range(&mut self) -> Option<Range<u64>> {
        match self.pop()? {
            Piece::Range(range) => Some(range),
            text => {
                self.first = Some(text);
                None
            }
        }
    }
}

impl Body {
    /// Parts of files from this size on are sent without being read, where the connection can do that. Smaller ones
    /// leave in one segment with the head.
    const SENT_UNREAD: u64 = 32 * 1024;

    /// Nothing.
    pub fn empty() -> Self {
        let pieces = Pieces::default();
        Self { pieces, reader: None, reading: None, left: 0, outgoing: None, passed_on: None, meter: None }
    }

    /// A text.
    pub fn text(text: impl Into<Bytes>) -> Self {
        let mut body = Self::empty();
        body.push_text(text);
        body
    }

    /// A body that takes file ranges from `reader`; append them with [`Self::push_range`].
    pub fn read_from(reader: Box<dyn Reader>) -> Self {
        Self { reader: Some(reader), ..Self::empty() }
    }

    /// What comes from elsewhere, `length` bytes if that is known.
    pub fn pass_on(
        blocks: impl Stream<Item = std::io::Result<Bytes>> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Self { passed_on: Some(PassedOn { blocks: Box::pin(blocks), left: length }), ..Self::empty() }
    }

    /// Has `tell` be told how many bytes were taken, when no more are.
    pub(crate) fn when_over(&mut self, tell: impl FnOnce(u64) + Send + 'static) {
        self.meter = Some(Meter { bytes: 0, tell: Some(Box::new(tell)) });
    }

    /// Appends a text.
    pub fn push_text(&mut self, text: impl Into<Bytes>) {
        let text = text.into();
        if !text.is_empty() {
            self.left += text.len() as u64;
            self.pieces.push(Piece::Text(text));
        }
    }

    /// Appends a range of the file.
    pub fn push_range(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.left += range.end - range.start;
            self.pieces.push(Piece::Range(range));
        }
    }

    /// Bytes that are still to come; `None` where nobody knows.
    pub fn length(&self) -> Option<u64> {
        self.passed_on.as_ref().map_or(Some(self.left), |passed_on| passed_on.left)
    }

    /// Waits until the first bytes are at hand, where the body begins with a part of a file.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SourceError>> {
        let Some(reader) = &mut self.reader else { return Poll::Ready(Ok(())) };
        if self.reading.is_none() {
            let Some(range) = self.pieces.pop_range() else { return Poll::Ready(Ok(())) };
            self.reading = Some(range.end - range.start);
            reader.seek(range);
        }
        reader.poll_ready(cx).map_err(|error| match error.downcast::<OriginError>() {
            Ok(error) => error.into(),
            Err(error) => SourceError::Io(error),
        })
    }

    /// Lets pieces of files go to a connection without being read.
    pub(crate) fn send_files_through(&mut self, outgoing: Outgoing) {
        self.outgoing = Some(outgoing);
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<std::io::Result<Bytes>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(Err(std::io::Error::other("body has a range and no reader")));
        };
        let mut piece = None;
        if let Some(outgoing) = self.outgoing.as_ref().filter(|_| wanted >= Self::SENT_UNREAD) {
            let sent = ready!(reader.poll_piece(cx, Outgoing::MOST as u64))?;
            piece = sent.map(|piece| outgoing.push(piece));
        }
        let block = match piece {
            Some(stand_in) => stand_in,
            None => ready!(reader.poll_block(cx))?,
        };
        let length = block.len() as u64;
        if length == 0 || length > wanted {
            // The length was announced: all that is left is to break the connection.
            return Poll::Ready(Err(std::io::ErrorKind::UnexpectedEof.into()));
        }
        self.reading = (length < wanted).then_some(wanted - length);
        self.left -= length;
        Poll::Ready(Ok(block))
    }
}

impl PassedOn {
    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        let Some(block) = ready!(self.blocks.as_mut().poll_next(cx)).transpose()? else {
            let is_whole = self.left.is_none_or(|left| left == 0);
            let cut = || Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            return Poll::Ready((!is_whole).then(cut));
        };
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(block.len() as u64);
        }
        Poll::Ready(Some(Ok(block)))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let block = ready!(self.poll_next_block(cx));
        if let (Some(meter), Some(Ok(block))) = (&mut self.meter, &block) {
            meter.bytes += block.len() as u64;
        }
        Poll::Ready(block.map(|block| block.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.length() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.length().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(tell) = self.tell.take() {
            tell(self.bytes);
        }
    }
}

impl Body {
    fn poll_next_block(&mut self, cx: &mut Context<'_>) -> Poll<Option<std::io::Result<Bytes>>> {
        if let Some(passed_on) = &mut self.passed_on {
            return passed_on.poll_block(cx);
        }
        if self.reading.is_none() {
            match self.pieces.pop() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) => {
                    self.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(text)));
                }
                Some(Piece::Range(range)) => {
                    self.reading = Some(range.end - range.start);
                    if let Some(reader) = &mut self.reader {
                        reader.seek(range);
                    }
                }
            }
        }
        let wanted = self.reading.unwrap_or(0);
        self.poll_read(cx, wanted).map(Some)
    }
}
