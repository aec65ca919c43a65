//! The `Content-Disposition` of a download under a name of the client's choice (RFC 6266).

use std::fmt::Write as _;

/// The header value for `name`, at most 255 bytes of it. Control characters, quotes and slashes are
/// dropped, so that a name can neither split the header nor choose a directory.
pub(crate) fn content_disposition(name: &str) -> String {
    let mut kept: String =
        name.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\' | '/')).collect();
    while kept.len() > MAX_LEN {
        kept.pop();
    }
    let plain: String = kept.chars().map(|c| if c.is_ascii() { c } else { '_' }).collect();
    let mut value = format!("attachment; filename=\"{plain}\"");
    if plain != kept {
        value.push_str("; filename*=UTF-8''");
        for byte in kept.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' => value.push(char::from(byte)),
                _ => write!(value, "%{byte:02X}").expect("a String takes every write"),
            }
        }
    }
    value
}

const MAX_LEN: usize = 255;

#[cfg(test)]
mod tests {
    use super::content_disposition;

    #[test]
    fn a_name_cannot_split_the_header_or_leave_its_directory() {
        let value = content_disposition("../a\"b\r\nX-Injected: 1");
        assert_eq!(value, "attachment; filename=\"..abX-Injected: 1\"");
    }

    #[test]
    fn other_letters_travel_in_the_extended_form() {
        assert_eq!(
            content_disposition("é.jpg"),
            "attachment; filename=\"_.jpg\"; filename*=UTF-8''%C3%A9.jpg"
        );
        assert!(content_disposition(&"ü".repeat(300)).len() < 1200);
    }
}
