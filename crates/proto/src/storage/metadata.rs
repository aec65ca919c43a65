//! `SET_METADATA` (13) and `GET_METADATA` (15).
//!
//! ```text
//!  13  0                 8                 16     17                33
//!      | filename length | metadata length | flag | group, 0-padded | filename ... | metadata ... |
//!
//!  15  0                 16
//!      | group, 0-padded | filename ... |              answer: | metadata ... |
//! ```
//!
//! Metadata is `name 0x02 value` records, separated by 0x01.

use fdfs_types::{FileId, Metadata};

use crate::file_id::read_filename_length;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// Replaces or merges the metadata of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetMetadataRequest {
    /// The file.
    pub file_id: FileId,
    /// What happens to the pairs that the file has.
    pub mode: MetadataMode,
    /// The new pairs.
    pub metadata: Metadata,
}

/// What [`SetMetadataRequest`] does with the pairs that a file has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MetadataMode {
    /// Remove them.
    Overwrite,
    /// Keep those whose names are not among the new ones.
    Merge,
}

/// Asks for the metadata of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetMetadataRequest {
    /// The file.
    pub file_id: FileId,
}

/// The metadata of a file.
///
/// Storages of the original keep what clients sent, and stale bytes after a NUL: reading stops at the first
/// NUL, and rows without a separator or beyond the limits are left out.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct GetMetadataResponse {
    /// The pairs.
    pub metadata: Metadata,
}

impl MetadataMode {
    /// The byte on the wire.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Overwrite => b'O',
            Self::Merge => b'M',
        }
    }

    /// The mode of a byte on the wire.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        match byte {
            b'O' => Some(Self::Overwrite),
            b'M' => Some(Self::Merge),
            _ => None,
        }
    }
}

impl Encode for SetMetadataRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        let metadata = self.metadata.encode();
        writer.length(self.file_id.filename.as_str().len());
        writer.length(metadata.len());
        writer.u8(self.mode.to_wire());
        self.file_id.write(writer);
        writer.bytes(&metadata);
    }
}

impl Decode for SetMetadataRequest {
    const NAME: &'static str = "SetMetadataRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let filename_length = read_filename_length(reader, "filename length")?;
        let metadata_length = reader.length("metadata length", reader.remaining())?;
        let flag = reader.u8("flag")?;
        let mode = MetadataMode::from_wire(flag)
            .ok_or_else(|| reader.invalid("flag", format_args!("{flag:#04x} is neither O nor M")))?;
        let group = reader.group()?;
        let filename = reader.word("filename", filename_length)?;
        let metadata = Metadata::decode(reader.bytes("metadata", metadata_length)?)
            .map_err(|error| reader.invalid("metadata", error))?;
        Ok(Self { file_id: FileId { group, filename }, mode, metadata })
    }
}

impl Request for SetMetadataRequest {
    const COMMAND: Command = Command::SET_METADATA;
    type Response = Empty;
}

impl Encode for GetMetadataRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.file_id.write(writer);
    }
}

impl Decode for GetMetadataRequest {
    const NAME: &'static str = "GetMetadataRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { file_id: FileId::read(reader)? })
    }
}

impl Request for GetMetadataRequest {
    const COMMAND: Command = Command::GET_METADATA;
    type Response = GetMetadataResponse;
}

impl Encode for GetMetadataResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.bytes(&self.metadata.encode());
    }
}

impl Decode for GetMetadataResponse {
    const NAME: &'static str = "GetMetadataResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = reader.rest();
        let bytes = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
        let mut metadata = Metadata::new();
        for row in bytes.split(|byte| *byte == 1) {
            if let Ok(pair) = Metadata::decode(row) {
                metadata.merge(pair);
            }
        }
        Ok(Self { metadata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_the_original_should_not_have_kept_are_left_out() {
        let response = GetMetadataResponse::decode(b"b\x022\x01junk\x01a\x021\0stale\x02").unwrap();
        assert_eq!(response.encode(), b"a\x021\x01b\x022");
    }

    #[test]
    fn rows_that_a_client_should_not_send_are_refused() {
        let file_id: FileId = "group1/M00/00/00/0123456789".parse().unwrap();
        let request = SetMetadataRequest {
            file_id,
            mode: MetadataMode::Merge,
            metadata: Metadata::decode(b"a\x021").unwrap(),
        };
        let mut body = request.encode();
        let last = body.len() - 2;
        body[last] = b'b';
        let error = SetMetadataRequest::decode(&body).unwrap_err();
        assert_eq!(error.field(), Some("metadata"));
    }
}
