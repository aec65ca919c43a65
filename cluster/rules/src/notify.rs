//! What a storage learns with the answer to a report.

use std::net::IpAddr;
use std::time::Duration;

use fdfs_types::{StorageId, StorageStatus};

use crate::{Cluster, Member, Refusal, Storage};

/// What a storage learns with the answer to a report. Only the leader tells anything.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Notification {
    /// There is a new leader, and this is where.
    pub leader: Option<(IpAddr, u16)>,
    /// There is a new trunk server, or none any more.
    pub trunk_server: Option<Option<StorageBrief>>,
    /// The storages of the group, or their states, changed: all of them.
    pub storages: Option<Vec<StorageBrief>>,
}

/// A storage as others of its group are told of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct StorageBrief {
    /// Its state.
    pub status: StorageStatus,
    /// Its id.
    pub id: StorageId,
    /// Its address in the network of who asked.
    pub ip: IpAddr,
    /// Its port; 0 is unknown.
    pub port: u16,
}

/// Who leads, as the leader tells it: how often that has changed, and the address.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LeaderNews {
    /// Number of changes since the tracker was started.
    pub changes: u64,
    /// The leader, if there is one.
    pub leader: Option<(IpAddr, u16)>,
}

impl StorageBrief {
    /// A storage as a peer with this address is told of it.
    pub fn of(storage: &Storage, peer: IpAddr) -> Self {
        let Storage { status, id, port, .. } = *storage;
        Self { status, id, ip: storage.addresses.for_peer(peer), port }
    }
}

impl Cluster {
    /// So often the leader tells who is in the group although nothing has changed. A storage may have
    /// heard a list of the last leader after one of the present one. Who leads is not repeated: original
    /// storages log it each time.
    const REPEAT: Duration = Duration::from_secs(30);

    /// What a member has not heard yet. `heard` is the number of changes of the leader that this
    /// connection has heard of.
    pub fn notification(
        &mut self,
        member: &Member,
        news: LeaderNews,
        heard: &mut u64,
        peer: IpAddr,
    ) -> Result<Notification, Refusal> {
        let (leading, now) = (self.leading, self.now);
        let group = self.home(member)?;
        if !leading {
            return Ok(Notification::default());
        }
        group.take_session(member);
        let storage = group.get(&member.id).ok_or(Refusal::Denied)?;
        let repeats = now.since(storage.told).max(storage.told.since(now)) >= Self::REPEAT;
        let leader = if *heard == news.changes { None } else { news.leader };
        let trunk_news = storage.seen_trunk_changes != group.trunk.changes;
        let trunk_server = trunk_news.then(|| {
            let server = group.trunk.server.and_then(|id| group.get(&id));
            server.map(|server| StorageBrief::of(server, peer))
        });
        let storages = (storage.seen_changes != group.changes || repeats)
            .then(|| group.storages().map(|storage| StorageBrief::of(storage, peer)).collect());
        *heard = news.changes;
        let (changes, trunk_changes) = (group.changes, group.trunk.changes);
        let told = if storages.is_some() { now } else { storage.told };
        group.set_seen(&member.id, changes, trunk_changes, told);
        Ok(Notification { leader, trunk_server, storages })
    }
}
