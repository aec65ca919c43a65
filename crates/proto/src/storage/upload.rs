//! `UPLOAD_FILE` (11) and `UPLOAD_APPENDER_FILE` (23): store a file.
//!
//! ```text
//!  0            1      9               15
//!  | store path | size | extension [6] | content ... |
//!
//!  answer: | group, 0-padded [16] | filename ... |
//! ```

use fdfs_types::{Extension, FileId};

use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Streamed, Writer};

/// Stores a file. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadRequest {
    /// The store path; `None` leaves it to the storage.
    pub store_path: Option<u8>,
    /// Length of the content.
    pub size: u64,
    /// Extension of the name.
    pub extension: Extension,
}

/// Stores a file that can be changed later. The content follows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UploadAppenderRequest(pub UploadRequest);

/// Stands for "the storage chooses the store path".
pub(crate) const ANY_STORE_PATH: u8 = 0xFF;

/// Largest index of a store path that a client can name: the byte is signed.
const MAX_STORE_PATH: u8 = 0x7F;

impl Encode for UploadRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.store_path.unwrap_or(ANY_STORE_PATH));
        writer.u64(self.size);
        writer.padded(self.extension.as_str(), Extension::MAX_LEN);
    }
}

impl Decode for UploadRequest {
    const NAME: &'static str = "UploadRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            store_path: read_store_path(reader)?,
            size: reader.u64("size")?,
            extension: reader.padded("extension", Extension::MAX_LEN)?,
        })
    }
}

impl Request for UploadRequest {
    const COMMAND: Command = Command::UPLOAD_FILE;
    type Response = FileId;

    fn content_length(&self) -> u64 {
        self.size
    }
}

impl Streamed for UploadRequest {
    const FIXED_LEN: usize = 15;

    fn head_length(_fixed: &[u8]) -> Result<usize, DecodeError> {
        Ok(Self::FIXED_LEN)
    }
}

impl Encode for UploadAppenderRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.0.write(writer);
    }
}

impl Decode for UploadAppenderRequest {
    const NAME: &'static str = "UploadAppenderRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        UploadRequest::read(reader).map(Self)
    }
}

impl Request for UploadAppenderRequest {
    const COMMAND: Command = Command::UPLOAD_APPENDER_FILE;
    type Response = FileId;

    fn content_length(&self) -> u64 {
        self.0.size
    }
}

impl Streamed for UploadAppenderRequest {
    const FIXED_LEN: usize = UploadRequest::FIXED_LEN;

    fn head_length(fixed: &[u8]) -> Result<usize, DecodeError> {
        UploadRequest::head_length(fixed)
    }
}

/// Reads the index of a store path, or "any".
pub(crate) fn read_store_path(reader: &mut Reader<'_>) -> Result<Option<u8>, DecodeError> {
    match reader.u8("store path")? {
        ANY_STORE_PATH => Ok(None),
        index @ 0..=MAX_STORE_PATH => Ok(Some(index)),
        index => Err(reader.invalid("store path", format_args!("{index} is not an index a client can name"))),
    }
}
