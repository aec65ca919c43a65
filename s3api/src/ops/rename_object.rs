//! `PUT /bucket/key?renameObject`

use fdfs_objects::RenameConditions;
use http::StatusCode;

use super::Operation;
use crate::access::Access;
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::target::check_key;
use crate::uri;

/// Moves an object to another key of its bucket, in one step.
#[derive(Debug)]
pub(crate) struct RenameObject {
    bucket: String,
    source: String,
    key: String,
    conditions: RenameConditions,
    access: Access,
}

impl Operation for RenameObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, key) = (request.bucket()?, request.key()?);
        let source = source_key(request.header("x-amz-rename-source")?.unwrap_or_default(), &bucket)?;
        if source.ends_with('/') || key.ends_with('/') {
            return Err(S3Error::new(ErrorCode::InvalidRequest, "Keys that end in a slash are not renamed"));
        }
        let conditions = RenameConditions {
            source: conditions::of_rename(&request.headers, "x-amz-rename-source-"),
            target: conditions::of_rename(&request.headers, ""),
        };
        Ok(Self { bucket, source, key, conditions, access: request.access.clone() })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let (source, key) = (self.source.as_bytes(), self.key.as_bytes());
        let in_bucket = self.access.in_bucket(cx, &self.bucket).await?;
        in_bucket.check(cx, "s3:DeleteObject", Some(&self.source)).await?;
        cx.objects.rename(&self.bucket, source, key, self.conditions).await?;
        Ok(respond::empty(StatusCode::OK))
    }
}

/// The key that is moved: percent-encoded, alone or as `/bucket/key`.
fn source_key(text: &str, bucket: &str) -> Result<String, S3Error> {
    let path = uri::decode(text)?;
    let key = match path.strip_prefix('/') {
        Some(rest) => rest.strip_prefix(bucket).and_then(|rest| rest.strip_prefix('/')).unwrap_or(rest),
        None => &path,
    };
    if key.is_empty() {
        return Err(S3Error::new(ErrorCode::InvalidArgument, "The source of the rename is missing")
            .detail("ArgumentName", "x-amz-rename-source"));
    }
    check_key(key)?;
    Ok(key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_key_with_or_without_its_bucket() {
        for (text, key) in [("a%20b/c", "a b/c"), ("/pets/a", "a"), ("pets/a", "pets/a"), ("/a", "a")] {
            assert_eq!(source_key(text, "pets").unwrap(), key);
        }
        assert_eq!(source_key("", "pets").unwrap_err().code(), ErrorCode::InvalidArgument);
    }
}
