//! `DELETE /bucket?NAME`: `DeleteBucketCors`, `DeleteBucketTagging`, …

use http::StatusCode;

use super::Operation;
use crate::bucket_setting::BucketSetting;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Forgets a document of a bucket. One that is not there counts as forgotten.
#[derive(Debug)]
pub(crate) struct DeleteBucketSetting {
    bucket: String,
    setting: BucketSetting,
}

impl Operation for DeleteBucketSetting {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, setting: request.bucket_setting()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let bucket = cx.bucket(&self.bucket).await?;
        cx.objects.set_bucket_setting(&bucket, self.setting.name(), None).await?;
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }
}
