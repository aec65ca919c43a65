//! `SYNC_CREATE_FILE` (16) and `SYNC_UPDATE_FILE` (18): a whole file for a peer.
//!
//! ```text
//!  0                 8      16          20                36
//!  | filename length | size | time, i32 | group, 0-padded | filename ... | content ... |
//! ```
//!
//! With status 17 in the request's header the sender knows that the peer has the file: no content follows,
//! and 17 is the answer.

use fdfs_types::{FileId, Timestamp};

use crate::file_id::{head_length_of_name, read_filename_length};
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Status, Streamed, Writer};

/// A whole file, as a peer gets it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncedFile {
    /// The file; its name may be that of metadata.
    pub file_id: FileId,
    /// Length of the content.
    pub size: u64,
    /// When the change happened.
    pub time: Timestamp,
}

/// A new file. The content follows, unless the peer has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncCreateRequest {
    /// The file.
    pub file: SyncedFile,
    /// The sender knows that the peer has it: no content follows.
    pub is_known: bool,
}

/// A file that the peer may have with other content. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncUpdateRequest {
    /// The file.
    pub file: SyncedFile,
}

const FIXED_LEN: usize = 36;

impl Encode for SyncedFile {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.file_id.filename.as_str().len());
        writer.u64(self.size);
        writer.time32(self.time);
        self.file_id.write(writer);
    }
}

impl SyncedFile {
    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = read_filename_length(reader, "filename length")?;
        let size = reader.u64("size")?;
        let time = reader.time32("time")?;
        let group = reader.group()?;
        let file_id = FileId { group, filename: reader.word("filename", length)? };
        Ok(Self { file_id, size, time })
    }
}

impl Encode for SyncCreateRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.file.write(writer);
    }
}

impl Decode for SyncCreateRequest {
    const NAME: &'static str = "SyncCreateRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { file: SyncedFile::read(reader)?, is_known: false })
    }
}

impl Request for SyncCreateRequest {
    const COMMAND: Command = Command::SYNC_CREATE_FILE;
    type Response = Empty;

    fn flags(&self) -> Status {
        if self.is_known { Status::EEXIST } else { Status::OK }
    }

    fn set_flags(&mut self, flags: Status) {
        self.is_known = !flags.is_ok();
    }

    fn content_length(&self) -> u64 {
        if self.is_known { 0 } else { self.file.size }
    }
}

impl Streamed for SyncCreateRequest {
    const FIXED_LEN: usize = FIXED_LEN;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        head_length_of_name(Self::NAME, fixed, FIXED_LEN)
    }
}

impl Encode for SyncUpdateRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.file.write(writer);
    }
}

impl Decode for SyncUpdateRequest {
    const NAME: &'static str = "SyncUpdateRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { file: SyncedFile::read(reader)? })
    }
}

impl Request for SyncUpdateRequest {
    const COMMAND: Command = Command::SYNC_UPDATE_FILE;
    type Response = Empty;

    fn content_length(&self) -> u64 {
        self.file.size
    }
}

impl Streamed for SyncUpdateRequest {
    const FIXED_LEN: usize = FIXED_LEN;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        head_length_of_name(Self::NAME, fixed, FIXED_LEN)
    }
}
