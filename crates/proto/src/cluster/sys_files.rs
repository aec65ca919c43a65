//! `GET_SYS_FILES_START` (61), `GET_ONE_SYS_FILE` (63) and `GET_SYS_FILES_END` (62): a tracker fetches the files
//! of another.
//!
//! ```text
//!  63  request: | u8 index | i64 offset |      answer: | i64 size of the file | bytes ... |
//! ```

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

empty_request! {
    /// Begins to fetch the files.
    SysFilesStartRequest, GET_SYS_FILES_START, Empty
}

empty_request! {
    /// Done fetching the files.
    SysFilesEndRequest, GET_SYS_FILES_END, Empty
}

/// Asks for a piece of one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SysFileRequest {
    /// Which file.
    pub file: SysFile,
    /// First byte wanted.
    pub offset: u64,
}

/// The files that a tracker fetches, in the order of their numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SysFile {
    /// The groups.
    Groups,
    /// The storages.
    Storages,
    /// Who has received what by when.
    SyncTimestamps,
    /// Changes of identities.
    Changelog,
}

/// A piece of one file.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SysFileResponse {
    /// Size of the whole file.
    pub size: u64,
    /// The bytes from the offset on; none at the end.
    pub bytes: Vec<u8>,
}

impl SysFile {
    /// All files, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Groups, Self::Storages, Self::SyncTimestamps, Self::Changelog];

    /// The number on the wire.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }

    /// The file of a number on the wire.
    pub fn from_wire(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

impl SysFileResponse {
    /// Original trackers send at most so many bytes at once.
    pub const MAX_PIECE: usize = 8173;
}

impl Encode for SysFileRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.file.to_wire());
        writer.u64(self.offset);
    }
}

impl Decode for SysFileRequest {
    const NAME: &'static str = "SysFileRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let index = reader.u8("index")?;
        let file = SysFile::from_wire(index)
            .ok_or_else(|| reader.invalid("index", format_args!("{index} is none of the files")))?;
        Ok(Self { file, offset: reader.u64("offset")? })
    }
}

impl Request for SysFileRequest {
    const COMMAND: Command = Command::GET_ONE_SYS_FILE;
    type Response = SysFileResponse;
}

impl Encode for SysFileResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.size);
        writer.bytes(&self.bytes);
    }
}

impl Decode for SysFileResponse {
    const NAME: &'static str = "SysFileResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { size: reader.u64("size")?, bytes: reader.rest().to_vec() })
    }
}
