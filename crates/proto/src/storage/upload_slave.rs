//! `UPLOAD_SLAVE_FILE` (21): store a file whose name derives from another's.
//!
//! ```text
//!  0               8      16            32              38
//!  | master length | size | prefix [16] | extension [6] | master ... | content ... |
//!
//!  answer: | group, 0-padded [16] | filename ... |
//! ```

use fdfs_types::{Extension, FileId, RemoteFilename, SlavePrefix};

use crate::file_id::{head_length_of_name, read_filename_length};
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Streamed, Writer};

/// Stores a file whose name derives from another's. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadSlaveRequest {
    /// The file that the name derives from.
    pub master: RemoteFilename,
    /// Length of the content.
    pub size: u64,
    /// What the name has in addition.
    pub prefix: SlavePrefix,
    /// Extension of the name.
    pub extension: Extension,
}

impl Encode for UploadSlaveRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.length(self.master.as_str().len());
        writer.u64(self.size);
        writer.padded(self.prefix.as_str(), SlavePrefix::MAX_LEN);
        writer.padded(self.extension.as_str(), Extension::MAX_LEN);
        writer.text(self.master.as_str());
    }
}

impl Decode for UploadSlaveRequest {
    const NAME: &'static str = "UploadSlaveRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let master_length = read_filename_length(reader, "master length")?;
        let size = reader.u64("size")?;
        let prefix = reader.padded("prefix", SlavePrefix::MAX_LEN)?;
        let extension = reader.padded("extension", Extension::MAX_LEN)?;
        Ok(Self { master: reader.word("master", master_length)?, size, prefix, extension })
    }
}

impl Request for UploadSlaveRequest {
    const COMMAND: Command = Command::UPLOAD_SLAVE_FILE;
    type Response = FileId;

    fn content_length(&self) -> u64 {
        self.size
    }
}

impl Streamed for UploadSlaveRequest {
    const FIXED_LEN: usize = 38;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        head_length_of_name(Self::NAME, fixed, Self::FIXED_LEN)
    }
}
