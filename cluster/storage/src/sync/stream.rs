//! The stream of records to one peer: reads the binlog, keeps several records on their way, and remembers how far the
//! peer has everything.

mod job;
mod outcomes;
mod reading;
mod sending;

use std::{collections::VecDeque, io, net::SocketAddr, sync::Arc, time::Duration};

use fdfs_net::CallError;
use fdfs_rules::replication::{Backoff, Identified, Patience, Window};
use fdfs_store::{BinlogReader, Position, Record};
use fdfs_types::{StorageStatus, Timestamp};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tracing::info;

use self::job::{Finished, Job};
use super::{delivery::Deliveries, letters::Letters, line::Line, mark_keeper::MarkKeeper, peer::Peer};
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
            self.tell(record);
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
            && let Some(line) = self.control.take()
        {
            self.show_life(line);
        }
    }
}

/// Jobs that are not in the window have numbers from here on.
const OTHERS: u64 = 1 << 63;
/// A pause in which records of others gather.
const CROWD: Duration = Duration::from_millis(2);
const UPKEEP: Duration = Duration::from_secs(1);
const BUSY_LONGEST: Duration = Duration::from_secs(30);
const BUSY_FIRST: Duration = Duration::from_secs(1);
/// Length of a usual record, in 64ths of a byte.
const USUAL_LENGTH: u64 = 64 * 64;
