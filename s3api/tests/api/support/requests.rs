//! Requests that many tests make.

use super::{Answer, Signed, Wire};

/// `PUT` with a body.
pub(crate) fn put(target: &str, body: impl Into<Vec<u8>>) -> Signed {
    Signed::new("PUT", target).body(body)
}

/// `GET`.
pub(crate) fn get(target: &str) -> Signed {
    Signed::new("GET", target)
}

/// The answer is a success.
pub(crate) fn assert_ok(answer: &Answer) {
    assert_eq!(answer.status / 100, 2, "{} {}", answer.status, answer.text());
}

/// The answer is this error.
#[track_caller]
pub(crate) fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
}

/// Begins an upload in parts.
pub(crate) async fn upload_id(wire: &mut Wire, request: Signed) -> String {
    let answer = wire.send(request).await;
    assert_ok(&answer);
    answer.element("UploadId").unwrap()
}

/// Complete, of parts by number, ETag and further elements.
pub(crate) fn complete(target: &str, parts: &[(u16, &str, &str)]) -> Signed {
    let part = |(number, etag, more): &(u16, &str, &str)| {
        let etag = etag.trim_matches('"');
        format!("<Part><PartNumber>{number}</PartNumber><ETag>&quot;{etag}&quot;</ETag>{more}</Part>")
    };
    let parts: String = parts.iter().map(part).collect();
    let body = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    Signed::new("POST", target).body(body)
}
