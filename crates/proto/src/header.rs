//! The ten bytes in front of every message.
//!
//! ```text
//!  0             8         9        10
//!  | body length | command | status | body ... |
//! ```

use thiserror::Error;

use crate::{Command, Status};

/// The ten bytes in front of every message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Number of bytes that follow the header; never more than `i64::MAX`.
    pub length: u64,
    /// What is asked, or [`Command::RESPONSE`].
    pub command: Command,
    /// Outcome of a response; in requests zero, save for a few commands that carry flags here.
    pub status: Status,
}

/// Why ten bytes are not a [`Header`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum HeaderError {
    /// The length field, a signed integer, is below zero.
    #[error("header declares a body of {length} bytes")]
    NegativeLength {
        /// The declared length.
        length: i64,
    },
    /// An answer was expected, and this is something else.
    #[error("header has command {command}, not that of a response")]
    NotAResponse {
        /// The command found.
        command: Command,
    },
    /// An answer that reports an error has a body.
    #[error("response with status {status} announces a body of {length} bytes")]
    BodyOfError {
        /// The status of the response.
        status: Status,
        /// The announced length.
        length: u64,
    },
}

impl Header {
    /// Size on the wire.
    pub const LEN: usize = 10;

    /// Header of a request without flags.
    pub const fn request(command: Command, length: u64) -> Self {
        Self { length, command, status: Status::OK }
    }

    /// Header of a successful response with `length` bytes of body.
    pub const fn response(length: u64) -> Self {
        Self { length, command: Command::RESPONSE, status: Status::OK }
    }

    /// Header of a response without body.
    pub const fn answer(status: Status) -> Self {
        Self { length: 0, command: Command::RESPONSE, status }
    }

    /// Reads a header.
    pub const fn decode(bytes: &[u8; Self::LEN]) -> Result<Self, HeaderError> {
        let [a, b, c, d, e, f, g, h, command, status] = *bytes;
        let length = i64::from_be_bytes([a, b, c, d, e, f, g, h]);
        if length < 0 {
            return Err(HeaderError::NegativeLength { length });
        }
        Ok(Self { length: length.unsigned_abs(), command: Command(command), status: Status(status) })
    }

    /// The bytes of this header.
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = self.length.to_be_bytes();
        [a, b, c, d, e, f, g, h, self.command.0, self.status.0]
    }

    /// Checks that this is the header of a response as servers send them.
    ///
    /// The one exception to "an error has no body" is `REPORT_IP_CHANGED` (78), whose request comes back with
    /// status 95; who asks that must read the header with [`Header::decode`] alone.
    pub const fn expect_response(self) -> Result<Self, HeaderError> {
        if self.command.0 != Command::RESPONSE.0 {
            return Err(HeaderError::NotAResponse { command: self.command });
        }
        if self.status.0 != Status::OK.0 && self.length != 0 {
            return Err(HeaderError::BodyOfError { status: self.status, length: self.length });
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_ten_big_endian_bytes() {
        let header = Header { length: 0x0102, command: Command::DOWNLOAD_FILE, status: Status(7) };
        assert_eq!(header.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 14, 7]);
        assert_eq!(Header::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn a_negative_length_is_refused() {
        let bytes = [0xff; 10];
        assert_eq!(Header::decode(&bytes), Err(HeaderError::NegativeLength { length: -1 }));
    }

    #[test]
    fn only_a_response_is_taken_for_one() {
        let request = Header::request(Command::ACTIVE_TEST, 0);
        assert_eq!(
            request.expect_response(),
            Err(HeaderError::NotAResponse { command: Command::ACTIVE_TEST })
        );
        let odd = Header { length: 3, ..Header::answer(Status::ENOENT) };
        assert_eq!(
            odd.expect_response(),
            Err(HeaderError::BodyOfError { status: Status::ENOENT, length: 3 })
        );
        assert_eq!(Header::response(3).expect_response(), Ok(Header::response(3)));
    }
}
