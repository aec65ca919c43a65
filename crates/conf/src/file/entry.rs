//! One `key = value` line, and where it stands.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// One `key = value` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The text before the first `=`, without surrounding blanks.
    pub key: String,
    /// The text behind it, without surrounding blanks.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1 on.
    pub line: u32,
}

impl Entry {
    /// The value as a truth value: `true`, `yes`, `on` in any case, or `1`; anything else is false.
    #[must_use]
    pub fn boolean(&self) -> bool {
        is_one_of(&self.value, &["true", "yes", "on", "1"])
    }

    /// The number at the beginning of the value, 0 if there is none.
    #[must_use]
    pub fn integer(&self) -> i64 {
        leading_integer(&self.value).0
    }

    /// The value is none of the words that stand for true and false.
    pub(crate) fn is_odd_boolean(&self) -> bool {
        !self.boolean() && !self.is_off()
    }

    /// The value is a word that stands for false, or nothing.
    pub(crate) fn is_off(&self) -> bool {
        is_one_of(&self.value, &["false", "no", "off", "0", ""])
    }

    /// The value is there and does not begin with a number.
    pub(crate) fn has_no_number(&self) -> bool {
        let digits = self.value.strip_prefix(['-', '+']).unwrap_or(&self.value);
        !self.value.is_empty() && !digits.starts_with(|c: char| c.is_ascii_digit())
    }

    /// The value is more or less than one number.
    pub(crate) fn is_odd_integer(&self) -> bool {
        !leading_integer(&self.value).1
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// The number at the beginning of a text, and whether it is the whole text.
fn leading_integer(text: &str) -> (i64, bool) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits[..end]
        .bytes()
        .fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (if negative { -number } else { number }, end > 0 && end == digits.len())
}
