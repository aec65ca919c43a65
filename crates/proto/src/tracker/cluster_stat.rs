//! `TRACKER_CLUSTER_STAT` (96), `STORAGE_CLUSTER_STAT` (97) and `STORAGE_VOLUME_STAT` (98): who is there, and
//! how much space.
//!
//! ```text
//!  96  request: | filter | active | leader |
//!      answer:  | u8 n | n times 90: host [52] | leader | active | connections [12] | version [8] | started
//!                                    | last heart beat |
//!  97  request: | filter | '=' or '!' | status | trunk server |
//!      answer:  | storage ids on | trunk files on | i32 n | n times 106: id [16] | host [52] | trunk server
//!                 | status | connections [12] | version [8] | started | last heart beat |
//!  98  request: | filter | disk | trunk | any |
//!      answer:  | trunk files on | i32 n | n times 59: group [17] | total MB | free MB | reserved MB
//!                 | available MB | trunk free MB | disk available | trunk available |
//! ```
//!
//! The original leaves old bytes behind the NUL of texts; they are not looked at, and zeros are written.

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{
    Command, Connections, Decode, DecodeError, Encode, Reader, Request, STORAGE_ID_WIDTH, VERSION_WIDTH,
    Writer,
};

/// Asks the leader for the trackers.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TrackerClusterStatRequest {
    /// Only those that are active, or only those that are not.
    pub active: Option<bool>,
    /// Only the leader, or only the others.
    pub leader: Option<bool>,
}

/// The trackers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrackerClusterStatResponse {
    /// The trackers; at most 255 are written.
    pub trackers: Vec<TrackerState>,
}

/// One tracker as the leader sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrackerState {
    /// Address and port as text.
    pub host: String,
    /// Whether it leads.
    pub is_leader: bool,
    /// Whether it leads or was heard of in the last three seconds.
    pub is_active: bool,
    /// Its connections.
    pub connections: Connections,
    /// Version of its program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// When it was last heard of; zero for the leader.
    pub last_heart_beat: Timestamp,
}

/// Asks for the storages of all groups.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StorageClusterStatRequest {
    /// Only trunk servers, or only others.
    pub trunk_server: Option<bool>,
    /// Only those in a state, or only those in another.
    pub status: Option<StatusFilter>,
}

/// Which states of storages are wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StatusFilter {
    /// `=` this state, `!` another one; any other byte selects nothing.
    pub operator: u8,
    /// The number of the state.
    pub status: u8,
}

/// The storages of all groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StorageClusterStatResponse {
    /// Whether the cluster uses storage IDs.
    pub use_storage_id: bool,
    /// Whether it uses trunk files.
    pub use_trunk_file: bool,
    /// The storages.
    pub storages: Vec<StorageState>,
}

/// One storage as the tracker sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageState {
    /// Its ID.
    pub id: StorageId,
    /// Address and port as text.
    pub host: String,
    /// Whether it gives out the slots of trunk files.
    pub is_trunk_server: bool,
    /// Its state.
    pub status: StorageStatus,
    /// Its connections.
    pub connections: Connections,
    /// Version of its program.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// Its last heart beat.
    pub last_heart_beat: Timestamp,
}

/// Asks for the space of all groups.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct StorageVolumeStatRequest {
    /// Only groups with, or only those without, space on disk.
    pub disk: Option<bool>,
    /// Only groups with, or only those without, space in trunk files.
    pub trunk: Option<bool>,
    /// Only groups with, or only those without, space of either kind.
    pub any: Option<bool>,
}

/// The space of all groups.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct StorageVolumeStatResponse {
    /// Whether the cluster uses trunk files.
    pub use_trunk_file: bool,
    /// The groups.
    pub groups: Vec<GroupVolume>,
}

/// The space of one group, in MiB.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GroupVolume {
    /// Its name.
    pub group: GroupName,
    /// Size.
    pub total_mb: u64,
    /// Free space.
    pub free_mb: u64,
    /// How much stays free.
    pub reserved_mb: u64,
    /// What uploads may use.
    pub available_mb: u64,
    /// Free space inside trunk files.
    pub trunk_free_mb: u64,
    /// Whether uploads have space on disk.
    pub disk_available: bool,
    /// Whether uploads have space in trunk files.
    pub trunk_available: bool,
}

impl StatusFilter {
    /// Whether a storage in this state is wanted.
    pub const fn selects(self, status: StorageStatus) -> bool {
        match self.operator {
            b'=' => status.to_wire() == self.status,
            b'!' => status.to_wire() != self.status,
            _ => false,
        }
    }
}

impl Encode for TrackerClusterStatRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        write_filter(writer, &[self.active, self.leader]);
    }
}

impl Decode for TrackerClusterStatRequest {
    const NAME: &'static str = "TrackerClusterStatRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let filter = reader.u8("filter")?;
        Ok(Self {
            active: wanted(filter, 1, reader.flag("active")?),
            leader: wanted(filter, 2, reader.flag("leader")?),
        })
    }
}

impl Request for TrackerClusterStatRequest {
    const COMMAND: Command = Command::TRACKER_CLUSTER_STAT;
    type Response = TrackerClusterStatResponse;
}

impl Encode for TrackerClusterStatResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        let count = u8::try_from(self.trackers.len()).unwrap_or(u8::MAX);
        writer.u8(count);
        for tracker in self.trackers.iter().take(count.into()) {
            writer.padded(&tracker.host, HOST_WIDTH);
            writer.flag(tracker.is_leader);
            writer.flag(tracker.is_active);
            tracker.connections.write(writer);
            writer.padded(&tracker.version, VERSION_WIDTH);
            writer.time(tracker.started);
            writer.time(tracker.last_heart_beat);
        }
    }
}

impl Decode for TrackerClusterStatResponse {
    const NAME: &'static str = "TrackerClusterStatResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let count = reader.u8("count")?;
        let one = |reader: &mut Reader<'_>| {
            Ok(TrackerState {
                host: reader.padded_text("host", HOST_WIDTH)?.to_owned(),
                is_leader: reader.flag("is leader")?,
                is_active: reader.flag("is active")?,
                connections: Connections::read(reader)?,
                version: reader.padded_text("version", VERSION_WIDTH)?.to_owned(),
                started: reader.time("start time")?,
                last_heart_beat: reader.time("last heart beat")?,
            })
        };
        Ok(Self { trackers: reader.repeat(count.into(), one)? })
    }
}

impl Encode for StorageClusterStatRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(u8::from(self.trunk_server.is_some()) | u8::from(self.status.is_some()) << 1);
        let filter = self.status.unwrap_or(StatusFilter { operator: 0, status: 0 });
        writer.u8(filter.operator);
        writer.u8(filter.status);
        writer.flag(self.trunk_server.unwrap_or_default());
    }
}

impl Decode for StorageClusterStatRequest {
    const NAME: &'static str = "StorageClusterStatRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let filter = reader.u8("filter")?;
        let status = StatusFilter { operator: reader.u8("operator")?, status: reader.u8("status")? };
        Ok(Self {
            trunk_server: wanted(filter, 1, reader.flag("trunk server")?),
            status: (filter & 2 != 0).then_some(status),
        })
    }
}

impl Request for StorageClusterStatRequest {
    const COMMAND: Command = Command::STORAGE_CLUSTER_STAT;
    type Response = StorageClusterStatResponse;
}

impl Encode for StorageClusterStatResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.use_storage_id);
        writer.flag(self.use_trunk_file);
        writer.count32(self.storages.len());
        for storage in &self.storages {
            writer.storage_id(Some(&storage.id));
            writer.padded(&storage.host, HOST_WIDTH);
            writer.flag(storage.is_trunk_server);
            writer.u8(storage.status.to_wire());
            storage.connections.write(writer);
            writer.padded(&storage.version, VERSION_WIDTH);
            writer.time(storage.started);
            writer.time(storage.last_heart_beat);
        }
    }
}

impl Decode for StorageClusterStatResponse {
    const NAME: &'static str = "StorageClusterStatResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let use_storage_id = reader.flag("storage ids on")?;
        let use_trunk_file = reader.flag("trunk files on")?;
        let count = reader.u32("count")?;
        let one = |reader: &mut Reader<'_>| {
            Ok(StorageState {
                id: reader.padded("storage id", STORAGE_ID_WIDTH)?,
                host: reader.padded_text("host", HOST_WIDTH)?.to_owned(),
                is_trunk_server: reader.flag("is trunk server")?,
                status: reader.storage_status("status")?,
                connections: Connections::read(reader)?,
                version: reader.padded_text("version", VERSION_WIDTH)?.to_owned(),
                started: reader.time("start time")?,
                last_heart_beat: reader.time("last heart beat")?,
            })
        };
        Ok(Self { use_storage_id, use_trunk_file, storages: reader.repeat(count, one)? })
    }
}

impl Encode for StorageVolumeStatRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        write_filter(writer, &[self.disk, self.trunk, self.any]);
    }
}

impl Decode for StorageVolumeStatRequest {
    const NAME: &'static str = "StorageVolumeStatRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let filter = reader.u8("filter")?;
        Ok(Self {
            disk: wanted(filter, 1, reader.flag("disk")?),
            trunk: wanted(filter, 2, reader.flag("trunk")?),
            any: wanted(filter, 4, reader.flag("any")?),
        })
    }
}

impl Request for StorageVolumeStatRequest {
    const COMMAND: Command = Command::STORAGE_VOLUME_STAT;
    type Response = StorageVolumeStatResponse;
}

impl Encode for StorageVolumeStatResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.use_trunk_file);
        writer.count32(self.groups.len());
        for group in &self.groups {
            writer.terminated(group.group.as_str(), GroupName::MAX_LEN + 1);
            writer.u64(group.total_mb);
            writer.u64(group.free_mb);
            writer.u64(group.reserved_mb);
            writer.u64(group.available_mb);
            writer.u64(group.trunk_free_mb);
            writer.flag(group.disk_available);
            writer.flag(group.trunk_available);
        }
    }
}

impl Decode for StorageVolumeStatResponse {
    const NAME: &'static str = "StorageVolumeStatResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let use_trunk_file = reader.flag("trunk files on")?;
        let count = reader.u32("count")?;
        let one = |reader: &mut Reader<'_>| {
            Ok(GroupVolume {
                group: reader.padded("group", GroupName::MAX_LEN + 1)?,
                total_mb: reader.u64("total")?,
                free_mb: reader.u64("free")?,
                reserved_mb: reader.u64("reserved")?,
                available_mb: reader.u64("available")?,
                trunk_free_mb: reader.u64("trunk free")?,
                disk_available: reader.flag("disk available")?,
                trunk_available: reader.flag("trunk available")?,
            })
        };
        Ok(Self { use_trunk_file, groups: reader.repeat(count, one)? })
    }
}

/// Width of a host: an address, a port, and brackets around IPv6.
const HOST_WIDTH: usize = 52;

/// A byte of bits that say which wishes count, then the wishes.
fn write_filter(writer: &mut Writer<'_>, wishes: &[Option<bool>]) {
    let bits = wishes.iter().enumerate().map(|(bit, wish)| u8::from(wish.is_some()) << bit);
    writer.u8(bits.fold(0, |filter, bit| filter | bit));
    for wish in wishes {
        writer.flag(wish.unwrap_or_default());
    }
}

fn wanted(filter: u8, bit: u8, wish: bool) -> Option<bool> {
    (filter & bit != 0).then_some(wish)
}
