//! Which record is sent next, and over which connection.

use std::{sync::Arc, time::Duration};

use fdfs_proto::ActiveTestRequest;
use fdfs_rules::replication::{Moment, Route};
use fdfs_store::{Change, Record};
use fdfs_types::Timestamp;
use tokio::time::Instant;

use super::{
    Stream,
    job::{Finished, Job, Kind, is_ahead, names},
};
use crate::sync::{delivery::Outcome, line::Line};

impl Stream<'_> {
    /// Sends what may be sent now. The time at which to look again, if that depends on the clock.
    pub(super) fn dispatch(&mut self) -> Option<Instant> {
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
                is_ahead: is_ahead(&job.record),
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

    pub(super) fn has_room(&self) -> bool {
        self.lost.is_none() && self.on_the_way.len() < self.peer.settings.connections
    }

    /// Tries the next dead letter, if there is one whose time has come and whose names are free.
    pub(super) fn next_letter(&mut self) {
        if self.letters.next_due().is_none_or(|record| self.is_in_use(record)) {
            return;
        }
        let Some(record) = self.letters.take_due() else { return };
        self.letter_is_out = true;
        let job = Job { kind: Kind::Letter, number: self.next_other, record, tries: 0 };
        self.next_other += 1;
        self.send(job, false);
    }

    pub(super) fn send(&mut self, job: Job, identified: bool) {
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

    /// Tells the peer once more of what it has, on the connection that says who we are.
    pub(super) fn tell(&mut self, record: Record) {
        let number = self.next_other;
        self.next_other += 1;
        self.send(Job { kind: Kind::Tell, number, record, tries: 0 }, true);
    }

    /// Keeps the connection that says who we are alive, where nothing else is sent.
    pub(super) fn show_life(&mut self, mut line: Line) {
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

    pub(super) fn is_in_use(&self, record: &Record) -> bool {
        names(record).any(|name| self.names.iter().any(|(_, used)| **used == *name))
    }

    pub(super) fn forget_names(&mut self, number: u64) {
        self.names.retain(|(other, _)| *other != number);
    }
}

/// Records that wait for another try; with more, the others wait too.
const MOST_DELAYED: usize = 64;
/// So long a record waits for a change about the same name that has to reach the peer before it is answered.
const LONGEST_TURN: Duration = Duration::from_secs(30);
