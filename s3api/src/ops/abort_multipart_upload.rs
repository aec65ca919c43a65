//! `DELETE /bucket/key?uploadId=…`

use fdfs_objects::UploadId;
use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::multipart::upload_id;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Ends an upload without an object.
#[derive(Debug)]
pub(crate) struct AbortMultipartUpload {
    bucket: String,
    key: String,
    upload_id: UploadId,
}

impl Operation for AbortMultipartUpload {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, upload_id: upload_id(&request)? })
    }

    /// Frees the parts that have come.
    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.objects.abort_upload(&self.bucket, self.key.as_bytes(), self.upload_id).await?;
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }
}
