//! The payload of a request: taken out of its framing, checked against all that was declared.

mod checks;
mod chunked;
mod source;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::Body;
use hyper::body::Incoming;

use crate::checksum::{Checksum, ChecksumAlgorithm};
use crate::error::{ErrorCode, S3Error};
use crate::signature::PayloadMode;

pub(crate) use chunked::ChunkedDecoder;
pub(crate) use source::BodySource;

use checks::Checks;

/// A payload being read.
///
/// Its last piece is given out only after every check has passed, so a reader that sees the end
/// has seen exactly the data the client vouched for. Memory does not grow with the payload.
#[derive(Debug)]
pub(crate) struct Payload<B = Incoming> {
    source: BodySource<B>,
    /// Read and not yet decoded.
    received: Bytes,
    decoder: Option<ChunkedDecoder>,
    length: Option<u64>,
    given: u64,
    checks: Checks,
    /// Held back until it is known whether it is the last.
    held: Option<Bytes>,
    ended: bool,
}

impl<B> Payload<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    /// A payload that is read from `source` as the signature and the headers declare it.
    pub(crate) fn new(
        source: BodySource<B>,
        mode: PayloadMode,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error> {
        let checks = Checks::declared(headers, &mode, true)?;
        Self::with_checks(source, mode, headers, checks)
    }

    /// The same where a checksum in the headers is not the payload's.
    pub(crate) fn without_checksum(
        source: BodySource<B>,
        mode: PayloadMode,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error> {
        let checks = Checks::declared(headers, &mode, false)?;
        Self::with_checks(source, mode, headers, checks)
    }

    fn with_checks(
        source: BodySource<B>,
        mode: PayloadMode,
        headers: &HeaderMap,
        checks: Checks,
    ) -> Result<Self, S3Error> {
        let (decoder, length) = match mode {
            PayloadMode::Chunked { signer, trailer } => {
                (Some(ChunkedDecoder::new(signer, trailer)), Some(decoded_length(headers)?))
            }
            PayloadMode::Exact(_) | PayloadMode::Unsigned if is_framed(headers) && !source.is_empty() => {
                // The framing would become the object.
                return Err(S3Error::new(
                    ErrorCode::InvalidRequest,
                    "Content-Encoding: aws-chunked needs a STREAMING- value of x-amz-content-sha256",
                ));
            }
            PayloadMode::Exact(_) | PayloadMode::Unsigned => (None, source.exact_length()),
        };
        Ok(Self {
            source,
            received: Bytes::new(),
            decoder,
            length,
            given: 0,
            checks,
            held: None,
            ended: false,
        })
    }

    /// Its length, where the client has told it.
    pub(crate) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The algorithm of the checksum that the client declares.
    pub(crate) fn declared_algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.checks.algorithm()
    }

    /// Computes this checksum as well, where the client does not declare it.
    pub(crate) fn want_checksum(&mut self, algorithm: ChecksumAlgorithm) {
        self.checks.want(algorithm);
    }

    /// The checksum that was declared and verified; to be asked for after the end.
    pub(crate) fn checksum(&self) -> Option<&Checksum> {
        self.checks.verified()
    }

    /// That, and the one that was computed besides.
    pub(crate) fn checksums(&self) -> impl Iterator<Item = &Checksum> {
        self.checks.verified().into_iter().chain(self.checks.computed())
    }

    /// The next piece of data; nothing after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, S3Error> {
        while !self.ended {
            let piece = self.decode().await?;
            if let Some(piece) = &piece {
                self.given += piece.len() as u64;
                if self.length.is_some_and(|length| self.given > length) {
                    return Err(ErrorCode::IncompleteBody.into());
                }
                self.checks.update(piece);
            } else {
                self.ended = true;
                self.check_end()?;
            }
            if let Some(held) = std::mem::replace(&mut self.held, piece) {
                return Ok(Some(held));
            }
        }
        Ok(self.held.take())
    }

    /// The whole payload, where it is not longer than `limit`.
    pub(crate) async fn read_all(mut self, limit: usize) -> Result<Bytes, S3Error> {
        if self.length.is_some_and(|length| length > limit as u64) {
            return Err(ErrorCode::MaxMessageLengthExceeded.into());
        }
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit {
                return Err(ErrorCode::MaxMessageLengthExceeded.into());
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The next piece out of the framing.
    async fn decode(&mut self) -> Result<Option<Bytes>, S3Error> {
        loop {
            let Some(decoder) = &mut self.decoder else {
                return self.source.next().await;
            };
            if let Some(piece) = decoder.decode(&mut self.received)? {
                return Ok(Some(piece));
            }
            match self.source.next().await? {
                Some(received) => self.received = received,
                None => {
                    decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }

    fn check_end(&mut self) -> Result<(), S3Error> {
        if self.length.is_some_and(|length| self.given != length) {
            return Err(ErrorCode::IncompleteBody.into());
        }
        let trailers = self.decoder.as_ref().map_or(&[][..], ChunkedDecoder::trailers);
        self.checks.finish(trailers)
    }
}

/// Whether the body is said to be in chunks.
fn is_framed(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(http::header::CONTENT_ENCODING).iter();
    let mut codings = codings.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    codings.any(|coding| coding.trim().eq_ignore_ascii_case("aws-chunked"))
}

/// The length of the data in a chunked payload.
fn decoded_length(headers: &HeaderMap) -> Result<u64, S3Error> {
    let value = headers.get("x-amz-decoded-content-length").ok_or(ErrorCode::MissingContentLength)?;
    value.to_str().ok().and_then(|text| text.parse().ok()).ok_or_else(|| {
        S3Error::new(ErrorCode::InvalidArgument, "x-amz-decoded-content-length is not a length")
    })
}
