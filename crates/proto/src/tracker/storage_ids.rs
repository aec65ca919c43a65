//! `FETCH_STORAGE_IDS` (69), `GET_SERVER_ID` (70), `STORAGE_GET_STATUS` (71), `STORAGE_GET_MY_IP` (60) and
//! `GET_GROUP_NAME` (109): who a storage is.
//!
//! ```text
//!   69  request: | i32 start | u8 allow empty |      answer: | i32 total | i32 n | n lines |
//!                line: id SP group SP address:port [SP rw=mode] LF
//!   70  request: | group [16] | text ip:port |       answer: | text id |
//!   71  request: | group [16] | text ip:port |       answer: a brief, 67 bytes
//!   60  request: | group [17] | i32 port |           answer: | text ip[,ip] |
//!  109  request: | text ip, or nothing | i32 port |  answer: | group [16] |
//! ```

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use fdfs_types::{GroupName, RwMode, StorageId};

use crate::address::{join_ips, parse_ips};
use crate::{Brief, Command, Decode, DecodeError, Encode, Reader, Request, ServerAddress, Writer};

/// Asks for the table of storage IDs, from a place on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct FetchStorageIdsRequest {
    /// Index of the first entry wanted.
    pub start: u32,
    /// Answer with an empty table where the cluster has no storage IDs, instead of with an error.
    pub allow_empty: bool,
}

/// A piece of the table of storage IDs.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FetchStorageIdsResponse {
    /// Entries of the whole table.
    pub total: u32,
    /// The entries from the wanted one on, as many as fit.
    pub entries: Vec<StorageIdEntry>,
}

/// One entry of the table of storage IDs.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageIdEntry {
    /// The ID.
    pub id: StorageId,
    /// Its group.
    pub group: GroupName,
    /// Its addresses and port.
    pub address: ServerAddress,
    /// What clients may use it for.
    pub rw_mode: RwMode,
}

/// Asks for the ID of the storage at an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetServerIdRequest {
    /// Its group.
    pub group: GroupName,
    /// Its address.
    pub address: SocketAddr,
}

/// The ID of a storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetServerIdResponse {
    /// The ID; without storage IDs the address, or the short code of an IPv6 address.
    pub storage_id: StorageId,
}

/// Asks for the state of the storage at an address.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorageStatusRequest {
    /// Its group.
    pub group: GroupName,
    /// Its address.
    pub address: SocketAddr,
}

/// Asks by which addresses the tracker knows the sender.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetMyIpRequest {
    /// The sender's group.
    pub group: GroupName,
    /// The sender's port for clients.
    pub port: u16,
}

/// The addresses of a storage: the one it came from, or those of its entry in the table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetMyIpResponse {
    /// One or two.
    pub ips: Vec<IpAddr>,
}

/// Asks for the group of a storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetGroupNameRequest {
    /// Its address; without one, that of the connection.
    pub ip: Option<IpAddr>,
    /// Its port for clients.
    pub port: u16,
}

/// The group of a storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct GetGroupNameResponse {
    /// The group.
    pub group: GroupName,
}

impl StorageIdEntry {
    /// Port of a storage that names none.
    pub const DEFAULT_PORT: u16 = 23000;

    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_ascii_whitespace();
        let mut word = |what: &str| words.next().ok_or_else(|| format!("{line:?} has no {what}"));
        let (id, group, address) = (word("id")?, word("group")?, word("address")?);
        let rw_mode = match words.next() {
            None => RwMode::Both,
            Some(word) => {
                let mode = word.strip_prefix("rw=").ok_or_else(|| format!("{word:?} is not an rw mode"))?;
                mode.parse().map_err(|error| format!("{mode:?}: {error}"))?
            }
        };
        if words.next().is_some() {
            return Err(format!("{line:?} has more than four words"));
        }
        Ok(Self {
            id: id.parse().map_err(|error| format!("{id:?}: {error}"))?,
            group: group.parse().map_err(|error| format!("{group:?}: {error}"))?,
            address: ServerAddress::parse(address, Self::DEFAULT_PORT)
                .map_err(|error| format!("{address:?}: {error}"))?,
            rw_mode,
        })
    }
}

impl fmt::Display for StorageIdEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.group, self.address)?;
        match self.rw_mode {
            RwMode::Both => Ok(()),
            mode => write!(f, " rw={}", mode.name()),
        }
    }
}

impl Encode for FetchStorageIdsRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.start);
        writer.flag(self.allow_empty);
    }
}

impl Decode for FetchStorageIdsRequest {
    const NAME: &'static str = "FetchStorageIdsRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { start: reader.u32("start")?, allow_empty: reader.flag("allow empty")? })
    }
}

impl Request for FetchStorageIdsRequest {
    const COMMAND: Command = Command::FETCH_STORAGE_IDS;
    type Response = FetchStorageIdsResponse;
}

impl Encode for FetchStorageIdsResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.u32(self.total);
        writer.count32(self.entries.len());
        for entry in &self.entries {
            writer.text(&format!("{entry}\n"));
        }
    }
}

impl Decode for FetchStorageIdsResponse {
    const NAME: &'static str = "FetchStorageIdsResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let total = reader.u32("total")?;
        let count = reader.u32("count")?;
        let mut entries = Vec::new();
        for line in reader.rest_lines("entries")? {
            entries.push(StorageIdEntry::parse(line).map_err(|reason| reader.invalid("entries", reason))?);
        }
        if entries.len() as u64 != u64::from(count) {
            let reason = format_args!("{count} entries announced, {} found", entries.len());
            return Err(reader.invalid("entries", reason));
        }
        Ok(Self { total, entries })
    }
}

impl Encode for GetServerIdRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        self.address.write(writer);
    }
}

impl Decode for GetServerIdRequest {
    const NAME: &'static str = "GetServerIdRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, address: SocketAddr::read(reader)? })
    }
}

impl Request for GetServerIdRequest {
    const COMMAND: Command = Command::GET_SERVER_ID;
    type Response = GetServerIdResponse;
}

impl Encode for GetServerIdResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(self.storage_id.as_str());
    }
}

impl Decode for GetServerIdResponse {
    const NAME: &'static str = "GetServerIdResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { storage_id: reader.rest_word("storage id")? })
    }
}

impl Encode for StorageStatusRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        self.address.write(writer);
    }
}

impl Decode for StorageStatusRequest {
    const NAME: &'static str = "StorageStatusRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()?, address: SocketAddr::read(reader)? })
    }
}

impl Request for StorageStatusRequest {
    const COMMAND: Command = Command::STORAGE_GET_STATUS;
    type Response = Brief;
}

impl Encode for GetMyIpRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.terminated(self.group.as_str(), GroupName::MAX_LEN + 1);
        writer.port32(self.port);
    }
}

impl Decode for GetMyIpRequest {
    const NAME: &'static str = "GetMyIpRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.padded("group", GroupName::MAX_LEN + 1)?;
        Ok(Self { group, port: reader.port32("port")? })
    }
}

impl Request for GetMyIpRequest {
    const COMMAND: Command = Command::STORAGE_GET_MY_IP;
    type Response = GetMyIpResponse;
}

impl Encode for GetMyIpResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.text(&join_ips(&self.ips));
    }
}

impl Decode for GetMyIpResponse {
    const NAME: &'static str = "GetMyIpResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = reader.rest_text("ips")?;
        Ok(Self { ips: parse_ips(text).map_err(|error| reader.invalid("ips", error))? })
    }
}

impl Encode for GetGroupNameRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        if let Some(ip) = self.ip {
            writer.text(&ip.to_string());
        }
        writer.port32(self.port);
    }
}

impl Decode for GetGroupNameRequest {
    const NAME: &'static str = "GetGroupNameRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ip = match reader.remaining().saturating_sub(size_of::<i32>()) {
            0 => None,
            length if length > MAX_IP_LEN => {
                return Err(DecodeError::NameTooLong { message: Self::NAME, field: "ip" });
            }
            length => Some(reader.word("ip", length)?),
        };
        Ok(Self { ip, port: reader.port32("port")? })
    }
}

impl Request for GetGroupNameRequest {
    const COMMAND: Command = Command::GET_GROUP_NAME;
    type Response = GetGroupNameResponse;
}

impl Encode for GetGroupNameResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for GetGroupNameResponse {
    const NAME: &'static str = "GetGroupNameResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

/// Longest text of an address.
const MAX_IP_LEN: usize = 45;
