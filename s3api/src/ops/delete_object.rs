//! `DELETE /bucket/key`

use fdfs_objects::Preconditions;
use http::StatusCode;

use super::Operation;
use crate::conditions;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Deletes one key. A key that is not there counts as deleted.
#[derive(Debug)]
pub(crate) struct DeleteObject {
    bucket: String,
    key: String,
    preconditions: Preconditions,
}

impl Operation for DeleteObject {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        request.check_version_id()?;
        let preconditions = conditions::of_write(&request.headers)?;
        Ok(Self { bucket: request.bucket()?, key: request.key()?, preconditions })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        match cx.remove(&self.bucket, &self.key, self.preconditions, None).await {
            Err(error) if error.code() != ErrorCode::NoSuchKey => Err(error),
            _ => Ok(respond::empty(StatusCode::NO_CONTENT)),
        }
    }
}
