//! What is counted for every request: the storage's own statistics, metrics, and the access log.

mod action;

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use fdfs_ops::{AccessFile, AccessLine, AccessLog};
use fdfs_proto::Status;
use fdfs_store::{Counter, StorageStat};
use metrics::Histogram;

pub(crate) use self::action::Action;

/// One request that has been answered.
#[derive(Debug)]
pub(crate) struct Answered<'a> {
    pub(crate) peer: IpAddr,
    pub(crate) action: Action,
    /// The file, as far as it is known.
    pub(crate) filename: Option<&'a str>,
    /// The name that it has now, where that is another.
    pub(crate) renamed: Option<&'a str>,
    pub(crate) status: Status,
    pub(crate) begun: Begun,
    /// Length of the request as far as it has come: what a header promises is no figure to count with.
    pub(crate) received: u64,
    /// Length of the whole answer.
    pub(crate) sent: u64,
    /// Bytes of file content that were to be moved.
    pub(crate) content: u64,
}

/// When a request began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begun {
    at: Instant,
    for_log: fdfs_ops::Begun,
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct Traffic {
    metrics: [ActionMetrics; Action::ALL.len()],
    received: metrics::Counter,
    sent: metrics::Counter,
    access_log: AccessLog,
}

struct ActionMetrics {
    succeeded: metrics::Counter,
    failed: metrics::Counter,
    seconds: Histogram,
}

impl Traffic {
    pub(crate) fn new(access_log: AccessLog) -> Self {
        Self {
            metrics: Action::ALL.map(ActionMetrics::new),
            received: metrics::counter!("fdfs_storage_received_bytes_total"),
            sent: metrics::counter!("fdfs_storage_sent_bytes_total"),
            access_log,
        }
    }

    /// Whether file names are wanted.
    pub(crate) fn wants_names(&self) -> bool {
        self.access_log.is_on()
    }

    /// To be called when a request begins.
    pub(crate) fn begin(&self) -> Begun {
        Begun { at: Instant::now(), for_log: self.access_log.begin() }
    }

    /// Counts one request that has been answered, or whose client is gone.
    pub(crate) fn count(&self, stat: &StorageStat, answered: &Answered<'_>) {
        let Answered { action, status, .. } = *answered;
        let elapsed = answered.begun.at.elapsed();
        count_pair(stat, action.counters(), 1, status);
        if answered.content > 0 {
            count_pair(stat, action.byte_counters(), answered.content, status);
        }
        self.metrics[action as usize].count(action.is_fine(status), elapsed);
        self.received.increment(answered.received);
        self.sent.increment(answered.sent);
        if let Some(action) = action.logged_as() {
            let file = match (answered.filename, answered.renamed) {
                (None, _) => AccessFile::Unknown,
                (Some(name), None) => AccessFile::Name(name),
                (Some(old), Some(new)) => AccessFile::Renamed(old, new),
            };
            self.access_log.write(
                answered.begun.for_log,
                &AccessLine {
                    client: answered.peer,
                    action,
                    file,
                    status: status.0,
                    request_len: answered.received,
                    response_len: answered.sent,
                },
            );
        }
    }

    /// Writes the lines of the access log that wait in memory.
    pub(crate) fn flush(&self) {
        self.access_log.flush();
    }
}

fn count_pair(stat: &StorageStat, pair: Option<[Counter; 2]>, number: u64, status: Status) {
    if let Some([total, success]) = pair {
        stat.add(total, number);
        if status.is_ok() {
            stat.add(success, number);
        }
    }
}

impl ActionMetrics {
    fn new(action: Action) -> Self {
        let command = action.label();
        let requests = |result| metrics::counter!("fdfs_storage_requests_total", "command" => command, "result" => result);
        Self {
            succeeded: requests("ok"),
            failed: requests("error"),
            seconds: metrics::histogram!("fdfs_storage_request_seconds", "command" => command),
        }
    }

    fn count(&self, is_fine: bool, elapsed: Duration) {
        if is_fine { &self.succeeded } else { &self.failed }.increment(1);
        self.seconds.record(elapsed);
    }
}

impl std::fmt::Debug for ActionMetrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ActionMetrics")
    }
}
