//! `TRACKER_JOIN_LEADER` (58), `TRACKER_PING_LEADER` (65), `NOTIFY_NEXT_LEADER` (66), `COMMIT_NEXT_LEADER` (67) and
//! `NOTIFY_RESELECT_LEADER` (68): trackers choose a leader and follow it.
//!
//! ```text
//!  58  | i64 start time | version [8] | i64 port |
//!  65  | connections [12] |               answer: nothing, or | n times: group [16], trunk server id [16] |
//!  66, 67  | text ip:port of the candidate |
//! ```

use std::net::SocketAddr;

use fdfs_types::{GroupName, StorageId, Timestamp};

use crate::message::empty_request;
use crate::{
    Command, Connections, Decode, DecodeError, Empty, Encode, Reader, Request, STORAGE_ID_WIDTH,
    VERSION_WIDTH, Writer,
};

empty_request! {
    /// Two trackers lead: choose again.
    ReselectLeaderRequest, NOTIFY_RESELECT_LEADER, Empty
}

/// A follower introduces itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct JoinLeaderRequest {
    /// When its program started.
    pub started: Timestamp,
    /// Version of its program.
    pub version: String,
    /// Its port.
    pub port: u16,
}

/// A follower is alive.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PingLeaderRequest {
    /// Its connections.
    pub connections: Connections,
}

/// The trunk servers, if they changed since the follower was last told on this connection.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct PingLeaderResponse {
    /// Every group with its trunk server, if it has one.
    pub trunk_servers: Vec<(GroupName, Option<StorageId>)>,
}

/// A candidate for the lead.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotifyNextLeaderRequest {
    /// Its address.
    pub leader: SocketAddr,
}

/// The candidate leads from now on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CommitNextLeaderRequest {
    /// Its address.
    pub leader: SocketAddr,
}

impl Encode for JoinLeaderRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.time(self.started);
        writer.padded(&self.version, VERSION_WIDTH);
        writer.port64(self.port);
    }
}

impl Decode for JoinLeaderRequest {
    const NAME: &'static str = "JoinLeaderRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            started: reader.time("start time")?,
            version: reader.padded_text("version", VERSION_WIDTH)?.to_owned(),
            port: reader.port64("port")?,
        })
    }
}

impl Request for JoinLeaderRequest {
    const COMMAND: Command = Command::TRACKER_JOIN_LEADER;
    type Response = Empty;
}

impl Encode for PingLeaderRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.connections.write(writer);
    }
}

impl Decode for PingLeaderRequest {
    const NAME: &'static str = "PingLeaderRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { connections: Connections::read(reader)? })
    }
}

impl Request for PingLeaderRequest {
    const COMMAND: Command = Command::TRACKER_PING_LEADER;
    type Response = PingLeaderResponse;
}

impl Encode for PingLeaderResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        for (group, trunk_server) in &self.trunk_servers {
            writer.group(group);
            writer.storage_id(trunk_server.as_ref());
        }
    }
}

impl Decode for PingLeaderResponse {
    const NAME: &'static str = "PingLeaderResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let one = |reader: &mut Reader<'_>| {
            Ok((reader.group()?, reader.padded_option("trunk server", STORAGE_ID_WIDTH)?))
        };
        Ok(Self { trunk_servers: reader.repeat_to_end(one)? })
    }
}

impl Encode for NotifyNextLeaderRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.leader.write(writer);
    }
}

impl Decode for NotifyNextLeaderRequest {
    const NAME: &'static str = "NotifyNextLeaderRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { leader: SocketAddr::read(reader)? })
    }
}

impl Request for NotifyNextLeaderRequest {
    const COMMAND: Command = Command::NOTIFY_NEXT_LEADER;
    type Response = Empty;
}

impl Encode for CommitNextLeaderRequest {
    fn write(&self, writer: &mut Writer<'_>) {
        self.leader.write(writer);
    }
}

impl Decode for CommitNextLeaderRequest {
    const NAME: &'static str = "CommitNextLeaderRequest";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { leader: SocketAddr::read(reader)? })
    }
}

impl Request for CommitNextLeaderRequest {
    const COMMAND: Command = Command::COMMIT_NEXT_LEADER;
    type Response = Empty;
}
