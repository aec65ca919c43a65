//! `POST /bucket?delete`

use fdfs_objects::{Deleted, Preconditions};
use futures_util::{StreamExt as _, stream};
use tracing::warn;

use super::Operation;
use crate::access::Access;
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::target::check_key;
use crate::time;
use crate::xml::{Element, XmlWriter};

/// Deletes up to 1,000 keys, and tells of each what became of it.
#[derive(Debug)]
pub(crate) struct DeleteObjects {
    bucket: String,
    keys: Vec<Doomed>,
    quiet: bool,
    access: Access,
}

#[derive(Debug)]
pub(super) struct Doomed {
    key: String,
    /// The version as it was named.
    version: Option<String>,
    preconditions: Preconditions,
}

impl Operation for DeleteObjects {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, access) = (request.bucket()?, request.access.clone());
        let body = request.payload.read_all(MAX_BODY).await?;
        let (keys, quiet) = parse_body(&body)?;
        Ok(Self { bucket, keys, quiet, access })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let in_bucket = self.access.in_bucket(cx, &self.bucket).await?;
        let bucket = &self.bucket;
        let outcomes: Vec<_> = stream::iter(self.keys)
            .map(async |Doomed { key, version, preconditions }| {
                let must_exist = preconditions.if_match.is_some();
                let version_id =
                    version.as_deref().map(|text| text.parse().map_err(|_| ErrorCode::NoSuchVersion));
                let action = if version.is_some() { "s3:DeleteObjectVersion" } else { "s3:DeleteObject" };
                let checked = match check_key(&key) {
                    Ok(()) => in_bucket.check(cx, action, Some(&key)).await,
                    Err(error) => Err(error),
                };
                let outcome = match (checked, version_id.transpose()) {
                    (Ok(()), Ok(version_id)) => {
                        cx.remove(bucket, key.as_bytes(), preconditions, version_id).await
                    }
                    (Ok(()), Err(code)) => Err(code.into()),
                    (Err(error), _) => Err(error),
                };
                if let Err(Some(cause)) = outcome.as_ref().map_err(S3Error::cause) {
                    warn!(key, cause, "key not deleted");
                }
                let outcome = outcome.or_else(|error| match error.code() {
                    ErrorCode::NoSuchKey if !must_exist => Ok(Deleted::default()),
                    _ => Err(error),
                });
                (key, version, outcome)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        Ok(respond::document("DeleteResult", |xml| {
            for (key, version, outcome) in &outcomes {
                match outcome {
                    Err(error) => xml.element("Error", |xml| {
                        xml.text("Key", key);
                        version.iter().for_each(|version| xml.text("VersionId", version));
                        error.write_code_and_message(xml);
                    }),
                    _ if self.quiet => {}
                    Ok(deleted) => {
                        xml.element("Deleted", |xml| write_deleted(xml, key, version.as_deref(), *deleted));
                    }
                }
            }
        }))
    }
}

fn write_deleted(xml: &mut XmlWriter, key: &str, version: Option<&str>, deleted: Deleted) {
    xml.text("Key", key);
    version.iter().for_each(|version| xml.text("VersionId", version));
    if deleted.delete_marker {
        xml.value("DeleteMarker", true);
        deleted.version_id.iter().for_each(|version_id| xml.value("DeleteMarkerVersionId", version_id));
    }
}

/// The keys, and whether only failures are to be told.
pub(super) fn parse_body(body: &[u8]) -> Result<(Vec<Doomed>, bool), S3Error> {
    let delete = Element::parse(body, "Delete")?;
    let quiet = delete.text_of("Quiet").is_some_and(|text| text.trim() == "true");
    let mut keys = Vec::new();
    for object in delete.all("Object") {
        let key = object.text_of("Key").ok_or(ErrorCode::MalformedXML)?.to_owned();
        let version = object.text_of("VersionId").filter(|version| !version.is_empty()).map(str::to_owned);
        let number = |text: &str| text.trim().parse().map_err(|_| ErrorCode::MalformedXML);
        let time = |text: &str| time_of(text).ok_or(ErrorCode::MalformedXML);
        let preconditions = Preconditions {
            if_match: object.text_of("ETag").map(conditions::tags),
            modified_at: object.text_of("LastModifiedTime").map(time).transpose()?,
            size: object.text_of("Size").map(number).transpose()?,
            ..Preconditions::default()
        };
        keys.push(Doomed { key, version, preconditions });
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(ErrorCode::MalformedXML.into());
    }
    Ok((keys, quiet))
}

/// A time as documents or headers have it, in seconds since 1970.
fn time_of(text: &str) -> Option<u64> {
    conditions::date(text.trim()).or_else(|| Some(time::parse_iso8601(text.trim())? / 1_000))
}

/// Deletes under way together, so that they share commits.
const AT_ONCE: usize = 32;
const MAX_KEYS: usize = 1000;
/// Room for 1,000 keys of 1,024 bytes, each byte written as a reference.
const MAX_BODY: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn body(keys: usize) -> String {
        format!("<Delete><Quiet>true</Quiet>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(keys))
    }

    #[test]
    fn up_to_1000_keys_are_taken() {
        let (keys, quiet) = parse_body(body(1000).as_bytes()).unwrap();
        assert_eq!((keys.len(), quiet), (1000, true));

        for malformed in [body(0), body(1001), "<Delete><Object/></Delete>".to_owned()] {
            assert_eq!(parse_body(malformed.as_bytes()).unwrap_err().code(), ErrorCode::MalformedXML);
        }
    }
}
