//! `reserved_storage_space`: how much of a disk new files leave free.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::{ParseSizeError, parse_size};

/// How much of a disk new files leave free.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ReservedSpace {
    /// A size for the sum of all store paths.
    Megabytes(u64),
    /// A part of each disk, in millionths: 200 000 is 20 %.
    Millionths(u32),
}

impl ReservedSpace {
    /// What holds when nothing is said: 1024 MB.
    pub const DEFAULT: Self = Self::Megabytes(1024);

    /// Whether a group (or a storage) with this much space takes another file.
    #[must_use]
    pub fn allows_group(self, free_mb: u64, total_mb: u64) -> bool {
        match self {
            Self::Megabytes(reserved) => free_mb > reserved,
            Self::Millionths(part) => exceeds(free_mb, total_mb, part),
        }
    }

    /// Whether a store path with this much space takes another file; a size is divided among the
    /// `path_count` paths of the group.
    #[must_use]
    pub fn allows_path(self, free_mb: u64, total_mb: u64, path_count: usize) -> bool {
        match self {
            Self::Megabytes(reserved) => free_mb > reserved / (path_count.max(1) as u64),
            Self::Millionths(part) => exceeds(free_mb, total_mb, part),
        }
    }
}

impl Default for ReservedSpace {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl FromStr for ReservedSpace {
    type Err = ParseReservedSpaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ParseReservedSpaceError::Empty);
        }
        match text.strip_suffix('%') {
            Some(number) => millionths(number.trim_end())
                .filter(|part| (1..1_000_000).contains(part))
                .map(Self::Millionths)
                .ok_or(ParseReservedSpaceError::Percent),
            None => Ok(Self::Megabytes(parse_size(text)? >> 20)),
        }
    }
}

/// As the original writes it: `1024MB`, `20.00%`.
impl fmt::Display for ReservedSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Megabytes(size) => write!(f, "{size}MB"),
            Self::Millionths(part) => write!(f, "{}.{:02}%", part / 10_000, part / 100 % 100),
        }
    }
}

/// Why a text is not a [`ReservedSpace`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseReservedSpaceError {
    /// There is no text.
    #[error("a value is needed, for example 20% or 10GB")]
    Empty,
    /// The percentage has another form, or is not between 0 and 100.
    #[error("a percentage lies between 0% and 100%, for example 20%")]
    Percent,
    /// The size has another form.
    #[error(transparent)]
    Size(#[from] ParseSizeError),
}

/// A percentage with decimals, in millionths of the whole; further decimals are dropped.
fn millionths(percent: &str) -> Option<u32> {
    let (whole, decimals) = percent.split_once('.').unwrap_or((percent, ""));
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !plain(whole) || !plain(decimals) {
        return None;
    }
    let decimals = decimals.bytes().chain(std::iter::repeat(b'0')).take(4);
    let decimals = decimals.fold(0, |number, digit| number * 10 + u32::from(digit - b'0'));
    Some(whole.parse::<u32>().ok()? * 10_000 + decimals)
}

/// Whether `free` of `total` is more than a part in millionths.
fn exceeds(free: u64, total: u64, part: u32) -> bool {
    total > 0 && u128::from(free) * 1_000_000 > u128::from(total) * u128::from(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read_and_written_as_the_original_does() {
        for (text, space, shown) in [
            ("1024MB", ReservedSpace::Megabytes(1024), "1024MB"),
            ("10 G", ReservedSpace::Megabytes(10_240), "10240MB"),
            ("1tb", ReservedSpace::Megabytes(1_048_576), "1048576MB"),
            ("1536K", ReservedSpace::Megabytes(1), "1MB"),
            ("1048575", ReservedSpace::Megabytes(0), "0MB"),
            ("0", ReservedSpace::Megabytes(0), "0MB"),
            ("20%", ReservedSpace::Millionths(200_000), "20.00%"),
            ("12.345 %", ReservedSpace::Millionths(123_450), "12.34%"),
            ("0.01%", ReservedSpace::Millionths(100), "0.01%"),
        ] {
            assert_eq!(text.parse(), Ok(space), "{text}");
            assert_eq!(space.to_string(), shown);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        assert_eq!("".parse::<ReservedSpace>(), Err(ParseReservedSpaceError::Empty));
        for text in ["0%", "100%", "-1%", "%", ".5%", "1e1%", "1000%", "99999999999%"] {
            assert_eq!(text.parse::<ReservedSpace>(), Err(ParseReservedSpaceError::Percent), "{text}");
        }
        assert!("many".parse::<ReservedSpace>().is_err());
    }

    #[test]
    fn what_is_exactly_reserved_is_refused() {
        let size = ReservedSpace::Megabytes(1024);
        assert!(!size.allows_group(1024, 4096));
        assert!(size.allows_group(1025, 4096));
        assert!(!size.allows_path(341, 4096, 3));
        assert!(size.allows_path(342, 4096, 3));

        let part = ReservedSpace::Millionths(200_000);
        assert!(!part.allows_group(20, 100));
        assert!(part.allows_group(21, 100));
        assert!(!part.allows_path(0, 0, 1));
    }
}
