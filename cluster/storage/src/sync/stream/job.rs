//! A record on its way to the peer.

use std::time::SystemTime;

use fdfs_net::CallError;
use fdfs_store::Record;
use fdfs_types::Timestamp;

use crate::sync::{delivery::Outcome, line::Line};

/// A record on its way, or about to be.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) kind: Kind,
    /// A number in the window, or of its own.
    pub(super) number: u64,
    pub(super) record: Record,
    pub(super) tries: u32,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Its turn in the binlog has come.
    Record,
    /// A dead letter is tried again.
    Letter,
    /// It is told again, so that the peer knows how far it is.
    Tell,
}

/// What became of a record that was on its way.
pub(super) struct Finished {
    pub(super) job: Job,
    pub(super) line: Option<Line>,
    pub(super) identified: bool,
    pub(super) result: Result<Outcome, CallError>,
}

/// The files that a record is about; metadata belongs to its file.
pub(super) fn names(record: &Record) -> impl Iterator<Item = &str> {
    let both = [Some(record.change.name()), record.change.other_name()];
    both.into_iter().flatten().map(|name| name.strip_suffix("-m").unwrap_or(name))
}

/// Whether a record is dated ahead of the clock.
pub(super) fn is_ahead(record: &Record) -> bool {
    record.timestamp > Timestamp::from(SystemTime::now()).0
}
