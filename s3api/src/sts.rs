//! The token service, at the endpoint of S3: `AssumeRole` gives a temporary key, `GetCallerIdentity` says whose key it is.
//!
//! ```text
//! POST / HTTP/1.1
//! authorization: AWS4-HMAC-SHA256 Credential=ID/20130524/us-east-1/sts/aws4_request, …
//! content-type: application/x-www-form-urlencoded
//!
//! Action=AssumeRole&Version=2011-06-15&RoleArn=…&RoleSessionName=…&DurationSeconds=3600
//! ```

use std::time::{Duration, SystemTime};

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderValue, Method};

use crate::context::ACCOUNT;
use crate::credentials::Identity;
use crate::error::{ErrorCode, S3Error};
use crate::respond;
use crate::service::Response;
use crate::session::Session;
use crate::target::Target;
use crate::time;
use crate::uri::Query;
use crate::xml::XmlWriter;

/// Whether this is a request to the token service.
pub(crate) fn is_meant(parts: &Parts, target: &Target) -> bool {
    let text = |name| parts.headers.get(name).map_or(&b""[..], HeaderValue::as_bytes);
    matches!(target, Target::Service)
        && parts.method == Method::POST
        && text(CONTENT_TYPE).starts_with(b"application/x-www-form-urlencoded")
        && text(AUTHORIZATION).windows(SCOPE_END.len()).any(|window| window == SCOPE_END)
}

/// What a verified request is answered with. A temporary key makes no further ones.
pub(crate) fn answer(
    form: &[u8],
    identity: &Identity,
    is_temporary: bool,
    now: SystemTime,
) -> Result<Response, S3Error> {
    let form = std::str::from_utf8(form).map_err(|_| invalid("The body is no text"))?;
    let form = Query::parse(form)?;
    match form.get("Action") {
        Some("AssumeRole") if is_temporary => {
            Err(S3Error::new(ErrorCode::AccessDenied, "A temporary key cannot assume a role"))
        }
        Some("AssumeRole") => assume_role(&form, identity, now),
        Some("GetCallerIdentity") => Ok(caller_identity(identity)),
        action => Err(S3Error::new(
            ErrorCode::NotImplemented,
            format!("{} is not implemented", action.unwrap_or("A request without Action")),
        )),
    }
}

/// An error as clients of the token service read it.
pub(crate) fn refusal(error: &S3Error, request_id: &str) -> Response {
    let mut xml = XmlWriter::document();
    xml.element_with("ErrorResponse", NAMESPACE, |xml| {
        xml.element("Error", |xml| {
            xml.text("Type", if error.status().is_server_error() { "Receiver" } else { "Sender" });
            error.write_code_and_message(xml);
        });
        xml.text("RequestId", request_id);
    });
    let mut response = respond::xml(xml.finish());
    *response.status_mut() = error.status();
    response
}

/// There are no roles: the temporary key may do what the key may that asked for it. What would narrow that is refused.
fn assume_role(form: &Query, identity: &Identity, now: SystemTime) -> Result<Response, S3Error> {
    if let Some(name) = form.names().find(|name| !TAKEN.contains(name)) {
        return Err(S3Error::new(ErrorCode::NotImplemented, format!("{name} is not implemented")));
    }
    let wanted = |name: &str| form.get(name).filter(|value| !value.is_empty()).ok_or_else(|| invalid(name));
    let (role, name) = (wanted("RoleArn")?, wanted("RoleSessionName")?);
    let seconds = form.get("DurationSeconds").map_or(Ok(DEFAULT_SECONDS), str::parse);
    let seconds = seconds.ok().filter(|seconds| SECONDS.contains(seconds));
    let seconds = seconds.ok_or_else(|| invalid("DurationSeconds"))?;

    let session = Session::begin(&identity.pair, now, Duration::from_secs(seconds))
        .map_err(|_| S3Error::from(ErrorCode::InternalError))?;
    let pair = session.pair(&identity.pair);
    let role = role.rsplit(['/', ':']).next().unwrap_or(role);
    Ok(document("AssumeRole", |xml| {
        xml.element("AssumedRoleUser", |xml| {
            xml.text("Arn", &format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}"));
            xml.text("AssumedRoleId", &format!("{}:{name}", pair.access_key_id));
        });
        xml.element("Credentials", |xml| {
            xml.text("AccessKeyId", &pair.access_key_id);
            xml.text("SecretAccessKey", &pair.secret_access_key);
            xml.text("SessionToken", &session.token());
            xml.value("Expiration", time::iso8601(session.ends().unwrap_or(now)));
        });
    }))
}

fn caller_identity(identity: &Identity) -> Response {
    document("GetCallerIdentity", |xml| {
        xml.text("Arn", &format!("arn:aws:iam::{ACCOUNT}:user/{}", identity.user.name));
        xml.text("UserId", &identity.user.access_key_id);
        xml.text("Account", ACCOUNT);
    })
}

fn document(action: &str, result: impl FnOnce(&mut XmlWriter)) -> Response {
    let mut xml = XmlWriter::document();
    xml.element_with(&format!("{action}Response"), NAMESPACE, |xml| {
        xml.element(&format!("{action}Result"), result);
    });
    respond::xml(xml.finish())
}

fn invalid(what: &str) -> S3Error {
    S3Error::new(ErrorCode::ValidationError, format!("{what} is missing or not valid"))
}

const SCOPE_END: &[u8] = b"/sts/aws4_request";
const NAMESPACE: &str = "xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"";
const TAKEN: &[&str] = &["Action", "Version", "RoleArn", "RoleSessionName", "DurationSeconds", "ExternalId"];
const DEFAULT_SECONDS: u64 = 3600;
const SECONDS: std::ops::RangeInclusive<u64> = 900..=43_200;
