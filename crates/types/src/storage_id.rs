//! IDs of storage servers.

use std::str::FromStr;

use thiserror::Error;

use crate::inline_text::{InlineText, checked_text};

/// The ID by which trackers and members know a storage: a decimal number where the cluster uses
/// storage IDs, otherwise the IPv4 address as text (or the short code of an IPv6 address).
///
/// 1 to 15 printable ASCII bytes, so that it fits its field with a terminating NUL. IDs sort as
/// text: `"10"` comes before `"2"`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct StorageId(InlineText<{ StorageId::MAX_LEN }>);

/// Why a text is not a [`StorageId`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseStorageIdError {
    /// There is no text.
    #[error("storage id is empty")]
    Empty,
    /// The text does not fit the field on the wire.
    #[error("storage id has {len} bytes, more than 15")]
    TooLong {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// A byte is not printable ASCII.
    #[error("storage id has byte {byte:#04x} at {at}; only printable ASCII is allowed")]
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        at: usize,
    },
}

impl StorageId {
    /// Longest ID, in bytes; its field on the wire has one more for a NUL.
    pub const MAX_LEN: usize = 15;
}

impl FromStr for StorageId {
    type Err = ParseStorageIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseStorageIdError::Empty);
        }
        let long = ParseStorageIdError::TooLong { len: text.len() };
        let inline = InlineText::new(text).ok_or(long)?;
        match text.bytes().enumerate().find(|(_, byte)| !byte.is_ascii_graphic()) {
            Some((at, byte)) => Err(ParseStorageIdError::BadByte { byte, at }),
            None => Ok(Self(inline)),
        }
    }
}

checked_text!(StorageId, ParseStorageIdError);

impl From<ServerId> for StorageId {
    fn from(id: ServerId) -> Self {
        Self(InlineText::new(&id.get().to_string()).expect("eight digits fit"))
    }
}

/// A numeric storage ID as `storage_ids.conf` gives it and file names carry it: 1 to 16777215.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ServerId(u32);

impl ServerId {
    /// Largest ID that a file name can tell from an IPv4 address.
    pub const MAX: u32 = 0x00FF_FFFF;

    /// Takes 1 to [`Self::MAX`].
    pub const fn new(id: u32) -> Option<Self> {
        if id >= 1 && id <= Self::MAX { Some(Self(id)) } else { None }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::{ServerId, StorageId};

    #[test]
    fn ids_sort_as_text() {
        let [ten, two] = ["10", "2"].map(|text| text.parse::<StorageId>().unwrap());
        assert!(ten < two);
    }

    #[test]
    fn an_id_fits_its_field_with_a_nul() {
        assert!("127.127.127.127".parse::<StorageId>().is_ok());
        assert!("1234567890123456".parse::<StorageId>().is_err());
        assert!("10 1".parse::<StorageId>().is_err());
        assert!("".parse::<StorageId>().is_err());
    }

    #[test]
    fn a_server_id_has_24_bits() {
        assert_eq!(ServerId::new(0), None);
        assert_eq!(ServerId::new(0x0100_0000), None);
        assert_eq!(StorageId::from(ServerId::new(ServerId::MAX).unwrap()).as_str(), "16777215");
    }
}
