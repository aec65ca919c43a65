//! Which tracker is the best to lead.

use std::cmp::Ordering;
use std::time::Duration;

use fdfs_proto::Connections;
use fdfs_types::Timestamp;

use super::TrackerAddress;

/// What decides which tracker leads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrackerRank {
    /// It leads already.
    pub leads: bool,
    /// How long it runs.
    pub running: Duration,
    /// How long it was away before.
    pub restart_interval: Duration,
}

/// What a follower tells the leader of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TrackerStatus {
    /// Connections: allocated, in use, most in use at one time.
    pub connections: Connections,
    /// Its version.
    pub version: String,
    /// When it was started.
    pub up_time: Timestamp,
    /// Its last ping.
    pub last_heartbeat: Timestamp,
}

impl TrackerRank {
    /// Whether it decides before the address does.
    pub(super) fn is_better_than(&self, other: &Self) -> bool {
        let key = |rank: &Self| (rank.leads, rank.running, std::cmp::Reverse(rank.restart_interval));
        key(self) > key(other)
    }
}

/// Times are compared in steps of five minutes.
pub(super) fn in_steps(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs() / 300 * 300)
}

/// The greater one leads: who leads already, then who runs longer, then who was away for less, then
/// the greater text of the address, then the greater port.
pub(super) fn compare(a: &(TrackerAddress, TrackerRank), b: &(TrackerAddress, TrackerRank)) -> Ordering {
    let key = |(address, rank): &(TrackerAddress, TrackerRank)| {
        let away = std::cmp::Reverse(rank.restart_interval);
        (rank.leads, rank.running, away, address.addresses.first().to_string(), address.port)
    };
    key(a).cmp(&key(b))
}
