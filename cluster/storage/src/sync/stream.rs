//! The stream of records to one peer: reads the binlog, keeps several records on their way, and remembers how far the
//! peer has everything.

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use fdfs_net::{CallError, NetError};
use fdfs_proto::{ActiveTestRequest, Status};
use fdfs_rules::replication::{Backoff, Identified, Moment, Patience, Route, Window};
use fdfs_store::{BinlogReader, Change, Origin, Position, Record};
use fdfs_types::{StorageStatus, Timestamp};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tracing::{error, info, warn};

use super::{
    delivery::{Deliveries, Outcome},
    letters::Letters,
    line::Line,
    mark_keeper::MarkKeeper,
    peer::Peer,
};
use crate::maintenance::second_of_day;

/// Why a stream has ended.
#[derive(Debug)]
pub(super) enum End {
    /// The peer's state, or the hours, say so.
    Stop,
    /// The connection is lost; whether anything had come through.
    Broken(CallError, bool),
    /// The binlog cannot be read.
    Binlog(io::Error),
    /// A record is invalid, and is not to be skipped.
    Invalid(Position),
}

/// The stream of records to one peer.
pub(super) struct Stream<'a> {
    peer: &'a Peer,
    keeper: &'a mut MarkKeeper,
    letters: &'a mut Letters,
    deliveries: Arc<Deliveries>,
    addresses: Arc<[SocketAddr]>,
    /// The connection that says who we are, unless it is in use, or was closed: then the next such record makes one.
    control: Option<Line>,
    control_is_out: bool,
    /// Other connections that are not in use.
    idle: Vec<Line>,

    reader: BinlogReader,
    written: watch::Receiver<Position>,
    /// Records that were read and wait for their turn.
    queue: VecDeque<Job>,
    at_end: bool,
    /// What was read last was nothing for the peer.
    is_of_others: bool,

    window: Window<Position>,
    on_the_way: JoinSet<Finished>,
    /// Names that records on their way, or waiting for another try, are about.
    names: Vec<(u64, Box<str>)>,
    delayed: Vec<(Instant, Job)>,
    /// A dead letter is on its way.
    letter_is_out: bool,
    next_other: u64,

    identified: Identified,
    /// The record with the latest time that the peer has, while it has not been told so.
    untold: Option<Record>,
    patience: Patience,
    busy: Backoff,
    paused_until: Instant,
    begun: Instant,
    control_used: Instant,
    has_worked: bool,
    lost: Option<End>,
    record_length: u64,
}

/// A record on its way, or about to be.
#[derive(Debug)]
struct Job {
    kind: Kind,
    /// A number in the window, or of its own.
    number: u64,
    record: Record,
    tries: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// Its turn in the binlog has come.
    Record,
    /// A dead letter is tried again.
    Letter,
    /// It is told again, so that the peer knows how far it is.
    Tell,
}

struct Finished {
    job: Job,
    line: Option<Line>,
    identified: bool,
    result: Result<Outcome, CallError>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(
        peer: &'a Peer,
        keeper: &'a mut MarkKeeper,
        letters: &'a mut Letters,
        addresses: Vec<SocketAddr>,
        control: Line,
        deliveries: Arc<Deliveries>,
    ) -> Self {
        let binlog = peer.shared.store.binlog();
        let position = keeper.mark().position;
        let now = Instant::now();
        Self {
            reader: binlog.reader(position),
            written: binlog.watch(),
            window: Window::new(position),
            peer,
            keeper,
            letters,
            deliveries,
            addresses: addresses.into(),
            control: Some(control),
            control_is_out: false,
            idle: Vec::new(),
            queue: VecDeque::new(),
            at_end: false,
            is_of_others: false,
            on_the_way: JoinSet::new(),
            names: Vec::new(),
            delayed: Vec::new(),
            letter_is_out: false,
            next_other: OTHERS,
            identified: Identified::default(),
            untold: None,
            patience: Patience::default(),
            busy: Backoff::new(BUSY_FIRST, BUSY_LONGEST),
            paused_until: now,
            begun: now,
            control_used: now,
            has_worked: false,
            lost: None,
            record_length: USUAL_LENGTH,
        }
    }

    /// Sends until the connection breaks, or the peer is not to be sent to any more.
    pub(super) async fn run(mut self) -> End {
        let mut members = self.peer.members.clone();
        let mut stopped = self.peer.stopped.clone();
        let mut upkeep = interval(UPKEEP);
        upkeep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            if let Some(end) = self.must_end() {
                break end;
            }
            if let Err(end) = self.read_ahead() {
                break end;
            }
            let next = self.dispatch();
            if let Err(error) = self.at_the_end().await {
                break End::Broken(error, self.has_worked);
            }
            tokio::select! {
                Some(finished) = self.on_the_way.join_next() => match finished {
                    Ok(finished) => self.finished(finished),
                    Err(error) => break End::Broken(CallError::Connect(io::Error::other(error)), self.has_worked),
                },
                moved = self.written.changed(), if self.at_end => {
                    if moved.is_err() {
                        break End::Stop;
                    }
                    if self.is_of_others && self.on_the_way.is_empty() {
                        // What peers send here comes in crowds, and is not looked at one by one.
                        sleep(CROWD).await;
                    }
                }
                _ = stopped.changed() => break End::Stop,
                changed = members.changed() => if changed.is_err() { break End::Stop },
                () = sleep_until(next.unwrap_or(self.begun)), if next.is_some() => {}
                _ = upkeep.tick() => self.upkeep(),
            }
        };
        // What is on its way may still be acknowledged; every wait in it has a limit.
        while let Some(finished) = self.on_the_way.join_next().await {
            if let Ok(finished) = finished {
                self.finished(finished);
            }
        }
        self.keeper.advance(self.window.position());
        self.keeper.finish();
        self.letters.save();
        end
    }

    fn must_end(&mut self) -> Option<End> {
        if let Some(end) = self.lost.take() {
            return Some(end);
        }
        let status = self.peer.members.borrow().get(&self.peer.id).map(|member| member.status);
        let mark = self.keeper.mark();
        let is_wanted = match status {
            Some(StorageStatus::Active) => true,
            // Where all of the old files are there, a tracker has forgotten that: the next session tells it again.
            Some(StorageStatus::Syncing) => !(mark.need_sync_old && mark.sync_old_done),
            _ => false,
        };
        if is_wanted { None } else { Some(End::Stop) }
    }

    /// Reads records until enough wait for their turn.
    fn read_ahead(&mut self) -> Result<(), End> {
        if self.queue.len() >= READ_AHEAD / 2 {
            return Ok(());
        }
        self.written.borrow_and_update();
        self.at_end = false;
        while self.queue.len() < READ_AHEAD {
            let Some(entry) = self.reader.next_entry().map_err(End::Binlog)? else {
                self.at_end = true;
                self.window.pass(self.reader.position());
                break;
            };
            self.keeper.scanned();
            let length = entry.end.offset.saturating_sub(entry.start.offset);
            self.record_length = (self.record_length * 63 + length * 64) / 64;
            match entry.record {
                Ok(record) if self.is_wanted(&record) => {
                    self.is_of_others = false;
                    let number = self.window.begin(entry.end);
                    self.queue.push_back(Job { kind: Kind::Record, number, record, tries: 0 });
                }
                Ok(_) => {
                    self.is_of_others = true;
                    self.window.pass(entry.end);
                }
                Err(error) => {
                    self.invalid(&error, entry.start)?;
                    self.window.pass(entry.end);
                }
            }
        }
        if self.window.unfinished() == 0 {
            self.keeper.advance(self.window.position());
        }
        Ok(())
    }

    /// Whether the peer gets a record from this storage.
    fn is_wanted(&self, record: &Record) -> bool {
        let mark = self.keeper.mark();
        match (record.origin, &record.change) {
            (Origin::Source, _) => true,
            (_, Change::Append { .. } | Change::Modify { .. } | Change::Truncate { .. }) => false,
            (Origin::Replica, _) => {
                let until = i64::try_from(mark.until_timestamp).unwrap_or(i64::MAX);
                mark.need_sync_old && !mark.sync_old_done && record.timestamp <= until
            }
        }
    }

    fn invalid(&self, error: &dyn std::fmt::Display, position: Position) -> Result<(), End> {
        if !self.peer.settings.skips_invalid {
            return Err(End::Invalid(position));
        }
        self.peer.gauges.invalid.increment(1);
        warn!(index = position.index, offset = position.offset, %error, "an invalid record is skipped");
        Ok(())
    }

    /// Sends what may be sent now. The time at which to look again, if that depends on the clock.
    fn dispatch(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if now < self.paused_until {
            return Some(self.paused_until);
        }
        while self.has_room() {
            let Some(at) = self.delayed.iter().position(|(at, _)| *at <= now) else { break };
            let (_, job) = self.delayed.swap_remove(at);
            self.forget_names(job.number);
            self.send(job, false);
        }
        let mut again = self.delayed.iter().map(|(at, _)| *at).min();
        while self.has_room() && self.delayed.len() < MOST_DELAYED {
            let Some(job) = self.queue.front() else { break };
            if self.is_in_use(&job.record) {
                break;
            }
            let route = self.identified.route(Moment {
                time: Timestamp(job.record.timestamp),
                is_first: self.window.is_first(job.number) && !self.control_is_out,
                is_last: self.at_end && self.queue.len() == 1,
                oldest_dead_letter: self.letters.oldest(),
                now: self.begun.elapsed(),
            });
            match route {
                Route::Wait(until) => {
                    let until = self.begun + until;
                    again = Some(again.map_or(until, |again| again.min(until)));
                    break;
                }
                Route::Identified | Route::Plain => {
                    let Some(job) = self.queue.pop_front() else { break };
                    self.send(job, route == Route::Identified);
                }
            }
            if !self.peer.settings.interval.is_zero() {
                self.paused_until = now + self.peer.settings.interval;
                return Some(self.paused_until);
            }
        }
        if !self.letter_is_out && self.has_room() {
            self.next_letter();
        }
        again
    }

    fn has_room(&self) -> bool {
        self.lost.is_none() && self.on_the_way.len() < self.peer.settings.connections
    }

    /// Tries the next dead letter, if there is one whose time has come and whose names are free.
    fn next_letter(&mut self) {
        if self.letters.next_due().is_none_or(|record| self.is_in_use(record)) {
            return;
        }
        let Some(record) = self.letters.take_due() else { return };
        self.letter_is_out = true;
        let job = Job { kind: Kind::Letter, number: self.next_other, record, tries: 0 };
        self.next_other += 1;
        self.send(job, false);
    }

    fn send(&mut self, job: Job, identified: bool) {
        self.control_is_out |= identified;
        let line = if identified { self.control.take() } else { self.idle.pop() };
        self.names.extend(names(&job.record).map(|name| (job.number, name.into())));
        let (deliveries, addresses) = (Arc::clone(&self.deliveries), Arc::clone(&self.addresses));
        let pool = self.peer.settings.pool.clone();
        let (shared, peer) = (Arc::clone(&self.peer.shared), self.peer.id);
        self.on_the_way.spawn(async move {
            let connected = match line {
                Some(line) => Ok(line),
                None if identified => Line::connect_as(shared.identity.id, &addresses, &pool).await,
                None => Line::connect(&addresses, &pool).await,
            };
            let mut line = match connected {
                Ok(line) => line,
                Err(error) => return Finished { job, line: None, identified, result: Err(error) },
            };
            let turns = shared.concern.delivery(peer, &job.record, LONGEST_TURN).await;
            let result = deliveries.deliver(&mut line, &job.record).await;
            drop(turns);
            let line = (result.is_ok() && line.is_good()).then_some(line);
            Finished { job, line, identified, result }
        });
    }

    fn finished(&mut self, Finished { mut job, line, identified, result }: Finished) {
        match (identified, line) {
            (true, line) => {
                self.control_used = Instant::now();
                self.control_is_out = false;
                self.control = line;
            }
            (false, line) => self.idle.extend(line),
        }
        self.forget_names(job.number);
        job.tries += 1;
        self.letter_is_out &= job.kind != Kind::Letter;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(CallError::Net(NetError::File(error))) => {
                // It was cut while it was sent. The record of that follows.
                let error =
                    fdfs_store::StoreError::Io { action: "sending the file", source: Arc::new(error) };
                Outcome::Unreadable(error)
            }
            Err(error) => {
                self.lost.get_or_insert(End::Broken(error, self.has_worked));
                return;
            }
        };
        self.has_worked = true;
        match (job.kind, outcome) {
            (kind, Outcome::Delivered(bytes)) => self.delivered(kind, job, identified, bytes),
            (Kind::Letter, Outcome::Nothing | Outcome::Invalid) => self.letter_tried(job.record, None),
            (Kind::Letter, Outcome::Busy(status) | Outcome::Refused(status)) => {
                self.letter_tried(job.record, Some(status.0));
            }
            (Kind::Letter, Outcome::TargetMissing | Outcome::Unreadable(_)) => {
                self.letter_tried(job.record, Some(0));
            }
            (Kind::Tell, _) => {}
            (Kind::Record, Outcome::Nothing) => self.done(job.number),
            (Kind::Record, Outcome::Invalid) => {
                let position = self.window.position();
                match self.invalid(&"it makes no sense here", position) {
                    Ok(()) => self.done(job.number),
                    Err(end) => self.lost = Some(end),
                }
            }
            (Kind::Record, Outcome::Busy(status)) => self.busy(job, status),
            (Kind::Record, Outcome::Refused(status)) => {
                warn!(record = %job.record, %status, tries = job.tries, "the peer refuses a record");
                self.try_again(job, status.0);
            }
            (Kind::Record, Outcome::Unreadable(error)) => {
                warn!(record = %job.record, %error, tries = job.tries, "a file cannot be sent");
                self.try_again(job, 0);
            }
            (Kind::Record, Outcome::TargetMissing) => self.give_up(job, 0),
        }
    }

    fn delivered(&mut self, kind: Kind, job: Job, identified: bool, bytes: u64) {
        let time = Timestamp(job.record.timestamp);
        self.peer.gauges.records.increment(1);
        self.peer.gauges.bytes.increment(bytes);
        self.busy.succeeded();
        if bytes > 0 {
            self.patience.took_content();
        }
        if identified {
            self.identified.told(time, self.begun.elapsed());
            if self.untold.as_ref().is_some_and(|untold| untold.timestamp <= time.0) {
                self.untold = None;
            }
        }
        match kind {
            Kind::Record => {
                self.keeper.sent();
                self.done(job.number);
                let is_latest = self.untold.as_ref().is_none_or(|untold| untold.timestamp <= time.0);
                if !identified && is_latest && self.identified.is_news(time) {
                    self.untold = Some(job.record);
                }
            }
            Kind::Letter => self.letter_tried(job.record, None),
            Kind::Tell => {}
        }
    }

    /// A record of the binlog needs nothing more.
    fn done(&mut self, number: u64) {
        self.window.finish(number);
        self.keeper.advance(self.window.position());
        self.keeper.write_if_due(self.peer.settings.mark_frequency);
    }

    /// The peer cannot take anything of this kind at present: it is left alone for a while.
    fn busy(&mut self, job: Job, status: Status) {
        if !self.patience.is_waited_for(self.begun.elapsed()) {
            return self.give_up(job, status.0);
        }
        let pause = self.busy.failed();
        warn!(record = %job.record, %status, ?pause, "the peer cannot take a record at present");
        self.paused_until = Instant::now() + pause;
        self.delay(job, pause);
    }

    fn try_again(&mut self, job: Job, status: u8) {
        match Patience::refused(job.tries) {
            Some(pause) => self.delay(job, pause),
            None => self.give_up(job, status),
        }
    }

    fn delay(&mut self, job: Job, pause: Duration) {
        self.names.extend(names(&job.record).map(|name| (job.number, name.into())));
        self.delayed.push((Instant::now() + pause, job));
    }

    /// Puts a record to the dead letters, so that those behind it have their turn.
    fn give_up(&mut self, job: Job, status: u8) {
        if self.letters.is_full() {
            error!(record = %job.record, "there are too many dead letters: the peer gets nothing behind this record");
            return self.delay(job, BUSY_LONGEST);
        }
        match self.letters.add(job.record.clone(), status) {
            Ok(()) => {
                if status != 0 {
                    error!(record = %job.record, status, "a record goes to the dead letters");
                }
                self.peer.gauges.dead_letters_total.increment(1);
                self.peer.gauges.dead_letters(self.letters.count());
                self.done(job.number);
            }
            Err(error) => {
                error!(record = %job.record, %error, "a dead letter cannot be written: the record is tried again");
                self.delay(job, BUSY_LONGEST);
            }
        }
    }

    fn letter_tried(&mut self, record: Record, status: Option<u8>) {
        self.letters.tried(record, status);
        self.peer.gauges.dead_letters(self.letters.count());
    }

    /// Does what is to be done when the peer has everything.
    async fn at_the_end(&mut self) -> Result<(), CallError> {
        let is_done = self.at_end && self.window.unfinished() == 0;
        if !is_done || self.lost.is_some() {
            return Ok(());
        }
        self.keeper.advance(self.window.position());
        let mark = self.keeper.mark();
        if mark.need_sync_old && !mark.sync_old_done {
            self.keeper.old_done();
            info!("the peer has the old files");
            let member = self.peer.member().filter(|member| member.status == StorageStatus::Syncing);
            if let Some(member) = member {
                self.peer.tell(&member, StorageStatus::Offline).await?;
            }
        }
        let now = self.begun.elapsed();
        if let Some(record) = self.untold.take()
            && !self.control_is_out
            && self.identified.is_news(Timestamp(record.timestamp))
            && self.letters.oldest().is_none_or(|oldest| oldest.0 > record.timestamp)
        {
            self.identified.told(Timestamp(record.timestamp), now);
            let number = self.next_other;
            self.next_other += 1;
            self.send(Job { kind: Kind::Tell, number, record, tries: 0 }, true);
        }
        Ok(())
    }

    /// Once a second: the mark, the figures, the hours, a sign of life.
    fn upkeep(&mut self) {
        self.keeper.write_if_due(self.peer.settings.mark_frequency);
        if !self.letter_is_out {
            if self.peer.shared.letters_to_try.lock().remove(&self.peer.id) {
                self.letters.look_at_all();
            }
            self.letters.look();
        }
        let bytes = self.peer.shared.store.binlog().bytes_behind(self.window.position());
        let queued = self.queue.iter().map(|job| &job.record);
        let waiting = self.delayed.iter().map(|(_, job)| &job.record);
        let oldest = queued.chain(waiting).map(|record| Timestamp(record.timestamp)).min();
        self.peer.gauges.lag(bytes, self.record_length / 64, oldest);
        if self.peer.settings.hours.left(second_of_day()) == Some(0) {
            self.lost.get_or_insert(End::Stop);
        }
        if self.control_used.elapsed() >= self.peer.settings.heart_beat_interval
            && let Some(mut line) = self.control.take()
        {
            self.control_used = Instant::now();
            self.control_is_out = true;
            let record = Record::source(0, Change::Delete { name: "".into() });
            let job = Job { kind: Kind::Tell, number: self.next_other, record, tries: 0 };
            self.next_other += 1;
            self.on_the_way.spawn(async move {
                let result = line.ask(&ActiveTestRequest).await.map(|_| Outcome::Nothing);
                let line = (result.is_ok() && line.is_good()).then_some(line);
                Finished { job, line, identified: true, result }
            });
        }
    }

    fn is_in_use(&self, record: &Record) -> bool {
        names(record).any(|name| self.names.iter().any(|(_, used)| **used == *name))
    }

    fn forget_names(&mut self, number: u64) {
        self.names.retain(|(other, _)| *other != number);
    }
}

/// The files that a record is about; metadata belongs to its file.
fn names(record: &Record) -> impl Iterator<Item = &str> {
    let both = [Some(record.change.name()), record.change.other_name()];
    both.into_iter().flatten().map(|name| name.strip_suffix("-m").unwrap_or(name))
}

/// Records that wait for their turn.
const READ_AHEAD: usize = 256;
/// Records that wait for another try; with more, the others wait too.
const MOST_DELAYED: usize = 64;
/// Jobs that are not in the window have numbers from here on.
const OTHERS: u64 = 1 << 63;
/// A pause in which records of others gather.
const CROWD: Duration = Duration::from_millis(2);
const UPKEEP: Duration = Duration::from_secs(1);
const BUSY_FIRST: Duration = Duration::from_secs(1);
const BUSY_LONGEST: Duration = Duration::from_secs(30);
/// Length of a usual record, in 64ths of a byte.
const USUAL_LENGTH: u64 = 64 * 64;
/// So long a record waits for a change about the same name that has to reach the peer before it is answered.
const LONGEST_TURN: Duration = Duration::from_secs(30);
