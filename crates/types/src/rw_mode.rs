//! What a storage may be used for by clients.

use std::str::FromStr;

use thiserror::Error;

/// Whether trackers offer a storage to clients for reading, writing, both or not at all.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum RwMode {
    /// Neither; it still receives what is replicated.
    None,
    /// Downloads only.
    Read,
    /// Uploads and changes only.
    Write,
    /// Everything.
    #[default]
    Both,
}

/// A text is none of `none`, `read`, `readonly`, `write`, `writeonly`, `both`, `all`.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("rw mode must be none, read, write or both")]
pub struct ParseRwModeError;

impl RwMode {
    /// The number on the wire: 0 none, 2 write, 4 read, 6 both.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Write => 2,
            Self::Read => 4,
            Self::Both => 6,
        }
    }

    /// The mode with this number on the wire.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::None,
            2 => Self::Write,
            4 => Self::Read,
            6 => Self::Both,
            _ => return None,
        })
    }

    /// The word in `storage_ids.conf` and its listing.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
            Self::Both => "both",
        }
    }

    /// Whether clients are sent here to read.
    pub const fn is_readable(self) -> bool {
        matches!(self, Self::Read | Self::Both)
    }

    /// Whether clients are sent here to write.
    pub const fn is_writable(self) -> bool {
        matches!(self, Self::Write | Self::Both)
    }
}

impl FromStr for RwMode {
    type Err = ParseRwModeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "read" | "readonly" => Self::Read,
            "write" | "writeonly" => Self::Write,
            "both" | "all" => Self::Both,
            _ => return Err(ParseRwModeError),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::RwMode;

    #[test]
    fn words_and_numbers_agree() {
        for mode in [RwMode::None, RwMode::Read, RwMode::Write, RwMode::Both] {
            assert_eq!(mode.name().parse(), Ok(mode));
            assert_eq!(RwMode::from_wire(mode.to_wire()), Some(mode));
        }
        assert_eq!("ReadOnly".parse(), Ok(RwMode::Read));
        assert!("rw".parse::<RwMode>().is_err());
        assert_eq!(RwMode::from_wire(1), None);
    }
}
