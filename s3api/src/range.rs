//! The `Range` header.

use crate::error::{ErrorCode, S3Error};

/// Bytes of an object: a non-empty part of it, or all of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct ByteRange {
    /// First byte.
    pub(crate) offset: u64,
    /// Number of bytes.
    pub(crate) length: u64,
}

impl ByteRange {
    /// What `header` asks of an object of `size` bytes.
    ///
    /// Nothing where it is to be ignored: other units, several ranges and what cannot be read are
    /// answered with the whole object, as S3 does.
    pub(crate) fn parse(header: &str, size: u64) -> Result<Option<Self>, S3Error> {
        let Some((first, last)) = header.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
        else {
            return Ok(None);
        };
        let (first, last) = (first.trim(), last.trim());
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| saturating(text));
        let range = match (first.is_empty(), last.is_empty()) {
            (true, true) => return Ok(None),
            (true, false) => number(last).map(|suffix| (size - suffix.min(size), size)),
            (false, true) => number(first).map(|first| (first, size)),
            (false, false) => number(first)
                .zip(number(last))
                .filter(|(first, last)| first <= last)
                .map(|(first, last)| (first, size.min(last.saturating_add(1)))),
        };
        let Some((start, end)) = range else { return Ok(None) };
        if start >= end {
            return Err(S3Error::from(ErrorCode::InvalidRange)
                .detail("RangeRequested", header)
                .detail("ActualObjectSize", size.to_string()));
        }
        Ok(Some(Self { offset: start, length: end - start }))
    }

    /// The `Content-Range` of this part of `size` bytes.
    pub(crate) fn content_range(self, size: u64) -> String {
        format!("bytes {}-{}/{size}", self.offset, self.offset + self.length - 1)
    }
}

/// A number that may be larger than any file.
fn saturating(digits: &str) -> u64 {
    digits.parse().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_object() {
        for (header, expected) in [
            ("bytes=0-0", Some((0, 1))),
            ("bytes=2-5", Some((2, 4))),
            ("bytes=2-", Some((2, 8))),
            ("bytes=-3", Some((7, 3))),
            ("bytes=-99", Some((0, 10))),
            ("bytes=9-99999999999999999999999", Some((9, 1))),
            ("bytes=5-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=a-b", None),
            ("bytes=-", None),
            ("lines=1-2", None),
        ] {
            let range = ByteRange::parse(header, 10).unwrap().map(|range| (range.offset, range.length));
            assert_eq!(range, expected, "{header}");
        }
        assert_eq!(ByteRange { offset: 2, length: 4 }.content_range(10), "bytes 2-5/10");
    }

    #[test]
    fn what_begins_behind_the_end_cannot_be_satisfied() {
        for (header, size) in
            [("bytes=10-", 10), ("bytes=10-20", 10), ("bytes=-0", 10), ("bytes=0-0", 0), ("bytes=-5", 0)]
        {
            assert_eq!(
                ByteRange::parse(header, size).unwrap_err().code(),
                ErrorCode::InvalidRange,
                "{header}"
            );
        }
    }
}
