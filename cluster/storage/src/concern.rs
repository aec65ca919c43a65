//! Write concern: a change counts as made when a second member of the group has it, too.
//!
//! The change is made here first, then brought to one other ACTIVE member by the ordinary commands of replication, before
//! the client is answered. The connections never say who sends, so that what the peer tells the trackers ("everything up
//! to this time") stays true; the ordinary replication brings the same records again, in their order.
//!
//! ```text
//! client ─► turn of the name ─► change here, record ─► lines ─► second member ─► answer
//! ```

mod failure;
mod lines;
mod outlook;
mod turns;

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    time::Duration,
};

use fdfs_conf::{OnDeadline, StorageConfig, WriteConcern};
use fdfs_net::PoolConfig;
use fdfs_proto::{Brief, ours};
use fdfs_store::{Change, Record, Store};
use fdfs_types::{GroupName, RemoteFilename, StorageId, StorageStatus};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout_at},
};
use tracing::debug;

pub(crate) use self::{failure::Failure, turns::Turn};
use self::{failure::PushError, lines::Lines, outlook::Outlook, turns::Turns};
use crate::{
    error::Refusal,
    membership::Members,
    sync::{Deliveries, Outcome},
    tracker::Identity,
};

/// Brings changes to a second member.
#[derive(Debug)]
pub(crate) struct Concern {
    settings: WriteConcern,
    store: Store,
    group: GroupName,
    me: StorageId,
    identity: Identity,
    members: watch::Receiver<Members>,
    lines: Lines,
    turns: Turns,
    /// What is on its way to one member about one name.
    deliveries: Turns,
    outlook: Outlook,
}

impl Concern {
    pub(crate) fn new(
        config: &StorageConfig,
        to_members: &PoolConfig,
        store: &Store,
        identity: &Identity,
        members: watch::Receiver<Members>,
    ) -> Self {
        Self {
            settings: config.write_concern,
            store: store.clone(),
            group: identity.group,
            me: identity.id,
            identity: identity.clone(),
            members,
            lines: Lines::new(to_members.clone()),
            turns: Turns::default(),
            deliveries: Turns::default(),
            outlook: Outlook::default(),
        }
    }

    /// Whether a change has to reach a second member, where its request asks for this.
    pub(crate) fn is_replicated(&self, asked: ours::WriteConcern) -> bool {
        match asked {
            ours::WriteConcern::Storage => self.settings.is_replicated,
            ours::WriteConcern::Local => false,
            ours::WriteConcern::Replicated => true,
        }
    }

    /// Refuses a change before anything is done, where no second member could have it and that is an error.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.refuses() && self.candidates("").is_empty() {
            metrics::counter!(REFUSED).increment(1);
            return Err(Refusal::NoSecondMember);
        }
        Ok(())
    }

    /// Waits until no other change of the same file is between here and the second member.
    ///
    /// A change whose turn does not come before the deadline is refused, or goes on without: then it is brought to the
    /// other members by the ordinary replication alone.
    pub(crate) async fn turn(&self, name: &RemoteFilename) -> Result<Option<Turn>, Refusal> {
        self.check()?;
        match self.turns.take(name.as_str(), self.settings.deadline).await {
            Some(turn) => Ok(Some(turn)),
            None if self.refuses() => {
                metrics::counter!(REFUSED).increment(1);
                Err(Refusal::NoTurn)
            }
            None => {
                self.fall_back(&Failure::NoTurn);
                Ok(None)
            }
        }
    }

    /// Waits until nothing else about the names of a record is on its way to a member: neither from here nor from the
    /// ordinary replication. Else a whole file that one of them sends could take back a change that the other has brought.
    pub(crate) async fn delivery(&self, peer: StorageId, record: &Record, limit: Duration) -> Vec<Turn> {
        if !self.settings.is_replicated {
            return Vec::new();
        }
        let both = [Some(record.change.name()), record.change.other_name()].into_iter().flatten();
        // Metadata belongs to its file.
        let mut names: Vec<_> = both.map(|name| name.strip_suffix("-m").unwrap_or(name)).collect();
        // Everybody takes them in this order.
        names.sort_unstable();
        names.dedup();
        let mut turns = Vec::new();
        for name in names {
            turns.extend(self.deliveries.take(&format!("{peer} {name}"), limit).await);
        }
        turns
    }

    /// Brings a change that is made and recorded to a second member, with so many bytes of content. An error says that
    /// no other member is known to have it, and that the change must not be answered with success.
    pub(crate) async fn secure(&self, records: &[Record], bytes: u64) -> Result<(), Failure> {
        // Nothing has changed.
        if records.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let limit = self.settings.deadline + Duration::from_secs(bytes / BYTES_PER_SECOND);
        match self.push_to_any(records, begun + limit).await {
            Ok(peer) => {
                metrics::counter!("fdfs_write_concern_replicated_total").increment(1);
                metrics::histogram!("fdfs_write_concern_seconds").record(begun.elapsed());
                self.outlook.succeeded(&peer);
                Ok(())
            }
            Err(failure) if self.refuses() => {
                metrics::counter!(REFUSED).increment(1);
                self.outlook.failed(&failure, "refused");
                Err(failure)
            }
            Err(failure) => {
                self.fall_back(&failure);
                Ok(())
            }
        }
    }

    /// Tries once to take a change back from every member that may have it.
    pub(crate) async fn retract(&self, records: &[Record]) {
        let until = Instant::now() + self.settings.deadline;
        for member in self.candidates(name_of(records)) {
            if let Err(error) = self.push_until(&member, records, until).await {
                debug!(peer = ?member.id, %error, "a refused change is taken back by the ordinary replication");
            }
        }
    }

    fn refuses(&self) -> bool {
        self.settings.on_deadline == OnDeadline::Refuse
    }

    fn fall_back(&self, failure: &Failure) {
        metrics::counter!("fdfs_write_concern_fallback_total").increment(1);
        self.outlook.failed(failure, "answered all the same");
    }

    /// Tries the members in turn, again and again, until one has the change or time is up.
    async fn push_to_any(&self, records: &[Record], until: Instant) -> Result<StorageId, Failure> {
        let mut pause = FIRST_PAUSE;
        let mut last = None;
        loop {
            let candidates = self.candidates(name_of(records));
            let count = candidates.len();
            for (index, member) in candidates.into_iter().enumerate() {
                let Some(id) = member.id else { continue };
                // Whoever is silent must leave time for the others.
                let left = until.saturating_duration_since(Instant::now());
                let share = u32::try_from(count - index).unwrap_or(u32::MAX);
                match self.push_until(&member, records, Instant::now() + left / share).await {
                    Ok(()) => return Ok(id),
                    Err(error) => {
                        self.outlook.suspect(id);
                        metrics::counter!("fdfs_write_concern_push_failures_total", "peer" => id.to_string())
                            .increment(1);
                        last = Some((id, error));
                    }
                }
            }
            if count == 0 {
                return Err(Failure::NoMember);
            }
            if Instant::now() + pause >= until {
                return Err(match last {
                    Some((peer, error)) => Failure::Push { peer, error },
                    None => Failure::NoMember,
                });
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    async fn push_until(&self, member: &Brief, records: &[Record], until: Instant) -> Result<(), PushError> {
        match timeout_at(until, self.push(member, records)).await {
            Ok(result) => result,
            Err(_elapsed) => Err(PushError::Timeout),
        }
    }

    /// Brings a change to one member. Whatever breaks off may have arrived; to send it again does no harm.
    async fn push(&self, member: &Brief, records: &[Record]) -> Result<(), PushError> {
        let addresses = self.identity.addresses_of_member(member);
        let Some(peer) = member.id else { return Err(PushError::Invalid) };
        if let Some(kept) = self.lines.take(&addresses) {
            match self.deliver(peer, kept, records).await {
                // The peer has closed it meanwhile.
                Err(PushError::Lost(_)) => {}
                other => return other,
            }
        }
        self.deliver(peer, self.lines.connect(&addresses).await?, records).await
    }

    async fn deliver(
        &self,
        peer: StorageId,
        mut line: lines::Kept,
        records: &[Record],
    ) -> Result<(), PushError> {
        let deliveries = Deliveries::new(self.store.clone(), self.group);
        for record in records {
            let turns = self.delivery(peer, record, self.settings.deadline).await;
            if turns.iter().any(Turn::has_waited) {
                // The ordinary replication was faster: there may be nothing to send.
                deliveries.ask_first();
            }
            match deliveries.deliver(&mut line.line, record).await? {
                // What has gone again since has nothing to be secured.
                Outcome::Delivered(_) | Outcome::Nothing => {}
                Outcome::Busy(status) | Outcome::Refused(status) => return Err(PushError::Status(status)),
                Outcome::TargetMissing => {
                    let target = target_of(record).ok_or(PushError::TargetMissing)?;
                    deliveries.deliver(&mut line.line, &target).await?;
                    match deliveries.deliver(&mut line.line, record).await? {
                        Outcome::Delivered(_) | Outcome::Nothing => {}
                        _ => return Err(PushError::TargetMissing),
                    }
                }
                Outcome::Invalid => return Err(PushError::Invalid),
                Outcome::Unreadable(error) => return Err(PushError::Unreadable(error)),
            }
        }
        self.lines.keep(line);
        Ok(())
    }

    /// The members that can take a change now: the one that has the other changes of this file first, those that failed
    /// lately last.
    fn candidates(&self, name: &str) -> Vec<Brief> {
        let members = self.members.borrow();
        let can_take = |member: &&Brief| {
            member.status == StorageStatus::Active
                && member.id.is_some_and(|id| id != self.me)
                && !self.identity.is_at(member)
        };
        let mut candidates: Vec<Brief> = members.all.iter().filter(can_take).cloned().collect();
        drop(members);
        let weight = |member: &Brief| {
            let mut hasher = DefaultHasher::new();
            (name, member.id.as_ref().map(StorageId::as_str)).hash(&mut hasher);
            (member.id.is_some_and(|id| self.outlook.is_suspect(id)), hasher.finish())
        };
        candidates.sort_by_cached_key(weight);
        candidates
    }
}

/// The record that tells of the target of a link.
fn target_of(record: &Record) -> Option<Record> {
    let Change::Link { source, .. } = &record.change else { return None };
    Some(Record::source(record.timestamp, Change::Create { name: source.clone()? }))
}

fn name_of(records: &[Record]) -> &str {
    records.first().map_or("", |record| record.change.name())
}

/// Content takes its time: so many bytes have one second more.
const BYTES_PER_SECOND: u64 = 16 << 20;
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
const REFUSED: &str = "fdfs_write_concern_refused_total";
