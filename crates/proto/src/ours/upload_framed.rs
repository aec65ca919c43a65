//! `UPLOAD_FRAMED` (201): store a file of a length not known in advance, for an owner.
//!
//! ```text
//!  0            1               9               15           31
//!  | store path | expected size | extension [6] | owner [16] | write concern, private |
//!
//!  then frames, which the header's length does not count:
//!  | i32 length, 1 to 16 MiB | bytes ... |      any number of times
//!  | i32 0 | i64 length of all | u32 CRC-32 of all |      once, at the end
//!
//!  answer: | group, 0-padded [16] | filename ... |
//! ```
//!
//! Nothing is stored before the last frame has come and its length and checksum are those of the bytes that
//! came before; closing the connection earlier gives up. A storage that refuses early answers and closes.

use fdfs_types::{Extension, FileId};

use super::owner::{OwnerToken, read_owner, write_owner};
use crate::storage::upload::{ANY_STORE_PATH, read_store_path};
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Stores a file. Frames with its content follow.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadFramedRequest {
    /// The store path; `None` leaves it to the storage.
    pub store_path: Option<u8>,
    /// Length of the content, where the sender has an idea of it: space is sought for so much.
    pub expected_size: Option<u64>,
    /// Extension of the name.
    pub extension: Extension,
    /// Whom the file is for.
    pub owner: Option<OwnerToken>,
    /// What must be true before the answer.
    pub write_concern: WriteConcern,
    /// Whether members alone may read it.
    pub private: bool,
}

/// What must be true of a file before its upload is answered.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum WriteConcern {
    /// What the storage is set to.
    #[default]
    Storage,
    /// This storage has it.
    Local,
    /// A second member of the group has it, too.
    Replicated,
}

/// What stands before the bytes of a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Frame {
    /// So many bytes follow, at least one.
    Data(u32),
    /// [`Trailer`] follows, and nothing more.
    End,
}

/// The end of a framed upload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Trailer {
    /// Length of the content.
    pub length: u64,
    /// Checksum of the content.
    pub crc32: u32,
}

impl WriteConcern {
    /// The byte on the wire.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }

    /// The concern of a byte on the wire.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Storage),
            1 => Some(Self::Local),
            2 => Some(Self::Replicated),
            _ => None,
        }
    }
}

impl Frame {
    /// Size on the wire.
    pub const LEN: usize = 4;

    /// Most bytes of one frame.
    pub const MAX: u32 = 16 << 20;

    /// The bytes on the wire.
    pub const fn encode(self) -> [u8; Self::LEN] {
        match self {
            Self::Data(length) => length.to_be_bytes(),
            Self::End => [0; Self::LEN],
        }
    }
}

impl Encode for Frame {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&(*self).encode());
    }
}

impl Decode for Frame {
    const NAME: &'static str = "Frame";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u32::from_be_bytes(reader.array("length")?) {
            0 => Ok(Self::End),
            length @ 1..=Self::MAX => Ok(Self::Data(length)),
            length => Err(reader.invalid("length", format_args!("{length} is more than {}", Self::MAX))),
        }
    }
}

impl Trailer {
    /// Size on the wire.
    pub const LEN: usize = 12;
}

impl Encode for Trailer {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.length);
        writer.bytes(&self.crc32.to_be_bytes());
    }
}

impl Decode for Trailer {
    const NAME: &'static str = "Trailer";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { length: reader.u64("length")?, crc32: u32::from_be_bytes(reader.array("CRC-32")?) })
    }
}

impl Encode for UploadFramedRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.store_path.unwrap_or(ANY_STORE_PATH));
        match self.expected_size {
            Some(size) => writer.u64(size),
            None => writer.i64(-1),
        }
        writer.padded(self.extension.as_str(), Extension::MAX_LEN);
        write_owner(writer, self.owner);
        write_terms(writer, self.write_concern, self.private);
    }
}

impl Decode for UploadFramedRequest {
    const NAME: &'static str = "UploadFramedRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let store_path = read_store_path(reader)?;
        let expected_size = reader.number_or_none("expected size")?;
        let extension = reader.padded("extension", Extension::MAX_LEN)?;
        let owner = read_owner(reader)?;
        let (write_concern, private) = read_terms(reader)?;
        Ok(Self { store_path, expected_size, extension, owner, write_concern, private })
    }
}

impl Request for UploadFramedRequest {
    const COMMAND: Command = Command::UPLOAD_FRAMED;
    type Response = FileId;
}

/// Reads the write concern, and whether the file is private, from one byte.
pub(super) fn read_terms(reader: &mut Reader<'_>) -> Result<(WriteConcern, bool), DecodeError> {
    let byte = reader.u8("write concern")?;
    let concern = WriteConcern::from_wire(byte & !PRIVATE)
        .ok_or_else(|| reader.invalid("write concern", format_args!("{byte} is not one")))?;
    Ok((concern, byte & PRIVATE != 0))
}

/// Writes them.
pub(super) fn write_terms(writer: &mut Writer<'_>, concern: WriteConcern, private: bool) {
    writer.u8(concern.to_wire() | if private { PRIVATE } else { 0 });
}

/// Stands beside the write concern.
const PRIVATE: u8 = 0x80;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_its_length_in_front() {
        assert_eq!(Frame::decode(&[0, 0, 1, 0]), Ok(Frame::Data(256)));
        assert_eq!(Frame::decode(&[0; 4]), Ok(Frame::End));
        assert_eq!(Frame::Data(256).encode(), [0, 0, 1, 0]);
        assert!(Frame::decode(&[1, 0, 0, 1]).is_err());
        assert!(Frame::decode(&[0xff; 4]).is_err());
    }

    #[test]
    fn the_trailer_has_length_and_checksum() {
        let trailer = Trailer { length: 0x0102, crc32: 0xfedc_ba98 };
        assert_eq!(trailer.encode(), [0, 0, 0, 0, 0, 0, 1, 2, 0xfe, 0xdc, 0xba, 0x98]);
        assert_eq!(Trailer::decode(&trailer.encode()), Ok(trailer));
    }
}
