//! `QUERY_STORE_ONE` (101), `QUERY_STORE_IN_GROUP_ONE` (104), `QUERY_STORE_ALL` (106) and
//! `QUERY_STORE_IN_GROUP_ALL` (107): where to upload to.
//!
//! ```text
//!  request: nothing, or
//!  0                 16
//!  | group, 0-padded |
//!
//!  answer, one:                                 all:
//!  0       16           31|61  39|69            0       16
//!  | group | ip, padded | port | path index |   | group | n times (ip, port) | path index |
//! ```

use std::net::{IpAddr, SocketAddr};

use fdfs_types::GroupName;

use crate::message::empty_request;
use crate::{Command, Decode, DecodeError, Encode, IpWidth, Reader, Request, Writer};

empty_request! {
    /// Asks for one storage to upload to, in a group of the tracker's choice.
    QueryStoreOneRequest, QUERY_STORE_ONE, QueryStoreOneResponse
}

empty_request! {
    /// Asks for all storages to upload to, in a group of the tracker's choice.
    QueryStoreAllRequest, QUERY_STORE_ALL, QueryStoreAllResponse
}

/// Asks for one storage of a group to upload to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryStoreInGroupOneRequest {
    /// The group.
    pub group: GroupName,
}

/// Asks for all storages of a group to upload to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryStoreInGroupAllRequest {
    /// The group.
    pub group: GroupName,
}

/// One storage to upload to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryStoreOneResponse {
    /// How wide the address is written.
    pub ip_width: IpWidth,
    /// Its group.
    pub group: GroupName,
    /// The storage.
    pub storage: SocketAddr,
    /// The store path to use there.
    pub store_path: u8,
}

/// All storages to upload to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct QueryStoreAllResponse {
    /// How wide the addresses are written.
    pub ip_width: IpWidth,
    /// Their group.
    pub group: GroupName,
    /// The storages, at least one.
    pub storages: Vec<SocketAddr>,
    /// The store path to use at the first of them.
    pub store_path: u8,
}

impl Encode for QueryStoreInGroupOneRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for QueryStoreInGroupOneRequest {
    const NAME: &'static str = "QueryStoreInGroupOneRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

impl Request for QueryStoreInGroupOneRequest {
    const COMMAND: Command = Command::QUERY_STORE_IN_GROUP_ONE;
    type Response = QueryStoreOneResponse;
}

impl Encode for QueryStoreInGroupAllRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
    }
}

impl Decode for QueryStoreInGroupAllRequest {
    const NAME: &'static str = "QueryStoreInGroupAllRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { group: reader.group()? })
    }
}

impl Request for QueryStoreInGroupAllRequest {
    const COMMAND: Command = Command::QUERY_STORE_IN_GROUP_ALL;
    type Response = QueryStoreAllResponse;
}

impl Encode for QueryStoreOneResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        write_address(writer, self.storage, self.ip_width);
        writer.u8(self.store_path);
    }
}

impl Decode for QueryStoreOneResponse {
    const NAME: &'static str = "QueryStoreOneResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let ip_width = one_width(reader.remaining(), GroupName::MAX_LEN + 1);
        Ok(Self {
            ip_width,
            group: reader.group()?,
            storage: read_address(reader, ip_width)?,
            store_path: reader.u8("store path")?,
        })
    }
}

impl Encode for QueryStoreAllResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        for storage in &self.storages {
            write_address(writer, *storage, self.ip_width);
        }
        writer.u8(self.store_path);
    }
}

impl Decode for QueryStoreAllResponse {
    const NAME: &'static str = "QueryStoreAllResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let group = reader.group()?;
        let length = reader.remaining().saturating_sub(1);
        let (ip_width, storages) = read_addresses(reader, length)?;
        Ok(Self { ip_width, group, storages, store_path: reader.u8("store path")? })
    }
}

/// Bytes of an address and its port.
pub(super) const fn address_len(width: IpWidth) -> usize {
    width.bare() + size_of::<u64>()
}

/// The width in an answer of `length` bytes that has one address and `others` bytes of other fields.
pub(super) const fn one_width(length: usize, others: usize) -> IpWidth {
    if length == others + address_len(IpWidth::Ipv6) { IpWidth::Ipv6 } else { IpWidth::Ipv4 }
}

pub(super) fn write_address(writer: &mut Writer<'_>, address: SocketAddr, width: IpWidth) {
    writer.ip(Some(address.ip()), width.bare());
    writer.port64(address.port());
}

pub(super) fn read_address(reader: &mut Reader<'_>, width: IpWidth) -> Result<SocketAddr, DecodeError> {
    let ip: IpAddr = reader.known_ip("ip", width.bare())?;
    Ok(SocketAddr::new(ip, reader.port64("port")?))
}

/// Reads `length` bytes of addresses, at least one; as all clients do, the width is what divides the length.
pub(super) fn read_addresses(
    reader: &mut Reader<'_>,
    length: usize,
) -> Result<(IpWidth, Vec<SocketAddr>), DecodeError> {
    let fits = |width: &IpWidth| length > 0 && length.is_multiple_of(address_len(*width));
    let Some(width) = IpWidth::ALL.into_iter().find(fits) else {
        return Err(reader.invalid("storages", format_args!("{length} bytes are no list of addresses")));
    };
    let count = length / address_len(width);
    let storages = (0..count).map(|_| read_address(reader, width)).collect::<Result<_, _>>()?;
    Ok((width, storages))
}
