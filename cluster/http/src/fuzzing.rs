//! Decoders of requests, for fuzzers.

use fdfs_conf::UrlForm;
use fdfs_types::Timestamp;
use http::HeaderValue;
use http::request::Parts;

use crate::attachment::content_disposition;
use crate::conditions::Validators;
use crate::respond::requested_ranges;
use crate::target::Target;

/// The head of a request for a content of `size` bytes.
pub fn head(parts: &Parts, size: u64) {
    let (path, query) = (parts.uri.path(), parts.uri.query());
    for form in [UrlForm::WithGroup, UrlForm::WithoutGroup, UrlForm::Either] {
        let Ok(target) = Target::parse(path, query, form) else { continue };
        if let Some(name) = &target.query.filename {
            assert!(HeaderValue::from_str(&content_disposition(name)).is_ok(), "{name:?} splits the header");
        }
        let _ = crate::flv::part(&target.query, size).map(|part| part.map(|part| part.range.end <= size));
        let Ok(id) = target.file_id("group1".parse().ok()) else { continue };
        assert_eq!(id.to_string().parse().as_ref(), Ok(&id));
    }
    let validators = Validators { etag: "\"tag\"".to_owned(), modified: Timestamp(784_111_777) };
    let _ = validators.judge(&parts.headers);
    if let Ok(Some(ranges)) = requested_ranges(&parts.headers, &validators, size, 16) {
        assert!(ranges.iter().all(|range| range.start < range.end && range.end <= size), "{ranges:?}");
    }
}
