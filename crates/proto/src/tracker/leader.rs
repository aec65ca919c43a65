//! `GET_LEADER` (95) and `TRACKER_GET_STATUS` (64): which tracker leads, and what an election looks at.
//!
//! ```text
//!  95  answer: | text ip:port |
//!  64  answer: | u8 leads | i64 running time | i64 restart interval |
//! ```

use std::net::SocketAddr;

use crate::message::empty_request;
use crate::{Decode, DecodeError, Encode, Reader, Writer};

empty_request! {
    /// Asks for the address of the leading tracker, the one that suits who asks.
    GetLeaderRequest, GET_LEADER, SocketAddr
}

empty_request! {
    /// Asks a tracker how it stands in an election.
    TrackerStatusRequest, TRACKER_GET_STATUS, TrackerStatusResponse
}

/// How a tracker stands in an election. Both times are multiples of 300 seconds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrackerStatusResponse {
    /// Whether it leads.
    pub is_leader: bool,
    /// Seconds since its start.
    pub running_time: u64,
    /// Seconds between the end of its previous run and this start; zero if unknown.
    pub restart_interval: i64,
}

impl Encode for TrackerStatusResponse {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.flag(self.is_leader);
        writer.u64(self.running_time);
        writer.i64(self.restart_interval);
    }
}

impl Decode for TrackerStatusResponse {
    const NAME: &'static str = "TrackerStatusResponse";

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            is_leader: reader.flag("is leader")?,
            running_time: reader.u64("running time")?,
            restart_interval: reader.i64("restart interval")?,
        })
    }
}
