//! The body of a response: text, or parts of a file.

use std::collections::VecDeque;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::Reader;

/// A response body of known length that is read as the peer takes it.
pub struct Body {
    pieces: VecDeque<Piece>,
    reader: Option<Box<dyn Reader>>,
    reading: Option<u64>,
    left: u64,
}

enum Piece {
    Text(Bytes),
    Range(Range<u64>),
}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self { pieces: VecDeque::new(), reader: None, reading: None, left: 0 }
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

    /// Appends a text.
    pub fn push_text(&mut self, text: impl Into<Bytes>) {
        let text = text.into();
        if !text.is_empty() {
            self.left += text.len() as u64;
            self.pieces.push_back(Piece::Text(text));
        }
    }

    /// Appends a range of the file.
    pub fn push_range(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.left += range.end - range.start;
            self.pieces.push_back(Piece::Range(range));
        }
    }

    /// Bytes that are still to come.
    pub fn len(&self) -> u64 {
        self.left
    }

    /// Whether nothing is to come.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, wanted: u64) -> Poll<std::io::Result<Bytes>> {
        let Some(reader) = &mut self.reader else {
            return Poll::Ready(Err(std::io::Error::other("body has a range and no reader")));
        };
        let block = ready!(reader.poll_block(cx))?;
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

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if self.reading.is_none() {
            match self.pieces.pop_front() {
                None => return Poll::Ready(None),
                Some(Piece::Text(text)) => {
                    self.left -= text.len() as u64;
                    return Poll::Ready(Some(Ok(Frame::data(text))));
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
        let block = ready!(self.poll_read(cx, wanted));
        Poll::Ready(Some(block.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
