//! Playing a film from within: `film.flv?start=N&end=M`.

use std::ops::Range;

use crate::Query;

/// A part of a film that can be played.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Part {
    /// Whether the header of the format has to be put before it.
    pub(crate) needs_header: bool,
    /// The bytes of the file.
    pub(crate) range: Range<u64>,
}

/// The part that a query asks for; `None` where it asks for none, an error where there is none.
pub(crate) fn part(query: &Query, size: u64) -> Option<Result<Part, NoSuchPart>> {
    let start = number(query.start.as_deref()?)?;
    let end = query.end.as_deref().and_then(number).unwrap_or(i64::MAX);
    let range = match u64::try_from(start) {
        Ok(start) => start..u64::try_from(end).unwrap_or(0).min(size),
        Err(_) => size.saturating_sub(start.unsigned_abs())..size,
    };
    if range.is_empty() {
        return Some(Err(NoSuchPart));
    }
    Some(Ok(Part { needs_header: start > 0, range }))
}

/// No byte of the film lies between start and end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NoSuchPart;

/// A whole decimal number; nothing counts as 0.
fn number(text: &str) -> Option<i64> {
    if text.is_empty() { Some(0) } else { text.parse().ok() }
}

/// What every film begins with.
pub(crate) const HEADER: &[u8] = b"FLV\x01\x01\0\0\0\x09\0\0\0\x09";

#[cfg(test)]
mod tests {
    use super::{NoSuchPart, Part, part};
    use crate::Query;

    #[test]
    fn a_film_is_played_from_a_byte_on() {
        let ask = |query: &str| part(&Query::parse(query), 1000);
        let played = |needs_header, range| Some(Ok(Part { needs_header, range }));
        assert_eq!(ask("start=100"), played(true, 100..1000));
        assert_eq!(ask("start=100&end=200"), played(true, 100..200));
        assert_eq!(ask("start=0"), played(false, 0..1000));
        assert_eq!(ask("start="), played(false, 0..1000));
        assert_eq!(ask("start=-10"), played(false, 990..1000));
        for nothing in ["start=1000", "start=10&end=10", "start=10&end=0", "start=10&end=-1"] {
            assert_eq!(ask(nothing), Some(Err(NoSuchPart)), "{nothing}");
        }
        for ignored in ["", "end=5", "start=1.5", "start=x"] {
            assert_eq!(ask(ignored), None, "{ignored}");
        }
    }
}
