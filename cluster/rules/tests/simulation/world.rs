//! Everything together: time, the network, faults, clients.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fdfs_rules::{FileOrigin, HowMany};
use fdfs_types::{Source, Timestamp};

use crate::checks::Checks;
use crate::message::{File, Node, Reply, Request};
use crate::random::Random;
use crate::storage::{self, PER_GROUP, Store, TRACKERS};
use crate::tracker::{self, Outgoing, Tracker};

const GROUPS: usize = 3;
const NODES: usize = TRACKERS + GROUPS * PER_GROUP;
/// Faults happen until then.
const FAULTS_END: u64 = 45_000;
/// Then everything has to come to rest.
const END: u64 = 120_000;
const START: i64 = 1_800_000_000;

#[derive(Clone, Debug)]
enum Event {
    Request { from: Node, incarnation: u32, to: Node, call: Option<u64>, request: Request },
    Reply { to: Node, incarnation: u32, call: u64, reply: Option<Reply> },
    Tick { node: Node, incarnation: u32 },
    Restart(Node),
    Thaw(Node),
    Heal(Node, Node),
    Fault,
    Client,
    FaultsEnd,
}

/// One run.
pub(crate) struct World {
    pub(crate) trackers: Vec<Tracker>,
    pub(crate) stores: Vec<Store>,
    pub(crate) alive: [bool; NODES],
    /// The clock of a node was set, so that times in names say little.
    pub(crate) jumped: [bool; NODES],
    pub(crate) acknowledged: Vec<File>,
    pub(crate) at: u64,
    /// In this step a storage told this tracker what state the leader knows it in.
    pub(crate) corrected: Option<Node>,
    frozen: [bool; NODES],
    clocks: [i64; NODES],
    cut: [[bool; NODES]; NODES],
    queue: BTreeMap<(u64, u64), Event>,
    sequence: u64,
    random: Random,
    faults: bool,
    /// Of a thousand messages so many are lost, and so many doubled.
    lost: u64,
    doubled: u64,
    digest: u64,
    trace: bool,
}

impl World {
    /// The digest of a run, or what went wrong.
    pub(crate) fn run(seed: u64, trace: bool) -> Result<u64, String> {
        let mut world = Self::new(seed, trace);
        let mut checks = Checks::default();
        while let Some(((at, _), event)) = world.queue.pop_first() {
            if at > END {
                break;
            }
            (world.at, world.corrected) = (at, None);
            world.note(&event);
            world.happen(event)?;
            checks.after_step(&world).map_err(|fault| world.tell(&fault))?;
        }
        checks.at_the_end(&world).map_err(|fault| world.tell(&fault))?;
        Ok(world.digest)
    }

    fn new(seed: u64, trace: bool) -> Self {
        let mut random = Random::new(seed);
        let start = Timestamp(START);
        let mut world = Self {
            trackers: (0..TRACKERS).map(|node| Tracker::new(node, start)).collect(),
            stores: (TRACKERS..NODES).map(|node| Store::new(node, start)).collect(),
            alive: [true; NODES],
            jumped: [false; NODES],
            acknowledged: Vec::new(),
            at: 0,
            corrected: None,
            frozen: [false; NODES],
            clocks: [0; NODES],
            cut: [[false; NODES]; NODES],
            queue: BTreeMap::new(),
            sequence: 0,
            lost: random.below(4) * 30,
            doubled: random.below(3) * 30,
            random,
            faults: true,
            digest: 0xcbf2_9ce4_8422_2325,
            trace,
        };
        for node in 0..NODES {
            // One storage of each group comes later, when there are files.
            let late = node >= TRACKERS && (node - TRACKERS) % PER_GROUP == 2;
            let begin = if late { 10_000 + world.random.below(20_000) } else { world.random.below(1500) };
            world.push(begin, Event::Tick { node, incarnation: 0 });
        }
        world.push(3_000, Event::Fault);
        world.push(2_000, Event::Client);
        world.push(FAULTS_END, Event::FaultsEnd);
        world
    }

    fn push(&mut self, at: u64, event: Event) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), event);
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Tick { node, .. } | Event::Request { to: node, .. } | Event::Reply { to: node, .. }
                if self.frozen[node] =>
            {
                // It is there, and does nothing until it goes on.
                let later = self.at + 500;
                self.push(later, event);
            }
            Event::Tick { node, incarnation } => self.tick(node, incarnation),
            Event::Request { from, incarnation, to, call, request } => {
                self.request(from, incarnation, to, call, request);
            }
            Event::Reply { to, incarnation, call, reply } => {
                if self.alive[to] && self.incarnation(to) == incarnation {
                    let (at, now) = (self.at, self.now(to));
                    let out = match to {
                        0..TRACKERS => self.trackers[to].answered(call, reply, at, now, &mut self.random),
                        _ => self.stores[to - TRACKERS].answered(call, reply, now),
                    };
                    self.send(to, out);
                }
            }
            Event::Restart(node) => self.restart(node),
            Event::Thaw(node) => self.frozen[node] = false,
            Event::Heal(a, b) => (self.cut[a][b], self.cut[b][a]) = (false, false),
            Event::Fault if self.faults => {
                self.fault();
                let next = self.at + 500 + self.random.below(4_000);
                self.push(next, Event::Fault);
            }
            Event::Fault => {}
            Event::Client => {
                self.client()?;
                let next = self.at + 200 + self.random.below(800);
                if next < END - 30_000 {
                    self.push(next, Event::Client);
                }
            }
            Event::FaultsEnd => {
                self.faults = false;
                self.frozen = [false; NODES];
                self.cut = [[false; NODES]; NODES];
                for node in 0..NODES {
                    if !self.alive[node] {
                        self.restart(node);
                    }
                }
            }
        }
        Ok(())
    }

    fn tick(&mut self, node: Node, incarnation: u32) {
        if !self.alive[node] || self.incarnation(node) != incarnation {
            return;
        }
        let now = self.now(node);
        let out = match node {
            0..TRACKERS => self.trackers[node].tick(now, &mut self.random),
            _ => self.stores[node - TRACKERS].tick(),
        };
        self.send(node, out);
        let next = self.at + 1000;
        self.push(next, Event::Tick { node, incarnation });
    }

    fn request(&mut self, from: Node, incarnation: u32, to: Node, call: Option<u64>, request: Request) {
        let reply = if !self.alive[to] {
            Some(Reply::NotThere)
        } else if to < TRACKERS {
            self.corrected = matches!(request, Request::ChangeStatus(..)).then_some(to);
            let (at, now, peer) = (self.at, self.now(to), address(from));
            let mut out = Vec::new();
            let tracker = &mut self.trackers[to];
            let reply = tracker.answer(from, peer, request, at, now, &mut self.random, &mut out);
            self.send(to, out);
            Some(reply)
        } else {
            Some(self.stores[to - TRACKERS].answer(from, request))
        };
        if let Some(call) = call {
            self.transmit(to, from, Event::Reply { to: from, incarnation, call, reply });
        }
    }

    /// Sends questions, each with the time after which nobody waits for the answer.
    fn send(&mut self, from: Node, out: Outgoing) {
        let incarnation = self.incarnation(from);
        let patience = if from < TRACKERS { 900 } else { 3_000 };
        for (to, call, request) in out {
            if let Some(call) = call {
                let at = self.at + patience;
                self.push(at, Event::Reply { to: from, incarnation, call, reply: None });
            }
            self.transmit(from, to, Event::Request { from, incarnation, to, call, request });
        }
    }

    /// Messages are lost, doubled, delayed and overtake each other.
    fn transmit(&mut self, from: Node, to: Node, event: Event) {
        if self.cut[from][to] || (self.faults && self.random.chance(self.lost)) {
            return;
        }
        // On a connection nothing comes twice; what opens one, or needs none, may.
        let may_double = !matches!(&event, Event::Request { request, .. } if request.is_on_a_connection());
        let doubled = may_double && self.faults && self.random.chance(self.doubled);
        let copies = if doubled { 2 } else { 1 };
        for _ in 0..copies {
            let slow = self.faults && self.random.chance(20);
            let delay = 1 + self.random.below(if slow { 4_000 } else { 60 });
            let at = self.at + delay;
            self.push(at, event.clone());
        }
    }

    fn fault(&mut self) {
        let node = self.random.index(NODES);
        let other = self.random.index(NODES);
        let later = self.at + 1_000 + self.random.below(20_000);
        match self.random.below(10) {
            0..4 if self.alive[node] => {
                self.crash(node);
                self.push(later, Event::Restart(node));
            }
            4..6 => {
                self.frozen[node] = true;
                self.push(later, Event::Thaw(node));
            }
            6..9 if node != other => {
                (self.cut[node][other], self.cut[other][node]) = (true, true);
                self.push(later, Event::Heal(node, other));
            }
            9 => {
                let far = [2, 60, 700, 3_600][self.random.index(4)];
                let jump = self.random.below(2 * far) as i64 - far as i64;
                self.clocks[node] += jump;
                self.jumped[node] = true;
            }
            _ => {}
        }
    }

    /// A process ends without a word; its host tells the others, if they can be reached.
    fn crash(&mut self, node: Node) {
        self.alive[node] = false;
        if node >= TRACKERS {
            for (tracker, ticket) in self.stores[node - TRACKERS].tickets() {
                let incarnation = self.incarnation(node);
                let request = Request::Gone(ticket);
                let gone = Event::Request { from: node, incarnation, to: tracker, call: None, request };
                self.transmit(node, tracker, gone);
            }
        }
    }

    fn restart(&mut self, node: Node) {
        if self.alive[node] {
            return;
        }
        (self.alive[node], self.frozen[node]) = (true, false);
        let now = self.now(node);
        match node {
            0..TRACKERS => self.trackers[node].restart(now),
            _ => self.stores[node - TRACKERS].restart(now),
        }
        let incarnation = self.incarnation(node);
        let at = self.at + 1 + self.random.below(300);
        self.push(at, Event::Tick { node, incarnation });
    }

    /// A client uploads where a tracker says, or looks where it may read.
    fn client(&mut self) -> Result<(), String> {
        let tracker = self.random.index(TRACKERS);
        if !self.alive[tracker] || self.frozen[tracker] {
            return Ok(());
        }
        let (now, peer) = (self.now(tracker), IpAddr::from([127, 0, 0, 1]));
        let cluster = &mut self.trackers[tracker].cluster;
        if self.acknowledged.is_empty() || self.random.chance(600) {
            let Ok(target) = cluster.query_store(None, HowMany::One, peer) else { return Ok(()) };
            let node = storage_at(target.servers[0].ip);
            if self.alive[node] && !self.frozen[node] {
                let now = self.now(node);
                let file = self.stores[node - TRACKERS].upload(now);
                self.acknowledged.push(file);
            }
            return Ok(());
        }
        let file = self.acknowledged[self.random.index(self.acknowledged.len())];
        let IpAddr::V4(source) = storage::ip(file.source) else { return Ok(()) };
        let origin =
            FileOrigin { source: Some(Source::Ip(source)), created: file.created, only_source: false };
        let group = storage::group(file.source);
        let Ok(found) = cluster.query_fetch(&group, &origin, HowMany::All, peer, now) else { return Ok(()) };
        let source_id = storage::id(file.source);
        let known = cluster.group(&group).map_err(|refusal| refusal.to_string())?;
        let source_serves = known.get(&source_id).is_some_and(fdfs_rules::Storage::is_readable);
        let offered: Vec<_> = found.servers.iter().map(|server| storage_at(server.ip)).collect();
        if source_serves && !offered.contains(&file.source) {
            return Err(format!("{file:?} is read at {offered:?}, not at its source, which serves"));
        }
        for node in offered {
            let told = known.applied(&source_id, &storage::id(node));
            let has_it = self.stores[node - TRACKERS].files.contains(&file);
            if told > file.created && !has_it && !self.jumped[file.source] {
                return Err(format!("{file:?} is sought at {node}, which has all up to {told}, but not it"));
            }
        }
        Ok(())
    }

    pub(crate) fn now(&self, node: Node) -> Timestamp {
        Timestamp(START + self.clocks[node] + (self.at / 1000) as i64)
    }

    /// Whether faults still happen, or did a moment ago.
    pub(crate) fn is_calm(&self) -> bool {
        self.at > FAULTS_END + 40_000
    }

    fn incarnation(&self, node: Node) -> u32 {
        match node {
            0..TRACKERS => self.trackers[node].incarnation,
            _ => self.stores[node - TRACKERS].incarnation,
        }
    }

    /// Runs that do the same have the same digest.
    fn note(&mut self, event: &Event) {
        let (kind, a, b) = match event {
            Event::Request { from, to, .. } => (1, *from, *to),
            Event::Reply { to, call, reply, .. } => {
                (2, *to, *call as usize * 2 + usize::from(reply.is_some()))
            }
            Event::Tick { node, .. } => (3, *node, 0),
            Event::Restart(node) => (4, *node, 0),
            Event::Thaw(node) => (5, *node, 0),
            Event::Heal(a, b) => (6, *a, *b),
            Event::Fault => (7, 0, 0),
            Event::Client => (8, self.acknowledged.len(), 0),
            Event::FaultsEnd => (9, 0, 0),
        };
        for word in [self.at, kind, a as u64, b as u64] {
            self.digest = (self.digest ^ word).wrapping_mul(0x0100_0000_01b3);
        }
        if self.trace {
            let text = format!("{event:?}");
            println!("{:>7} {}", self.at, text.chars().take(240).collect::<String>());
        }
    }

    fn tell(&self, fault: &str) -> String {
        let mut text = format!("after {} ms: {fault}\n", self.at);
        for tracker in &self.trackers {
            let leader = tracker.leadership.leader().map(|leader| leader.first().to_string());
            let states: Vec<_> = tracker
                .cluster
                .groups()
                .iter()
                .flat_map(fdfs_rules::Group::storages)
                .map(|storage| format!("{}:{}", storage.id, storage.status))
                .collect();
            let (node, alive) = (tracker.node, self.alive[tracker.node]);
            text.push_str(&format!(
                "  tracker {node} alive {alive} leader {leader:?} {}\n",
                states.join(" ")
            ));
        }
        for store in &self.stores {
            let (node, files) = (store.node, store.files.len());
            text.push_str(&format!("  storage {node} files {files} {}\n", store.describe()));
        }
        text
    }
}

fn address(node: Node) -> IpAddr {
    if node < TRACKERS { tracker::ip(node) } else { storage::ip(node) }
}

fn storage_at(ip: IpAddr) -> Node {
    (TRACKERS..NODES).find(|node| storage::ip(*node) == ip).expect("a storage of the simulation")
}
