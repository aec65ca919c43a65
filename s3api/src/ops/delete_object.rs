//! `DELETE /bucket/key`

use fdfs_objects::{Deleted, Preconditions, VersionId};
use http::StatusCode;

use super::Operation;
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Deletes one key, or one version of it for ever. What is not there counts as deleted, unless `If-Match` wants one.
#[derive(Debug)]
pub(crate) struct DeleteObject {
    bucket: String,
    key: Vec<u8>,
    version_id: Option<VersionId>,
    preconditions: Preconditions,
}

impl Operation for DeleteObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let preconditions = conditions::of_delete(&request.headers)?;
        let version_id = request.version_id()?;
        Ok(Self { bucket: request.bucket()?, key: request.key_bytes()?, version_id, preconditions })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let must_exist = self.preconditions.if_match.is_some();
        let deleted = match cx.remove(&self.bucket, &self.key, self.preconditions, self.version_id).await {
            Err(error) if error.code() == ErrorCode::NoSuchKey && !must_exist => Deleted::default(),
            deleted => deleted?,
        };
        let mut response = respond::empty(StatusCode::NO_CONTENT);
        if let Some(version_id) = deleted.version_id {
            respond::set(response.headers_mut(), "x-amz-version-id", &version_id.to_string());
        }
        if deleted.delete_marker {
            respond::set(response.headers_mut(), "x-amz-delete-marker", "true");
        }
        Ok(response)
    }
}
