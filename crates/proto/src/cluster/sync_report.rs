//! `SYNC_REPORT` (89): how far a storage has the files of its peers.
//!
//! ```text
//!  | n times: source id [16], time i32 |
//! ```

use fdfs_types::{StorageId, Timestamp};

use crate::cluster::Notification;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, STORAGE_ID_WIDTH, Writer};

/// How far a storage has the files of its peers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SyncReportRequest {
    /// One row for every peer, at least one.
    pub rows: Vec<SyncedUntil>,
}

/// All changes of a source up to a time have arrived.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SyncedUntil {
    /// The source.
    pub source: StorageId,
    /// The time; zero while nothing has arrived.
    pub until: Timestamp,
}

impl Encode for SyncReportRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        for row in &self.rows {
            writer.storage_id(Some(&row.source));
            writer.time32(row.until);
        }
    }
}

impl Decode for SyncReportRequest {
    const NAME: &'static str = "SyncReportRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Err(reader.invalid("rows", "there are none"));
        }
        let one = |reader: &mut Reader<'_>| {
            Ok(SyncedUntil {
                source: reader.padded("source", STORAGE_ID_WIDTH)?,
                until: reader.time32("time")?,
            })
        };
        Ok(Self { rows: reader.repeat_to_end(one)? })
    }
}

impl Request for SyncReportRequest {
    const COMMAND: Command = Command::SYNC_REPORT;
    type Response = Notification;
}
