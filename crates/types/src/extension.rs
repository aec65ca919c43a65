//! File extensions.

use std::str::FromStr;

use thiserror::Error;

use crate::inline_text::{InlineText, checked_text};

/// The extension of a file name, without a leading dot: 0 to 6 bytes of `[A-Za-z0-9._-]`.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Extension(InlineText<{ Extension::MAX_LEN }>);

/// Why a text is not an [`Extension`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseExtensionError {
    /// The text does not fit the field on the wire.
    #[error("extension has {len} bytes, more than 6")]
    TooLong {
        /// Length of the rejected text, in bytes.
        len: usize,
    },
    /// A byte is outside `[A-Za-z0-9._-]`.
    #[error("extension has byte {byte:#04x} at {at}; letters, digits, dot, underscore and dash are allowed")]
    BadByte {
        /// The byte.
        byte: u8,
        /// Where it stands.
        at: usize,
    },
}

impl Extension {
    /// Longest extension, in bytes.
    pub const MAX_LEN: usize = 6;

    /// Bytes of the tail of a file name: digits, dot and extension together.
    pub const TAIL_LEN: usize = 7;

    /// No extension.
    pub fn none() -> Self {
        Self(InlineText::new("").expect("empty fits"))
    }

    /// The extension that the original's tools take from a local file name: what follows the last
    /// dot of the last path component, or two parts (`tar.gz`) where both fit; none if it is longer.
    pub fn from_local_name(name: &str) -> Self {
        let base = name.rsplit('/').next().unwrap_or(name);
        let Some(last) = base.rfind('.') else { return Self::none() };
        let two_parts = base[..last].rfind('.').and_then(|dot| base[dot + 1..].parse().ok());
        two_parts.or_else(|| base[last + 1..].parse().ok()).unwrap_or_else(Self::none)
    }

    /// Whether there is no extension.
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// The 7 bytes that end a file name: `6 - n` digits, a dot and the extension, or 7 digits where
    /// there is none. `digit` gives the digits, each 0 to 9.
    pub fn tail(&self, mut digit: impl FnMut() -> u8) -> String {
        let digits = if self.is_empty() { Self::TAIL_LEN } else { Self::MAX_LEN - self.as_str().len() };
        let mut tail: String = (0..digits).map(|_| char::from(b'0' + digit() % 10)).collect();
        if !self.is_empty() {
            tail.push('.');
            tail.push_str(self.as_str());
        }
        tail
    }
}

impl FromStr for Extension {
    type Err = ParseExtensionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let long = ParseExtensionError::TooLong { len: text.len() };
        let inline = InlineText::new(text).ok_or(long)?;
        match text.bytes().enumerate().find(|&(_, byte)| !is_allowed(byte)) {
            Some((at, byte)) => Err(ParseExtensionError::BadByte { byte, at }),
            None => Ok(Self(inline)),
        }
    }
}

checked_text!(Extension, ParseExtensionError);

/// Whether extensions and slave prefixes may hold `byte`.
pub(crate) const fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::Extension;

    #[test]
    fn the_tail_always_has_seven_bytes() {
        for (text, tail) in [
            ("", "7777777"),
            ("c", "77777.c"),
            ("txt", "777.txt"),
            ("tar.gz", ".tar.gz"),
            (".jpg", "77..jpg"),
        ] {
            assert_eq!(text.parse::<Extension>().unwrap().tail(|| 7), tail);
        }
    }

    #[test]
    fn tools_take_the_extension_from_the_file_name() {
        let cases = [
            ("/a/b.jpg", "jpg"),
            ("arch.tar.gz", "tar.gz"),
            ("long.extension", ""),
            ("noext", ""),
            ("dir.d/noext", ""),
            ("a.b.html", "b.html"),
            ("photo.2024.jpeg", "jpeg"),
            ("x.", ""),
        ];
        for (name, extension) in cases {
            assert_eq!(Extension::from_local_name(name).as_str(), extension, "{name}");
        }
    }

    #[test]
    fn what_could_leave_the_name_is_refused() {
        for text in ["toolong", "a/b", "a\0", "ä", "a b"] {
            assert!(text.parse::<Extension>().is_err(), "{text}");
        }
    }
}
