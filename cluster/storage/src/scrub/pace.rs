//! Reading at a bounded rate.

use std::time::{Duration, Instant};

/// Spreads work over time: so many bytes a second, and no more after a time of rest.
#[derive(Debug)]
pub(super) struct Pace {
    rate: u64,
    /// When everything so far is paid for.
    free_at: Instant,
}

impl Pace {
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        Self { rate: rate.max(1), free_at: now }
    }

    /// Bytes that are done in one go, so that the pauses are short.
    pub(super) fn portion(&self) -> u64 {
        (self.rate / 10).clamp(1, LARGEST)
    }

    /// Work of `cost` bytes that began at `begun` is done; how long to rest at `now`.
    pub(super) fn spend(&mut self, cost: u64, begun: Instant, now: Instant) -> Duration {
        let time = Duration::from_secs_f64(cost as f64 / self.rate as f64);
        // What was not used before this work began is gone.
        self.free_at = self.free_at.max(begun) + time;
        self.free_at.saturating_duration_since(now)
    }
}

const LARGEST: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_bytes_are_read_in_a_second_whatever_the_disk_could_do() {
        let begin = Instant::now();
        let (mut pace, mut now, mut bytes) = (Pace::new(1_000_000, begin), begin, 0);
        while now < begin + Duration::from_secs(10) {
            let begun = now;
            now += Duration::from_millis(3);
            bytes += pace.portion();
            now += pace.spend(pace.portion(), begun, now);
        }
        assert!((9_900_000..=10_200_000).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_slow_disk_and_a_rest_are_not_made_up_for() {
        let begin = Instant::now();
        let second = Duration::from_secs(1);
        let mut pace = Pace::new(1000, begin);
        assert_eq!(pace.spend(1000, begin, begin + 5 * second), Duration::ZERO);
        assert_eq!(pace.spend(1000, begin + 5 * second, begin + 5 * second), second);
        assert_eq!(pace.spend(1000, begin + 60 * second, begin + 60 * second), second);
    }
}
