//! `LEND_FILE` (208): the open file itself, for a reader on the storage's own machine.
//!
//! ```text
//!  request: | length u64 | group [16] | filename ... |
//!  answer:  | start u64 | size u64 |      and a descriptor beside the bytes
//! ```
//!
//! Said on a socket of the machine alone, never over TCP: a descriptor travels there with the answer.

use fdfs_types::FileId;

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Asks for the open file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LendFileRequest {
    /// How many bytes are going to be read, for the statistics.
    pub length: u64,
    /// The file.
    pub file_id: FileId,
}

/// Where a file lies in what the descriptor stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LendFileResponse {
    /// Where its first byte stands.
    pub start: u64,
    /// Its size, in bytes.
    pub size: u64,
}

impl LendFileRequest {
    /// Longest request: the longest name, and some room.
    pub const MAX_LEN: usize = 512;
}

impl LendFileResponse {
    /// Length of every answer.
    pub const LEN: usize = 16;
}

impl Encode for LendFileRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.length);
        self.file_id.write(writer);
    }
}

impl Decode for LendFileRequest {
    const NAME: &'static str = "LendFileRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { length: reader.u64("length")?, file_id: FileId::read(reader)? })
    }
}

impl Request for LendFileRequest {
    const COMMAND: Command = Command::LEND_FILE;
    type Response = LendFileResponse;
}

impl Encode for LendFileResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.start);
        writer.u64(self.size);
    }
}

impl Decode for LendFileResponse {
    const NAME: &'static str = "LendFileResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { start: reader.u64("start")?, size: reader.u64("size")? })
    }
}
