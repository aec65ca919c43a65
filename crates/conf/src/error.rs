//! Why a configuration cannot be used.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::Place;

/// Why a configuration cannot be used. The text names file, line and key, and says what to do.
#[derive(Debug, Error)]
pub enum ConfError {
    /// A file cannot be read.
    #[error("{}cannot read {}: {source}", at(included_at.as_ref()), path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The `#include` line that asked for it, if it is not the main file.
        included_at: Option<Place>,
        /// What reading it answered.
        #[source]
        source: io::Error,
    },
    /// A line asks for a feature that is left out on purpose.
    #[error("{place}: {what} is not supported: write the resulting keys into the file instead")]
    Unsupported {
        /// The line.
        place: Place,
        /// The feature.
        what: String,
    },
    /// Files include each other in a circle, or are nested too deeply.
    #[error("{place}: #include of {} goes too deep: does a file include itself?", path.display())]
    IncludeTooDeep {
        /// The line.
        place: Place,
        /// The file that it asks for.
        path: PathBuf,
    },
    /// A line with a key is not UTF-8 text, or holds control characters.
    #[error("{place}: the line is not plain UTF-8 text: type it again")]
    NotText {
        /// The line.
        place: Place,
    },
    /// A required key is not there.
    #[error("{}: the key {key} is missing: {help}", file.display())]
    Missing {
        /// The main file.
        file: PathBuf,
        /// The key.
        key: String,
        /// What to add.
        help: &'static str,
    },
    /// A value cannot be used.
    #[error("{place}: {key} = {value}: {help}")]
    Invalid {
        /// The line.
        place: Place,
        /// The key.
        key: String,
        /// Its value.
        value: String,
        /// What a good value is.
        help: String,
    },
    /// A line of a list cannot be used.
    #[error("{place}: {help}")]
    InvalidLine {
        /// The line.
        place: Place,
        /// What is wrong with it, and what a good line is.
        help: String,
    },
    /// Two lines say the same thing of different owners.
    #[error("{place}: {what} is already in use at {first}: give each storage its own")]
    Duplicate {
        /// The second line.
        place: Place,
        /// What occurs twice.
        what: String,
        /// The first line.
        first: Place,
    },
    /// A list has no entries.
    #[error("{}: no entries: {help}", file.display())]
    Empty {
        /// The file.
        file: PathBuf,
        /// What to add.
        help: &'static str,
    },
    /// The configuration says that the daemon must not run.
    #[error("{place}: disabled = true: the daemon does not start; remove the line to start it")]
    Disabled {
        /// The line.
        place: Place,
    },
}

impl ConfError {
    /// The exit code with which the original answers this error.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Unreadable { source, .. } => source.raw_os_error().unwrap_or(ENOENT),
            Self::Missing { .. } | Self::Empty { .. } => ENOENT,
            Self::Duplicate { .. } => EEXIST,
            Self::Disabled { .. } => ECANCELED,
            Self::Unsupported { .. } => EOPNOTSUPP,
            Self::IncludeTooDeep { .. } => ELOOP,
            Self::NotText { .. } | Self::Invalid { .. } | Self::InvalidLine { .. } => EINVAL,
        }
    }
}

/// The beginning of a message about a line that may not exist.
fn at(place: Option<&Place>) -> String {
    place.map_or_else(String::new, |place| format!("{place}: "))
}

const ENOENT: i32 = 2;
const EEXIST: i32 = 17;
const EINVAL: i32 = 22;
const ELOOP: i32 = 40;
const EOPNOTSUPP: i32 = 95;
const ECANCELED: i32 = 125;
