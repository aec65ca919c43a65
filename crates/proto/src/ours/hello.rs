//! `HELLO` (200): what the other side can do beyond the original protocol.
//!
//! ```text
//!  0            8         12             20
//!  | "FDFS-EXT" | version | capabilities | software ... |      request and answer
//! ```
//!
//! An original server does not know the number and answers `EINVAL`, an original storage closes the connection
//! besides. The magic bytes keep a peer that uses the number for something else from being misunderstood.

use std::ops::BitOr;

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Asks what the other side can do, and says what this side can.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HelloRequest(pub Hello);

/// What one side can do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Hello {
    /// Version of our part of the protocol.
    pub version: u32,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Name and version of the program, for logs; at most 64 bytes.
    pub software: String,
}

/// A set of abilities. Bits that are not known are kept and mean nothing.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// `UPLOAD_FRAMED` (201).
    pub const UPLOAD_FRAMED: Self = Self(1);
    /// `LIST_RAW_FILES` (202).
    pub const LIST_RAW_FILES: Self = Self(1 << 1);
    /// `JOIN_FILES` (203).
    pub const JOIN_FILES: Self = Self(1 << 2);
    /// Owner tokens are kept: `LIST_OWNED_FILES` (204) and `FORGET_OWNED_FILES` (205).
    pub const OWNERS: Self = Self(1 << 3);
    /// [`WriteConcern::Replicated`](crate::ours::WriteConcern::Replicated) is honoured.
    pub const WRITE_CONCERN: Self = Self(1 << 4);

    /// `DEAD_LETTERS` (206).
    pub const DEAD_LETTERS: Self = Self(1 << 5);
    /// `SCRUB` (207).
    pub const SCRUB: Self = Self(1 << 7);

    /// Private files are made, and kept for members: this storage shares a secret with them.
    pub const PRIVATE: Self = Self(1 << 8);

    /// `TRUNK_SLOTS` (209).
    pub const TRUNK_SLOTS: Self = Self(1 << 9);

    /// `LINK_CONTENT` (210).
    pub const LINK_CONTENT: Self = Self(1 << 10);

    /// Of a storage: asks the other members for files that it lacks. Of a request: what follows on this connection is asked
    /// for somebody else, and is answered and done from here alone.
    pub const FOR_ANOTHER: Self = Self(1 << 6);

    /// `EXPLAIN_STORAGES` (220).
    pub const EXPLAIN_STORAGES: Self = Self(1 << 16);

    /// Whether all of `others` are among these.
    pub const fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }
}

impl Hello {
    /// The version that this code speaks.
    pub const VERSION: u32 = 1;

    const MAGIC: &'static [u8; 8] = b"FDFS-EXT";
    const MAX_SOFTWARE_LEN: usize = 64;
}

impl BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Encode for Hello {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(Self::MAGIC);
        writer.u32(self.version);
        writer.bytes(&self.capabilities.0.to_be_bytes());
        let end = self.software.floor_char_boundary(Self::MAX_SOFTWARE_LEN);
        writer.text(self.software.get(..end).unwrap_or_default());
    }
}

impl Decode for Hello {
    const NAME: &'static str = "Hello";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if &reader.array("magic")? != Self::MAGIC {
            return Err(reader.invalid("magic", "not FDFS-EXT"));
        }
        let version = reader.u32("version")?;
        let capabilities = Capabilities(u64::from_be_bytes(reader.array("capabilities")?));
        let software = reader.rest_text("software")?;
        if software.len() > Self::MAX_SOFTWARE_LEN {
            return Err(reader.invalid("software", format_args!("{} bytes", software.len())));
        }
        Ok(Self { version, capabilities, software: software.to_owned() })
    }
}

impl Encode for HelloRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}

impl Decode for HelloRequest {
    const NAME: &'static str = "HelloRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Hello::read(reader).map(Self)
    }
}

impl Request for HelloRequest {
    const COMMAND: Command = Command::HELLO;
    type Response = Hello;
}
