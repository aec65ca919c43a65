//! What a request says about its own signature.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::payload_mode::DeclaredPayload;
use super::{ALGORITHM, SignedHead};
use crate::error::{ErrorCode, S3Error};
use crate::time;

/// A signature and what it claims to cover.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    /// Where it stood.
    pub(super) placement: Placement,
    /// Who signed, for which day, region and service.
    pub(super) scope: Scope<'a>,
    /// Names of the headers signed, in lower case, in the order given.
    pub(super) signed_headers: Vec<Cow<'a, str>>,
    /// The signature, in hex.
    pub(super) signature: &'a str,
    /// When it was made, as sent.
    pub(super) timestamp: Cow<'a, str>,
    /// When it was made.
    pub(super) time: SystemTime,
}

/// Where a signature stood.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Placement {
    /// In the `Authorization` header.
    Header,
    /// In the query.
    Query {
        /// How long it is valid.
        expires: Duration,
    },
}

/// The credential of a signature: `id/date/region/service/aws4_request`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Scope<'a> {
    pub(super) access_key_id: &'a str,
    pub(super) date: &'a str,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    /// All of it, as sent.
    pub(super) credential: &'a str,
}

impl<'a> Claim<'a> {
    /// Reads the claim of a request; without any, access is denied.
    pub(super) fn of(head: &SignedHead<'a>) -> Result<Self, S3Error> {
        let authorization = head.headers.get(http::header::AUTHORIZATION);
        let presigned = head.query.has("X-Amz-Algorithm") || head.query.has("X-Amz-Signature");
        match authorization {
            Some(_) if presigned => Err(S3Error::new(
                ErrorCode::InvalidArgument,
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
            )),
            Some(value) => {
                let value = value.to_str().map_err(|_| header_error("the header is no text"))?;
                Self::of_header(value, head.headers)
            }
            None if presigned => Self::of_query(head),
            None => Err(ErrorCode::AccessDenied.into()),
        }
    }

    fn of_header(value: &'a str, headers: &'a HeaderMap) -> Result<Self, S3Error> {
        let fields = value.strip_prefix(ALGORITHM).ok_or_else(unsupported)?;
        let field = |name: &'static str| {
            fields
                .split(',')
                .filter_map(|field| field.trim().split_once('='))
                .find(|(n, _)| *n == name)
                .map(|(_, value)| value)
                .ok_or_else(|| header_error(&format!("it has no {name}")))
        };
        let scope = Scope::parse(field("Credential")?).map_err(|reason| header_error(&reason))?;
        let (timestamp, time) = signing_time(headers)?;
        if !timestamp.starts_with(scope.date) {
            return Err(header_error("the date of the credential is not the date of the request"));
        }
        Ok(Self {
            placement: Placement::Header,
            scope,
            signed_headers: field("SignedHeaders")?.split(';').map(lowercase).collect(),
            signature: field("Signature")?,
            timestamp,
            time,
        })
    }

    fn of_query(head: &SignedHead<'a>) -> Result<Self, S3Error> {
        let field = |name: &str| {
            head.query.get(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                query_error(
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
                     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
                )
            })
        };
        if field("X-Amz-Algorithm")? != ALGORITHM {
            return Err(query_error("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let scope = Scope::parse(field("X-Amz-Credential")?).map_err(|reason| query_error(&reason))?;
        let timestamp = field("X-Amz-Date")?;
        let time = time::parse_basic(timestamp).ok_or_else(|| {
            query_error("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        })?;
        if !timestamp.starts_with(scope.date) {
            return Err(query_error("The date of X-Amz-Credential is not the date of X-Amz-Date"));
        }
        let expires: u64 =
            field("X-Amz-Expires")?.parse().map_err(|_| query_error("X-Amz-Expires should be a number"))?;
        if expires > MAX_EXPIRES {
            return Err(query_error(
                "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds",
            ));
        }
        Ok(Self {
            placement: Placement::Query { expires: Duration::from_secs(expires) },
            scope,
            signed_headers: field("X-Amz-SignedHeaders")?.split(';').map(lowercase).collect(),
            signature: field("X-Amz-Signature")?,
            timestamp: timestamp.into(),
            time,
        })
    }

    /// Refuses a request whose host or `x-amz-*` headers are not covered: anybody could have set them.
    pub(super) fn check_signed_headers(&self, headers: &HeaderMap) -> Result<(), S3Error> {
        let signed = |name: &str| self.signed_headers.iter().any(|signed| signed == name);
        let unsigned: Vec<_> = headers
            .keys()
            .map(http::HeaderName::as_str)
            .filter(|name| *name == "host" || name.starts_with("x-amz-"))
            .filter(|name| !signed(name))
            .collect();
        if unsigned.is_empty() && signed("host") {
            return Ok(());
        }
        Err(S3Error::new(
            ErrorCode::AccessDenied,
            "There were headers present in the request which were not signed",
        )
        .detail("HeadersNotSigned", unsigned.join(", ")))
    }

    /// Refuses a signature that was made for another service.
    pub(super) fn check_service(&self, service: &str) -> Result<(), S3Error> {
        if self.scope.service == service {
            return Ok(());
        }
        let reason =
            format!("incorrect service \"{}\". This endpoint belongs to \"{service}\".", self.scope.service);
        Err(match self.placement {
            Placement::Header => header_error(&reason),
            Placement::Query { .. } => query_error(&reason),
        })
    }

    /// How the payload is declared.
    pub(super) fn payload_mode(&self, headers: &HeaderMap) -> Result<DeclaredPayload, S3Error> {
        match (header(headers, CONTENT_SHA256), self.placement) {
            (Some(declared), _) => DeclaredPayload::parse(declared),
            (None, Placement::Query { .. }) => Ok(DeclaredPayload::Unsigned),
            (None, Placement::Header) => Err(S3Error::new(
                ErrorCode::InvalidRequest,
                "Missing required header for this request: x-amz-content-sha256",
            )),
        }
    }

    /// The last line of the canonical request.
    pub(super) fn payload_hash<'b>(&self, headers: &'b HeaderMap) -> &'b str {
        header(headers, CONTENT_SHA256).unwrap_or("UNSIGNED-PAYLOAD")
    }
}

impl<'a> Scope<'a> {
    /// Reads a credential.
    pub(super) fn parse(credential: &'a str) -> Result<Self, String> {
        // An access key id may contain slashes; the four fields behind it may not.
        let mut fields = credential.rsplitn(5, '/');
        let mut next = || fields.next().ok_or("the credential has not five fields".to_owned());
        let (terminator, service, region, date, access_key_id) =
            (next()?, next()?, next()?, next()?, next()?);
        if terminator != "aws4_request" {
            return Err("the credential does not end with \"aws4_request\"".to_owned());
        }
        if date.len() != 8 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("incorrect date format. The date must be in the format \"yyyyMMdd\".".to_owned());
        }
        Ok(Self { access_key_id, date, region, service, credential })
    }

    /// What stands behind the access key id, as signatures cover it.
    pub(super) fn text(&self) -> &'a str {
        self.credential.get(self.access_key_id.len() + 1..).unwrap_or_default()
    }
}

/// The time of a request signed by header: `x-amz-date`, else `Date`.
fn signing_time(headers: &HeaderMap) -> Result<(Cow<'_, str>, SystemTime), S3Error> {
    let invalid = || {
        S3Error::new(ErrorCode::AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
    };
    if let Some(timestamp) = header(headers, "x-amz-date") {
        let time = time::parse_basic(timestamp).ok_or_else(invalid)?;
        return Ok((timestamp.into(), time));
    }
    let date = header(headers, "date").ok_or_else(invalid)?;
    let time = time::parse_http_date(date).or_else(|| time::parse_basic(date)).ok_or_else(invalid)?;
    Ok((time::basic(time).into(), time))
}

/// A header's name in lower case, as most clients send it.
fn lowercase(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name.into()
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn header_error(reason: &str) -> S3Error {
    S3Error::new(
        ErrorCode::AuthorizationHeaderMalformed,
        format!("The authorization header is malformed; {reason}"),
    )
}

fn query_error(reason: &str) -> S3Error {
    S3Error::new(ErrorCode::AuthorizationQueryParametersError, reason.to_owned())
}

fn unsupported() -> S3Error {
    S3Error::new(
        ErrorCode::InvalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
    )
}

const CONTENT_SHA256: &str = "x-amz-content-sha256";
const MAX_EXPIRES: u64 = 7 * 24 * 3600;
