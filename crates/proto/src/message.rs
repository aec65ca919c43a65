//! What every message can do.

use crate::{Command, DecodeError, Header, Reader, Status, Writer};

/// A body that can be written.
pub trait Encode {
    /// Appends the fields.
    fn write(&self, writer: &mut Writer<'_>);

    /// The body as bytes.
    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        self.write(&mut Writer::new(&mut body));
        body
    }
}

/// A body that can be read.
pub trait Decode: Sized {
    /// Name of the message, for errors.
    const NAME: &'static str;

    /// Takes the fields.
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a whole body: no byte may be missing, none left over.
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(Self::NAME, body);
        let message = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(message)
    }
}

/// A question, and what answers it.
pub trait Request: Encode + Decode {
    /// Its number.
    const COMMAND: Command;

    /// The body of the answer when the status is zero.
    type Response: Encode + Decode;

    /// The status byte of the request's header. Only a few commands use it.
    fn flags(&self) -> Status {
        Status::OK
    }

    /// Takes the status byte of the header that came with the body.
    fn set_flags(&mut self, _flags: Status) {}

    /// Number of bytes that follow the encoded body as content, see [`Streamed`].
    fn content_length(&self) -> u64 {
        0
    }

    /// Header and body in one piece; content of [`Request::content_length`] bytes has to follow.
    fn frame(&self) -> Vec<u8> {
        let mut frame = vec![0; Header::LEN];
        self.write(&mut Writer::new(&mut frame));
        let length = (frame.len() - Header::LEN) as u64 + self.content_length();
        let header = Header { length, command: Self::COMMAND, status: self.flags() };
        if let Some(place) = frame.first_chunk_mut() {
            *place = header.encode();
        }
        frame
    }

    /// Reads a whole request from its header's status byte and its body.
    fn decode_request(header: &Header, body: &[u8]) -> Result<Self, DecodeError> {
        let mut request = Self::decode(body)?;
        request.set_flags(header.status);
        Ok(request)
    }
}

/// A request whose body ends with content too large to hold in memory.
///
/// The value itself is the *head*, what stands before the content. A server reads [`Streamed::FIXED_LEN`]
/// bytes, learns the length of the head from [`Streamed::head_length`], reads up to there, decodes it with
/// [`Streamed::decode_head`], and takes [`Request::content_length`] bytes of content as they arrive.
pub trait Streamed: Request {
    /// Size of the part that every head has.
    const FIXED_LEN: usize;

    /// Length of the whole head, as told by its first [`Streamed::FIXED_LEN`] bytes. Always bounded.
    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError>;

    /// Reads a head, and checks that head and content make up the body that the header announces.
    fn decode_head(header: &Header, head: &[u8]) -> Result<Self, DecodeError> {
        let request = Self::decode_request(header, head)?;
        let expected = (head.len() as u64).saturating_add(request.content_length());
        if expected == header.length {
            Ok(request)
        } else {
            Err(DecodeError::Invalid {
                message: Self::NAME,
                field: "size",
                reason: format!("head and content make {expected} bytes, the body has {}", header.length)
                    .into(),
            })
        }
    }
}

/// A successful response in one piece: header and body.
pub fn response_frame(response: &impl Encode) -> Vec<u8> {
    let mut frame = vec![0; Header::LEN];
    response.write(&mut Writer::new(&mut frame));
    let header = Header::response((frame.len() - Header::LEN) as u64);
    if let Some(place) = frame.first_chunk_mut() {
        *place = header.encode();
    }
    frame
}

/// A body without any byte.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Empty;

impl Encode for Empty {
    fn write(&self, _writer: &mut Writer<'_>) {}
}

impl Decode for Empty {
    const NAME: &'static str = "Empty";

    fn read(_reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

/// A body of any bytes, kept as they are.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Raw(pub Vec<u8>);

impl Encode for Raw {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.0);
    }
}

impl Decode for Raw {
    const NAME: &'static str = "Raw";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest().to_vec()))
    }
}

/// A body that should be empty, of a command whose answer the original fills with stale bytes: they are
/// dropped, and none are written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ignored;

impl Encode for Ignored {
    fn write(&self, _writer: &mut Writer<'_>) {}
}

impl Decode for Ignored {
    const NAME: &'static str = "Ignored";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.rest();
        Ok(Self)
    }
}

/// Makes a request without a body.
macro_rules! empty_request {
    ($(#[$doc:meta])* $name:ident, $command:ident, $response:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
        pub struct $name;

        impl $crate::Encode for $name {
            fn write(&self, _writer: &mut $crate::Writer<'_>) {}
        }

        impl $crate::Decode for $name {
            const NAME: &'static str = stringify!($name);

            fn read(_reader: &mut $crate::Reader<'_>) -> Result<Self, $crate::DecodeError> {
                Ok(Self)
            }
        }

        impl $crate::Request for $name {
            const COMMAND: $crate::Command = $crate::Command::$command;
            type Response = $response;
        }
    };
}

pub(crate) use empty_request;
