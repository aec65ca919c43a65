//! Waiting for something to become true, but not for ever.

use std::fmt::Debug;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// A point in time at which waiting ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    /// A deadline `limit` from now.
    pub fn after(limit: Duration) -> Self {
        Self { at: Instant::now() + limit, limit }
    }

    /// Asks `probe` again and again until it yields a value.
    ///
    /// # Errors
    ///
    /// When the deadline passes first; the text names `what` was awaited and the last refusal.
    pub fn wait_for<T, E: Debug>(self, what: &str, mut probe: impl FnMut() -> Result<T, E>) -> Result<T> {
        loop {
            match probe() {
                Ok(value) => return Ok(value),
                Err(last) if self.passed() => bail!("no {what} within {:?}; last: {last:?}", self.limit),
                Err(_) => sleep(PAUSE),
            }
        }
    }

    /// Whether the deadline is over.
    pub fn passed(self) -> bool {
        Instant::now() >= self.at
    }
}

/// Pause between two probes.
const PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_first_value() -> Result<()> {
        let mut probes = 0;
        let found = Deadline::after(Duration::from_secs(5)).wait_for("third probe", || {
            probes += 1;
            if probes == 3 { Ok(probes) } else { Err("not yet") }
        })?;
        assert_eq!(found, 3);
        Ok(())
    }

    #[test]
    fn a_wait_that_is_over_names_what_was_missing() {
        let result = Deadline::after(Duration::ZERO).wait_for("miracle", || Err::<(), _>("none seen"));
        let text = result.map_or_else(|error| error.to_string(), |()| String::new());
        assert!(text.contains("miracle") && text.contains("none seen"), "{text}");
    }
}
