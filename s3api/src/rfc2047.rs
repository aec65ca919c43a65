//! Text that is no ASCII in headers, as RFC 2047 writes it: `=?UTF-8?B?w6l0w6k=?=`.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A text as a header carries it: ASCII stays as it is.
pub(crate) fn encode(text: &str) -> String {
    if text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return text.to_owned();
    }
    format!("=?UTF-8?B?{}?=", BASE64_STANDARD.encode(text))
}

/// The text of a header's value. What is not wholly encoded words, or cannot be read, stays as it is.
pub(crate) fn decode(value: &[u8]) -> Vec<u8> {
    let words = std::str::from_utf8(value).ok().map(|text| text.split_ascii_whitespace().map(word));
    let text = words.and_then(Iterator::collect::<Option<String>>);
    match text {
        Some(text) if !text.is_empty() && !text.contains('\0') => text.into_bytes(),
        _ => value.to_vec(),
    }
}

/// One encoded word; the white space between two of them is none of the text's.
fn word(word: &str) -> Option<String> {
    let inner = word.strip_prefix("=?")?.strip_suffix("?=")?;
    let (charset, inner) = inner.split_once('?')?;
    let (encoding, text) = inner.split_once('?')?;
    let bytes = match encoding {
        "B" | "b" => BASE64_STANDARD.decode(text).ok()?,
        "Q" | "q" => quoted(text)?,
        _ => return None,
    };
    // A language may stand behind the character set.
    match charset.split('*').next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "utf-8" | "us-ascii" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(bytes.into_iter().map(char::from).collect()),
        _ => None,
    }
}

fn quoted(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_other_alphabets_goes_and_comes_back() {
        for text in ["plain", "", "\u{e9}t\u{e9}", "\u{732b} and \u{1f431}", "two  words "] {
            assert_eq!(decode(encode(text).as_bytes()), text.as_bytes(), "{text}");
        }
        assert_eq!(encode("\u{e9}t\u{e9}"), "=?UTF-8?B?w6l0w6k=?=");
    }

    #[test]
    fn every_form_that_clients_send_is_read() {
        for (value, text) in [
            ("=?UTF-8?Q?=C3=A9t=C3=A9_x?=", "\u{e9}t\u{e9} x"),
            ("=?utf-8?b?w6k=?= =?utf-8?q?=C3=A9?=", "\u{e9}\u{e9}"),
            ("=?ISO-8859-1?Q?caf=E9?=", "caf\u{e9}"),
            ("=?UTF-8*en?B?w6k=?=", "\u{e9}"),
        ] {
            assert_eq!(String::from_utf8(decode(value.as_bytes())).unwrap(), text, "{value}");
        }
    }

    #[test]
    fn what_is_no_encoded_word_stays_as_it_is() {
        for value in [
            "a =?UTF-8?B?w6k=?=",
            "=?UTF-8?B?!?=",
            "=?KOI8-R?B?w6k=?=",
            "=?UTF-8?Q?=C?=",
            "=??=",
            "=?UTF-8?B?AA==?=",
        ] {
            assert_eq!(decode(value.as_bytes()), value.as_bytes(), "{value}");
        }
        assert_eq!(decode(b"\xff"), b"\xff");
    }
}
