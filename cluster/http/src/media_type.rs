//! Media types by extension.

use std::collections::HashMap;
use std::sync::LazyLock;

/// The media type of a file name, by what follows its last dot (in any case);
/// `application/octet-stream` where nothing is known.
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    extension.and_then(|extension| TYPES.get(extension.as_str()).copied()).unwrap_or(DEFAULT)
}

const DEFAULT: &str = "application/octet-stream";

/// The map of the stock FastDFS package, and what it lacks.
static TYPES: LazyLock<HashMap<&'static str, &'static str>> =
    LazyLock::new(|| include_str!("media_types.txt").lines().filter_map(|row| row.split_once(' ')).collect());

#[cfg(test)]
mod tests {
    use super::{TYPES, media_type};

    #[test]
    fn extensions_count_in_any_case() {
        assert_eq!(media_type("M00/00/00/abc.JPG"), "image/jpeg");
        assert_eq!(media_type("a.webp"), "image/webp");
        assert_eq!(media_type("a.tar.gz"), media_type("b.gz"));
        assert_eq!(media_type("1234567"), "application/octet-stream");
        assert_eq!(media_type("a.unheard-of"), "application/octet-stream");
    }

    #[test]
    fn every_row_is_a_type() {
        assert!(TYPES.len() > 600);
        assert!(TYPES.values().all(|value| value.split('/').count() == 2), "type/subtype");
    }
}
