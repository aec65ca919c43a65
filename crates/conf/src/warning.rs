//! What the author of a configuration should know, though it can be used.

use std::fmt;

use crate::Place;

/// Something in a configuration that has no effect, or another one than it seems.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Warning {
    /// The line.
    pub place: Place,
    /// The key, or the section in brackets.
    pub key: String,
    /// What is the matter.
    pub kind: WarningKind,
}

/// What is the matter with a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum WarningKind {
    /// Nobody knows this key.
    Unknown,
    /// Nobody knows this section; its keys have no effect.
    UnknownSection,
    /// The key asks for something that is not done here.
    NotHonoured {
        /// Why, or what to use instead.
        reason: &'static str,
    },
    /// The key tunes the inside of the original; nothing is lost without it.
    Ignored {
        /// Why.
        reason: &'static str,
    },
    /// A later line with the same key wins.
    Replaced {
        /// The line that wins.
        by: Place,
    },
    /// The value is longer than the original reads; the rest is cut off.
    Cut,
    /// The line is neither a key, a section nor a comment.
    StrayLine,
    /// The value is used otherwise than written.
    Adjusted {
        /// What is used, and why.
        what: String,
    },
}

impl Warning {
    /// Whether the author need not act: the key had meaning for the original only.
    #[must_use]
    pub fn is_harmless(&self) -> bool {
        matches!(self.kind, WarningKind::Ignored { .. })
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, key, kind } = self;
        match kind {
            WarningKind::Unknown => write!(f, "{place}: unknown key {key} has no effect"),
            WarningKind::UnknownSection => {
                write!(f, "{place}: unknown section {key}: its keys have no effect")
            }
            WarningKind::NotHonoured { reason } => {
                write!(f, "{place}: {key} has no effect: {reason}")
            }
            WarningKind::Ignored { reason } => write!(f, "{place}: {key} is not needed: {reason}"),
            WarningKind::Replaced { by } => write!(f, "{place}: {key} is given again at {by}"),
            WarningKind::Cut => {
                write!(f, "{place}: the value of {key} is cut to {} bytes", crate::file::VALUE_LEN)
            }
            WarningKind::StrayLine => {
                write!(f, "{place}: the line {key:?} is neither a key nor a section")
            }
            WarningKind::Adjusted { what } => write!(f, "{place}: {key}: {what}"),
        }
    }
}
