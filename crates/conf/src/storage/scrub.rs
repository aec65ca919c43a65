//! `scrub_rate`, `scrub_interval`, `scrub_min_age`: the search for damaged files. Ours.

use std::str::FromStr;
use std::time::Duration;

use crate::ConfError;
use crate::keys::Keys;

/// How files are searched for damage in the background.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ScrubSettings {
    /// Bytes read in a second; none are where this is 0.
    pub rate: u64,
    /// From the begin of one search of the whole store to the begin of the next.
    pub interval: Duration,
    /// A file changed later than this before is left to the next search.
    pub min_age: Duration,
}

impl ScrubSettings {
    pub(super) fn read(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let default = Self::default();
        let time = |keys: &mut Keys<'_>, key, default| -> Result<Duration, ConfError> {
            Ok(keys.parsed::<Span>(key)?.map_or(default, |span| span.0))
        };
        Ok(Self {
            rate: keys.size_or("scrub_rate", default.rate)?,
            interval: time(keys, "scrub_interval", default.interval)?,
            min_age: time(keys, "scrub_min_age", default.min_age)?,
        })
    }
}

impl Default for ScrubSettings {
    fn default() -> Self {
        Self {
            rate: 20 << 20,
            interval: Duration::from_secs(7 * 24 * 3600),
            min_age: Duration::from_secs(300),
        }
    }
}

/// A time of up to ten years: `90`, `90s`, `30m`, `12h`, `7d`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Span(Duration);

impl FromStr for Span {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(end);
        let unit = match &*unit.trim_start().to_ascii_lowercase() {
            "" | "s" => Some(1),
            "m" => Some(60),
            "h" => Some(3600),
            "d" => Some(24 * 3600),
            _ => None,
        };
        let number: Option<u64> = number.parse().ok();
        let seconds = unit.and_then(|unit| number?.checked_mul(unit));
        seconds
            .filter(|seconds| *seconds <= LONGEST)
            .map(|seconds| Self(Duration::from_secs(seconds)))
            .ok_or("a time is needed, for example 7d, 12h, 30m or 90s; a number alone means seconds")
    }
}

const LONGEST: u64 = 3650 * 24 * 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_in_seconds_unless_it_names_another_unit() {
        for (text, seconds) in
            [("0", 0), ("90", 90), ("90s", 90), ("30 m", 1800), ("12H", 43_200), ("7d", 604_800)]
        {
            assert_eq!(text.parse(), Ok(Span(Duration::from_secs(seconds))), "{text}");
        }
        for text in ["", "d", "-1", "1.5h", "1w", "3651d", "99999999999999999999", "1d 2h"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
