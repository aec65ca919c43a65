//! `write_concern`, `write_concern_deadline`, `on_deadline`: when a change counts as made. Ours.

use std::str::FromStr;
use std::time::Duration;

use crate::ConfError;
use crate::keys::Keys;

/// What must be true before a change is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WriteConcern {
    /// A second member of the group has it, too.
    pub is_replicated: bool,
    /// How long that member is waited for; more where there is much to send.
    pub deadline: Duration,
    /// What happens when it has not answered by then, or there is none.
    pub on_deadline: OnDeadline,
}

/// What happens to a change that no second member has in time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum OnDeadline {
    /// It succeeds, and is counted.
    #[default]
    Fallback,
    /// It is refused.
    Refuse,
}

impl WriteConcern {
    pub(super) fn read(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let scope = keys.parsed::<Scope>("write_concern")?.unwrap_or(Scope::Async);
        let deadline = keys.parsed::<Deadline>("write_concern_deadline")?;
        Ok(Self {
            is_replicated: scope == Scope::Replicated,
            deadline: deadline.map_or(Self::DEFAULT_DEADLINE, |deadline| deadline.0),
            on_deadline: keys.parsed("on_deadline")?.unwrap_or_default(),
        })
    }

    const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);
}

impl FromStr for OnDeadline {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match &*text.to_ascii_lowercase() {
            "fallback" => Self::Fallback,
            "refuse" => Self::Refuse,
            _ => return Err("one of fallback, refuse is needed"),
        })
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Scope {
    Async,
    Replicated,
}

impl FromStr for Scope {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match &*text.to_ascii_lowercase() {
            "async" => Self::Async,
            "replicated" => Self::Replicated,
            _ => return Err("one of async, replicated is needed"),
        })
    }
}

/// A time from 10 milliseconds to 10 minutes: `5`, `5s`, `500ms`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Deadline(Duration);

impl FromStr for Deadline {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_ascii_lowercase();
        let (number, unit) = match text.strip_suffix("ms") {
            Some(number) => (number, Duration::from_millis(1)),
            None => (text.strip_suffix('s').unwrap_or(&text), Duration::from_secs(1)),
        };
        let number = number.trim_end().parse().ok();
        let time = number.and_then(|number| unit.checked_mul(number));
        let range = Duration::from_millis(10)..=Duration::from_mins(10);
        time.filter(|time| range.contains(time))
            .map(Self)
            .ok_or("10ms to 600s is needed, for example 5, 5s or 500ms; a number alone means seconds")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_in_seconds_unless_it_says_milliseconds() {
        for (text, millis) in [("5", 5000), ("5s", 5000), ("500ms", 500), ("10 MS", 10), ("600 s", 600_000)] {
            assert_eq!(text.parse(), Ok(Deadline(Duration::from_millis(millis))), "{text}");
        }
        for text in ["", "0", "9ms", "601", "5m", "-1", "1.5", "99999999999999999999", "4294967295s"] {
            assert!(text.parse::<Deadline>().is_err(), "{text}");
        }
    }

    #[test]
    fn each_choice_has_two_words() {
        assert_eq!("Replicated".parse(), Ok(Scope::Replicated));
        assert_eq!("async".parse(), Ok(Scope::Async));
        assert!("sync".parse::<Scope>().is_err());
        assert_eq!("refuse".parse(), Ok(OnDeadline::Refuse));
        assert_eq!("fallback".parse(), Ok(OnDeadline::default()));
        assert!("fail".parse::<OnDeadline>().is_err());
    }
}
