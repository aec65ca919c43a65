//! Counts of requests by command and outcome.

use fdfs_proto::{Command, Status};
use metrics::{Counter, counter};

/// Counts of requests by command and outcome.
pub(crate) struct Requests {
    counters: Vec<Option<Pair>>,
    unknown: Counter,
}

struct Pair {
    ok: Counter,
    refused: Counter,
}

impl Requests {
    pub(crate) fn count(&self, command: Command, status: Status) {
        match self.counters.get(usize::from(command.0)) {
            Some(Some(pair)) if status.is_ok() => pair.ok.increment(1),
            Some(Some(pair)) => pair.refused.increment(1),
            _ => self.unknown.increment(1),
        }
    }
}

impl Default for Requests {
    fn default() -> Self {
        let pair = |command: Command| {
            let name = command.name()?;
            let one =
                |outcome| counter!("fdfs_tracker_requests_total", "command" => name, "outcome" => outcome);
            Some(Pair { ok: one("ok"), refused: one("refused") })
        };
        Self {
            counters: (0..=u8::MAX).map(|number| pair(Command(number))).collect(),
            unknown: counter!("fdfs_tracker_requests_total", "command" => "unknown", "outcome" => "refused"),
        }
    }
}
