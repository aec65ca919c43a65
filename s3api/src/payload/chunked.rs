//! The `aws-chunked` framing.
//!
//! ```text
//! 10000;chunk-signature=ad80…\r\n      size in hex; the signature only where chunks are signed
//! 65536 bytes of data\r\n
//! 0;chunk-signature=b6c6…\r\n
//! x-amz-checksum-crc32:y/Q5Jg==\r\n    only in the -TRAILER modes
//! x-amz-trailer-signature:d81f…\r\n    only where chunks are signed
//! \r\n
//! ```

use bytes::{Buf as _, Bytes};
use sha2::{Digest as _, Sha256};

use crate::error::{ErrorCode, S3Error};
use crate::signature::ChunkSigner;

/// Decodes a payload sent in chunks, from pieces cut anywhere.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    signer: Option<ChunkSigner>,
    has_trailer: bool,
    state: State,
    /// A line that has not wholly arrived.
    line: Vec<u8>,
    chunk_hash: Sha256,
    chunk_signature: String,
    trailers: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Size,
    Data { remaining: u64 },
    DataEnd,
    Trailer,
    LastEnd,
    Done,
}

impl ChunkedDecoder {
    /// Starts before the first chunk.
    pub(crate) fn new(signer: Option<ChunkSigner>, has_trailer: bool) -> Self {
        Self {
            signer,
            has_trailer,
            state: State::Size,
            line: Vec::new(),
            chunk_hash: Sha256::default(),
            chunk_signature: String::new(),
            trailers: Vec::new(),
        }
    }

    /// Takes from `input` up to the next piece of data and returns it; nothing where input is used up.
    ///
    /// Data is given out before its chunk's signature is known to be right: who uses it waits for
    /// the end.
    pub(crate) fn decode(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, S3Error> {
        while !input.is_empty() {
            match self.state {
                State::Data { remaining } => {
                    let length = remaining.min(input.len() as u64);
                    let data = input.split_to(usize::try_from(length).unwrap_or(usize::MAX));
                    let remaining = remaining - length;
                    self.state = if remaining > 0 { State::Data { remaining } } else { State::DataEnd };
                    if self.signer.is_some() {
                        self.chunk_hash.update(&data);
                    }
                    return Ok(Some(data));
                }
                State::Done => return Err(ErrorCode::IncompleteBody.into()),
                State::Size | State::DataEnd | State::Trailer | State::LastEnd => {
                    if let Some(line) = self.take_line(input)? {
                        self.on_line(&line)?;
                    }
                }
            }
        }
        Ok(None)
    }

    /// Checks that the payload may end here.
    pub(crate) fn finish(&self) -> Result<(), S3Error> {
        match self.state {
            State::Done => Ok(()),
            State::Trailer => Err(malformed_trailer()),
            _ => Err(ErrorCode::IncompleteBody.into()),
        }
    }

    /// The headers behind the last chunk, names in lower case.
    pub(crate) fn trailers(&self) -> &[(String, String)] {
        &self.trailers
    }

    fn on_line(&mut self, line: &str) -> Result<(), S3Error> {
        match self.state {
            State::Size => self.on_size(line),
            State::DataEnd | State::LastEnd if !line.is_empty() => Err(ErrorCode::IncompleteBody.into()),
            State::DataEnd => {
                self.state = State::Size;
                self.check_chunk()
            }
            State::Trailer => self.on_trailer(line),
            State::LastEnd | State::Data { .. } | State::Done => {
                self.state = State::Done;
                Ok(())
            }
        }
    }

    fn on_size(&mut self, line: &str) -> Result<(), S3Error> {
        let (size, extension) = line.split_once(';').unwrap_or((line, ""));
        let digits =
            !size.is_empty() && size.len() <= 16 && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = digits.then(|| u64::from_str_radix(size, 16).ok()).flatten();
        let remaining = size.ok_or(ErrorCode::IncompleteBody)?;
        if self.signer.is_some() {
            extension
                .strip_prefix("chunk-signature=")
                .ok_or(ErrorCode::IncompleteBody)?
                .clone_into(&mut self.chunk_signature);
        }
        if remaining > 0 {
            self.state = State::Data { remaining };
            return Ok(());
        }
        self.state = if self.has_trailer { State::Trailer } else { State::LastEnd };
        self.check_chunk()
    }

    fn check_chunk(&mut self) -> Result<(), S3Error> {
        let Some(signer) = &mut self.signer else { return Ok(()) };
        let hash = std::mem::take(&mut self.chunk_hash).finalize();
        if signer.accept_chunk(hash.as_slice(), &self.chunk_signature) {
            Ok(())
        } else {
            Err(ErrorCode::SignatureDoesNotMatch.into())
        }
    }

    fn on_trailer(&mut self, line: &str) -> Result<(), S3Error> {
        if line.is_empty() {
            // Signed trailers end behind their signature; clients put an empty line before it, too.
            if self.signer.is_none() {
                self.state = State::Done;
            }
            return Ok(());
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed_trailer)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name != "x-amz-trailer-signature" {
            if self.trailers.len() == MAX_TRAILERS {
                return Err(malformed_trailer());
            }
            self.trailers.push((name, value.to_owned()));
            return Ok(());
        }
        let signer = self.signer.as_mut().ok_or_else(malformed_trailer)?;
        let headers: String = self.trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        if !signer.accept_trailer(&headers, value) {
            return Err(ErrorCode::SignatureDoesNotMatch.into());
        }
        self.state = State::LastEnd;
        Ok(())
    }

    /// The line that `input` completes, without its end.
    fn take_line(&mut self, input: &mut Bytes) -> Result<Option<String>, S3Error> {
        let end = input.iter().position(|&byte| byte == b'\n');
        let taken = end.map_or(input.len(), |end| end + 1);
        if self.line.len() + taken > MAX_LINE {
            return Err(ErrorCode::IncompleteBody.into());
        }
        self.line.extend_from_slice(&input[..taken]);
        input.advance(taken);
        if end.is_none() {
            return Ok(None);
        }
        let mut line = std::mem::take(&mut self.line);
        line.pop();
        match line.last() {
            Some(b'\r') => {
                line.pop();
            }
            // S3's own documentation ends a trailer with a bare line feed.
            _ if self.state == State::Trailer => {}
            _ => return Err(ErrorCode::IncompleteBody.into()),
        }
        String::from_utf8(line).map(Some).map_err(|_| ErrorCode::IncompleteBody.into())
    }
}

fn malformed_trailer() -> S3Error {
    ErrorCode::MalformedTrailerError.into()
}

/// Longest line, its end included.
const MAX_LINE: usize = 4096;
const MAX_TRAILERS: usize = 16;
