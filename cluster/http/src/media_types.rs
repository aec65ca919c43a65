//! Media types by extension.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use http::HeaderValue;

/// A map of media types.
#[derive(Clone, Debug)]
pub struct MediaTypes {
    /// The built-in map if absent.
    own: Option<HashMap<Box<str>, HeaderValue>>,
    default: HeaderValue,
}

impl MediaTypes {
    /// The built-in map; `default` is the type of what it does not know.
    pub fn built_in(default: &str) -> Self {
        Self { own: None, default: value_of(default) }
    }

    /// A map in the form of `mime.types`: a type and its extensions on each line. Types that cannot stand in
    /// a header are left out.
    pub fn parse(text: &str, default: &str) -> Self {
        let mut own = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut words = line.split_ascii_whitespace();
            let Some(kind) = words.next().and_then(|kind| HeaderValue::from_str(kind).ok()) else {
                continue;
            };
            own.extend(words.map(|extension| (extension.to_ascii_lowercase().into(), kind.clone())));
        }
        Self { own: Some(own), default: value_of(default) }
    }

    /// The media type of a file name, by what follows its last dot, in any case.
    pub fn of(&self, name: &str) -> &HeaderValue {
        let extension = name.rsplit_once('.').map(|(_, extension)| match extension {
            extension if extension.bytes().any(|byte| byte.is_ascii_uppercase()) => {
                Cow::Owned(extension.to_ascii_lowercase())
            }
            extension => Cow::Borrowed(extension),
        });
        let known = extension.and_then(|extension| match &self.own {
            None => BUILT_IN.get(&*extension),
            Some(own) => own.get(&*extension),
        });
        known.unwrap_or(&self.default)
    }
}

impl Default for MediaTypes {
    fn default() -> Self {
        Self::built_in("application/octet-stream")
    }
}

/// The map of the stock FastDFS package, and what it lacks.
static BUILT_IN: LazyLock<HashMap<&'static str, HeaderValue>> = LazyLock::new(|| {
    let rows = include_str!("media_types.txt").lines().filter_map(|row| row.split_once(' '));
    rows.map(|(extension, kind)| (extension, HeaderValue::from_static(kind))).collect()
});

/// The type of what a map does not know; one that cannot stand in a header says no more than this.
fn value_of(default: &str) -> HeaderValue {
    HeaderValue::from_str(default).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::{BUILT_IN, MediaTypes};

    #[test]
    fn extensions_count_in_any_case() {
        let types = MediaTypes::default();
        assert_eq!(types.of("M00/00/00/abc.JPG"), "image/jpeg");
        assert_eq!(types.of("a.webp"), "image/webp");
        assert_eq!(types.of("a.tar.gz"), types.of("b.gz"));
        assert_eq!(types.of("1234567"), "application/octet-stream");
        assert_eq!(MediaTypes::built_in("x/unknown").of("a.unheard-of"), "x/unknown");
    }

    #[test]
    fn a_configured_map_replaces_the_built_in_one() {
        let types = MediaTypes::parse("# comment\ntext/x-one\tone uno\r\nbare/type\ntext/x-two one\n", "x/y");
        assert_eq!(types.of("a.UNO"), "text/x-one");
        assert_eq!(types.of("a.one"), "text/x-two", "the last line wins");
        assert_eq!(types.of("a.jpg"), "x/y");
    }

    #[test]
    fn every_row_is_a_type() {
        assert!(BUILT_IN.len() > 600);
        assert!(
            BUILT_IN.values().all(|value| value.to_str().unwrap().split('/').count() == 2),
            "type/subtype"
        );
    }
}
