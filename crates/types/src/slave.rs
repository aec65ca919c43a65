//! Slave files: names derived from a master's name.

use std::str::FromStr;

use thiserror::Error;

use crate::extension::{Extension, is_allowed};
use crate::inline_text::{InlineText, checked_text};

/// What a slave's name adds to its master's: 1 to 16 bytes of `[A-Za-z0-9._-]`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SlavePrefix(InlineText<{ SlavePrefix::MAX_LEN }>);

/// Why a text is not a [`SlavePrefix`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseSlavePrefixError {
    /// There is no text.
    #[error("slave prefix is empty")]
    Empty,
    /// The text does not fit the field on the wire.
    #[error("slave prefix has {len} bytes, more than 16")]
    TooLong {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// A byte is outside `[A-Za-z0-9._-]`.
    #[error(
        "slave prefix has byte {byte:#04x} at {at}; letters, digits, dot, underscore and dash are allowed"
    )]
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        at: usize,
    },
}

/// Why no slave name can be derived.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SlaveNameError {
    /// The master's name is shorter than any file name.
    #[error("master name has {len} bytes, a file name has at least 34")]
    MasterTooShort {
        /// Length of the master's name without its store path, in bytes.
        len: usize,
    },
    /// The name would be the master's own.
    #[error("slave would have its master's name")]
    SameAsMaster,
    /// The name would be that of the master's metadata.
    #[error("prefix -m without an extension is the name of the master's metadata")]
    IsMetadata,
}

impl SlavePrefix {
    /// Longest prefix, in bytes.
    pub const MAX_LEN: usize = 16;
}

impl FromStr for SlavePrefix {
    type Err = ParseSlavePrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseSlavePrefixError::Empty);
        }
        let long = ParseSlavePrefixError::TooLong { len: text.len() };
        let inline = InlineText::new(text).ok_or(long)?;
        match text.bytes().enumerate().find(|&(_, byte)| !is_allowed(byte)) {
            Some((at, byte)) => Err(ParseSlavePrefixError::BadByte { byte, at }),
            None => Ok(Self(inline)),
        }
    }
}

checked_text!(SlavePrefix, ParseSlavePrefixError);

/// Derives a slave's name from `master`, a name without its store path (`HH/LL/...`).
///
/// `extension` is the slave's: `None` takes over the master's, an empty one means none, and one that
/// starts with a dot is taken as it is. `prefix` may be empty here, as in the original's library.
pub fn slave_name(master: &str, prefix: &str, extension: Option<&str>) -> Result<String, SlaveNameError> {
    if master.len() < MIN_MASTER_LEN {
        return Err(SlaveNameError::MasterTooShort { len: master.len() });
    }
    let tail = master.len() - Extension::TAIL_LEN;
    let dot = master.bytes().skip(tail).position(|byte| byte == b'.').map_or(master.len(), |at| tail + at);
    let (stem, own) = master.split_at(dot);
    let dotted;
    let extension = match extension {
        None => own,
        Some(text) if text.is_empty() || text.starts_with('.') => text,
        Some(text) => {
            dotted = format!(".{text}");
            &dotted
        }
    };
    if extension.is_empty() && prefix == "-m" {
        return Err(SlaveNameError::IsMetadata);
    }
    if prefix.is_empty() && extension == own {
        return Err(SlaveNameError::SameAsMaster);
    }
    Ok(format!("{stem}{prefix}{extension}"))
}

/// `HH/LL/`, 27 characters and at least one more.
const MIN_MASTER_LEN: usize = 34;
