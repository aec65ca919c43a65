//! How long somebody has been silent, as far as this tracker has listened.

use std::time::Duration;

use fdfs_types::Timestamp;

/// Ticks come every second. One that is this far from the last says that the clock was set, or that the tracker did not run.
const LEAP: Duration = Duration::from_secs(5);

/// Since when this tracker has listened without a break.
///
/// Storages cannot be heard by a tracker that is frozen, and what its clock said before it was set is no measure for what
/// it says now: silence counts from the end of such a break.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    since: Timestamp,
    last_tick: Timestamp,
    next_round: Timestamp,
}

impl Watch {
    /// A watch that begins now.
    pub(crate) fn new(now: Timestamp, interval: Duration) -> Self {
        Self { since: now, last_tick: now, next_round: now.plus(interval) }
    }

    /// Time has passed. Whether a round of checks is due, of which there is one each interval.
    pub(crate) fn tick(&mut self, now: Timestamp, interval: Duration) -> bool {
        let step = now.since(self.last_tick).max(self.last_tick.since(now));
        self.last_tick = now;
        if step > LEAP {
            *self = Self::new(now, interval);
        }
        let is_due = now >= self.next_round;
        if is_due {
            self.next_round = now.plus(interval);
        }
        is_due
    }

    /// How long somebody has been silent who was heard at `heard`.
    pub(crate) fn silence(&self, heard: Timestamp, now: Timestamp) -> Duration {
        // A time to come is one of a clock that has been set back.
        let from = if heard > now { self.since } else { heard.max(self.since) };
        now.since(from)
    }
}
