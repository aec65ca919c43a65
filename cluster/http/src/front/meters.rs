//! What the front counts of every request.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use metrics::{Counter, Gauge, Histogram};

use super::Outcome;
use crate::Body;

/// Counters of the front. Those of nearly all requests are looked up once.
#[derive(Default)]
pub(super) struct Meters {
    always: OnceLock<(Gauge, Counter)>,
    hits: OnceLock<Lines>,
}

/// A request that is being answered; the gauge falls when this goes.
pub(super) struct Asked {
    at: Instant,
    running: Gauge,
    bytes: Counter,
}

/// The counters of requests that are alike.
#[derive(Clone)]
struct Lines {
    responses: Counter,
    head: Histogram,
    whole: Histogram,
}

impl Meters {
    /// A request has come.
    pub(super) fn asked(&self) -> Asked {
        let (running, bytes) = self.always.get_or_init(|| {
            let bytes = metrics::counter!("fdfs_front_bytes_sent_total");
            (metrics::gauge!("fdfs_front_requests_running"), bytes)
        });
        running.increment(1.0);
        Asked { at: Instant::now(), running: running.clone(), bytes: bytes.clone() }
    }

    /// The head of the answer is known; the rest is counted when its body has left. `log` is told its bytes, too.
    pub(super) fn answered(
        &self,
        asked: Asked,
        method: &Method,
        status: StatusCode,
        outcome: Option<Outcome>,
        body: &mut Body,
        log: Option<impl FnOnce(u64) + Send + 'static>,
    ) {
        let lines = match (method, status, outcome) {
            (&Method::GET, StatusCode::OK, Some(Outcome::Hit)) => {
                self.hits.get_or_init(|| Lines::of(method, status, outcome)).clone()
            }
            _ => Lines::of(method, status, outcome),
        };
        lines.responses.increment(1);
        lines.head.record(asked.at.elapsed());
        body.when_over(move |bytes| {
            asked.bytes.increment(bytes);
            lines.whole.record(asked.at.elapsed());
            if let Some(log) = log {
                log(bytes);
            }
        });
    }
}

impl Lines {
    fn of(method: &Method, status: StatusCode, outcome: Option<Outcome>) -> Self {
        // Any word may stand for a method.
        let method = match method.as_str() {
            "GET" => "GET",
            "HEAD" => "HEAD",
            "POST" => "POST",
            "PURGE" => "PURGE",
            _ => "other",
        };
        let cache = outcome.map_or("-", Outcome::as_str);
        let status = status.as_str().to_owned();
        Self {
            head: metrics::histogram!("fdfs_front_head_seconds", "status" => status.clone(), "cache" => cache),
            whole: metrics::histogram!("fdfs_front_request_seconds", "status" => status.clone(), "cache" => cache),
            responses: metrics::counter!("fdfs_front_responses_total", "method" => method, "status" => status, "cache" => cache),
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.running.decrement(1.0);
    }
}

/// So long ago a storage was last known to have what is served, in whole seconds; what was fetched just now has no age.
pub(super) fn age_of(age: Duration) -> Option<u64> {
    Some(age.as_secs()).filter(|seconds| *seconds > 0)
}
