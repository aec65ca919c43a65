//! Decoders of requests, for fuzzers.

use fdfs_types::Timestamp;
use http::HeaderValue;
use http::request::Parts;

use crate::attachment::content_disposition;
use crate::conditions::Validators;
use crate::native_path::NativePath;
use crate::respond::requested_ranges;

/// The head of a request for a content of `size` bytes.
pub fn head(parts: &Parts, size: u64) {
    let (path, query) = (parts.uri.path(), parts.uri.query());
    for group in [None, "group1".parse().ok()] {
        let Ok(native) = NativePath::parse(path, query, group) else { continue };
        assert_eq!(native.id.to_string().parse().as_ref(), Ok(&native.id));
        if let Some(name) = &native.attachment {
            assert!(HeaderValue::from_str(&content_disposition(name)).is_ok(), "{name:?} splits the header");
        }
    }
    let validators = Validators { etag: "\"tag\"".to_owned(), modified: Timestamp(784_111_777) };
    let _ = validators.judge(&parts.headers);
    if let Ok(Some(ranges)) = requested_ranges(&parts.headers, &validators, size) {
        assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size), "{ranges:?}");
    }
}
