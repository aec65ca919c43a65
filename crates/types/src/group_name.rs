//! Names of storage groups.

use std::str::FromStr;

use thiserror::Error;

use crate::inline_text::{InlineText, checked_text};

/// The name of a storage group, for example `group1`.
///
/// A group name has 1 to 16 ASCII letters or digits. A value of this type is always valid: the
/// check is made once, in [`FromStr`].
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct GroupName(InlineText<{ GroupName::MAX_LEN }>);

/// Why a text is not a [`GroupName`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseGroupNameError {
    /// There is no text.
    #[error("group name is empty")]
    Empty,
    /// The text does not fit the field on the wire.
    #[error("group name has {len} bytes, more than 16")]
    TooLong {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// A byte is neither an ASCII letter nor a digit.
    #[error("group name has byte {byte:#04x} at {at}; only letters and digits are allowed")]
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        at: usize,
    },
}

impl GroupName {
    /// Longest group name, in bytes; also the width of the padded field on the wire.
    pub const MAX_LEN: usize = 16;
}

impl FromStr for GroupName {
    type Err = ParseGroupNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseGroupNameError::Empty);
        }
        let long = ParseGroupNameError::TooLong { len: text.len() };
        let inline = InlineText::new(text).ok_or(long)?;
        match text.bytes().enumerate().find(|(_, byte)| !byte.is_ascii_alphanumeric()) {
            Some((at, byte)) => Err(ParseGroupNameError::BadByte { byte, at }),
            None => Ok(Self(inline)),
        }
    }
}

checked_text!(GroupName, ParseGroupNameError);

#[cfg(test)]
mod tests {
    use super::{GroupName, ParseGroupNameError};

    #[test]
    fn sixteen_letters_and_digits_are_a_group_name() {
        let name: GroupName = "abcdefghijklmnop".parse().unwrap();
        assert_eq!(name.as_str(), "abcdefghijklmnop");
        assert!("group1".parse::<GroupName>().is_ok());
    }

    #[test]
    fn what_the_wire_or_a_path_cannot_hold_is_refused() {
        assert_eq!("".parse::<GroupName>(), Err(ParseGroupNameError::Empty));
        assert_eq!("abcdefghijklmnopq".parse::<GroupName>(), Err(ParseGroupNameError::TooLong { len: 17 }));
        for text in ["group/1", "group 1", "..", "grüppe", "a\0"] {
            assert!(matches!(text.parse::<GroupName>(), Err(ParseGroupNameError::BadByte { .. })), "{text}");
        }
    }
}
