//! What other trackers and storages say about who leads.

use std::net::IpAddr;
use std::time::Duration;

use fdfs_proto::Connections;
use fdfs_types::Timestamp;

use super::{LeaderAction, Leadership, TrackerAddress, TrackerStatus};
use crate::Refusal;

impl Leadership {
    /// Another tracker names the next leader (66). A follower whose leader is alive does not take
    /// another one: a tracker that has lost only its own way to the leader would split the cluster.
    pub fn on_notify(
        &mut self,
        candidate: &TrackerAddress,
        now: Timestamp,
    ) -> (Result<(), Refusal>, Vec<LeaderAction>) {
        let Some(next) = self.position(candidate) else {
            return (Err(Refusal::NotFound), Vec::new());
        };
        if self.is_leading() && self.me() != Some(next) {
            return (Err(Refusal::Invalid), self.resign());
        }
        let other = self.leader.is_some_and(|leader| leader != next && !self.is_leading());
        if other && self.failed_pings == 0 && now.since(self.last_good_ping) <= Self::ALIVE {
            return (Err(Refusal::Busy), Vec::new());
        }
        self.next = Some(next);
        (Ok(()), Vec::new())
    }

    /// The next leader leads from now on (67).
    pub fn on_commit(
        &mut self,
        candidate: &TrackerAddress,
        now: Timestamp,
    ) -> Result<Vec<LeaderAction>, Refusal> {
        let next = self.next.filter(|next| self.position(candidate) == Some(*next));
        let next = next.ok_or(Refusal::Invalid)?;
        self.next = None;
        Ok(if self.me() == Some(next) { self.lead(next) } else { self.follow(next, now) })
    }

    /// A storage has seen two leaders (68).
    pub fn on_reselect(&mut self, now: Timestamp) -> Result<Vec<LeaderAction>, Refusal> {
        if !self.is_leading() {
            return Err(Refusal::NotSupported);
        }
        self.next_step = now.plus(Duration::from_secs(1));
        Ok(self.resign())
    }

    /// A follower introduces itself (58).
    pub fn on_follower(
        &mut self,
        peer: IpAddr,
        port: u16,
        status: TrackerStatus,
    ) -> Result<TrackerAddress, Refusal> {
        if !self.is_leading() {
            return Err(Refusal::NotSupported);
        }
        let address = TrackerAddress::one(peer, port);
        let at = self.position(&address).ok_or(Refusal::NotFound)?;
        self.trackers[at].status = status;
        Ok(self.trackers[at].address)
    }

    /// A follower is alive (65).
    pub fn on_follower_ping(
        &mut self,
        follower: &TrackerAddress,
        connections: Connections,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        if !self.is_leading() {
            return Err(Refusal::NotSupported);
        }
        let at = self.position(follower).ok_or(Refusal::Invalid)?;
        let status = &mut self.trackers[at].status;
        (status.connections, status.last_heartbeat) = (connections, now);
        Ok(())
    }
}
