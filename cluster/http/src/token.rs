//! The anti-steal token: who may have a file, shown by a hash that only the site that links to it can make.

use std::fmt::Write as _;

use fdfs_conf::TokenSettings;
use fdfs_types::Timestamp;
use http::HeaderMap;
use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;
use thiserror::Error;

use crate::Query;

/// Checks tokens.
#[derive(Clone, Debug)]
pub struct TokenCheck {
    settings: TokenSettings,
}

/// Why a request may not have a file.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum TokenError {
    /// `token` or `ts` is not there.
    #[error("token and ts are needed")]
    Missing,
    /// The token does not have 32 characters.
    #[error("token does not have 32 characters")]
    Malformed,
    /// The token is older than it may be.
    #[error("token has expired")]
    Expired,
    /// The token was not made for this file and time.
    #[error("token is not of this file and time")]
    Wrong,
}

/// How long a token that was accepted holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Granted {
    /// Until this time, inclusive.
    Until(Timestamp),
    /// Without end.
    Forever,
}

impl TokenCheck {
    /// Longest name, key and time together that a token is made of.
    const MAX_LEN: usize = 320;

    /// Checks as configured.
    pub fn new(settings: TokenSettings) -> Self {
        Self { settings }
    }

    /// Whether a request may have the file `name` (without its group) at the time `now`.
    pub fn check(
        &self,
        name: &str,
        query: &Query,
        headers: &HeaderMap,
        now: Timestamp,
    ) -> Result<Granted, TokenError> {
        if self.is_bypassed(headers) {
            return Ok(Granted::Forever);
        }
        let (Some(token), Some(ts)) = (&query.token, &query.ts) else { return Err(TokenError::Missing) };
        self.check_token(name, token, read_time(ts), now)
    }

    fn check_token(&self, name: &str, token: &str, ts: i32, now: Timestamp) -> Result<Granted, TokenError> {
        if token.len() != 32 {
            return Err(TokenError::Malformed);
        }
        let ttl = i64::try_from(self.settings.secret.token_ttl.as_secs()).unwrap_or(i64::MAX);
        let until = i64::from(ts).saturating_add(ttl);
        if ts != 0 && now.0 > until {
            return Err(TokenError::Expired);
        }
        let key = &self.settings.secret.secret_key;
        let too_long = name.len() + key.len() + 12 > Self::MAX_LEN;
        let right = token_of(name, key, ts.into());
        if too_long || !bool::from(right.as_bytes().ct_eq(token.as_bytes())) {
            return Err(TokenError::Wrong);
        }
        Ok(if ts == 0 { Granted::Forever } else { Granted::Until(Timestamp(until)) })
    }

    /// Whether the first header of the configured name has the configured value.
    fn is_bypassed(&self, headers: &HeaderMap) -> bool {
        let Some((name, value)) = &self.settings.bypass else { return false };
        headers.get(name.as_str()).is_some_and(|header| header.as_bytes() == value.as_bytes())
    }
}

impl TokenError {
    /// A word for counters.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::Wrong => "wrong",
        }
    }
}

/// The token of the file `name` (without its group) for the time `ts`.
pub fn token_of(name: &str, secret_key: &str, ts: i64) -> String {
    let digest = Md5::new().chain_update(name).chain_update(secret_key).chain_update(ts.to_string());
    digest.finalize().iter().fold(String::with_capacity(32), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes every write");
        text
    })
}

/// The number that a text begins with, after blanks; its low 32 bits count.
fn read_time(text: &str) -> i32 {
    let text = text.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    let (negative, digits) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    let number = digits
        .bytes()
        .take_while(u8::is_ascii_digit)
        .fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    let number = if negative { -number } else { number };
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits are what counts")]
    let low = number as i32;
    low
}

#[cfg(test)]
mod tests;
