//! `REPORT_STATUS` (76), `REPLICA_CHANGE` (85) and `STORAGE_CHANGE_STATUS` (59): states told by others than the
//! storage's own heart beat.
//!
//! ```text
//!  76  | group [16] | brief [67] |
//!  85  | n times: brief [67] |
//!  59  | status |
//! ```

use fdfs_types::{GroupName, StorageStatus};

use crate::{Brief, Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// The state of a storage, told by its source or by itself while it recovers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportStatusRequest {
    /// Its group.
    pub group: GroupName,
    /// The storage; the port is zero.
    pub storage: Brief,
}

/// A storage knows better about its peers than the list it was told.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReplicaChangeRequest {
    /// The peers, 1 to 32.
    pub storages: Vec<Brief>,
}

/// A follower is told how the leader sees the storage that sends this.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChangeStatusRequest {
    /// The state according to the leader.
    pub status: StorageStatus,
}

impl ReplicaChangeRequest {
    /// Most peers in one request.
    pub const MAX_STORAGES: usize = 32;
}

impl Encode for ReportStatusRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        self.storage.write(writer);
    }
}

impl Decode for ReportStatusRequest {
    const NAME: &'static str = "ReportStatusRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, storage: Brief::read(reader)? })
    }
}

impl Request for ReportStatusRequest {
    const COMMAND: Command = Command::REPORT_STATUS;
    type Response = Empty;
}

impl Encode for ReplicaChangeRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        for storage in &self.storages {
            storage.write(writer);
        }
    }
}

impl Decode for ReplicaChangeRequest {
    const NAME: &'static str = "ReplicaChangeRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let storages = reader.repeat_to_end(Brief::read)?;
        if storages.is_empty() || storages.len() > Self::MAX_STORAGES {
            return Err(reader.invalid("storages", format_args!("{} of them", storages.len())));
        }
        Ok(Self { storages })
    }
}

impl Request for ReplicaChangeRequest {
    const COMMAND: Command = Command::REPLICA_CHANGE;
    type Response = Empty;
}

impl Encode for ChangeStatusRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.status.to_wire());
    }
}

impl Decode for ChangeStatusRequest {
    const NAME: &'static str = "ChangeStatusRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { status: reader.storage_status("status")? })
    }
}

impl Request for ChangeStatusRequest {
    const COMMAND: Command = Command::STORAGE_CHANGE_STATUS;
    type Response = Empty;
}
