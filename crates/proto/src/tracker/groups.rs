//! `LIST_ONE_GROUP` (90) and `LIST_ALL_GROUPS` (91): figures of groups.
//!
//! ```text
//!  0              17         25        33            41              49         57     65         73
//!  | group str[17] | total MB | free MB | reserved MB | trunk free MB | storages | port | readable | writable
//!  81             89            97               105                  113
//!  | write server | store paths | subdirectories | current trunk file |
//! ```

use fdfs_types::GroupName;

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Encode, Reader, Request, Writer};

/// Asks for the figures of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListOneGroupRequest {
    /// The group.
    pub group: GroupName,
}

empty_request! {
    /// Asks for the figures of all groups.
    ListAllGroupsRequest, LIST_ALL_GROUPS, ListAllGroupsResponse
}

/// All groups, sorted by name.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListAllGroupsResponse {
    /// The groups.
    pub groups: Vec<GroupRecord>,
}

/// Figures of one group.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupRecord {
    /// Its name.
    pub group: GroupName,
    /// Size of the writable storage with the least free space, in MiB.
    pub total_mb: u64,
    /// Free space of that storage.
    pub free_mb: u64,
    /// How much of it stays free.
    pub reserved_mb: u64,
    /// Free space inside trunk files.
    pub trunk_free_mb: u64,
    /// Storages in any state.
    pub storage_count: u64,
    /// Port of the storages; `None` where they differ.
    pub port: Option<u16>,
    /// Active storages that clients may read from.
    pub readable_count: u64,
    /// Active storages that clients may write to.
    pub writable_count: u64,
    /// Index of the storage that the next upload goes to.
    pub write_server: i64,
    /// Store paths of each storage.
    pub store_path_count: u64,
    /// Subdirectories per level of a store path.
    pub subdir_count: u64,
    /// The highest number of a trunk file; `None` without trunk files.
    pub trunk_file_id: Option<u32>,
}

impl Encode for ListOneGroupRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for ListOneGroupRequest {
    const NAME: &'static str = "ListOneGroupRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

impl Request for ListOneGroupRequest {
    const COMMAND: Command = Command::LIST_ONE_GROUP;
    type Response = GroupRecord;
}

impl Encode for ListAllGroupsResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        for group in &self.groups {
            group.write(writer);
        }
    }
}

impl Decode for ListAllGroupsResponse {
    const NAME: &'static str = "ListAllGroupsResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { groups: reader.repeat_to_end(GroupRecord::read)? })
    }
}

impl Encode for GroupRecord {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.terminated(self.group.as_str(), GroupName::MAX_LEN + 1);
        writer.u64(self.total_mb);
        writer.u64(self.free_mb);
        writer.u64(self.reserved_mb);
        writer.u64(self.trunk_free_mb);
        writer.u64(self.storage_count);
        writer.i64(self.port.map_or(-1, i64::from));
        writer.u64(self.readable_count);
        writer.u64(self.writable_count);
        writer.i64(self.write_server);
        writer.u64(self.store_path_count);
        writer.u64(self.subdir_count);
        writer.i64(self.trunk_file_id.map_or(-1, i64::from));
    }
}

impl Decode for GroupRecord {
    const NAME: &'static str = "GroupRecord";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.padded("group", GroupName::MAX_LEN + 1)?,
            total_mb: reader.u64("total")?,
            free_mb: reader.u64("free")?,
            reserved_mb: reader.u64("reserved")?,
            trunk_free_mb: reader.u64("trunk free")?,
            storage_count: reader.u64("storage count")?,
            port: reader.number_or_none("port")?,
            readable_count: reader.u64("readable count")?,
            writable_count: reader.u64("writable count")?,
            write_server: reader.i64("write server")?,
            store_path_count: reader.u64("store path count")?,
            subdir_count: reader.u64("subdirectory count")?,
            trunk_file_id: reader.number_or_none("trunk file")?,
        })
    }
}
