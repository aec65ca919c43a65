//! `JOIN` (81): a storage introduces itself to a tracker.
//!
//! ```text
//!  0            17     25            33               41         49          57           65
//!  | group [17] | port | store paths | subdirectories | priority | join time | start time | version [8] |
//!  73        74       75        91                137             145
//!  | initial | status | id [16] | tracker ip [46] | tracker count | trackers, each ends with LF |
//!
//!  answer: | status | sync source [16] |
//! ```

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::{
    CLUSTER_IP_WIDTH, Command, Decode, DecodeError, Encode, Reader, Request, STORAGE_ID_WIDTH, ServerAddress,
    VERSION_WIDTH, Writer,
};

/// Introduces a storage to a tracker.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinRequest {
    /// Its group.
    pub group: GroupName,
    /// Its port for clients.
    pub port: u16,
    /// Its store paths, 1 to 256.
    pub store_path_count: u16,
    /// Its subdirectories per level of a store path, 1 to 256.
    pub subdir_count: u16,
    /// Smaller is preferred for uploads.
    pub upload_priority: i64,
    /// When it was created.
    pub joined: Timestamp,
    /// When its program started.
    pub started: Timestamp,
    /// Version of its program.
    pub version: String,
    /// It has not yet asked for the old files of its group.
    pub is_initial: bool,
    /// What it takes its state to be; `None` if it does not know.
    pub status: Option<StorageStatus>,
    /// Its ID, where the cluster has storage IDs.
    pub storage_id: Option<StorageId>,
    /// The address by which it reaches this tracker.
    pub tracker_ip: Option<IpAddr>,
    /// All trackers, 1 to 16.
    pub trackers: Vec<ServerAddress>,
}

/// The tracker's view of a storage that has joined.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinResponse {
    /// Its state.
    pub status: StorageStatus,
    /// The storage that it gets its old files from.
    pub sync_source: Option<StorageId>,
}

impl JoinRequest {
    /// Most trackers of a cluster.
    pub const MAX_TRACKERS: usize = 16;

    /// Port of a tracker that names none.
    pub const DEFAULT_TRACKER_PORT: u16 = 22122;
}

/// Stands for "I do not know my state".
const UNKNOWN_STATUS: u8 = 0xFF;

impl Encode for JoinRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.terminated(self.group.as_str(), GroupName::MAX_LEN + 1);
        writer.port64(self.port);
        writer.u64(self.store_path_count.into());
        writer.u64(self.subdir_count.into());
        writer.i64(self.upload_priority);
        writer.time(self.joined);
        writer.time(self.started);
        writer.padded(&self.version, VERSION_WIDTH);
        writer.flag(self.is_initial);
        writer.u8(self.status.map_or(UNKNOWN_STATUS, StorageStatus::to_wire));
        writer.storage_id(self.storage_id.as_ref());
        writer.ip(self.tracker_ip, CLUSTER_IP_WIDTH);
        writer.length(self.trackers.len());
        for tracker in &self.trackers {
            writer.text(&format!("{tracker}\n"));
        }
    }
}

impl Decode for JoinRequest {
    const NAME: &'static str = "JoinRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.padded("group", GroupName::MAX_LEN + 1)?,
            port: reader.number("port", 1..=u16::MAX)?,
            store_path_count: reader.number("store path count", 1..=256)?,
            subdir_count: reader.number("subdirectory count", 1..=256)?,
            upload_priority: reader.i64("upload priority")?,
            joined: reader.time("join time")?,
            started: reader.time("start time")?,
            version: reader.padded_text("version", VERSION_WIDTH)?.to_owned(),
            is_initial: reader.flag("is initial")?,
            status: match reader.u8("status")? {
                UNKNOWN_STATUS => None,
                byte => {
                    let status = StorageStatus::from_wire(byte);
                    let unknown = || reader.invalid("status", format_args!("{byte} is not a state"));
                    Some(status.ok_or_else(unknown)?)
                }
            },
            storage_id: reader.padded_option("storage id", STORAGE_ID_WIDTH)?,
            tracker_ip: reader.ip("tracker ip", CLUSTER_IP_WIDTH)?,
            trackers: read_trackers(reader)?,
        })
    }
}

impl Request for JoinRequest {
    const COMMAND: Command = Command::JOIN;
    type Response = JoinResponse;
}

impl Encode for JoinResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u8(self.status.to_wire());
        writer.storage_id(self.sync_source.as_ref());
    }
}

impl Decode for JoinResponse {
    const NAME: &'static str = "JoinResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            status: reader.storage_status("status")?,
            sync_source: reader.padded_option("sync source", STORAGE_ID_WIDTH)?,
        })
    }
}

fn read_trackers(reader: &mut Reader<'_>) -> Result<Vec<ServerAddress>, DecodeError> {
    let count: u8 = reader.number("tracker count", 1..=JoinRequest::MAX_TRACKERS as u8)?;
    let lines = reader.rest_lines("trackers")?;
    let found = lines.clone().count();
    if found != usize::from(count) {
        return Err(reader.invalid("trackers", format_args!("{count} entries announced, {found} found")));
    }
    let one = |line: &str| {
        ServerAddress::parse(line, JoinRequest::DEFAULT_TRACKER_PORT)
            .map_err(|error| reader.invalid("trackers", error))
    };
    lines.map(one).collect()
}
