//! Levels of the log.

use std::fmt;
use std::str::FromStr;

/// How grave a log line is, the gravest first.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum LogLevel {
    /// The system cannot be used.
    Emerg,
    /// Somebody must act at once.
    Alert,
    /// A critical fault.
    Crit,
    /// A fault.
    Error,
    /// Something to look at.
    Warning,
    /// Normal, but worth knowing.
    Notice,
    /// What happens.
    #[default]
    Info,
    /// What helps to find a fault.
    Debug,
}

impl LogLevel {
    /// The name in a log line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Emerg => "EMERG",
            Self::Alert => "ALERT",
            Self::Crit => "CRIT",
            Self::Error => "ERROR",
            Self::Warning => "WARNING",
            Self::Notice => "NOTICE",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
        }
    }
}

impl FromStr for LogLevel {
    type Err = ();

    /// Reads the name in a configuration: `emerg alert crit error warn notice info debug`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match &*text.to_ascii_lowercase() {
            "emerg" => Self::Emerg,
            "alert" => Self::Alert,
            "crit" => Self::Crit,
            "error" => Self::Error,
            "warn" | "warning" => Self::Warning,
            "notice" => Self::Notice,
            "info" => Self::Info,
            "debug" => Self::Debug,
            _ => return Err(()),
        })
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
