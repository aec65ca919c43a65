//! The access log of a storage.

use std::str::FromStr;

use crate::keys::Keys;
use crate::log_settings::LOG_KEYS;
use crate::table::{Handling, KeyTable, concat};
use crate::{ConfError, LogSettings};

/// How the access log is written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct AccessLogSettings {
    /// Digits of a second.
    pub precision: TimePrecision,
    /// Flushing, rotation, retention.
    pub file: LogSettings,
}

impl AccessLogSettings {
    /// Reads `[access-log]`; nothing if it is not enabled.
    pub(crate) fn read(keys: &mut Keys<'_>) -> Result<Option<Self>, ConfError> {
        keys.enter("access-log");
        let enabled = keys.own("enabled").is_some() && keys.boolean("enabled", false);
        let precision = keys.own("time_precision").map(|entry| {
            entry.value.parse().unwrap_or_else(|()| {
                keys.adjusted(entry, "neither ms nor us; ms is used");
                TimePrecision::Millis
            })
        });
        let file = LogSettings::read(keys, "access-log")?;
        Ok(enabled.then(|| Self { precision: precision.unwrap_or_default(), file }))
    }
}

/// Digits of a second in the access log.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TimePrecision {
    /// Milliseconds.
    #[default]
    Millis,
    /// Microseconds.
    Micros,
}

impl FromStr for TimePrecision {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match &*text.to_ascii_lowercase() {
            "ms" | "millisecond" => Ok(Self::Millis),
            "us" | "microsecond" => Ok(Self::Micros),
            _ => Err(()),
        }
    }
}

/// The keys of `[access-log]`.
pub(crate) const ACCESS_LOG_KEYS: KeyTable =
    &concat::<{ OWN_KEYS.len() + LOG_KEYS.len() }>(&[OWN_KEYS, LOG_KEYS]);

const OWN_KEYS: KeyTable = &[("enabled", Handling::Honoured), ("time_precision", Handling::Honoured)];
