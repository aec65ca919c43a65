//! `DELETE_STORAGE` (93), `SET_TRUNK_SERVER` (94) and `DELETE_GROUP` (108).
//!
//! ```text
//!  0                 16
//!  | group, 0-padded | storage id ... |      93: has an id, 94: may have one, 108: none
//! ```

use fdfs_types::{GroupName, StorageId};

use crate::{Command, Decode, DecodeError, Empty, Encode, Reader, Request, Writer};

/// Removes a storage that is not connected from its group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeleteStorageRequest {
    /// Its group.
    pub group: GroupName,
    /// The storage.
    pub storage_id: StorageId,
}

/// Chooses the trunk server of a group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetTrunkServerRequest {
    /// The group.
    pub group: GroupName,
    /// The storage; without one the tracker chooses.
    pub storage_id: Option<StorageId>,
}

/// The trunk server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetTrunkServerResponse {
    /// Its ID. On the wire a NUL follows.
    pub storage_id: StorageId,
}

/// Removes a group without storages.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeleteGroupRequest {
    /// The group.
    pub group: GroupName,
}

impl Encode for DeleteStorageRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.text(self.storage_id.as_str());
    }
}

impl Decode for DeleteStorageRequest {
    const NAME: &'static str = "DeleteStorageRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, storage_id: reader.rest_word("storage id")? })
    }
}

impl Request for DeleteStorageRequest {
    const COMMAND: Command = Command::DELETE_STORAGE;
    type Response = Empty;
}

impl Encode for SetTrunkServerRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        if let Some(id) = &self.storage_id {
            writer.text(id.as_str());
        }
    }
}

impl Decode for SetTrunkServerRequest {
    const NAME: &'static str = "SetTrunkServerRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let storage_id = if reader.is_empty() { None } else { Some(reader.rest_word("storage id")?) };
        Ok(Self { group, storage_id })
    }
}

impl Request for SetTrunkServerRequest {
    const COMMAND: Command = Command::SET_TRUNK_SERVER;
    type Response = SetTrunkServerResponse;
}

impl Encode for SetTrunkServerResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self.storage_id.as_str());
        writer.u8(0);
    }
}

impl Decode for SetTrunkServerResponse {
    const NAME: &'static str = "SetTrunkServerResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let width = reader.remaining();
        Ok(Self { storage_id: reader.padded("storage id", width)? })
    }
}

impl Encode for DeleteGroupRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for DeleteGroupRequest {
    const NAME: &'static str = "DeleteGroupRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

impl Request for DeleteGroupRequest {
    const COMMAND: Command = Command::DELETE_GROUP;
    type Response = Empty;
}
