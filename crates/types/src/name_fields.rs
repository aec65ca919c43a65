//! The 20 bytes that a file name carries in base64.

use std::net::Ipv4Addr;

use thiserror::Error;

use crate::{ServerId, SizeField, Timestamp, base64};

/// The storage that accepted a file, as its name tells it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Source {
    /// Its IPv4 address.
    Ip(Ipv4Addr),
    /// Its numeric ID.
    Id(ServerId),
}

/// What the first 27 characters of a file name mean (`FILE-IDS.md`, "The 20 bytes").
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct NameFields {
    /// The storage that accepted the file.
    pub source: Source,
    /// When it was finished, in seconds since 1970; the field has 32 bits.
    pub created: u32,
    /// Size and flags.
    pub size: SizeField,
    /// CRC32 of the content. Appender: of the first upload. Slave: the master's. Link: random.
    pub crc32: u32,
}

/// A name does not begin with 27 characters of base64.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("file name does not begin with 27 characters of base64")]
pub struct ParseNameError;

impl NameFields {
    /// Characters of the encoded fields.
    pub const ENCODED_LEN: usize = base64::encoded_len(20);

    /// Reads the 27 characters.
    pub fn decode(text: &[u8]) -> Result<Self, ParseNameError> {
        let bytes: [u8; 20] = base64::decode(text).ok_or(ParseNameError)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// Reads the 20 bytes.
    pub fn from_bytes(bytes: &[u8; 20]) -> Self {
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let low = u64::from(u32::from_be_bytes(word(12)));
        Self {
            source: Source::from_bytes(word(0)),
            created: u32::from_be_bytes(word(4)),
            size: SizeField(u64::from(u32::from_be_bytes(word(8))) << 32 | low),
            crc32: u32::from_be_bytes(word(16)),
        }
    }

    /// The 20 bytes.
    pub fn to_bytes(&self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..4].copy_from_slice(&self.source.to_bytes());
        bytes[4..8].copy_from_slice(&self.created.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.size.0.to_be_bytes());
        bytes[16..].copy_from_slice(&self.crc32.to_be_bytes());
        bytes
    }

    /// The 27 characters.
    pub fn encode(&self) -> String {
        base64::encode(&self.to_bytes())
    }

    /// When the file was finished.
    pub fn created(&self) -> Timestamp {
        Timestamp(i64::from(self.created))
    }
}

impl Source {
    /// Reads the first four bytes: a little-endian number up to 24 bits is an ID, all else an
    /// address. An address that ends in `.0` is therefore read as an ID, as in the original.
    pub fn from_bytes(bytes: [u8; 4]) -> Self {
        match ServerId::new(u32::from_le_bytes(bytes)) {
            Some(id) => Self::Id(id),
            None => Self::Ip(Ipv4Addr::from(bytes)),
        }
    }

    /// The four bytes.
    pub fn to_bytes(self) -> [u8; 4] {
        match self {
            Self::Ip(address) => address.octets(),
            Self::Id(id) => id.get().to_le_bytes(),
        }
    }
}
