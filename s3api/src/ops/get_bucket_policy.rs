//! `GET /bucket?policy`, and `?policyStatus`

use http::HeaderValue;

use super::Operation;
use crate::access::{Access, POLICY};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Reads a bucket's policy as it was put.
#[derive(Debug)]
pub(crate) struct GetBucketPolicy {
    bucket: String,
}

/// Says whether a bucket's policy lets anybody in who is not named.
#[derive(Debug)]
pub(crate) struct GetBucketPolicyStatus {
    bucket: String,
    access: Access,
}

impl Operation for GetBucketPolicy {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let bucket = cx.bucket(&self.bucket).await?;
        let settings = cx.objects.bucket_settings(&bucket).await?;
        let policy = settings.get(POLICY).ok_or_else(|| missing(&self.bucket))?;
        let mut response = respond::xml(String::from_utf8_lossy(policy).into_owned());
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

impl Operation for GetBucketPolicyStatus {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, access: request.access })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let in_bucket = self.access.in_bucket(cx, &self.bucket).await?;
        let policy = in_bucket.rules().policy.as_ref().ok_or_else(|| missing(&self.bucket))?;
        let is_public = policy.is_public();
        Ok(respond::document("PolicyStatus", |xml| xml.value("IsPublic", is_public)))
    }
}

fn missing(bucket: &str) -> S3Error {
    S3Error::from(ErrorCode::NoSuchBucketPolicy).detail("BucketName", bucket)
}
