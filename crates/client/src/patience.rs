//! How often, how long and with which pauses an operation is tried.

use std::time::Duration;

use tokio::time::Instant;

use crate::ClientOptions;

/// What is left of the patience for one operation.
#[derive(Debug)]
pub(crate) struct Patience {
    rounds: u32,
    pause: Duration,
    deadline: Instant,
}

impl Patience {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        Self {
            rounds: options.rounds.max(1),
            pause: options.backoff,
            deadline: Instant::now() + options.deadline,
        }
    }

    /// Pauses before the next round; `false` when there is none.
    pub(crate) async fn next_round(&mut self, operation: &'static str) -> bool {
        self.rounds -= 1;
        // Half of the pause is random, so that clients that failed together do not come back together.
        let pause = self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        if self.rounds == 0 || Instant::now() + pause >= self.deadline {
            return false;
        }
        metrics::counter!("fdfs_client_retries_total", "operation" => operation).increment(1);
        tokio::time::sleep(pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }

    /// The end of all rounds.
    pub(crate) fn deadline(&self) -> Instant {
        self.deadline
    }
}

const LONGEST_PAUSE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rounds_end_by_their_number_or_by_the_deadline() {
        let mut options = ClientOptions::new(Vec::new());
        options.backoff = Duration::from_millis(1);
        options.rounds = 3;
        let mut patience = Patience::new(&options);
        assert!(patience.next_round("test").await && patience.next_round("test").await);
        assert!(!patience.next_round("test").await);

        options.deadline = Duration::ZERO;
        assert!(!Patience::new(&options).next_round("test").await);
    }
}
