//! `LIST_STORAGES` (92): the storages of a group.
//!
//! ```text
//!  request:
//!  0                 16
//!  | group, 0-padded | storage id, or nothing |
//!
//!  answer, n times 487 or 517 bytes:
//!  0        1         2         18           34|64         50|80     58|88
//!  | status | rw mode | id [16] | ip [16|46] | source [16] | version | join time | start time | total MB
//!  82|112    90|120        98|128     106|136       114|144          122|152      130|160
//!  | free MB | reserved MB | priority | store paths | subdirectories | write path | port
//!  138|168          486|516
//!  | counters [348] | is trunk server |
//! ```

use std::net::IpAddr;

use fdfs_types::{GroupName, RwMode, StorageId, StorageStatus, Timestamp};

use crate::{
    Command, Decode, DecodeError, Encode, IpWidth, Reader, Request, STORAGE_ID_WIDTH, StorageStat,
    VERSION_WIDTH, Writer,
};

/// Asks for the storages of a group, or for one of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListStoragesRequest {
    /// The group.
    pub group: GroupName,
    /// Only this one.
    pub storage_id: Option<StorageId>,
}

/// The storages, sorted by the text of their IDs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ListStoragesResponse {
    /// How wide the addresses are written.
    pub ip_width: IpWidth,
    /// The storages.
    pub storages: Vec<StorageRecord>,
}

/// What a tracker knows about one storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageRecord {
    /// Its state.
    pub status: StorageStatus,
    /// What clients may use it for.
    pub rw_mode: RwMode,
    /// Its ID; the IPv4 address where the cluster has no storage IDs.
    pub id: StorageId,
    /// The address that suits who asked.
    pub ip: Option<IpAddr>,
    /// The storage that it got its old files from.
    pub sync_source: Option<StorageId>,
    /// Version of its program.
    pub version: String,
    /// When it was created.
    pub joined: Timestamp,
    /// When it started; zero while it is offline.
    pub started: Timestamp,
    /// Size of its store paths, in MiB.
    pub total_mb: u64,
    /// Free space of its store paths, in MiB.
    pub free_mb: u64,
    /// How much stays free, in MiB.
    pub reserved_mb: u64,
    /// Smaller is preferred for uploads.
    pub upload_priority: i64,
    /// Number of store paths.
    pub store_path_count: u64,
    /// Subdirectories per level of a store path.
    pub subdir_count: u64,
    /// The store path that the next upload goes to.
    pub write_path: i64,
    /// Port for clients.
    pub port: u16,
    /// What it counts.
    pub stat: StorageStat,
    /// Whether it gives out the slots of trunk files.
    pub is_trunk_server: bool,
}

impl Encode for ListStoragesRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        if let Some(id) = &self.storage_id {
            writer.text(id.as_str());
        }
    }
}

impl Decode for ListStoragesRequest {
    const NAME: &'static str = "ListStoragesRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let storage_id = if reader.is_empty() { None } else { Some(reader.rest_word("storage id")?) };
        Ok(Self { group, storage_id })
    }
}

impl Request for ListStoragesRequest {
    const COMMAND: Command = Command::LIST_STORAGES;
    type Response = ListStoragesResponse;
}

impl StorageRecord {
    /// Size on the wire.
    pub const fn len(width: IpWidth) -> usize {
        471 + width.terminated()
    }

    fn write(&self, writer: &mut Writer<'_>, width: IpWidth) {
        writer.u8(self.status.to_wire());
        writer.u8(self.rw_mode.to_wire());
        writer.storage_id(Some(&self.id));
        writer.ip(self.ip, width.terminated());
        writer.storage_id(self.sync_source.as_ref());
        writer.padded(&self.version, VERSION_WIDTH);
        writer.time(self.joined);
        writer.time(self.started);
        writer.u64(self.total_mb);
        writer.u64(self.free_mb);
        writer.u64(self.reserved_mb);
        writer.i64(self.upload_priority);
        writer.u64(self.store_path_count);
        writer.u64(self.subdir_count);
        writer.i64(self.write_path);
        writer.port64(self.port);
        self.stat.write(writer);
        writer.flag(self.is_trunk_server);
    }

    fn read(reader: &mut Reader<'_>, width: IpWidth) -> Result<Self, DecodeError> {
        Ok(Self {
            status: reader.storage_status("status")?,
            rw_mode: {
                let byte = reader.u8("rw mode")?;
                RwMode::from_wire(byte)
                    .ok_or_else(|| reader.invalid("rw mode", format_args!("{byte} is not one")))?
            },
            id: reader.padded("storage id", STORAGE_ID_WIDTH)?,
            ip: reader.ip("ip", width.terminated())?,
            sync_source: reader.padded_option("sync source", STORAGE_ID_WIDTH)?,
            version: reader.padded_text("version", VERSION_WIDTH)?.to_owned(),
            joined: reader.time("join time")?,
            started: reader.time("start time")?,
            total_mb: reader.u64("total")?,
            free_mb: reader.u64("free")?,
            reserved_mb: reader.u64("reserved")?,
            upload_priority: reader.i64("upload priority")?,
            store_path_count: reader.u64("store path count")?,
            subdir_count: reader.u64("subdirectory count")?,
            write_path: reader.i64("write path")?,
            port: reader.port64("port")?,
            stat: StorageStat::read(reader)?,
            is_trunk_server: reader.flag("is trunk server")?,
        })
    }
}

impl Encode for ListStoragesResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        for storage in &self.storages {
            storage.write(writer, self.ip_width);
        }
    }
}

impl Decode for ListStoragesResponse {
    const NAME: &'static str = "ListStoragesResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let length = reader.remaining();
        let fits = |width: &IpWidth| length.is_multiple_of(StorageRecord::len(*width));
        let Some(ip_width) = IpWidth::ALL.into_iter().find(fits) else {
            return Err(reader.invalid("storages", format_args!("{length} bytes are no list of storages")));
        };
        let storages = reader.repeat_to_end(|reader| StorageRecord::read(reader, ip_width))?;
        Ok(Self { ip_width, storages })
    }
}
