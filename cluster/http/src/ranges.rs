//! The `Range` header (RFC 9110, section 14).

use std::ops::Range;

use thiserror::Error;

/// What a `Range` header asks for: parts of a representation, in the order asked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RangeRequest(Vec<Part>);

/// Why a `Range` header cannot be satisfied.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum ParseRangesError {
    /// It is not `bytes=a-b, c-, -n`.
    #[error("range is not of the form bytes=first-last")]
    Malformed,
    /// It has more parts than allowed.
    #[error("more than {most} ranges")]
    TooMany {
        /// As many are allowed.
        most: usize,
    },
    /// No part lies within the content, or the parts repeat too much of it.
    #[error("no range lies within the content")]
    Unsatisfiable,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Part {
    FromTo(u64, u64),
    From(u64),
    Last(u64),
}

impl RangeRequest {
    /// Parses a header value of at most `most` ranges. `None` where the header is to be ignored: another unit, no
    /// unit at all.
    pub fn parse(value: &str, most: usize) -> Option<Result<Self, ParseRangesError>> {
        let (unit, list) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        if value.len() > MAX_LEN {
            return Some(Err(ParseRangesError::TooMany { most }));
        }
        Some(Self::parse_list(list, most))
    }

    fn parse_list(list: &str, most: usize) -> Result<Self, ParseRangesError> {
        let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty());
        let parts: Vec<Part> = parts.map(Part::parse).collect::<Result<_, _>>()?;
        match parts.len() {
            0 => Err(ParseRangesError::Malformed),
            count if count <= most => Ok(Self(parts)),
            _ => Err(ParseRangesError::TooMany { most }),
        }
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, ParseRangesError> {
        let (first, last) = text.split_once('-').ok_or(ParseRangesError::Malformed)?;
        match (first.trim(), last.trim()) {
            ("", "") => Err(ParseRangesError::Malformed),
            ("", count) => Ok(Self::Last(number(count)?)),
            (first, "") => Ok(Self::From(number(first)?)),
            (first, last) => match (number(first)?, number(last)?) {
                (first, last) if first > last => Err(ParseRangesError::Malformed),
                (first, last) => Ok(Self::FromTo(first, last)),
            },
        }
    }

    fn within(self, size: u64) -> Option<Range<u64>> {
        let range = match self {
            Self::FromTo(first, last) => first..last.saturating_add(1).min(size),
            Self::From(first) => first..size,
            Self::Last(count) => size.saturating_sub(count)..size,
        };
        (range.start < range.end).then_some(range)
    }
}

/// The parts of `request` that lie within `size` bytes; unsatisfiable parts are left out.
///
/// Parts that together are longer than the content and 64 KiB repeat it and are refused: a small
/// request must not cause a response of any length.
pub fn resolve(request: &RangeRequest, size: u64) -> Result<Vec<Range<u64>>, ParseRangesError> {
    let ranges: Vec<_> = request.0.iter().filter_map(|part| part.within(size)).collect();
    let total = ranges.iter().fold(0_u64, |total, range| total.saturating_add(range.end - range.start));
    if ranges.is_empty() || total > size.saturating_add(REPEAT_ALLOWANCE) {
        return Err(ParseRangesError::Unsatisfiable);
    }
    Ok(ranges)
}

/// Decimal digits only; a number beyond 64 bits is as good as the largest.
fn number(text: &str) -> Result<u64, ParseRangesError> {
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseRangesError::Malformed);
    }
    Ok(text.parse().unwrap_or(u64::MAX))
}

/// Longest header that is read, in bytes.
const MAX_LEN: usize = 1024;
const REPEAT_ALLOWANCE: u64 = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::{ParseRangesError as Error, RangeRequest, resolve};

    fn ranges(value: &str, size: u64) -> Option<Result<Vec<(u64, u64)>, Error>> {
        let request = RangeRequest::parse(value, 16)?;
        let ranges = request.and_then(|request| resolve(&request, size));
        Some(ranges.map(|list| list.into_iter().map(|range| (range.start, range.end)).collect()))
    }

    #[test]
    fn a_part_names_its_first_and_last_byte() {
        let cases = [
            ("bytes=0-0", (0, 1)),
            ("bytes=0-99", (0, 100)),
            ("BYTES = 100 - 199", (100, 200)),
            ("bytes=4990-", (4990, 5000)),
            ("bytes=-10", (4990, 5000)),
            ("bytes=-9999", (0, 5000)),
            ("bytes=0-99999999999999999999999", (0, 5000)),
        ];
        for (value, range) in cases {
            assert_eq!(ranges(value, 5000), Some(Ok(vec![range])), "{value}");
        }
    }

    #[test]
    fn another_unit_or_no_value_is_ignored() {
        for value in ["items=0-5", "bytes 0-5", "", "bytes"] {
            assert_eq!(ranges(value, 5000), None, "{value}");
        }
    }

    #[test]
    fn what_is_no_range_of_the_content_is_refused() {
        for value in ["bytes=a-b", "bytes=5-2", "bytes=-", "bytes=+1-2", "bytes=1", "bytes=,", "bytes="] {
            assert_eq!(ranges(value, 5000), Some(Err(Error::Malformed)), "{value}");
        }
        for (value, size) in [("bytes=5000-", 5000), ("bytes=-0", 5000), ("bytes=0-", 0), ("bytes=-5", 0)] {
            assert_eq!(ranges(value, size), Some(Err(Error::Unsatisfiable)), "{value}");
        }
        let many = format!("bytes={}", ["0-0"; 17].join(","));
        assert_eq!(ranges(&many, 5000), Some(Err(Error::TooMany { most: 16 })));
    }

    #[test]
    fn unsatisfiable_parts_of_several_are_left_out_and_repeats_are_bounded() {
        assert_eq!(ranges("bytes=0-1, 9000-, -2", 5000), Some(Ok(vec![(0, 2), (4998, 5000)])));
        assert_eq!(ranges("bytes=0-,0-", 1 << 20), Some(Err(Error::Unsatisfiable)));
        assert_eq!(ranges("bytes=0-,0-", 1 << 63), Some(Err(Error::Unsatisfiable)));
    }
}
