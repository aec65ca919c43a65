//! Percent-encoding as S3 signs it, and queries.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};

use crate::error::{ErrorCode, S3Error};

/// Encodes every byte but the unreserved ones of RFC 3986.
pub(crate) fn encode(bytes: &[u8]) -> String {
    percent_encode(bytes, ENCODED).to_string()
}

/// Encodes a path: as [`encode`], but slashes stand.
pub(crate) fn encode_path(bytes: &[u8]) -> Cow<'_, str> {
    percent_encode(bytes, ENCODED_IN_PATH).into()
}

/// Decodes a part of a path, which has to be UTF-8.
pub(crate) fn decode(text: &str) -> Result<String, S3Error> {
    String::from_utf8(decode_bytes(text)?).map_err(|_| ErrorCode::InvalidURI.into())
}

/// Decodes a part of a path, whatever bytes it stands for. A `%` has two digits behind it, or nobody could say what was meant.
pub(crate) fn decode_bytes(text: &str) -> Result<Vec<u8>, S3Error> {
    let is_encoded =
        |rest: &str| rest.as_bytes().iter().take(2).filter(|byte| byte.is_ascii_hexdigit()).count() == 2;
    if !text.split('%').skip(1).all(is_encoded) {
        return Err(ErrorCode::InvalidURI.into());
    }
    Ok(Cow::from(percent_decode(text.as_bytes())).into_owned())
}

/// The query of a request: decoded pairs in the order sent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

impl Query {
    /// Splits and decodes a query as it stands behind the `?`.
    pub(crate) fn parse(raw: &str) -> Result<Self, S3Error> {
        let pairs = split(raw)
            .map(|(name, value)| Ok((decode(&plus_is_space(name))?, decode(&plus_is_space(value))?)))
            .collect::<Result<_, S3Error>>()?;
        Ok(Self { pairs })
    }

    /// The value of the first pair of this name; empty where none was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether the name occurs.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The pairs, in the order sent.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The names, in the order sent.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs.iter().map(|(name, _)| name.as_str())
    }
}

/// The query as the canonical request wants it: encoded afresh, sorted, without the signature.
pub(crate) fn canonical_query(raw: &str) -> String {
    let mut pairs: Vec<_> = split(raw)
        .map(|(name, value)| (encode_again(name), encode_again(value)))
        .filter(|(name, _)| name != "X-Amz-Signature")
        .collect();
    pairs.sort_unstable();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn split(raw: &str) -> impl Iterator<Item = (&str, &str)> {
    raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

fn plus_is_space(text: &str) -> Cow<'_, str> {
    if text.contains('+') { text.replace('+', " ").into() } else { text.into() }
}

fn encode_again(text: &str) -> String {
    encode(&Cow::from(percent_decode(plus_is_space(text).as_bytes())))
}

const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const ENCODED_IN_PATH: &AsciiSet = &ENCODED.remove(b'/');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_query_is_sorted_and_encoded_once() {
        assert_eq!(canonical_query("prefix=J&max-keys=2"), "max-keys=2&prefix=J");
        assert_eq!(canonical_query("lifecycle"), "lifecycle=");
        assert_eq!(canonical_query("b=%2f+x&a=%C3%A9&X-Amz-Signature=00&a-b=~"), "a=%C3%A9&a-b=~&b=%2F%20x");
        assert_eq!(canonical_query(""), "");
    }

    #[test]
    fn pairs_are_decoded() {
        let query = Query::parse("uploads&prefix=a%2Fb+c&x=1=2").unwrap();

        assert_eq!(query.get("uploads"), Some(""));
        assert_eq!(query.get("prefix"), Some("a/b c"));
        assert_eq!(query.get("x"), Some("1=2"));
        assert!(!query.has("upload"));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        for odd in ["%ff", "%", "%2", "%zz", "a%2%41", "%%41"] {
            let query = Query::parse(&format!("prefix={odd}"));
            assert_eq!(query.unwrap_err().code(), ErrorCode::InvalidURI, "{odd}");
        }
        assert_eq!(decode("%41%%42").map_err(|error| error.code()), Err(ErrorCode::InvalidURI));
        assert_eq!(decode("%41é%2525").unwrap(), "Aé%25");
    }
}
