//! Local time at the beginning of a log line.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Writes `YYYY-MM-DD HH:MM:SS` of local time, and remembers the last second.
#[derive(Debug)]
pub(crate) struct LineClock {
    zone: TimeZone,
    second: i64,
    text: String,
}

impl LineClock {
    pub(crate) fn new(zone: TimeZone) -> Self {
        Self { zone, second: i64::MIN, text: String::new() }
    }

    /// The text of a moment.
    pub(crate) fn text(&mut self, now: Timestamp) -> &str {
        if self.second != now.as_second() {
            self.second = now.as_second();
            self.text = now.to_zoned(self.zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
        }
        &self.text
    }

    /// The local time of a moment.
    pub(crate) fn civil(&self, now: Timestamp) -> DateTime {
        self.zone.to_datetime(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_before_1970_and_one_in_summer_are_written() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let mut clock = LineClock::new(zone);
        let now = Timestamp::new(1_753_000_000, 999_000_000).expect("a time");
        assert_eq!(clock.text(now), "2025-07-20 10:26:40");
        assert_eq!(clock.text(now), "2025-07-20 10:26:40");
        assert_eq!(clock.text(Timestamp::from_second(-1).expect("a time")), "1970-01-01 01:59:59");
    }
}
