//! `APPEND_FILE` (24), `MODIFY_FILE` (34), `TRUNCATE_FILE` (36) and `REGENERATE_APPENDER_FILENAME` (38): change
//! an appender file.
//!
//! ```text
//!  24  | filename length | size | filename ... | content ... |
//!  34  | filename length | offset | size | filename ... | content ... |
//!  36  | filename length | size | filename ... |
//!  38  | filename ... |                      answer: | group, 0-padded [16] | filename ... |
//! ```
//!
//! The group is that of the storage. A change that changes nothing is answered by the original with the
//! bytes of the request; they are dropped.

use fdfs_types::{FileId, RemoteFilename};

use crate::file_id::{head_length_of_name, read_filename, read_filename_length};
use crate::{Command, Decode, DecodeError, Encode, Ignored, Reader, Request, Streamed, Writer};

/// Writes at the end of an appender file. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AppendRequest {
    /// The file.
    pub filename: RemoteFilename,
    /// Length of the content.
    pub size: u64,
}

/// Overwrites bytes of an appender file, possibly beyond its end. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModifyRequest {
    /// The file.
    pub filename: RemoteFilename,
    /// Where to write; not beyond the end.
    pub offset: u64,
    /// Length of the content.
    pub size: u64,
}

/// Cuts an appender file, or extends it with zeros.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TruncateRequest {
    /// The file.
    pub filename: RemoteFilename,
    /// Its new size.
    pub size: u64,
}

/// Turns an appender file into a normal one, under a new name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RegenerateRequest {
    /// The file.
    pub filename: RemoteFilename,
}

/// Names of appender files have at least so many bytes.
pub const MIN_APPENDER_NAME_LEN: usize = RemoteFilename::NORMAL_LEN;

impl Encode for AppendRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.filename.as_str().len());
        writer.u64(self.size);
        writer.text(self.filename.as_str());
    }
}

impl Decode for AppendRequest {
    const NAME: &'static str = "AppendRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_filename_length(reader, "filename length")?;
        let size = reader.u64("size")?;
        Ok(Self { filename: read_appender_name(reader, length)?, size })
    }
}

impl Request for AppendRequest {
    const COMMAND: Command = Command::APPEND_FILE;
    type Response = Ignored;

    fn content_length(&self) -> u64 {
        self.size
    }
}

impl Streamed for AppendRequest {
    const FIXED_LEN: usize = 16;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        head_length_of_name(Self::NAME, fixed, Self::FIXED_LEN)
    }
}

impl Encode for ModifyRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.filename.as_str().len());
        writer.u64(self.offset);
        writer.u64(self.size);
        writer.text(self.filename.as_str());
    }
}

impl Decode for ModifyRequest {
    const NAME: &'static str = "ModifyRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_filename_length(reader, "filename length")?;
        let offset = reader.u64("offset")?;
        let size = reader.u64("size")?;
        Ok(Self { filename: read_appender_name(reader, length)?, offset, size })
    }
}

impl Request for ModifyRequest {
    const COMMAND: Command = Command::MODIFY_FILE;
    type Response = Ignored;

    fn content_length(&self) -> u64 {
        self.size
    }
}

impl Streamed for ModifyRequest {
    const FIXED_LEN: usize = 24;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        head_length_of_name(Self::NAME, fixed, Self::FIXED_LEN)
    }
}

impl Encode for TruncateRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.filename.as_str().len());
        writer.u64(self.size);
        writer.text(self.filename.as_str());
    }
}

impl Decode for TruncateRequest {
    const NAME: &'static str = "TruncateRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_filename_length(reader, "filename length")?;
        let size = reader.u64("size")?;
        Ok(Self { filename: read_appender_name(reader, length)?, size })
    }
}

impl Request for TruncateRequest {
    const COMMAND: Command = Command::TRUNCATE_FILE;
    type Response = Ignored;
}

impl Encode for RegenerateRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self.filename.as_str());
    }
}

impl Decode for RegenerateRequest {
    const NAME: &'static str = "RegenerateRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.remaining();
        Ok(Self { filename: read_appender_name(reader, length)? })
    }
}

impl Request for RegenerateRequest {
    const COMMAND: Command = Command::REGENERATE_APPENDER_FILENAME;
    type Response = FileId;
}

fn read_appender_name(reader: &mut Reader<'_>, length: usize) -> Result<RemoteFilename, DecodeError> {
    read_filename(reader, "filename", length, MIN_APPENDER_NAME_LEN)
}
