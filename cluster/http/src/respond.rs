//! From a request for a native path to its response.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Range;

use fdfs_types::{FileId, FileKind, GroupName, RemoteFilename};
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    ETAG, HeaderValue, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tracing::debug;

use crate::attachment::content_disposition;
use crate::conditions::{Validators, Verdict};
use crate::{
    Body, Content, NativePath, ParseNativePathError, ParseRangesError, RangeRequest, Source, SourceError,
    media_type, resolve,
};

/// Why a request gets no file. Each has one status; the text says what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 405.
    #[error("only GET and HEAD are served here")]
    Method,
    /// 400.
    #[error(transparent)]
    Path(#[from] ParseNativePathError),
    /// 404, 400, 502 or 500, as the source says.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// 412.
    #[error("a precondition of the request does not hold")]
    PreconditionFailed,
    /// 416.
    #[error("{error}; the file has {size} bytes")]
    Range {
        /// What is wrong with the range.
        error: ParseRangesError,
        /// Size of the file, in bytes.
        size: u64,
    },
}

/// Answers `request` from `source`. `own_group` is the group of paths without a group.
pub async fn respond<S: Source, B>(
    source: &S,
    own_group: Option<GroupName>,
    request: &Request<B>,
) -> Response<Body> {
    let result = match parse(own_group, request) {
        Ok(path) => serve(source, &path, request).await,
        Err(refusal) => Err(refusal),
    };
    let mut response = result.unwrap_or_else(|refusal| {
        debug!(path = request.uri().path(), error = %refusal, "request refused");
        refusal.into_response()
    });
    metrics::counter!("fdfs_http_responses_total", "status" => response.status().as_str().to_owned())
        .increment(1);
    if request.method() == Method::HEAD {
        let length = response.body().len();
        if !bodiless(response.status()) {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        *response.body_mut() = Body::empty();
    }
    response
}

fn parse<B>(own_group: Option<GroupName>, request: &Request<B>) -> Result<NativePath, Refusal> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return Err(Refusal::Method);
    }
    Ok(NativePath::parse(request.uri().path(), request.uri().query(), own_group)?)
}

async fn serve<S: Source, B>(
    source: &S,
    path: &NativePath,
    request: &Request<B>,
) -> Result<Response<Body>, Refusal> {
    let content = source.open(&path.id).await?;
    let validators = validators(&path.id, &content);
    match validators.judge(request.headers()) {
        Verdict::NotModified => return Ok(not_modified(&validators)),
        Verdict::PreconditionFailed => return Err(Refusal::PreconditionFailed),
        Verdict::Proceed => {}
    }
    let ranges = requested_ranges(request.headers(), &validators, content.size)?;
    let mut response = match ranges.as_deref() {
        None => whole(path, content),
        Some([range]) => one_range(path, content, range.clone()),
        Some(ranges) => several_ranges(path, content, ranges),
    };
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, ETAG, &validators.etag);
    insert(headers, LAST_MODIFIED, &validators.last_modified());
    if let Some(name) = &path.attachment {
        insert(headers, CONTENT_DISPOSITION, &content_disposition(name));
    }
    Ok(response)
}

/// The same on every replica: names of normal files tell all, slaves and appender files go by time.
fn validators(id: &FileId, content: &Content) -> Validators {
    let normal = id.filename.fields().ok().filter(|_| is_immutable(&id.filename));
    let (etag, modified) = match normal {
        Some(fields) => (format!("\"{}-{:x}\"", fields.encode(), content.size), fields.created()),
        None => (format!("\"{:x}-{:x}\"", content.modified.0, content.size), content.modified),
    };
    Validators { etag, modified }
}

/// Whether the name stands for one content for ever: a normal or trunk file, by flags and by form.
/// A short slave name can have a normal file's length; its last 7 bytes tell it apart.
fn is_immutable(name: &RemoteFilename) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let tail = name.tail();
    let formed = tail.split_once('.').map_or(digits(tail), |(stem, _)| digits(stem));
    formed && matches!(name.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)))
}

pub(crate) fn requested_ranges(
    headers: &HeaderMap,
    validators: &Validators,
    size: u64,
) -> Result<Option<Vec<Range<u64>>>, Refusal> {
    let value = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let parsed = value.and_then(RangeRequest::parse).filter(|_| validators.range_applies(headers));
    let ranges = parsed.map(|request| request.and_then(|request| resolve(&request, size))).transpose();
    ranges.map_err(|error| Refusal::Range { error, size })
}

fn whole(path: &NativePath, content: Content) -> Response<Body> {
    let size = content.size;
    let mut body = Body::read_from(content.reader);
    body.push_range(0..size);
    typed(StatusCode::OK, media_type(path.id.filename.as_str()), body)
}

fn one_range(path: &NativePath, content: Content, range: Range<u64>) -> Response<Body> {
    let text = content_range(&range, content.size);
    let mut body = Body::read_from(content.reader);
    body.push_range(range);
    let mut response = typed(StatusCode::PARTIAL_CONTENT, media_type(path.id.filename.as_str()), body);
    insert(response.headers_mut(), CONTENT_RANGE, &text);
    response
}

/// `multipart/byteranges`. The boundary is random, so that no content can have been made to hold it.
fn several_ranges(path: &NativePath, content: Content, ranges: &[Range<u64>]) -> Response<Body> {
    let boundary = format!("{:016x}", RandomState::new().build_hasher().finish());
    let kind = media_type(path.id.filename.as_str());
    let mut body = Body::read_from(content.reader);
    for range in ranges {
        let text = content_range(range, content.size);
        body.push_text(format!("\r\n--{boundary}\r\nContent-type: {kind}\r\nContent-range: {text}\r\n\r\n"));
        body.push_range(range.clone());
    }
    body.push_text(format!("\r\n--{boundary}--\r\n"));
    typed(StatusCode::PARTIAL_CONTENT, &format!("multipart/byteranges; boundary={boundary}"), body)
}

fn not_modified(validators: &Validators) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    insert(response.headers_mut(), ETAG, &validators.etag);
    insert(response.headers_mut(), LAST_MODIFIED, &validators.last_modified());
    response
}

fn typed(status: StatusCode, kind: &str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    insert(response.headers_mut(), CONTENT_TYPE, kind);
    response
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

fn bodiless(status: StatusCode) -> bool {
    status == StatusCode::NOT_MODIFIED || status == StatusCode::NO_CONTENT
}

/// Inserts a text made by this crate; what could not be a header was filtered before.
fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Path(_) | Self::Source(SourceError::Foreign(_)) => StatusCode::BAD_REQUEST,
            Self::Source(SourceError::NotFound) => StatusCode::NOT_FOUND,
            Self::Source(SourceError::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Source(SourceError::Io(_)) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    fn into_response(self) -> Response<Body> {
        let mut response = typed(self.status(), "text/plain; charset=utf-8", Body::text(format!("{self}\n")));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Range { size, .. } => insert(headers, CONTENT_RANGE, &format!("bytes */{size}")),
            _ => {}
        }
        response
    }
}
