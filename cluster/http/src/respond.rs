//! From an opened file to its response.

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::ops::Range;
use std::time::Duration;

use fdfs_types::{FileId, FileKind, NameFields, RemoteFilename};
use http::header::{
    ACCEPT_RANGES, ALLOW, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderValue,
    LAST_MODIFIED, RANGE, RETRY_AFTER,
};
use http::{HeaderMap, Response, StatusCode};

use crate::attachment::content_disposition;
use crate::conditions::{Validators, Verdict};
use crate::flv;
use crate::pass_on::PassOnError;
use crate::{
    Body, Content, ParseRangesError, ParseTargetError, Query, RangeRequest, Settings, SourceError,
    TokenError, resolve,
};

/// Why a request gets no file. Each has one status; the text says what is wrong.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// 405.
    #[error("only GET and HEAD are served here")]
    Method,
    /// 414.
    #[error("the request target is too long")]
    TargetTooLong,
    /// 400.
    #[error(transparent)]
    Target(#[from] ParseTargetError),
    /// 400, or a picture.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// 404: files of metadata are no files to the outside.
    #[error("no such file")]
    Metadata,
    /// 404, 400, 503 or 500, as the source says.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// 502 or 504.
    #[error(transparent)]
    PassOn(#[from] PassOnError),
    /// 400: no byte of the film is between start and end.
    #[error("nothing to play between start and end")]
    NothingToPlay,
    /// 429: the client sends more than it may.
    #[error("too many requests")]
    TooMany {
        /// After this time it may send the next one.
        after: Duration,
    },
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

/// The response to a request with `query` and `headers` for the file `id`, whose content is at hand.
pub fn serve(
    settings: &Settings,
    id: &FileId,
    query: &Query,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response<Body>, Refusal> {
    let validators = validators(id, &content);
    match validators.judge(headers) {
        Verdict::NotModified => return Ok(not_modified(&validators)),
        Verdict::PreconditionFailed => return Err(Refusal::PreconditionFailed),
        Verdict::Proceed => {}
    }
    let kind = settings.types.of(id.filename.base_name());
    let mut response = match played(settings, id, query, headers, content.size)? {
        Some(part) => film(kind, content, &part),
        None => {
            let ranges = requested_ranges(headers, &validators, content.size, settings.max_ranges)?;
            let mut response = match ranges.as_deref() {
                None => whole(kind, content),
                Some([range]) => one_range(kind, content, range.clone()),
                Some(ranges) => several_ranges(kind, content, ranges),
            };
            insert(response.headers_mut(), ETAG, &validators.etag);
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(headers, LAST_MODIFIED, &validators.last_modified());
    if let Some(name) = &query.filename {
        insert(headers, CONTENT_DISPOSITION, &content_disposition(name));
    }
    Ok(response)
}

/// The answer to a client that has the content already; `None` where it does not, or says nothing about it.
pub(crate) fn unchanged(id: &FileId, headers: &HeaderMap, content: &Content) -> Option<Response<Body>> {
    let validators = validators(id, content);
    (validators.judge(headers) == Verdict::NotModified).then(|| not_modified(&validators))
}

/// The part of a film that is asked for, if one is.
fn played(
    settings: &Settings,
    id: &FileId,
    query: &Query,
    headers: &HeaderMap,
    size: u64,
) -> Result<Option<flv::Part>, Refusal> {
    let extension = id.filename.base_name().rsplit_once('.').map(|(_, extension)| extension);
    if extension.is_none() || extension != settings.flv_extension.as_deref() || headers.contains_key(RANGE) {
        return Ok(None);
    }
    flv::part(query, size).transpose().map_err(|_| Refusal::NothingToPlay)
}

/// The same on every replica: names of normal files tell all, slaves and appender files go by time.
fn validators(id: &FileId, content: &Content) -> Validators {
    let normal = id.filename.fields().ok().filter(|_| is_immutable(&id.filename));
    let mut etag = String::with_capacity(MOST_OF_A_TAG);
    let modified = match normal {
        Some(fields) => {
            let _ = write!(
                etag,
                "\"{}-{:x}\"",
                &id.filename.base_name()[..NameFields::ENCODED_LEN],
                content.size
            );
            fields.created()
        }
        None => {
            let _ = write!(etag, "\"{:x}-{:x}\"", content.modified.0, content.size);
            content.modified
        }
    };
    Validators { etag, modified }
}

/// Whether a name stands for one content for ever: a normal or trunk file, by flags and by form.
/// A short slave name can have a normal file's length; its last 7 bytes tell it apart.
pub fn is_immutable(name: &RemoteFilename) -> bool {
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let tail = name.tail();
    let formed = tail.split_once('.').map_or(digits(tail), |(stem, _)| digits(stem));
    formed && matches!(name.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)))
}

pub(crate) fn requested_ranges(
    headers: &HeaderMap,
    validators: &Validators,
    size: u64,
    most: usize,
) -> Result<Option<Vec<Range<u64>>>, Refusal> {
    let value = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let parsed = value
        .and_then(|value| RangeRequest::parse(value, most))
        .filter(|_| validators.range_applies(headers));
    let ranges = parsed.map(|request| request.and_then(|request| resolve(&request, size))).transpose();
    ranges.map_err(|error| Refusal::Range { error, size })
}

fn whole(kind: &HeaderValue, content: Content) -> Response<Body> {
    let mut body = Body::read_from(content.reader);
    body.push_range(0..content.size);
    typed(StatusCode::OK, kind, body)
}

fn one_range(kind: &HeaderValue, content: Content, range: Range<u64>) -> Response<Body> {
    let text = content_range(&range, content.size);
    let mut body = Body::read_from(content.reader);
    body.push_range(range);
    let mut response = typed(StatusCode::PARTIAL_CONTENT, kind, body);
    insert(response.headers_mut(), CONTENT_RANGE, &text);
    response
}

/// `multipart/byteranges`. The boundary is random, so that no content can have been made to hold it.
fn several_ranges(kind: &HeaderValue, content: Content, ranges: &[Range<u64>]) -> Response<Body> {
    let boundary = format!("{:016x}", RandomState::new().build_hasher().finish());
    let kind = kind.to_str().unwrap_or("application/octet-stream");
    let mut body = Body::read_from(content.reader);
    for range in ranges {
        let text = content_range(range, content.size);
        body.push_text(format!("\r\n--{boundary}\r\nContent-type: {kind}\r\nContent-range: {text}\r\n\r\n"));
        body.push_range(range.clone());
    }
    body.push_text(format!("\r\n--{boundary}--\r\n"));
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    insert(response.headers_mut(), CONTENT_TYPE, &format!("multipart/byteranges; boundary={boundary}"));
    response
}

/// A part of a film, as a film of its own.
fn film(kind: &HeaderValue, content: Content, part: &flv::Part) -> Response<Body> {
    let mut body = Body::read_from(content.reader);
    if part.needs_header {
        body.push_text(flv::HEADER);
    }
    body.push_range(part.range.clone());
    typed(StatusCode::OK, kind, body)
}

fn not_modified(validators: &Validators) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    insert(response.headers_mut(), ETAG, &validators.etag);
    insert(response.headers_mut(), LAST_MODIFIED, &validators.last_modified());
    response
}

fn typed(status: StatusCode, kind: &HeaderValue, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    // Room for all headers at once.
    response.headers_mut().reserve(HEADERS);
    response.headers_mut().insert(CONTENT_TYPE, kind.clone());
    response
}

fn content_range(range: &Range<u64>, size: u64) -> String {
    format!("bytes {}-{}/{size}", range.start, range.end - 1)
}

/// Inserts a text made by this crate; what could not be a header was filtered before.
pub(crate) fn insert(headers: &mut HeaderMap, name: http::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

impl Refusal {
    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::Target(ParseTargetError::Private) => StatusCode::FORBIDDEN,
            Self::Target(_)
            | Self::Token(_)
            | Self::NothingToPlay
            | Self::Source(SourceError::Foreign(_)) => StatusCode::BAD_REQUEST,
            Self::Metadata | Self::Source(SourceError::NotFound) => StatusCode::NOT_FOUND,
            Self::Source(SourceError::Unavailable) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Source(SourceError::Io(_) | SourceError::Damaged) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::PassOn(PassOnError::Broken(_)) => StatusCode::BAD_GATEWAY,
            Self::PassOn(PassOnError::Late) => StatusCode::GATEWAY_TIMEOUT,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Self::Range { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
        }
    }

    /// A word for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::TargetTooLong => "target-too-long",
            Self::Target(ParseTargetError::AboveRoot) => "above-root",
            Self::Target(_) => "path",
            Self::Token(error) => match error {
                TokenError::Missing => "token-missing",
                TokenError::Malformed => "token-malformed",
                TokenError::Expired => "token-expired",
                TokenError::Wrong => "token-wrong",
            },
            Self::Metadata => "metadata",
            Self::Source(SourceError::NotFound) => "not-found",
            Self::Source(SourceError::Foreign(_)) => "foreign",
            Self::Source(SourceError::Unavailable) => "unavailable",
            Self::Source(SourceError::Damaged) => "damaged",
            Self::Source(SourceError::Io(_)) => "disk",
            Self::PassOn(_) => "member",
            Self::NothingToPlay => "film",
            Self::TooMany { .. } => "too-many",
            Self::PreconditionFailed => "precondition",
            Self::Range { .. } => "range",
        }
    }

    /// The response that says so; it is not to be kept by caches.
    pub fn to_response(&self) -> Response<Body> {
        let kind = HeaderValue::from_static("text/plain; charset=utf-8");
        let mut response = typed(self.status(), &kind, Body::text(format!("{self}\n")));
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        match self {
            Self::Method => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            }
            Self::Source(SourceError::Unavailable) => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            Self::TooMany { after } => {
                let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
                headers.insert(RETRY_AFTER, seconds.max(1).into());
            }
            Self::Range { size, .. } => insert(headers, CONTENT_RANGE, &format!("bytes */{size}")),
            _ => {}
        }
        response
    }
}

/// Most bytes of an entity tag: the quotes, 27 characters, a dash, a size.
const MOST_OF_A_TAG: usize = 2 + NameFields::ENCODED_LEN + 1 + 16;
/// Headers of most answers.
const HEADERS: usize = 8;
