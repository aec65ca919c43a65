//! `QUERY_FETCH_ONE` (102), `QUERY_UPDATE` (103) and `QUERY_FETCH_ALL` (105): where to read or change a file.
//!
//! ```text
//!  request:                          answer, one:                  all:
//!  0                 16              0       16           31|61    0       16
//!  | group, 0-padded | filename ...  | group | ip, padded | port   | group | n times (ip, port)
//! ```
//!
//! The tracker does not look whether the file exists; it knows who has received what by when.

use std::net::SocketAddr;

use fdfs_types::{FileId, GroupName};

use super::query_store::{one_width, read_address, read_addresses, write_address};
use crate::file_id::read_filename;
use crate::{Command, Decode, DecodeError, Encode, IpWidth, Reader, Request, Writer};

/// Asks for one storage to read a file from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryFetchOneRequest {
    /// The file.
    pub file_id: FileId,
}

/// Asks for the storage to change a file at: its source, if it is there.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryUpdateRequest {
    /// The file.
    pub file_id: FileId,
}

/// Asks for all storages to read a file from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryFetchAllRequest {
    /// The file.
    pub file_id: FileId,
}

/// One storage to read or change a file at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryFetchOneResponse {
    /// How wide the address is written.
    pub ip_width: IpWidth,
    /// The group.
    pub group: GroupName,
    /// The storage.
    pub storage: SocketAddr,
}

/// All storages to read a file from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryFetchAllResponse {
    /// How wide the addresses are written.
    pub ip_width: IpWidth,
    /// The group.
    pub group: GroupName,
    /// The storages, at least one.
    pub storages: Vec<SocketAddr>,
}

/// Trackers refuse shorter names.
pub const MIN_FILENAME_LEN: usize = 22;

macro_rules! about_a_file {
    ($($name:ident, $command:ident, $response:ty;)*) => {$(
        impl Encode for $name {
            fn write(&self, writer: &mut Writer<'_>) {
                self.file_id.write(writer);
            }
        }

        impl Decode for $name {
            const NAME: &'static str = stringify!($name);

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                let group = reader.group()?;
                let length = reader.remaining();
                let filename = read_filename(reader, "filename", length, MIN_FILENAME_LEN)?;
                Ok(Self { file_id: FileId { group, filename } })
            }
        }

        impl Request for $name {
            const COMMAND: Command = Command::$command;
            type Response = $response;
        }
    )*};
}

about_a_file! {
    QueryFetchOneRequest, QUERY_FETCH_ONE, QueryFetchOneResponse;
    QueryUpdateRequest, QUERY_UPDATE, QueryFetchOneResponse;
    QueryFetchAllRequest, QUERY_FETCH_ALL, QueryFetchAllResponse;
}

impl Encode for QueryFetchOneResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        write_address(writer, self.storage, self.ip_width);
    }
}

impl Decode for QueryFetchOneResponse {
    const NAME: &'static str = "QueryFetchOneResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ip_width = one_width(reader.remaining(), GroupName::MAX_LEN);
        Ok(Self { ip_width, group: reader.group()?, storage: read_address(reader, ip_width)? })
    }
}

impl Encode for QueryFetchAllResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        for storage in &self.storages {
            write_address(writer, *storage, self.ip_width);
        }
    }
}

impl Decode for QueryFetchAllResponse {
    const NAME: &'static str = "QueryFetchAllResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let length = reader.remaining();
        let (ip_width, storages) = read_addresses(reader, length)?;
        Ok(Self { ip_width, group, storages })
    }
}
