//! The parameters of a native path's query.

use percent_encoding::percent_decode_str;

/// What a query asks for. The first value of a name counts, and the first 32 pairs are seen.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Query {
    /// `filename`: offer the content as a download under this name.
    pub filename: Option<String>,
    /// `token`: shows that the request may have the file.
    pub token: Option<String>,
    /// `ts`: when the token was made.
    pub ts: Option<String>,
    /// `redirect`: the request was passed on once, and is not passed on again.
    pub redirect: bool,
    /// `start`: the first byte to play.
    pub start: Option<String>,
    /// `end`: the byte behind the last one to play.
    pub end: Option<String>,
    /// Whether there is any `name=value` at all.
    pub has_pairs: bool,
}

impl Query {
    const MAX_PAIRS: usize = 32;

    /// Reads a query. Pieces without `=`, or without a name, are no parameters.
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        let pairs = query.split('&').filter_map(|piece| piece.split_once('='));
        for (name, value) in pairs.filter(|(name, _)| !name.is_empty()).take(Self::MAX_PAIRS) {
            parsed.has_pairs = true;
            let place = match name {
                "filename" => &mut parsed.filename,
                "token" => &mut parsed.token,
                "ts" => &mut parsed.ts,
                "start" => &mut parsed.start,
                "end" => &mut parsed.end,
                "redirect" => {
                    parsed.redirect = true;
                    continue;
                }
                _ => continue,
            };
            place.get_or_insert_with(|| decode(value));
        }
        parsed
    }
}

/// A value: `+` is a space, broken escapes stay as they are.
fn decode(value: &str) -> String {
    percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn the_first_value_of_a_name_counts_and_names_are_not_decoded() {
        let query = Query::parse("a&=b&filename=my+photo%21.jpg&filename=second&redirect=&%74s=5&ts=7");
        assert_eq!(query.filename.as_deref(), Some("my photo!.jpg"));
        assert_eq!((query.redirect, query.ts.as_deref(), query.has_pairs), (true, Some("7"), true));
        let bare = Query::parse("redirect&filename=%zz&FILENAME=x");
        assert_eq!((bare.filename.as_deref(), bare.redirect), (Some("%zz"), false));
        assert!(!Query::parse("abc").has_pairs);
    }

    #[test]
    fn what_follows_32_pairs_is_not_seen() {
        let many = "a=b&".repeat(31);
        assert_eq!(Query::parse(&format!("{many}ts=1")).ts.as_deref(), Some("1"));
        assert_eq!(Query::parse(&format!("{many}a=b&ts=1")).ts, None);
    }
}
