//! A tracker: the rules, its files, and the questions it has asked.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use fdfs_rules::{
    Action, Addresses, Cluster, DataFile, FilesPlan, Group, LeaderAction, LeaderNews, Leadership,
    PingOutcome, RankAnswer, Refusal, Settings, Storage, TrackerAddress, TrackerStatus,
};
use fdfs_types::{StorageStatus, Timestamp};

use crate::message::{Node, Reply, Request, Saved, Ticket};
use crate::random::Random;

pub(crate) const PORT: u16 = 22122;

pub(crate) fn address(tracker: Node) -> TrackerAddress {
    TrackerAddress::one(ip(tracker), PORT)
}

pub(crate) fn ip(tracker: Node) -> IpAddr {
    [127, 0, 0, 2 + tracker as u8].into()
}

pub(crate) fn node_of(address: &TrackerAddress) -> Node {
    (0..3).find(|tracker| self::address(*tracker) == *address).expect("a tracker of the simulation")
}

/// What a question was asked for.
#[derive(Clone, Debug)]
enum Purpose {
    Ranks,
    Notify(TrackerAddress),
    Commit,
    Ping,
    Plan,
    Fetch(Vec<TrackerAddress>),
}

/// Questions to several trackers that are waited for together.
#[derive(Clone, Debug)]
struct Batch {
    purpose: Purpose,
    left: usize,
    answers: Vec<(TrackerAddress, Option<Reply>)>,
}

pub(crate) struct Tracker {
    pub(crate) node: Node,
    pub(crate) cluster: Cluster,
    pub(crate) leadership: Leadership,
    pub(crate) incarnation: u32,
    saved: Saved,
    last_check: Timestamp,
    admits: bool,
    plans: bool,
    waits_since: Option<u64>,
    heard: BTreeMap<Node, u64>,
    batches: BTreeMap<u64, Batch>,
    /// Which batch and which tracker a question belongs to.
    calls: BTreeMap<u64, (u64, TrackerAddress)>,
    next_call: u64,
    reloads: u32,
}

/// What a node wants sent.
pub(crate) type Outgoing = Vec<(Node, Option<u64>, Request)>;

impl Tracker {
    pub(crate) fn new(node: Node, now: Timestamp) -> Self {
        Self {
            node,
            cluster: Cluster::new(settings(), now),
            leadership: Leadership::new(PORT, now, Duration::ZERO),
            incarnation: 0,
            saved: Saved::default(),
            last_check: Timestamp::ZERO,
            admits: false,
            plans: false,
            waits_since: None,
            heard: BTreeMap::new(),
            batches: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_call: 0,
            reloads: 0,
        }
    }

    /// How often it took the files of another tracker.
    pub(crate) fn reloads(&self) -> u32 {
        self.reloads
    }

    /// Starts again with what was saved.
    pub(crate) fn restart(&mut self, now: Timestamp) {
        let never = self.last_check == Timestamp::ZERO;
        let away = if never { Duration::ZERO } else { now.since(self.last_check) };
        let mut again = Self::new(self.node, now);
        again.leadership = Leadership::new(PORT, now, away);
        again.incarnation = self.incarnation + 1;
        again.saved = self.saved.clone();
        again.last_check = self.last_check;
        again.load(now);
        *self = again;
    }

    fn load(&mut self, now: Timestamp) {
        let mut cluster = Cluster::new(settings(), now);
        let saved = &self.saved;
        for known in &saved.groups {
            let mut group = Group::new(known.name);
            (group.port, group.path_count, group.subdir_count) =
                (known.port, known.path_count, known.subdir_count);
            for (_, from) in saved.storages.iter().filter(|(name, _)| *name == known.name) {
                let mut storage =
                    Storage::new(from.id, Addresses::one(from.joined_from), from.joined_from, from.rw);
                storage.status = match from.status {
                    kept @ (StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing) => kept,
                    _ => StorageStatus::Offline,
                };
                (storage.port, storage.claim) = (from.port, from.claim);
                (storage.path_count, storage.subdir_count) = (from.path_count, from.subdir_count);
                (storage.sync_source, storage.sync_until) = (from.sync_source, from.sync_until);
                storage.last_heartbeat = from.last_heartbeat;
                if let Some(times) = saved.times.get(&(known.name, from.id)) {
                    storage.applied = times.clone();
                    storage.last_synced = times.values().min().copied().unwrap_or_default();
                }
                group.insert(storage);
            }
            cluster.restore(group);
        }
        cluster.on_leadership(self.leadership.is_leading());
        self.cluster = cluster;
    }

    pub(crate) fn tick(&mut self, now: Timestamp, random: &mut Random) -> Outgoing {
        let mut out = Vec::new();
        let changes = self.leadership.on_tick(now);
        self.follow_up(changes, random, now, &mut out);
        let actions = self.cluster.on_tick(now);
        self.carry_out(&actions);
        if now.0.div_euclid(300) != self.last_check.0.div_euclid(300) {
            self.last_check = now;
        }
        out
    }

    /// Answers a request; what has to be asked elsewhere goes to `out`.
    #[expect(clippy::too_many_arguments, reason = "one request with all it comes with")]
    pub(crate) fn answer(
        &mut self,
        from: Node,
        peer: IpAddr,
        request: Request,
        at: u64,
        now: Timestamp,
        random: &mut Random,
        out: &mut Outgoing,
    ) -> Reply {
        let result = self.handle(from, peer, request, at, now, random, out);
        result.unwrap_or_else(Reply::Refused)
    }

    #[expect(clippy::too_many_arguments, reason = "one request with all it comes with")]
    fn handle(
        &mut self,
        from: Node,
        peer: IpAddr,
        request: Request,
        at: u64,
        now: Timestamp,
        random: &mut Random,
        out: &mut Outgoing,
    ) -> Result<Reply, Refusal> {
        let actions = match request {
            Request::Rank if self.cluster.groups().is_empty() => return Err(Refusal::NotFound),
            Request::Rank => return Ok(Reply::Rank(self.leadership.rank(now))),
            Request::Files if self.cluster.groups().is_empty() => return Err(Refusal::NotFound),
            Request::Files => {
                self.carry_out(&ALL.map(Action::Save));
                return Ok(Reply::Files(Box::new(self.saved.clone())));
            }
            Request::Notify(candidate) => {
                let (answer, changes) = self.leadership.on_notify(&candidate, now);
                self.follow_up(changes, random, now, out);
                return answer.map(|()| Reply::Done);
            }
            Request::Commit(candidate) => {
                let changes = self.leadership.on_commit(&candidate, now)?;
                self.follow_up(changes, random, now, out);
                return Ok(Reply::Done);
            }
            Request::Ping => {
                let status = TrackerStatus::default();
                let follower = self.leadership.on_follower(peer, PORT, status)?;
                self.leadership.on_follower_ping(&follower, fdfs_proto::Connections::default(), now)?;
                return Ok(Reply::Done);
            }
            Request::Join(_) if !self.admits => {
                self.plan(at, random, now, out);
                return Err(Refusal::TryAgain);
            }
            Request::Join(request) => {
                let list: Vec<_> = (0..3).map(address).collect();
                self.leadership.on_list(&list, &[ip(self.node)], now)?;
                let (joined, actions) = self.cluster.join(&request, 0)?;
                self.carry_out(&actions);
                self.heard.insert(from, 0);
                return Ok(Reply::Joined(joined, self.incarnation));
            }
            Request::Gone(ticket) => match self.check(&ticket) {
                Ok(()) => self.cluster.disconnected(&ticket.member),
                Err(_) => return Ok(Reply::Done),
            },
            Request::Beat(ticket) => {
                self.check(&ticket)?;
                let mut actions = self.cluster.beat(&ticket.member, None, now)?;
                let space = [fdfs_rules::Space { total_mb: 100_000, free_mb: 50_000 }];
                actions.extend(self.cluster.disk_usage(&ticket.member, &space)?);
                self.carry_out(&actions);
                let leader = self.leadership.leader().map(TrackerAddress::first);
                let news = LeaderNews {
                    changes: self.leadership.changes(),
                    leader: leader.map(|leader| (leader.ip(), leader.port())),
                };
                let heard = self.heard.entry(from).or_default();
                return Ok(Reply::News(self.cluster.notification(&ticket.member, news, heard, peer)?));
            }
            Request::SyncDestination(ticket) => {
                self.check(&ticket)?;
                let (range, actions) = self.cluster.sync_destination_request(&ticket.member, now)?;
                self.carry_out(&actions);
                return Ok(Reply::Source(range));
            }
            Request::SyncNotify(ticket, range) => {
                self.check(&ticket)?;
                self.cluster.sync_notify(&ticket.member, range)?
            }
            Request::Synced(ticket, rows) => {
                self.check(&ticket)?;
                self.cluster.sync_report(&ticket.member, &rows)?
            }
            Request::ChangeStatus(ticket, status) => {
                self.check(&ticket)?;
                self.cluster.change_status(&ticket.member, status)?
            }
            Request::Source(group, id) => {
                let (range, actions) = self.cluster.sync_source_request(&group, &id)?;
                self.carry_out(&actions);
                return Ok(Reply::Source(range));
            }
            Request::Status(group, report) => self.cluster.report_status(&group, &report)?,
            Request::Push { .. } => return Err(Refusal::Invalid),
        };
        self.carry_out(&actions);
        Ok(Reply::Done)
    }

    /// Only connections to this very process count.
    fn check(&self, ticket: &Ticket) -> Result<(), Refusal> {
        if ticket.incarnation == self.incarnation { Ok(()) } else { Err(Refusal::Denied) }
    }

    /// A question is answered, or nobody answers in time.
    pub(crate) fn answered(
        &mut self,
        call: u64,
        reply: Option<Reply>,
        at: u64,
        now: Timestamp,
        random: &mut Random,
    ) -> Outgoing {
        let mut out = Vec::new();
        let Some((number, tracker)) = self.calls.remove(&call) else { return out };
        let Some(batch) = self.batches.get_mut(&number) else { return out };
        batch.answers.push((tracker, reply));
        batch.left -= 1;
        if batch.left == 0
            && let Some(batch) = self.batches.remove(&number)
        {
            self.complete(batch, at, now, random, &mut out);
        }
        out
    }

    fn complete(&mut self, batch: Batch, at: u64, now: Timestamp, random: &mut Random, out: &mut Outgoing) {
        let Batch { purpose, answers, .. } = batch;
        let refused = answers.iter().any(|(_, answer)| matches!(answer, Some(Reply::Refused(_))));
        let changes = match purpose {
            Purpose::Ranks => {
                let ranks: Vec<_> = answers
                    .iter()
                    .filter_map(|(tracker, answer)| match answer {
                        Some(Reply::Rank(rank)) => Some((*tracker, *rank)),
                        _ => None,
                    })
                    .collect();
                self.leadership.on_ranks(&ranks, random.below(4), now)
            }
            Purpose::Notify(_) if refused => self.leadership.on_proposed(false, random.below(4), now),
            Purpose::Notify(candidate) => {
                let took = |(tracker, answer): &(TrackerAddress, Option<Reply>)| {
                    matches!(answer, Some(Reply::Done)).then_some(*tracker)
                };
                let takers: Vec<_> = answers.iter().filter_map(took).collect();
                return self.ask(Purpose::Commit, &takers, &Request::Commit(candidate), at, now, random, out);
            }
            Purpose::Commit => self.leadership.on_proposed(!refused, random.below(4), now),
            Purpose::Ping => {
                let outcome = match answers.first().and_then(|(_, answer)| answer.as_ref()) {
                    Some(Reply::Done) => PingOutcome::Answered,
                    Some(Reply::Refused(Refusal::NotSupported)) => PingOutcome::Denied,
                    _ => PingOutcome::Failed,
                };
                self.leadership.on_pinged(outcome, now)
            }
            Purpose::Plan => return self.on_plan(&answers, at, now, random, out),
            Purpose::Fetch(rest) => {
                match answers.into_iter().next().and_then(|(_, answer)| answer) {
                    Some(Reply::Files(files)) => {
                        self.saved = *files;
                        self.reloads += 1;
                        self.load(now);
                        (self.admits, self.plans) = (true, false);
                    }
                    _ => self.fetch(rest, at, now, random, out),
                }
                return;
            }
        };
        self.follow_up(changes, random, now, out);
    }

    fn plan(&mut self, at: u64, random: &mut Random, now: Timestamp, out: &mut Outgoing) {
        if self.plans {
            return;
        }
        self.plans = true;
        let others: Vec<_> = (0..3).filter(|other| *other != self.node).map(address).collect();
        self.ask(Purpose::Plan, &others, &Request::Rank, at, now, random, out);
    }

    fn on_plan(
        &mut self,
        answers: &[(TrackerAddress, Option<Reply>)],
        at: u64,
        now: Timestamp,
        random: &mut Random,
        out: &mut Outgoing,
    ) {
        let answers: Vec<_> = answers
            .iter()
            .map(|(tracker, answer)| {
                let answer = match answer {
                    Some(Reply::Rank(rank)) => RankAnswer::Rank(*rank),
                    Some(Reply::Refused(Refusal::NotFound)) => RankAnswer::Newcomer,
                    Some(Reply::NotThere) => RankAnswer::NotRunning,
                    _ => RankAnswer::Silent,
                };
                (*tracker, answer)
            })
            .collect();
        let waited = self.waits_since.map_or(0, |since| at - since);
        let has_groups = !self.cluster.groups().is_empty();
        match self.leadership.plan_files(has_groups, &answers, Duration::from_millis(waited), now) {
            FilesPlan::Own => (self.admits, self.plans) = (true, false),
            FilesPlan::Wait => {
                self.waits_since.get_or_insert(at);
                self.plans = false;
            }
            FilesPlan::Fetch(from) => self.fetch(from, at, now, random, out),
        }
    }

    fn fetch(
        &mut self,
        mut from: Vec<TrackerAddress>,
        at: u64,
        now: Timestamp,
        random: &mut Random,
        out: &mut Outgoing,
    ) {
        if from.is_empty() {
            self.plans = false;
            return;
        }
        let first = from.remove(0);
        let purpose = Purpose::Fetch(from);
        self.ask(purpose, &[first], &Request::Files, at, now, random, out);
    }

    #[expect(clippy::too_many_arguments, reason = "a question with all that its answer needs")]
    fn ask(
        &mut self,
        purpose: Purpose,
        trackers: &[TrackerAddress],
        request: &Request,
        at: u64,
        now: Timestamp,
        random: &mut Random,
        out: &mut Outgoing,
    ) {
        let batch = Batch { purpose, left: trackers.len(), answers: Vec::new() };
        if trackers.is_empty() {
            return self.complete(batch, at, now, random, out);
        }
        let number = self.next_call;
        self.batches.insert(number, batch);
        for tracker in trackers {
            self.next_call += 1;
            self.calls.insert(self.next_call, (number, *tracker));
            out.push((node_of(tracker), Some(self.next_call), request.clone()));
        }
        self.next_call += 1;
    }

    fn follow_up(
        &mut self,
        changes: Vec<LeaderAction>,
        random: &mut Random,
        now: Timestamp,
        out: &mut Outgoing,
    ) {
        for change in changes {
            match change {
                LeaderAction::AskRanks(trackers) => {
                    self.ask(Purpose::Ranks, &trackers, &Request::Rank, 0, now, random, out);
                }
                LeaderAction::Propose { candidate, to } => {
                    let purpose = Purpose::Notify(candidate);
                    self.ask(purpose, &to, &Request::Notify(candidate), 0, now, random, out);
                }
                LeaderAction::Ping(leader) => {
                    self.ask(Purpose::Ping, &[leader], &Request::Ping, 0, now, random, out);
                }
                LeaderAction::Leading(leading) => {
                    let actions = self.cluster.on_leadership(leading);
                    self.carry_out(&actions);
                }
                LeaderAction::Follows(_) => {}
            }
        }
    }

    /// Writes what is to be written: only that survives.
    fn carry_out(&mut self, actions: &[Action]) {
        for action in actions {
            let Action::Save(file) = action else { continue };
            let groups = self.cluster.groups();
            let members = || {
                groups.iter().flat_map(|group| {
                    let members = group.in_order_of_creation().iter().filter(|storage| storage.is_member());
                    members.map(|storage| (group.name, storage))
                })
            };
            match file {
                DataFile::Groups => self.saved.groups = groups.to_vec(),
                DataFile::Storages => {
                    self.saved.storages = members().map(|(name, storage)| (name, storage.clone())).collect();
                }
                DataFile::SyncTimestamps => {
                    self.saved.times =
                        members().map(|(name, one)| ((name, one.id), one.applied.clone())).collect();
                }
            }
        }
    }
}

const ALL: [DataFile; 3] = [DataFile::Groups, DataFile::Storages, DataFile::SyncTimestamps];

fn settings() -> Settings {
    Settings { check_active_interval: Duration::from_secs(10), ..Settings::default() }
}
