//! When to try again, and when to give a record up.

use std::time::Duration;

/// Pauses between tries: each twice the one before, up to a bound.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure yet.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// A try has failed: how long to wait before the next.
    pub fn failed(&mut self) -> Duration {
        let pause = self.first.saturating_mul(2_u32.saturating_pow(self.failures.min(31)));
        self.failures = self.failures.saturating_add(1);
        pause.min(self.longest)
    }

    /// A try has succeeded.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

/// How long a record is tried before it goes to the dead letters and the next ones have their turn.
///
/// A record that the peer refuses has [`Patience::TRIES`] tries. A peer that is busy (its disk is full, say) is waited for
/// together with its record; once that has lasted for [`Patience::BUSY`], its records go to the dead letters at once, so
/// that the deletes behind them reach it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Patience {
    /// How long ago, on the caller's clock, the peer began to be busy.
    busy_since: Option<Duration>,
}

impl Patience {
    /// Tries of a record that is refused.
    pub const TRIES: u32 = 3;
    /// How long a busy peer is waited for.
    pub const BUSY: Duration = Duration::from_secs(120);

    /// The pause before a refused record is tried again; none when it is given up. `tries` counts the one that failed.
    pub fn refused(tries: u32) -> Option<Duration> {
        (tries < Self::TRIES).then(|| Duration::from_millis(200) * 5_u32.pow(tries.saturating_sub(1)))
    }

    /// The peer was busy at `now`: whether it is waited for. `now` is a time on any clock that only rises.
    pub fn is_waited_for(&mut self, now: Duration) -> bool {
        let since = *self.busy_since.get_or_insert(now);
        now.saturating_sub(since) < Self::BUSY
    }

    /// The peer took content.
    pub fn took_content(&mut self) {
        self.busy_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_millis(350));
        let pauses = [backoff.failed(), backoff.failed(), backoff.failed()];
        assert_eq!(pauses.map(|pause| pause.as_millis()), [100, 200, 350]);
        backoff.succeeded();
        assert_eq!(backoff.failed().as_millis(), 100);
    }

    #[test]
    fn a_refused_record_has_three_tries() {
        assert_eq!(Patience::refused(1), Some(Duration::from_millis(200)));
        assert_eq!(Patience::refused(2), Some(Duration::from_secs(1)));
        assert_eq!(Patience::refused(3), None);
    }

    #[test]
    fn a_busy_peer_is_waited_for_until_its_deletes_must_get_through() {
        let mut patience = Patience::default();
        assert!(patience.is_waited_for(Duration::from_secs(1_000)));
        assert!(patience.is_waited_for(Duration::from_secs(1_119)));
        assert!(!patience.is_waited_for(Duration::from_secs(1_120)));
        patience.took_content();
        assert!(patience.is_waited_for(Duration::from_secs(1_200)));
    }
}
