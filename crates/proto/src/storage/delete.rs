//! `DELETE_FILE` (12): remove a file.
//!
//! ```text
//!  0                 16
//!  | group, 0-padded | filename ... |
//! ```

use fdfs_types::FileId;

use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// Removes a file and its metadata.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeleteRequest {
    /// The file.
    pub file_id: FileId,
}

impl Encode for DeleteRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.file_id.write(writer);
    }
}

impl Decode for DeleteRequest {
    const NAME: &'static str = "DeleteRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { file_id: FileId::read(reader)? })
    }
}

impl Request for DeleteRequest {
    const COMMAND: Command = Command::DELETE_FILE;
    type Response = Empty;
}
