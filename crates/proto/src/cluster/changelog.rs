//! `CHANGELOG_REQ` (77) and `REPORT_IP_CHANGED` (78): identities change.
//!
//! ```text
//!  77  request: nothing after JOIN, else | group [16] | storage id [16] |    answer: | text |
//!  78  request: | group [16] | old ip [46] | new ip [46] |
//! ```

use std::net::IpAddr;

use fdfs_types::{GroupName, StorageId};

use crate::{
    CLUSTER_IP_WIDTH, Command, Decode, DecodeError, Empty, Encode, Raw, Reader, Request, STORAGE_ID_WIDTH,
    Writer,
};

/// Asks for the changes of identities that a storage has not seen.
///
/// The answer is text, a line for each change; the original may cut it anywhere.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ChangelogRequest {
    /// The storage; `None` on a connection that has joined.
    pub storage: Option<(GroupName, StorageId)>,
}

/// A storage has a new address. Asked before it joins.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ReportIpChangedRequest {
    /// Its group.
    pub group: GroupName,
    /// Its address before.
    pub old_ip: IpAddr,
    /// Its address now.
    pub new_ip: IpAddr,
}

impl Encode for ChangelogRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        if let Some((group, id)) = &self.storage {
            writer.group(group);
            writer.storage_id(Some(id));
        }
    }
}

impl Decode for ChangelogRequest {
    const NAME: &'static str = "ChangelogRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if reader.is_empty() {
            return Ok(Self::default());
        }
        let group = reader.group()?;
        Ok(Self { storage: Some((group, reader.padded("storage id", STORAGE_ID_WIDTH)?)) })
    }
}

impl Request for ChangelogRequest {
    const COMMAND: Command = Command::CHANGELOG_REQ;
    type Response = Raw;
}

impl Encode for ReportIpChangedRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.group(&self.group);
        writer.ip(Some(self.old_ip), CLUSTER_IP_WIDTH);
        writer.ip(Some(self.new_ip), CLUSTER_IP_WIDTH);
    }
}

impl Decode for ReportIpChangedRequest {
    const NAME: &'static str = "ReportIpChangedRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            group: reader.group()?,
            old_ip: reader.known_ip("old ip", CLUSTER_IP_WIDTH)?,
            new_ip: reader.known_ip("new ip", CLUSTER_IP_WIDTH)?,
        })
    }
}

impl Request for ReportIpChangedRequest {
    const COMMAND: Command = Command::REPORT_IP_CHANGED;
    type Response = Empty;
}
