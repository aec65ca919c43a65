//! `POST /bucket?delete`

use fdfs_objects::{ETagMatch, Preconditions};
use futures_util::{StreamExt as _, stream};
use tracing::warn;

use super::Operation;
use crate::access::Access;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::target::check_key;
use crate::xml::Element;

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
            .map(async |Doomed { key, preconditions }| {
                let checked = match check_key(&key) {
                    Ok(()) => in_bucket.check(cx, "s3:DeleteObject", Some(&key)).await,
                    Err(error) => Err(error),
                };
                let outcome = match checked {
                    Ok(()) => cx.remove(bucket, &key, preconditions, None).await,
                    Err(error) => Err(error),
                };
                if let Err(Some(cause)) = outcome.as_ref().map_err(S3Error::cause) {
                    warn!(key, cause, "key not deleted");
                }
                (key, outcome)
            })
            .buffered(AT_ONCE)
            .collect()
            .await;
        Ok(respond::document("DeleteResult", |xml| {
            for (key, outcome) in &outcomes {
                match outcome {
                    Err(error) if error.code() != ErrorCode::NoSuchKey => xml.element("Error", |xml| {
                        xml.text("Key", key);
                        error.write_code_and_message(xml);
                    }),
                    _ if self.quiet => {}
                    _ => xml.element("Deleted", |xml| xml.text("Key", key)),
                }
            }
        }))
    }
}

/// The keys, and whether only failures are to be told.
pub(super) fn parse_body(body: &[u8]) -> Result<(Vec<Doomed>, bool), S3Error> {
    let delete = Element::parse(body, "Delete")?;
    let quiet = delete.text_of("Quiet").is_some_and(|text| text.trim() == "true");
    let mut keys = Vec::new();
    for object in delete.all("Object") {
        let key = object.text_of("Key").ok_or(ErrorCode::MalformedXML)?.to_owned();
        if object.text_of("VersionId").is_some_and(|version| !version.is_empty() && version != "null") {
            return Err(S3Error::new(ErrorCode::NotImplemented, "Versions are not implemented"));
        }
        let etag = object.text_of("ETag");
        let if_match = etag.map(|tag| match tag {
            "*" => ETagMatch::Any,
            tag => ETagMatch::OneOf(tag.parse().into_iter().collect()),
        });
        keys.push(Doomed { key, preconditions: Preconditions { if_match, ..Preconditions::default() } });
    }
    if keys.is_empty() || keys.len() > MAX_KEYS {
        return Err(ErrorCode::MalformedXML.into());
    }
    Ok((keys, quiet))
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
