//! `PUT /bucket?NAME` with a document: `PutBucketCors`, `PutBucketTagging`, …

use bytes::Bytes;
use http::StatusCode;

use super::Operation;
use crate::bucket_setting::BucketSetting;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Keeps a document with a bucket.
#[derive(Debug)]
pub(crate) struct PutBucketSetting {
    bucket: String,
    setting: BucketSetting,
    document: String,
}

impl Operation for PutBucketSetting {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, setting) = (request.bucket()?, request.bucket_setting()?);
        let body = request.payload.read_all(setting.max_body()).await?;
        Ok(Self { bucket, setting, document: setting.read(&body)? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let bucket = cx.bucket(&self.bucket).await?;
        let document = Bytes::from(self.document);
        cx.objects.set_bucket_setting(&bucket, self.setting.name(), Some(document)).await?;
        let is_tagging = self.setting == BucketSetting::Tagging;
        Ok(respond::empty(if is_tagging { StatusCode::NO_CONTENT } else { StatusCode::OK }))
    }
}
