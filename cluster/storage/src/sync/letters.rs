//! Trying dead letters again.

use std::{
    collections::{HashMap, VecDeque},
    io,
    path::Path,
    time::SystemTime,
};

use fdfs_store::{DeadLetter, DeadLetters, Record};
use fdfs_types::Timestamp;
use tracing::{error, info};

/// The dead letters of a peer, and those of them whose time to be tried again has come.
#[derive(Debug)]
pub(super) struct Letters {
    kept: DeadLetters,
    due: VecDeque<Record>,
    /// Outcomes of this round: the status of the last answer, none where it was delivered.
    tried: HashMap<Record, Option<u8>>,
    oldest: Option<Timestamp>,
}

impl Letters {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let kept = DeadLetters::open(path)?;
        let oldest = kept.oldest();
        Ok(Self { kept, due: VecDeque::new(), tried: HashMap::new(), oldest })
    }

    /// Keeps a record that the peer does not take.
    pub(super) fn add(&mut self, record: Record, status: u8) -> io::Result<()> {
        self.kept.add(DeadLetter { record, tried_at: now(), tries: 0, status })?;
        self.oldest = self.kept.oldest();
        Ok(())
    }

    pub(super) fn count(&self) -> usize {
        self.kept.letters().len()
    }

    /// The time of the oldest record among them.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.oldest
    }

    pub(super) fn is_full(&self) -> bool {
        self.kept.is_full()
    }

    /// Looks which letters are to be tried again. To be called while none is on its way.
    pub(super) fn look(&mut self) {
        if self.due.is_empty() && self.tried.is_empty() {
            let now = now();
            let is_due = |letter: &&DeadLetter| now.0 - letter.tried_at.0 >= pause(letter);
            self.due =
                self.kept.letters().iter().filter(is_due).map(|letter| letter.record.clone()).collect();
        }
    }

    /// Has every letter tried again now.
    pub(super) fn look_at_all(&mut self) {
        self.save();
        self.due = self.kept.letters().iter().map(|letter| letter.record.clone()).collect();
    }

    /// The next letter whose time has come.
    pub(super) fn next_due(&self) -> Option<&Record> {
        self.due.front()
    }

    /// Takes out the next letter whose time has come; [`Letters::tried`] has to follow.
    pub(super) fn take_due(&mut self) -> Option<Record> {
        self.due.pop_front()
    }

    /// The outcome of a try: the status of the answer, none if the record has been delivered or is of no more use.
    pub(super) fn tried(&mut self, record: Record, status: Option<u8>) {
        if status.is_none() {
            info!(%record, "a dead letter has been delivered");
        }
        self.tried.insert(record, status);
        if self.due.is_empty() || self.tried.len() >= ROUND {
            self.save();
        }
    }

    /// Writes the outcomes of the round.
    pub(super) fn save(&mut self) {
        if self.tried.is_empty() {
            return;
        }
        let tried = std::mem::take(&mut self.tried);
        let now = now();
        let saved = self.kept.update(|letter| match tried.get(&letter.record) {
            None => Some(letter.clone()),
            Some(None) => None,
            Some(Some(status)) => Some(DeadLetter {
                tried_at: now,
                tries: letter.tries.saturating_add(1),
                status: *status,
                ..letter.clone()
            }),
        });
        if let Err(error) = saved {
            error!(%error, "dead letters cannot be written; after a restart some are tried again");
        }
        self.oldest = self.kept.oldest();
    }
}

/// Seconds before a letter is tried again.
fn pause(letter: &DeadLetter) -> i64 {
    // A missing target may be on its way from another member.
    let first = if letter.status == 0 { 1 } else { 60 };
    (first << letter.tries.min(16)).min(LONGEST)
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

/// Outcomes that are written at once.
const ROUND: usize = 256;
const LONGEST: i64 = 3600;
