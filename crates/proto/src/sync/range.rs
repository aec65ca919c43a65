//! `SYNC_APPEND_FILE` (25), `SYNC_MODIFY_FILE` (35) and `SYNC_TRUNCATE_FILE` (37): changes of an appender file for a
//! peer.
//!
//! ```text
//!  25, 35  0                 8        16       24          28           44
//!          | filename length | offset | length | time, i32 | group [16] | filename ... | content ... |
//!  37      0                 8          16         24          28           44
//!          | filename length | old size | new size | time, i32 | group [16] | filename ... |
//! ```

use fdfs_types::{FileId, Timestamp};

use crate::file_id::{head_length_of_name, read_filename_length};
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Streamed, Writer};

/// A range of a file, as a peer gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncedRange {
    /// The file.
    pub file_id: FileId,
    /// Where the range starts.
    pub offset: u64,
    /// Its length.
    pub length: u64,
    /// When the change happened.
    pub time: Timestamp,
}

/// Bytes appended to a file. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncAppendRequest {
    /// The range.
    pub range: SyncedRange,
}

/// Bytes overwritten in a file. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncModifyRequest {
    /// The range.
    pub range: SyncedRange,
}

/// A file has a new size.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncTruncateRequest {
    /// The file.
    pub file_id: FileId,
    /// Its size before.
    pub old_size: u64,
    /// Its size now.
    pub new_size: u64,
    /// When the change happened.
    pub time: Timestamp,
}

const FIXED_LEN: usize = 44;

impl Encode for SyncedRange {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.file_id.filename.as_str().len());
        writer.u64(self.offset);
        writer.u64(self.length);
        writer.time32(self.time);
        self.file_id.write(writer);
    }
}

impl SyncedRange {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name_length = read_filename_length(reader, "filename length")?;
        let offset = reader.u64("offset")?;
        let length = reader.u64("length")?;
        let time = reader.time32("time")?;
        let group = reader.group()?;
        let file_id = FileId { group, filename: reader.word("filename", name_length)? };
        Ok(Self { file_id, offset, length, time })
    }
}

macro_rules! with_range {
    ($($name:ident, $command:ident;)*) => {$(
        impl Encode for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                self.range.write(writer);
            }
        }

        impl Decode for $name {
            const NAME: &'static str = stringify!($name);

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { range: SyncedRange::read(reader)? })
            }
        }

        impl Request for $name {
            const COMMAND: Command = Command::$command;
            type Response = Empty;

            fn content_length(&self) -> u64 {
                self.range.length
            }
        }

        impl Streamed for $name {
            const FIXED_LEN: usize = FIXED_LEN;

            fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
                head_length_of_name(Self::NAME, fixed, FIXED_LEN)
            }
        }
    )*};
}

with_range! {
    SyncAppendRequest, SYNC_APPEND_FILE;
    SyncModifyRequest, SYNC_MODIFY_FILE;
}

impl Encode for SyncTruncateRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.file_id.filename.as_str().len());
        writer.u64(self.old_size);
        writer.u64(self.new_size);
        writer.time32(self.time);
        self.file_id.write(writer);
    }
}

impl Decode for SyncTruncateRequest {
    const NAME: &'static str = "SyncTruncateRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let name_length = read_filename_length(reader, "filename length")?;
        let old_size = reader.u64("old size")?;
        let new_size = reader.u64("new size")?;
        let time = reader.time32("time")?;
        let group = reader.group()?;
        let file_id = FileId { group, filename: reader.word("filename", name_length)? };
        Ok(Self { file_id, old_size, new_size, time })
    }
}

impl Request for SyncTruncateRequest {
    const COMMAND: Command = Command::SYNC_TRUNCATE_FILE;
    type Response = Empty;
}
