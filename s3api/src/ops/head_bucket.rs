//! `HEAD /bucket`

use http::StatusCode;

use super::Operation;
use super::create_bucket::NATIVE_READ;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Tells whether a bucket is there, and its region.
#[derive(Debug)]
pub(crate) struct HeadBucket {
    bucket: String,
}

impl Operation for HeadBucket {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let bucket = cx.bucket(&self.bucket).await?;
        let mut response = respond::empty(StatusCode::OK);
        respond::set(response.headers_mut(), "x-amz-bucket-region", &cx.config.region);
        if bucket.native_read_off {
            respond::set(response.headers_mut(), NATIVE_READ, "off");
        }
        Ok(response)
    }
}
