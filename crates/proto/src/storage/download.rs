//! `DOWNLOAD_FILE` (14): read a file, or a range of it.
//!
//! ```text
//!  0        8        16                32
//!  | offset | length | group, 0-padded | filename ... |
//!
//!  answer: | content ... |
//! ```

use fdfs_types::FileId;

use crate::{Command, Decode, DecodeError, Encode, Raw, Reader, Request, Writer};

/// Asks for `length` bytes of a file from `offset` on.
///
/// The answer's header has the number of bytes that follow: fewer than asked where the file ends before.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DownloadRequest {
    /// First byte wanted.
    pub offset: u64,
    /// Number of bytes wanted; 0 means up to the end of the file.
    pub length: u64,
    /// The file.
    pub file_id: FileId,
}

impl Encode for DownloadRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u64(self.offset);
        writer.u64(self.length);
        self.file_id.write(writer);
    }
}

impl Decode for DownloadRequest {
    const NAME: &'static str = "DownloadRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            offset: reader.u64("offset")?,
            length: reader.u64("length")?,
            file_id: FileId::read(reader)?,
        })
    }
}

impl Request for DownloadRequest {
    const COMMAND: Command = Command::DOWNLOAD_FILE;
    type Response = Raw;
}
