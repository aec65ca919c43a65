//! The head of an answer about an object, as GET and HEAD give it.

use std::time::SystemTime;

use fdfs_objects::{ETag, ObjectInfo, ObjectPart, VersionId};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::checksum::Checksum;
use crate::conditions::Conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::write_expiration;
use crate::multipart::part_number;
use crate::object_checksum::ObjectChecksum;
use crate::object_headers::{write_content_headers, write_user_metadata};
use crate::range::ByteRange;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::time;
use crate::uri::Query;

/// What a read asks besides bucket and key.
#[derive(Debug)]
pub(crate) struct ReadQuestion {
    key: String,
    /// The version that is asked for.
    pub(crate) version_id: Option<VersionId>,
    conditions: Conditions,
    part_number: Option<u16>,
    range: Option<String>,
    if_range: Option<String>,
    overrides: Vec<(&'static str, String)>,
    with_checksum: bool,
}

/// How a read is to be answered.
#[derive(Debug)]
pub(crate) enum ReadAnswer {
    /// With a head and no content.
    Head(Response),
    /// With this head and these bytes.
    Content(Response, ByteRange),
}

impl ReadQuestion {
    /// Reads headers and query.
    pub(crate) fn parse(request: &Request) -> Result<Self, S3Error> {
        let part_number = request.query.has("partNumber").then(|| part_number(request)).transpose()?;
        if part_number.is_some() && request.headers.contains_key("range") {
            return Err(S3Error::new(
                ErrorCode::InvalidRequest,
                "Cannot specify both Range header and partNumber query parameter",
            ));
        }
        Ok(Self {
            key: request.key()?,
            version_id: request.version_id()?,
            part_number,
            conditions: Conditions::of_read(&request.headers),
            range: request.header("range")?.map(str::to_owned),
            if_range: request.header("if-range")?.map(str::to_owned),
            overrides: overrides(&request.query)?,
            with_checksum: request
                .header("x-amz-checksum-mode")?
                .is_some_and(|mode| mode.eq_ignore_ascii_case("enabled")),
        })
    }

    /// Judges conditions and range, and writes the head.
    pub(crate) async fn answer(&self, cx: &Context, info: &ObjectInfo) -> Result<ReadAnswer, S3Error> {
        let (size, etag) = (info.size(), etag_text(info.etag()));
        let modified = time::of_millis(info.attributes.content_time);
        match self.conditions.check(&etag, modified) {
            Err(error) if error.code() == ErrorCode::NotModified => {
                let mut response = respond::empty(StatusCode::NOT_MODIFIED);
                write_identity(response.headers_mut(), &etag, modified);
                write_version_id(response.headers_mut(), info);
                return Ok(ReadAnswer::Head(response));
            }
            checked => checked?,
        }
        let (range, part) = match &self.range {
            None => self.part(cx, info).await?,
            Some(range) if self.range_applies(&etag, modified) => (ByteRange::parse(range, size)?, None),
            _ => (None, None),
        };
        let mut response = respond::empty(StatusCode::OK);
        let headers = response.headers_mut();
        write_identity(headers, &etag, modified);
        write_version_id(headers, info);
        if self.version_id.is_none() {
            write_expiration(headers, cx, &self.key, info).await;
        }
        headers.insert("accept-ranges", HeaderValue::from_static("bytes"));
        write_content_headers(headers, &info.headers);
        write_user_metadata(headers, &info.extended);
        for (name, value) in &self.overrides {
            respond::set(headers, name, value);
        }
        if let Some(file_id) = info.native_id() {
            respond::set(headers, FILE_ID, &file_id.to_string());
        }
        if !info.tags.is_empty() {
            headers.insert("x-amz-tagging-count", HeaderValue::from(info.tags.len()));
        }
        if self.part_number.is_some() && info.part_count > 0 {
            headers.insert("x-amz-mp-parts-count", HeaderValue::from(info.part_count));
        }
        let is_whole = range.is_none_or(|range| range.length == size);
        match (&part, ObjectChecksum::of(info)) {
            (Some(checksum), Some(of_object)) if self.with_checksum => {
                respond::set(headers, checksum.algorithm.header(), &checksum.to_base64());
                respond::set(headers, "x-amz-checksum-type", of_object.kind.name());
            }
            (None, Some(checksum)) if self.with_checksum && is_whole => checksum.write_headers(headers),
            _ => {}
        }
        if let Some(range) = range {
            respond::set(headers, "content-range", &range.content_range(size));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
        }
        Ok(ReadAnswer::Content(response, range.unwrap_or(ByteRange { offset: 0, length: size })))
    }

    /// The bytes of the part that is asked for, and their checksum. An object that was put whole is its own first part.
    async fn part(
        &self,
        cx: &Context,
        info: &ObjectInfo,
    ) -> Result<(Option<ByteRange>, Option<Checksum>), S3Error> {
        let Some(number) = self.part_number else { return Ok((None, None)) };
        let parts = match info.part_count {
            0 => vec![ObjectPart { number: 1, size: info.size(), checksum: None }],
            _ => cx.objects.object_parts(info).await?,
        };
        let before = parts.partition_point(|part| part.number < number);
        let part = parts.get(before).filter(|part| part.number == number);
        let part = part.ok_or(ErrorCode::InvalidPartNumber)?;
        let offset = parts[..before].iter().map(|part| part.size).sum();
        // An empty object has no range to speak of.
        let range = (part.size > 0).then_some(ByteRange { offset, length: part.size });
        Ok((range, part.checksum.as_ref().and_then(Checksum::of_kept)))
    }

    /// `If-Range`: the range is meant for this content only.
    fn range_applies(&self, etag: &str, modified: SystemTime) -> bool {
        match &self.if_range {
            None => true,
            Some(tag) if tag.contains('"') => tag.trim_matches('"') == etag,
            Some(date) => *date == time::http_date(modified),
        }
    }
}

/// An ETag's text; content that has none yet is told apart from any other by an odd one.
pub(crate) fn etag_text(etag: Option<ETag>) -> String {
    etag.unwrap_or(ETag { digest: [0; 16], parts: Some(0) }).to_string()
}

/// Says which version it is, in a bucket that keeps versions.
pub(crate) fn write_version_id(headers: &mut HeaderMap, info: &ObjectInfo) {
    if let Some(version_id) = info.version_id {
        respond::set(headers, "x-amz-version-id", &version_id.to_string());
    }
}

fn write_identity(headers: &mut HeaderMap, etag: &str, modified: SystemTime) {
    respond::set(headers, "etag", &respond::quoted(etag));
    respond::set(headers, "last-modified", &time::http_date(modified));
}

/// `response-*` in the query sets headers of the answer.
fn overrides(query: &Query) -> Result<Vec<(&'static str, String)>, S3Error> {
    let mut overrides = Vec::new();
    for (parameter, header) in OVERRIDES {
        let Some(value) = query.get(parameter) else { continue };
        if HeaderValue::from_str(value).is_err() {
            return Err(S3Error::new(
                ErrorCode::InvalidArgument,
                "Header value cannot be represented using ISO-8859-1.",
            )
            .detail("ArgumentName", parameter)
            .detail("ArgumentValue", value));
        }
        overrides.push((header, value.to_owned()));
    }
    Ok(overrides)
}

const OVERRIDES: [(&str, &str); 6] = [
    ("response-cache-control", "cache-control"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-content-type", "content-type"),
    ("response-expires", "expires"),
];

/// The ID under which FastDFS clients find the object.
pub(crate) const FILE_ID: &str = "x-fdfs-file-id";
