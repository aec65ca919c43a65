//! What is counted of requests.

use std::cell::RefCell;
use std::time::Duration;

use http::StatusCode;
use metrics::{Counter, Histogram};

thread_local! {
    /// A counter is found by its name and labels. Requests are many and their kinds few, so each thread keeps what it found.
    static TALLIES: RefCell<Vec<Tally>> = const { RefCell::new(Vec::new()) };
}

/// The requests of one kind.
struct Tally {
    operation: &'static str,
    class: &'static str,
    requests: Counter,
    seconds: Histogram,
    received: Counter,
    sent: Counter,
}

/// A request that has been answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// What was asked for.
    pub(crate) operation: &'static str,
    /// How it went.
    pub(crate) status: StatusCode,
    /// How long it took.
    pub(crate) elapsed: Duration,
    /// Bytes of its body.
    pub(crate) received: u64,
    /// Bytes of the answer's body.
    pub(crate) sent: u64,
}

impl Answered {
    /// Counts it.
    pub(crate) fn count(self) {
        let class = match self.status.as_u16() / 100 {
            2 => "2xx",
            3 => "3xx",
            4 => "4xx",
            _ => "5xx",
        };
        TALLIES.with_borrow_mut(|tallies| {
            let is_it = |tally: &Tally| tally.operation == self.operation && tally.class == class;
            let at = tallies.iter().position(is_it).unwrap_or_else(|| {
                tallies.push(Tally::new(self.operation, class));
                tallies.len() - 1
            });
            tallies[at].add(&self);
        });
    }
}

impl Tally {
    fn new(operation: &'static str, class: &'static str) -> Self {
        Self {
            operation,
            class,
            requests: metrics::counter!("fdfs_s3_requests_total", "operation" => operation, "status" => class),
            seconds: metrics::histogram!("fdfs_s3_request_seconds", "operation" => operation),
            received: metrics::counter!("fdfs_s3_received_bytes_total"),
            sent: metrics::counter!("fdfs_s3_sent_bytes_total"),
        }
    }

    fn add(&self, request: &Answered) {
        self.requests.increment(1);
        self.seconds.record(request.elapsed);
        self.received.increment(request.received);
        self.sent.increment(request.sent);
    }
}
