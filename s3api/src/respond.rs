//! Building blocks of responses.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::body::ResponseBody;
use crate::service::Response;
use crate::xml::XmlWriter;

/// A response without a body.
pub(crate) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(ResponseBody::empty());
    *response.status_mut() = status;
    response.headers_mut().reserve(HEADERS);
    response
}

/// A document of S3's namespace, with status 200.
pub(crate) fn document(root: &str, content: impl FnOnce(&mut XmlWriter)) -> Response {
    xml(XmlWriter::s3_document(root, content))
}

/// A finished document, with status 200.
pub(crate) fn xml(document: String) -> Response {
    let mut response = Response::new(document.into());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    response
}

/// Sets a header; a value that no header can carry is left out.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// An ETag as headers carry it.
pub(crate) fn quoted(etag: &str) -> String {
    format!("\"{etag}\"")
}

/// Room for the headers that an answer has as a rule.
const HEADERS: usize = 12;
