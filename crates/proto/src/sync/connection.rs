//! `REPORT_SERVER_ID` (9) and `FETCH_ONE_PATH_BINLOG` (26).
//!
//! ```text
//!   9  | storage id [16] |
//!  26  | group [16] | u8 store path |    answer: | lines ... | u64 number of their bytes | end of the stream
//! ```
//!
//! The header of the answer to 26 announces [`PathBinlogRequest::ENDLESS`] bytes, for nobody knows how many there
//! will be; the server closes the connection at the end.

use fdfs_types::{GroupName, StorageId};

use crate::{Command, Decode, DecodeError, Empty, Encode, Raw, Reader, Request, STORAGE_ID_WIDTH, Writer};

/// Says which storage sends what follows on this connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportServerIdRequest {
    /// The sender.
    pub storage_id: StorageId,
}

/// Asks for the records of one store path, to recover it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PathBinlogRequest {
    /// The group.
    pub group: GroupName,
    /// Index of the store path.
    pub store_path: u8,
}

impl PathBinlogRequest {
    /// Length that the header of the answer announces.
    pub const ENDLESS: u64 = 1 << 58;

    /// Bytes behind the lines: their number.
    pub const TRAILER_LEN: usize = 8;
}

impl Encode for ReportServerIdRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.storage_id(Some(&self.storage_id));
    }
}

impl Decode for ReportServerIdRequest {
    const NAME: &'static str = "ReportServerIdRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { storage_id: reader.padded("storage id", STORAGE_ID_WIDTH)? })
    }
}

impl Request for ReportServerIdRequest {
    const COMMAND: Command = Command::REPORT_SERVER_ID;
    type Response = Empty;
}

impl Encode for PathBinlogRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.u8(self.store_path);
    }
}

impl Decode for PathBinlogRequest {
    const NAME: &'static str = "PathBinlogRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, store_path: reader.u8("store path")? })
    }
}

impl Request for PathBinlogRequest {
    const COMMAND: Command = Command::FETCH_ONE_PATH_BINLOG;
    type Response = Raw;
}
