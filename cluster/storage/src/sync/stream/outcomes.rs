//! What the peer said to a record, and what follows from it.

use std::{sync::Arc, time::Duration};

use fdfs_net::{CallError, NetError};
use fdfs_proto::Status;
use fdfs_rules::replication::Patience;
use fdfs_store::Record;
use fdfs_types::Timestamp;
use tokio::time::Instant;
use tracing::{error, warn};

use super::{
    BUSY_LONGEST, End, Stream,
    job::{Finished, Job, Kind, is_ahead, names},
};
use crate::sync::delivery::Outcome;

impl Stream<'_> {
    pub(super) fn finished(&mut self, Finished { mut job, line, identified, result }: Finished) {
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

    pub(super) fn delivered(&mut self, kind: Kind, job: Job, identified: bool, bytes: u64) {
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
                if !identified && is_latest && self.identified.is_news(time) && !is_ahead(&job.record) {
                    self.untold = Some(job.record);
                }
            }
            Kind::Letter => self.letter_tried(job.record, None),
            Kind::Tell => {}
        }
    }

    /// A record of the binlog needs nothing more.
    pub(super) fn done(&mut self, number: u64) {
        self.window.finish(number);
        self.keeper.advance(self.window.position());
        self.keeper.write_if_due(self.peer.settings.mark_frequency);
    }

    /// The peer cannot take anything of this kind at present: it is left alone for a while.
    pub(super) fn busy(&mut self, job: Job, status: Status) {
        if !self.patience.is_waited_for(self.begun.elapsed()) {
            return self.give_up(job, status.0);
        }
        let pause = self.busy.failed();
        warn!(record = %job.record, %status, ?pause, "the peer cannot take a record at present");
        self.paused_until = Instant::now() + pause;
        self.delay(job, pause);
    }

    pub(super) fn try_again(&mut self, job: Job, status: u8) {
        match Patience::refused(job.tries) {
            Some(pause) => self.delay(job, pause),
            None => self.give_up(job, status),
        }
    }

    pub(super) fn delay(&mut self, job: Job, pause: Duration) {
        self.names.extend(names(&job.record).map(|name| (job.number, name.into())));
        self.delayed.push((Instant::now() + pause, job));
    }

    /// Puts a record to the dead letters, so that those behind it have their turn.
    pub(super) fn give_up(&mut self, job: Job, status: u8) {
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

    pub(super) fn letter_tried(&mut self, record: Record, status: Option<u8>) {
        self.letters.tried(record, status);
        self.peer.gauges.dead_letters(self.letters.count());
    }
}
