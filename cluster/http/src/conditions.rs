//! Conditional requests (RFC 9110, section 13).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fdfs_types::Timestamp;
use http::HeaderMap;
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE};

/// What identifies the content that a response would carry.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    /// A strong entity tag, with its quotes.
    pub(crate) etag: String,
    /// When the content last changed.
    pub(crate) modified: Timestamp,
}

/// What the conditions of a request lead to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// Answer as if there were no conditions.
    Proceed,
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl Validators {
    /// Judges the conditions in the order of RFC 9110, 13.2.2. An unreadable date is ignored.
    pub(crate) fn judge(&self, headers: &HeaderMap) -> Verdict {
        if let Some(tags) = text(headers, IF_MATCH) {
            if !self.any_tag_matches(tags, Comparison::Strong) {
                return Verdict::PreconditionFailed;
            }
        } else if date(headers, IF_UNMODIFIED_SINCE).is_some_and(|date| self.modified > date) {
            return Verdict::PreconditionFailed;
        }
        let unchanged = match text(headers, IF_NONE_MATCH) {
            Some(tags) => self.any_tag_matches(tags, Comparison::Weak),
            None => date(headers, IF_MODIFIED_SINCE).is_some_and(|date| self.modified <= date),
        };
        if unchanged { Verdict::NotModified } else { Verdict::Proceed }
    }

    /// Whether `Range` may be honoured: there is no `If-Range`, or it names this very content.
    pub(crate) fn range_applies(&self, headers: &HeaderMap) -> bool {
        match text(headers, IF_RANGE) {
            None => true,
            Some(tag) if tag.starts_with('"') => tag == self.etag,
            Some(_) => date(headers, IF_RANGE) == Some(self.modified),
        }
    }

    /// The time of the last change as an HTTP date.
    pub(crate) fn last_modified(&self) -> String {
        let seconds = u64::try_from(self.modified.0).unwrap_or(0);
        let mut text = String::with_capacity(HTTP_DATE);
        let date = httpdate::HttpDate::from(UNIX_EPOCH + Duration::from_secs(seconds));
        // A text takes every byte.
        let _ = write!(text, "{date}");
        text
    }

    fn any_tag_matches(&self, list: &str, comparison: Comparison) -> bool {
        list.trim() == "*"
            || list.split(',').map(str::trim).any(|tag| match comparison {
                Comparison::Strong => tag == self.etag,
                Comparison::Weak => tag.strip_prefix("W/").unwrap_or(tag) == self.etag,
            })
    }
}

#[derive(Clone, Copy)]
enum Comparison {
    Strong,
    Weak,
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn date(headers: &HeaderMap, name: http::HeaderName) -> Option<Timestamp> {
    let text = text(headers, name)?;
    let words = || text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    // Some clients put more blanks than there should be.
    let time: SystemTime =
        httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&words())).ok()?;
    Some(Timestamp::from(time))
}

/// Bytes of a date in a header.
const HTTP_DATE: usize = 29;

#[cfg(test)]
mod tests {
    use fdfs_types::Timestamp;
    use http::{HeaderMap, HeaderName, HeaderValue};

    use super::{Validators, Verdict};

    fn judge(pairs: &[(&'static str, &'static str)]) -> Verdict {
        content().judge(&headers(pairs))
    }

    fn content() -> Validators {
        Validators { etag: "\"tag\"".to_owned(), modified: Timestamp(784_111_777) }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        pairs.iter().map(pair).collect()
    }

    const EXACT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const EARLIER: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn not_modified_since_its_date_or_later() {
        assert_eq!(judge(&[("if-modified-since", EXACT)]), Verdict::NotModified);
        assert_eq!(judge(&[("if-modified-since", LATER)]), Verdict::NotModified);
        assert_eq!(judge(&[("if-modified-since", EARLIER)]), Verdict::Proceed);
        assert_eq!(judge(&[("if-modified-since", "yesterday")]), Verdict::Proceed);
    }

    #[test]
    fn a_tag_beats_a_date() {
        assert_eq!(
            judge(&[("if-none-match", "W/\"tag\""), ("if-modified-since", EARLIER)]),
            Verdict::NotModified
        );
        assert_eq!(judge(&[("if-none-match", "\"other\""), ("if-modified-since", EXACT)]), Verdict::Proceed);
        assert_eq!(judge(&[("if-none-match", "*")]), Verdict::NotModified);
    }

    #[test]
    fn a_failed_precondition_beats_everything() {
        assert_eq!(judge(&[("if-match", "\"other\""), ("if-none-match", "*")]), Verdict::PreconditionFailed);
        assert_eq!(judge(&[("if-match", "W/\"tag\"")]), Verdict::PreconditionFailed);
        assert_eq!(judge(&[("if-match", "\"x\", \"tag\"")]), Verdict::Proceed);
        assert_eq!(judge(&[("if-unmodified-since", EARLIER)]), Verdict::PreconditionFailed);
        assert_eq!(judge(&[("if-unmodified-since", EXACT)]), Verdict::Proceed);
    }

    #[test]
    fn if_range_names_exactly_this_content() {
        let applies = |value| content().range_applies(&headers(&[("if-range", value)]));
        assert!(applies("\"tag\"") && applies(EXACT) && content().range_applies(&HeaderMap::new()));
        assert!(!applies("\"old\"") && !applies(LATER) && !applies("W/\"tag\""));
    }
}
