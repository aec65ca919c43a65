//! Conditional headers: `If-Match`, `If-None-Match`, `If-Modified-Since`, `If-Unmodified-Since`.

use std::time::SystemTime;

use fdfs_objects::{ETagMatch, Preconditions};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use http::{HeaderMap, HeaderValue};

use crate::error::{ErrorCode, S3Error};
use crate::time::parse_http_date;

/// The conditions of a read, or of the source of a copy.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Conditions {
    if_match: Option<String>,
    if_none_match: Option<String>,
    if_modified_since: Option<SystemTime>,
    if_unmodified_since: Option<SystemTime>,
}

impl Conditions {
    /// Those of the plain headers.
    pub(crate) fn of_read(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let date = |name| text(name).and_then(parse_http_date);
        Self {
            if_match: text(IF_MATCH).map(str::to_owned),
            if_none_match: text(IF_NONE_MATCH).map(str::to_owned),
            if_modified_since: date(IF_MODIFIED_SINCE),
            if_unmodified_since: date(IF_UNMODIFIED_SINCE),
        }
    }

    /// Those on the source of a copy.
    pub(crate) fn of_copy_source(headers: &HeaderMap) -> Self {
        Self::with_prefix(headers, "x-amz-copy-source-")
    }

    /// Whether an object may be read; `NotModified` where the client has it already.
    pub(crate) fn check(&self, etag: &str, modified: SystemTime) -> Result<(), S3Error> {
        // HTTP dates know whole seconds.
        let modified = whole_seconds(modified);
        match &self.if_match {
            Some(tags) if !matches(tags, etag) => return Err(failed("If-Match")),
            Some(_) => {}
            None if self.if_unmodified_since.is_some_and(|since| modified > since) => {
                return Err(failed("If-Unmodified-Since"));
            }
            None => {}
        }
        match &self.if_none_match {
            Some(tags) if matches(tags, etag) => Err(ErrorCode::NotModified.into()),
            Some(_) => Ok(()),
            None if self.if_modified_since.is_some_and(|since| modified <= since) => {
                Err(ErrorCode::NotModified.into())
            }
            None => Ok(()),
        }
    }

    fn with_prefix(headers: &HeaderMap, prefix: &str) -> Self {
        let text = |name: &str| {
            headers.get(format!("{prefix}{name}")).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        // A date that cannot be read is no condition, as HTTP has it.
        let date = |name: &str| text(name).and_then(|text| parse_http_date(&text));
        Self {
            if_match: text("if-match"),
            if_none_match: text("if-none-match"),
            if_modified_since: date("if-modified-since"),
            if_unmodified_since: date("if-unmodified-since"),
        }
    }
}

/// The conditions of a write, which are judged in the transaction that commits it.
pub(crate) fn of_write(headers: &HeaderMap) -> Result<Preconditions, S3Error> {
    let if_none_match = match text(headers, "if-none-match") {
        None => None,
        Some("*") => Some(ETagMatch::Any),
        Some(_) => {
            return Err(S3Error::from(ErrorCode::NotImplemented).detail("Header", "If-None-Match"));
        }
    };
    let if_match = text(headers, "if-match").map(tags);
    Ok(Preconditions { if_match, if_none_match, ..Preconditions::default() })
}

/// The conditions of a delete: ETag, size and time of what is meant.
pub(crate) fn of_delete(headers: &HeaderMap) -> Result<Preconditions, S3Error> {
    let invalid = |name| {
        S3Error::new(ErrorCode::InvalidArgument, "The condition cannot be read").detail("ArgumentName", name)
    };
    let size = text(headers, SIZE).map(|text| text.parse().map_err(|_| invalid(SIZE)));
    let modified_at = text(headers, TIME).map(|text| date(text).ok_or_else(|| invalid(TIME)));
    Ok(Preconditions { modified_at: modified_at.transpose()?, size: size.transpose()?, ..of_write(headers)? })
}

/// The conditions on the key that a rename moves, or on the one it moves to.
pub(crate) fn of_rename(headers: &HeaderMap, prefix: &str) -> Preconditions {
    let get = |name: &str| text(headers, &format!("{prefix}{name}"));
    Preconditions {
        if_match: get("if-match").map(tags),
        if_none_match: get("if-none-match").map(tags),
        modified_since: get("if-modified-since").and_then(date),
        unmodified_since: get("if-unmodified-since").and_then(date),
        ..Preconditions::default()
    }
}

/// The ETags of a condition. A tag of another form than ours names no content of ours: it never matches.
pub(crate) fn tags(text: &str) -> ETagMatch {
    match text.trim() {
        "*" => ETagMatch::Any,
        tags => ETagMatch::OneOf(tags.split(',').filter_map(|tag| tag.trim().parse().ok()).collect()),
    }
}

/// A date in seconds since 1970; one that cannot be read is none.
pub(crate) fn date(text: &str) -> Option<u64> {
    let time = parse_http_date(text)?;
    Some(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs())
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default().trim())
}

/// Whether a list of tags, or `*`, names this ETag.
fn matches(tags: &str, etag: &str) -> bool {
    tags.split(',')
        .map(|tag| tag.trim().trim_start_matches("W/").trim_matches('"'))
        .any(|tag| tag == "*" || tag == etag)
}

/// The refusal, which names the condition.
pub(crate) fn failed(condition: &'static str) -> S3Error {
    S3Error::from(ErrorCode::PreconditionFailed).detail("Condition", condition)
}

fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(since.as_secs())
}

const SIZE: &str = "x-amz-if-match-size";
const TIME: &str = "x-amz-if-match-last-modified-time";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const BEFORE: &str = "Thu, 23 May 2013 23:59:59 GMT";
    const SAME: &str = "Fri, 24 May 2013 00:00:00 GMT";

    fn check(headers: &[(&'static str, &str)]) -> Option<ErrorCode> {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        let modified = SystemTime::UNIX_EPOCH + Duration::from_millis(1_369_353_600_900);
        Conditions::of_read(&headers).check("abc", modified).err().map(|error| error.code())
    }

    #[test]
    fn conditions_are_judged_in_the_order_of_http() {
        let (failed, unchanged) = (Some(ErrorCode::PreconditionFailed), Some(ErrorCode::NotModified));
        for (headers, outcome) in [
            (&[][..], None),
            (&[("if-match", "\"abc\"")], None),
            (&[("if-match", "*")], None),
            (&[("if-match", "\"x\", \"abc\"")], None),
            (&[("if-match", "\"x\"")], failed),
            (&[("if-none-match", "\"abc\"")], unchanged),
            (&[("if-none-match", "W/\"abc\"")], unchanged),
            (&[("if-none-match", "\"x\"")], None),
            (&[("if-modified-since", SAME)], unchanged),
            (&[("if-modified-since", BEFORE)], None),
            (&[("if-unmodified-since", SAME)], None),
            (&[("if-unmodified-since", BEFORE)], failed),
            (&[("if-match", "\"abc\""), ("if-unmodified-since", BEFORE)], None),
            (&[("if-none-match", "\"x\""), ("if-modified-since", SAME)], None),
            (&[("if-modified-since", "nonsense")], None),
        ] {
            assert_eq!(check(headers), outcome, "{headers:?}");
        }
    }
}
