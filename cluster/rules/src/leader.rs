//! Which of several trackers leads.
//!
//! Trackers learn of each other from the storages that join. One that has a list and no leader asks
//! all for their rank; the best proposes itself to the others. Followers ping the leader.

mod files;
mod list;
mod messages;
mod rank;

use std::net::IpAddr;
use std::time::Duration;

use fdfs_types::Timestamp;

pub use files::{FilesPlan, RankAnswer};
pub use list::TrackerAddress;
pub use rank::{TrackerRank, TrackerStatus};

use crate::Refusal;

/// What a tracker knows of itself and of the other trackers.
#[derive(Debug)]
pub struct Leadership {
    port: u16,
    started: Timestamp,
    restart_interval: Duration,
    own: Vec<IpAddr>,
    trackers: Vec<Tracker>,
    leader: Option<usize>,
    next: Option<usize>,
    changes: u64,
    next_step: Timestamp,
    waits_for_answers: bool,
    failed_pings: u32,
    last_good_ping: Timestamp,
    next_look: Timestamp,
}

/// How the leader answered a ping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PingOutcome {
    /// It is there.
    Answered,
    /// It is there, and says that it does not lead.
    Denied,
    /// It is not there, or does not answer in time.
    Failed,
}

/// A tracker of the cluster, this one among them.
#[derive(Clone, Debug)]
pub struct Tracker {
    /// Where it listens.
    pub address: TrackerAddress,
    /// What it said of itself with its last ping.
    pub status: TrackerStatus,
}

/// What the daemon is to do about other trackers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LeaderAction {
    /// Ask these for their rank, all at once, then call [`Leadership::on_ranks`].
    AskRanks(Vec<TrackerAddress>),
    /// Propose this tracker to the others, first all of them, then commit to those that took it, then
    /// call [`Leadership::on_proposed`]. One that is not there or does not answer in time counts as
    /// dead; only one that refuses ends the attempt.
    Propose {
        /// The candidate's address, as the messages carry it.
        candidate: TrackerAddress,
        /// Those to be told.
        to: Vec<TrackerAddress>,
    },
    /// Ping the leader, then call [`Leadership::on_pinged`].
    Ping(TrackerAddress),
    /// Whether this tracker leads has changed.
    Leading(bool),
    /// Another tracker leads from now on.
    Follows(TrackerAddress),
}

impl Leadership {
    /// Most trackers of a cluster.
    pub const MAX_TRACKERS: usize = 16;
    /// No pause between two steps is longer.
    const LONGEST_PAUSE: Duration = Duration::from_secs(11);
    /// A ping is as old as this at most while a follower counts as active.
    const ACTIVE: Duration = Duration::from_secs(3);
    /// A leader whose last good ping is no older than this is alive: no other is taken.
    const ALIVE: Duration = Duration::from_secs(2);
    /// So many failed pings in a row end the following.
    const FAILED_PINGS: u32 = 3;
    /// How often a leader looks for another one among those that do not follow it.
    const LOOK_AROUND: Duration = Duration::from_secs(5);

    /// A tracker that starts now, listens on `port`, and was not running for `restart_interval`.
    pub fn new(port: u16, started: Timestamp, restart_interval: Duration) -> Self {
        Self {
            port,
            started,
            restart_interval,
            own: Vec::new(),
            trackers: Vec::new(),
            leader: None,
            next: None,
            changes: 0,
            next_step: Timestamp::ZERO,
            waits_for_answers: false,
            failed_pings: 0,
            last_good_ping: Timestamp::ZERO,
            next_look: Timestamp::ZERO,
        }
    }

    /// Whether a storage's list of trackers can be taken. `local` are the addresses by which that
    /// storage reaches this tracker.
    pub fn check_list(&self, list: &[TrackerAddress], local: &[IpAddr]) -> Result<(), Refusal> {
        let merged = list::merge(self.addresses(), list);
        if merged.len() > Self::MAX_TRACKERS {
            return Err(Refusal::NoSpace);
        }
        let grows = merged.len() != self.trackers.len();
        let own = |ip: IpAddr| self.own.contains(&ip) || local.contains(&ip);
        let mine = |address: &TrackerAddress| address.port == self.port && address.iter().any(own);
        if grows && !merged.iter().any(mine) { Err(Refusal::NotFound) } else { Ok(()) }
    }

    /// A storage has joined with this list of trackers.
    pub fn on_list(
        &mut self,
        list: &[TrackerAddress],
        local: &[IpAddr],
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.check_list(list, local)?;
        for ip in local {
            if !self.own.contains(ip) {
                self.own.push(*ip);
            }
        }
        if self.trackers.is_empty() {
            self.next_step = now.plus(Duration::from_secs(1));
        }
        let merged = list::merge(self.addresses(), list);
        for (at, address) in merged.into_iter().enumerate() {
            match self.trackers.get_mut(at) {
                Some(tracker) => tracker.address = address,
                None => self.trackers.push(Tracker { address, status: TrackerStatus::default() }),
            }
        }
        Ok(())
    }

    /// Time has passed; call this every second.
    pub fn on_tick(&mut self, now: Timestamp) -> Vec<LeaderAction> {
        let Some(me) = self.me() else { return Vec::new() };
        // A clock that was set back must not stop the elections.
        let waits = now < self.next_step && self.next_step.since(now) <= Self::LONGEST_PAUSE;
        if waits || self.waits_for_answers {
            return Vec::new();
        }
        match self.leader {
            Some(leader) if leader == me => self.look_around(now),
            Some(leader) => {
                self.waits_for_answers = true;
                vec![LeaderAction::Ping(self.trackers[leader].address)]
            }
            None if self.trackers.len() == 1 => self.lead(me),
            None => {
                self.waits_for_answers = true;
                vec![LeaderAction::AskRanks(self.others())]
            }
        }
    }

    /// A leader asks those that do not follow it whether one of them leads, too: after a partition
    /// nobody else would notice where storages reach only one side.
    fn look_around(&mut self, now: Timestamp) -> Vec<LeaderAction> {
        if now < self.next_look && self.next_look.since(now) <= Self::LOOK_AROUND {
            return Vec::new();
        }
        self.next_look = now.plus(Self::LOOK_AROUND);
        let strays = self.trackers(now).filter(|(leads, active, _)| !leads && !active);
        let strays: Vec<_> = strays.map(|(_, _, tracker)| tracker.address).collect();
        if strays.is_empty() {
            return Vec::new();
        }
        self.waits_for_answers = true;
        vec![LeaderAction::AskRanks(strays)]
    }

    /// The ranks of those that answered. `pause` is a random number of seconds up to 10, so that
    /// trackers do not try in step for ever.
    pub fn on_ranks(
        &mut self,
        ranks: &[(TrackerAddress, TrackerRank)],
        pause: u64,
        now: Timestamp,
    ) -> Vec<LeaderAction> {
        self.waits_for_answers = false;
        let Some(me) = self.me() else { return Vec::new() };
        let own = (self.trackers[me].address, self.rank(now));
        if self.is_leading() {
            return self.on_other_leaders(ranks, &own, now);
        }
        if self.leader.is_some() {
            return Vec::new();
        }
        let best = ranks.iter().copied().chain([own]).max_by(rank::compare);
        self.next_step = now.plus(Duration::from_secs(1 + pause));
        match best {
            Some((address, _)) if address == own.0 => {
                self.waits_for_answers = true;
                vec![LeaderAction::Propose { candidate: address, to: self.others() }]
            }
            Some((address, rank)) if rank.leads => match self.position(&address) {
                Some(leader) => self.follow(leader, now),
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Of several leaders the one of the highest rank stays. It names itself to the others, which
    /// makes them resign; those that look by themselves follow it at once.
    fn on_other_leaders(
        &mut self,
        ranks: &[(TrackerAddress, TrackerRank)],
        own: &(TrackerAddress, TrackerRank),
        now: Timestamp,
    ) -> Vec<LeaderAction> {
        let others: Vec<_> = ranks.iter().copied().filter(|(_, rank)| rank.leads).collect();
        let Some(best) = others.iter().max_by(|a, b| rank::compare(a, b)) else { return Vec::new() };
        if rank::compare(best, own).is_gt() {
            return match self.position(&best.0) {
                Some(leader) => self.follow(leader, now),
                None => Vec::new(),
            };
        }
        self.waits_for_answers = true;
        let to = others.into_iter().map(|(address, _)| address).collect();
        vec![LeaderAction::Propose { candidate: own.0, to }]
    }

    /// The others have taken the proposal, or one of them has not.
    pub fn on_proposed(&mut self, taken: bool, pause: u64, now: Timestamp) -> Vec<LeaderAction> {
        self.waits_for_answers = false;
        match self.me() {
            Some(me) if taken && self.leader.is_none() => self.lead(me),
            _ => {
                self.next_step = now.plus(Duration::from_secs(1 + pause));
                Vec::new()
            }
        }
    }

    /// The leader has answered a ping, or not.
    pub fn on_pinged(&mut self, outcome: PingOutcome, now: Timestamp) -> Vec<LeaderAction> {
        self.waits_for_answers = false;
        // After a failure the next tick tries again; a ping that timed out has waited already.
        self.next_step = now;
        match outcome {
            _ if self.leader.is_none() || self.is_leading() => {}
            PingOutcome::Answered => {
                (self.failed_pings, self.last_good_ping) = (0, now);
                self.next_step = now.plus(Duration::from_secs(1));
            }
            PingOutcome::Failed if self.failed_pings + 1 < Self::FAILED_PINGS => self.failed_pings += 1,
            PingOutcome::Failed | PingOutcome::Denied => (self.failed_pings, self.leader) = (0, None),
        }
        Vec::new()
    }

    /// Whether this tracker leads.
    pub fn is_leading(&self) -> bool {
        self.leader.is_some() && self.leader == self.me()
    }

    /// The leader, as far as this tracker knows.
    pub fn leader(&self) -> Option<&TrackerAddress> {
        self.leader.map(|at| &self.trackers[at].address)
    }

    /// How often this tracker became or ceased to be the leader.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Whether the address is one of the cluster's trackers.
    pub fn knows_peer(&self, peer: IpAddr) -> bool {
        self.trackers.iter().any(|tracker| tracker.address.iter().any(|ip| ip == peer))
    }

    /// Whether this is one of the cluster's trackers.
    pub fn is_listed(&self, address: &TrackerAddress) -> bool {
        self.position(address).is_some()
    }

    /// Which tracker of the list this one is.
    pub fn me(&self) -> Option<usize> {
        let own = |ip: IpAddr| self.own.contains(&ip);
        let mine = |tracker: &Tracker| tracker.address.port == self.port && tracker.address.iter().any(own);
        self.trackers.iter().position(mine)
    }

    /// All trackers of the cluster: whether each leads, whether it is active, and what it said.
    pub fn trackers(&self, now: Timestamp) -> impl Iterator<Item = (bool, bool, &Tracker)> {
        self.trackers.iter().enumerate().map(move |(at, tracker)| {
            let leads = self.leader == Some(at);
            let active = leads || now.since(tracker.status.last_heartbeat) <= Self::ACTIVE;
            (leads, active, tracker)
        })
    }

    /// What this tracker answers when it is asked for its rank.
    pub fn rank(&self, now: Timestamp) -> TrackerRank {
        TrackerRank {
            leads: self.is_leading(),
            running: rank::in_steps(now.since(self.started)),
            restart_interval: rank::in_steps(self.restart_interval),
        }
    }

    fn addresses(&self) -> Vec<TrackerAddress> {
        self.trackers.iter().map(|tracker| tracker.address).collect()
    }

    fn others(&self) -> Vec<TrackerAddress> {
        let me = self.me();
        let others = self.trackers.iter().enumerate().filter(|(at, _)| Some(*at) != me);
        others.map(|(_, tracker)| tracker.address).collect()
    }

    fn position(&self, address: &TrackerAddress) -> Option<usize> {
        self.trackers.iter().position(|tracker| tracker.address.shares_ip(address))
    }

    fn lead(&mut self, me: usize) -> Vec<LeaderAction> {
        (self.leader, self.next) = (Some(me), None);
        self.next_look = Timestamp::ZERO;
        self.changes += 1;
        vec![LeaderAction::Leading(true)]
    }

    fn follow(&mut self, leader: usize, now: Timestamp) -> Vec<LeaderAction> {
        let led = self.is_leading();
        (self.leader, self.next, self.failed_pings) = (Some(leader), None, 0);
        self.last_good_ping = Timestamp::ZERO;
        self.next_step = now.plus(Duration::from_secs(1));
        let mut actions = vec![LeaderAction::Follows(self.trackers[leader].address)];
        if led {
            self.changes += 1;
            actions.push(LeaderAction::Leading(false));
        }
        actions
    }

    fn resign(&mut self) -> Vec<LeaderAction> {
        self.leader = None;
        self.changes += 1;
        vec![LeaderAction::Leading(false)]
    }
}

#[cfg(test)]
mod tests;
