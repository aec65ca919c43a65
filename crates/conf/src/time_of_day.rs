//! Times of day: `02:00`, `23:59:30`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A time of day, local to the machine, to the second.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TimeOfDay {
    seconds: u32,
}

impl TimeOfDay {
    /// 00:00:00.
    pub const MIDNIGHT: Self = Self { seconds: 0 };

    /// A time of day without seconds; what is too large is taken modulo a day.
    #[must_use]
    pub const fn new(hour: u32, minute: u32) -> Self {
        Self { seconds: (hour % 24) * 3600 + (minute % 60) * 60 }
    }

    /// Seconds since midnight, on a day without a change of clocks.
    #[must_use]
    pub const fn seconds(self) -> u32 {
        self.seconds
    }

    /// Hour, 0 to 23.
    #[must_use]
    pub const fn hour(self) -> u32 {
        self.seconds / 3600
    }

    /// Minute, 0 to 59.
    #[must_use]
    pub const fn minute(self) -> u32 {
        self.seconds / 60 % 60
    }

    /// Second, 0 to 59.
    #[must_use]
    pub const fn second(self) -> u32 {
        self.seconds % 60
    }
}

impl FromStr for TimeOfDay {
    type Err = ParseTimeOfDayError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':').map(|part| {
            let part = part.trim();
            let plain = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u32>().ok().filter(|_| plain)
        });
        let mut next = |limit: u32| parts.next().map(|part| part.filter(|part| *part < limit));
        match (next(24), next(60), next(60)) {
            (Some(Some(hour)), Some(Some(minute)), second @ (None | Some(Some(_))))
                if parts.next().is_none() =>
            {
                let second = second.flatten().unwrap_or(0);
                Ok(Self { seconds: hour * 3600 + minute * 60 + second })
            }
            _ => Err(ParseTimeOfDayError),
        }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour(), self.minute())?;
        if self.second() == 0 { Ok(()) } else { write!(f, ":{:02}", self.second()) }
    }
}

/// A text is not a [`TimeOfDay`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a time of day is hour:minute or hour:minute:second, from 00:00 to 23:59:59")]
pub struct ParseTimeOfDayError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_minutes_with_or_without_seconds() {
        for (text, seconds, shown) in [
            ("00:00", 0, "00:00"),
            ("2:00", 7_200, "02:00"),
            ("23:59", 86_340, "23:59"),
            ("23:59:59", 86_399, "23:59:59"),
            ("1:30:00", 5_400, "01:30"),
        ] {
            let time: TimeOfDay = text.parse().expect("a time");
            assert_eq!((time.seconds(), &*time.to_string()), (seconds, shown));
        }
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in ["", "12", "24:00", "12:60", "12:00:60", "12:00:00:00", "a:b", "-1:00", "+1:00", "1:"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(ParseTimeOfDayError), "{text}");
        }
    }
}
