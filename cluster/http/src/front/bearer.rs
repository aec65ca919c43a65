//! The token of those who may purge from anywhere.

use std::fmt;
use std::str::FromStr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

/// What stands behind `Authorization: Bearer`: 16 visible characters or more.
#[derive(Clone, Eq, PartialEq)]
pub struct BearerToken(Box<str>);

/// Why a text is no [`BearerToken`].
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a bearer token has at least 16 characters, none of them blank")]
pub struct ParseBearerTokenError;

impl BearerToken {
    const MIN_LEN: usize = 16;

    /// Whether a request has it.
    pub(super) fn is_in(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let (scheme, token) =
            value.and_then(|value| value.split_at_checked(SCHEME.len())).unwrap_or_default();
        scheme.eq_ignore_ascii_case(SCHEME.as_bytes()) && token.ct_eq(self.0.as_bytes()).into()
    }

    /// The line of a request that has it.
    pub(super) fn line(&self) -> String {
        format!("Authorization: {SCHEME}{}\r\n", self.0)
    }
}

impl FromStr for BearerToken {
    type Err = ParseBearerTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_good = text.len() >= Self::MIN_LEN && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_good { Ok(Self(text.into())) } else { Err(ParseBearerTokenError) }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken")
    }
}

const SCHEME: &str = "Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bearer_token_is_whole_or_none() {
        let token: BearerToken = "0123456789abcdef".parse().unwrap();
        let is_in = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            token.is_in(&headers)
        };
        assert!(is_in("Bearer 0123456789abcdef") && is_in("bearer 0123456789abcdef"));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Basic 0123456789abcdef",
        ] {
            assert!(!is_in(wrong), "{wrong}");
        }
        assert!(!token.is_in(&HeaderMap::new()));
        for bad in ["", "short", "0123456789 abcdef", "0123456789abcde\u{e9}"] {
            assert_eq!(bad.parse::<BearerToken>(), Err(ParseBearerTokenError));
        }
        assert_eq!(format!("{token:?}"), "BearerToken", "it is in no log");
    }
}
