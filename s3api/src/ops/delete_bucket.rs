//! `DELETE /bucket`

use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Removes a bucket that is empty. A group's bucket stays.
#[derive(Debug)]
pub(crate) struct DeleteBucket {
    bucket: String,
}

impl Operation for DeleteBucket {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.objects.delete_bucket(&self.bucket).await?;
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }
}
