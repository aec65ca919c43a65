//! `GET /bucket/key?tagging`: there are no tags.

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Reads what cannot be set.
#[derive(Debug)]
pub(crate) struct GetObjectConfiguration {
    bucket: String,
    key: String,
}

impl Operation for GetObjectConfiguration {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.objects.head(&self.bucket, self.key.as_bytes()).await?;
        Ok(respond::document("Tagging", |xml| xml.element("TagSet", |_| {})))
    }
}
