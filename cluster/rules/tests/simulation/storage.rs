//! A storage: the files it has, whom it pushes them to, and what it tells trackers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use fdfs_rules::{Claim, Cluster, JoinRequest, Notification, Refusal, StatusReport, SyncRange};
use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

use crate::message::{File, Node, Reply, Request, Ticket};
use crate::tracker::Outgoing;

pub(crate) const TRACKERS: usize = 3;
pub(crate) const PER_GROUP: usize = 3;

pub(crate) fn ip(storage: Node) -> IpAddr {
    [127, 0, 1, storage as u8].into()
}

pub(crate) fn id(storage: Node) -> StorageId {
    Cluster::id_of_ip(ip(storage))
}

pub(crate) fn node_of(id: &StorageId) -> Node {
    let last = id.as_str().rsplit('.').next().and_then(|last| last.parse().ok());
    last.expect("a storage of the simulation")
}

pub(crate) fn group(storage: Node) -> GroupName {
    format!("group{}", (storage - TRACKERS) / PER_GROUP + 1).parse().expect("a name")
}

/// From whom it gets the old files, as far as it is settled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Source {
    Unknown,
    Settled(Option<SyncRange>),
}

/// What it does about one peer.
#[derive(Clone, Debug, Default)]
struct Push {
    /// It is the one that pushes the old files, as it was told.
    is_source: bool,
    asked: bool,
    old_done: bool,
    /// Files of its own that the peer has.
    done: usize,
    waits: bool,
}

/// One connection to a tracker.
#[derive(Clone, Debug, Default)]
struct Link {
    ticket: Option<Ticket>,
    given: Option<StorageStatus>,
    settled: bool,
    waits: bool,
    refused: bool,
    ever: bool,
    beats: u64,
    /// It told the last list, so it leads.
    leads: bool,
}

#[derive(Clone, Copy, Debug)]
enum Purpose {
    Join,
    Destination,
    Notify,
    /// The leader knows another state of this storage.
    Correct,
    Beat,
    Source(Node),
    PushOwn(Node, usize),
    PushOld(Node),
    /// Nobody waits for the answer.
    Word,
}

#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) node: Node,
    pub(crate) incarnation: u32,
    /// What is on its disk: its files, and those of them it took itself, in order.
    pub(crate) files: BTreeSet<File>,
    own: Vec<File>,
    joined: Timestamp,
    initial: bool,
    source: Source,
    /// Up to when it has all of each source.
    synced: BTreeMap<Node, Timestamp>,
    pushes: BTreeMap<Node, Push>,
    // What is lost with the process.
    started: Timestamp,
    links: [Link; TRACKERS],
    peers: BTreeMap<Node, StorageStatus>,
    calls: BTreeMap<u64, (Node, Purpose)>,
    next_call: u64,
    ticks: u64,
}

impl Store {
    pub(crate) fn new(node: Node, now: Timestamp) -> Self {
        Self {
            node,
            incarnation: 0,
            files: BTreeSet::new(),
            own: Vec::new(),
            joined: now,
            initial: true,
            source: Source::Unknown,
            synced: BTreeMap::new(),
            pushes: BTreeMap::new(),
            started: now,
            links: Default::default(),
            peers: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            ticks: 0,
        }
    }

    /// Starts again with what is on its disk.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        self.incarnation += 1;
        self.started = now;
        self.links = Default::default();
        self.peers.clear();
        self.calls.clear();
        for push in self.pushes.values_mut() {
            (push.waits, push.asked) = (false, false);
        }
    }

    /// Takes an upload; it is acknowledged when this returns.
    pub(crate) fn upload(&mut self, now: Timestamp) -> File {
        let file = File { source: self.node, number: self.own.len() as u32, created: now };
        self.own.push(file);
        self.files.insert(file);
        file
    }

    /// The connections it has now, to be ended.
    pub(crate) fn tickets(&self) -> Vec<(Node, Ticket)> {
        let open = self.links.iter().enumerate().filter_map(|(tracker, link)| Some((tracker, link.ticket?)));
        open.collect()
    }

    pub(crate) fn tick(&mut self) -> Outgoing {
        let mut out = Vec::new();
        self.ticks += 1;
        for tracker in 0..TRACKERS {
            self.speak_with(tracker, &mut out);
        }
        let peers: Vec<_> = self.peers.iter().map(|(peer, status)| (*peer, *status)).collect();
        for (peer, status) in peers {
            if matches!(status, StorageStatus::Active | StorageStatus::WaitSync | StorageStatus::Syncing) {
                self.push_to(peer, status, &mut out);
            }
        }
        out
    }

    fn speak_with(&mut self, tracker: Node, out: &mut Outgoing) {
        let link = &self.links[tracker];
        if link.waits {
            return;
        }
        let Some(ticket) = link.ticket else {
            let all_met = self.links.iter().all(|link| link.ever);
            let listed = self.peers.get(&self.node).copied();
            // A leader that does not know this storage would never list it: what others gave counts.
            let given = || self.links.iter().filter_map(|link| link.given).max();
            let request = JoinRequest {
                group: group(self.node),
                claim: Claim { port: 23000, path_count: 1, subdir_count: 4 },
                upload_priority: 10,
                join_time: self.joined,
                up_time: self.started,
                version: "6.16.1".into(),
                initial: self.initial,
                status: listed.or_else(given).or(all_met.then_some(StorageStatus::Init)),
                id: None,
                peer: ip(self.node),
            };
            return self.call(tracker, Purpose::Join, Request::Join(Box::new(request)), out);
        };
        // A follower that missed something is told what the leader says; then comes another JOIN.
        let listed = self.peers.get(&self.node).copied();
        if let (Some(given), Some(listed)) = (link.given, listed)
            && given != listed
            && !(serves(given) && serves(listed))
            && !link.leads
        {
            return self.call(tracker, Purpose::Correct, Request::ChangeStatus(ticket, listed), out);
        }
        match (link.settled, self.source) {
            (true, _) => {
                let due = self.ticks % 2 == tracker as u64 % 2;
                if !due {
                    return;
                }
                self.links[tracker].beats += 1;
                if self.links[tracker].beats.is_multiple_of(3) {
                    let rows = self.synced.iter().map(|(source, time)| (id(*source), *time)).collect();
                    self.word(tracker, Request::Synced(ticket, rows), out);
                }
                self.call(tracker, Purpose::Beat, Request::Beat(ticket), out);
            }
            (false, Source::Settled(range)) => {
                self.call(tracker, Purpose::Notify, Request::SyncNotify(ticket, range), out);
            }
            (false, Source::Unknown) => {
                let asks = |(_, purpose): &(Node, Purpose)| matches!(purpose, Purpose::Destination);
                if !self.calls.values().any(asks) {
                    self.call(tracker, Purpose::Destination, Request::SyncDestination(ticket), out);
                }
            }
        }
    }

    fn push_to(&mut self, peer: Node, status: StorageStatus, out: &mut Outgoing) {
        let unfinished = matches!(status, StorageStatus::WaitSync | StorageStatus::Syncing);
        let push = self.pushes.entry(peer).or_default().clone();
        if push.waits {
            return;
        }
        if !push.asked || (unfinished && !push.is_source && self.ticks.is_multiple_of(3)) {
            let open = self.links.iter().position(|link| link.settled);
            let Some(tracker) = open else { return };
            self.wait_for(peer);
            let request = Request::Source(group(self.node), id(peer));
            return self.call(tracker, Purpose::Source(peer), request, out);
        }
        if push.is_source && unfinished {
            let told = if push.old_done { StorageStatus::Offline } else { StorageStatus::Syncing };
            let report = StatusReport { id: id(peer), status: told, ip: None, port: 0 };
            for tracker in 0..TRACKERS {
                self.word(tracker, Request::Status(group(self.node), report), out);
            }
            if !push.old_done {
                self.wait_for(peer);
                let files = self.files.iter().copied().collect();
                return self.call(peer, Purpose::PushOld(peer), Request::Push { files, own: false }, out);
            }
        }
        if push.done < self.own.len() {
            self.wait_for(peer);
            let end = self.own.len().min(push.done + 8);
            let files = self.own[push.done..end].to_vec();
            self.call(peer, Purpose::PushOwn(peer, end), Request::Push { files, own: true }, out);
        }
    }

    fn wait_for(&mut self, peer: Node) {
        if let Some(push) = self.pushes.get_mut(&peer) {
            push.waits = true;
        }
    }

    fn call(&mut self, to: Node, purpose: Purpose, request: Request, out: &mut Outgoing) {
        self.next_call += 1;
        self.calls.insert(self.next_call, (to, purpose));
        if to < TRACKERS && !matches!(purpose, Purpose::Source(_) | Purpose::Word) {
            self.links[to].waits = true;
        }
        out.push((to, Some(self.next_call), request));
    }

    fn word(&mut self, to: Node, request: Request, out: &mut Outgoing) {
        self.call(to, Purpose::Word, request, out);
    }

    /// A peer pushes files here.
    pub(crate) fn answer(&mut self, from: Node, request: Request) -> Reply {
        let Request::Push { files, own } = request else { return Reply::Refused(Refusal::Invalid) };
        self.files.extend(files.iter().copied());
        if own && let Some(last) = files.last() {
            self.synced.insert(from, last.created);
        }
        Reply::Done
    }

    /// A question is answered, or nobody answers in time.
    pub(crate) fn answered(&mut self, call: u64, reply: Option<Reply>, now: Timestamp) -> Outgoing {
        let mut out = Vec::new();
        let Some((to, purpose)) = self.calls.remove(&call) else { return out };
        if to < TRACKERS && !matches!(purpose, Purpose::Source(_) | Purpose::Word) {
            self.links[to].waits = false;
        }
        match (purpose, reply) {
            (Purpose::Join, Some(Reply::Joined(joined, incarnation))) => {
                let ticket = Ticket { member: joined.member, incarnation };
                let beats = self.links[to].beats;
                let given = Some(joined.status);
                self.links[to] = Link { ticket: Some(ticket), given, ever: true, beats, ..Link::default() };
                if let (Source::Unknown, Some(source)) = (self.source, joined.sync_source) {
                    self.source = Source::Settled(Some(SyncRange { source, until: now }));
                }
            }
            // A refusal is an answer, too; one that is to try again is none.
            (Purpose::Join, Some(Reply::Refused(refusal))) => {
                self.links[to].ever |= refusal != Refusal::TryAgain;
            }
            (Purpose::Join, _) => {}
            (Purpose::Destination, Some(Reply::Source(range))) => self.source = Source::Settled(range),
            (Purpose::Destination | Purpose::Notify, Some(Reply::Refused(Refusal::NotFound))) => {
                self.links[to].refused = true;
                if self.links.iter().all(|link| link.refused) {
                    self.source = Source::Unknown;
                    self.links.iter_mut().for_each(|link| link.refused = false);
                }
            }
            (Purpose::Notify, Some(Reply::Done)) => {
                self.links[to].settled = true;
                self.initial = false;
            }
            (Purpose::Beat, Some(Reply::News(news))) => self.hear(to, &news),
            (Purpose::Destination | Purpose::Notify | Purpose::Correct | Purpose::Beat, _) => {
                self.leave(to, &mut out);
            }
            (Purpose::Source(peer), reply) => {
                if let Some(push) = self.pushes.get_mut(&peer) {
                    push.waits = false;
                    if let Some(Reply::Source(range)) = reply {
                        push.asked = true;
                        push.is_source = range.is_some_and(|range| range.source == id(self.node));
                    }
                }
            }
            (Purpose::PushOwn(peer, end), reply) => {
                if let Some(push) = self.pushes.get_mut(&peer) {
                    push.waits = false;
                    if matches!(reply, Some(Reply::Done)) {
                        push.done = push.done.max(end);
                    }
                }
            }
            (Purpose::PushOld(peer), reply) => {
                if let Some(push) = self.pushes.get_mut(&peer) {
                    push.waits = false;
                    push.old_done |= matches!(reply, Some(Reply::Done));
                }
            }
            (Purpose::Word, _) => {}
        }
        out
    }

    /// Ends a connection.
    fn leave(&mut self, tracker: Node, out: &mut Outgoing) {
        let link = &mut self.links[tracker];
        link.settled = false;
        if let Some(ticket) = link.ticket.take() {
            out.push((tracker, None, Request::Gone(ticket)));
        }
    }

    /// The leader tells who is in the group.
    fn hear(&mut self, from: Node, news: &Notification) {
        let Some(storages) = &news.storages else { return };
        self.peers = storages.iter().map(|brief| (node_of(&brief.id), brief.status)).collect();
        for (tracker, link) in self.links.iter_mut().enumerate() {
            link.leads = tracker == from;
        }
    }

    pub(crate) fn describe(&self) -> String {
        let links: Vec<_> = self.links.iter().map(|link| (link.given, link.settled, link.waits)).collect();
        let peers: Vec<_> = self.peers.iter().map(|(peer, status)| format!("{peer}:{status}")).collect();
        format!("{:?} {links:?} peers {} pushes {:?}", self.source, peers.join(" "), self.pushes)
    }
}

fn serves(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::Offline | StorageStatus::Online | StorageStatus::Active)
}
