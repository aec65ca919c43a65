//! `PUT /bucket?policy`

use bytes::Bytes;
use fdfs_objects::access::Policy;
use http::StatusCode;

use super::Operation;
use crate::access::{Access, POLICY};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Sets a bucket's policy.
#[derive(Debug)]
pub(crate) struct PutBucketPolicy {
    bucket: String,
    policy: Policy,
    document: Bytes,
    access: Access,
}

impl Operation for PutBucketPolicy {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, access) = (request.bucket()?, request.access.clone());
        let document = request.payload.read_all(MAX_BODY).await?;
        let policy = Policy::parse(&document, &bucket)
            .map_err(|error| S3Error::new(ErrorCode::MalformedPolicy, error.to_string()))?;
        Ok(Self { bucket, policy, document, access })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let in_bucket = self.access.in_bucket(cx, &self.bucket).await?;
        if in_bucket.rules().block.block_public_policy && self.policy.is_public() {
            return Err(ErrorCode::AccessDenied.into());
        }
        let bucket = cx.bucket(&self.bucket).await?;
        cx.objects.set_bucket_setting(&bucket, POLICY, Some(self.document)).await?;
        Ok(respond::empty(StatusCode::NO_CONTENT))
    }
}

/// Beyond what a policy may have, so that the refusal says what is wrong.
const MAX_BODY: usize = 64 * 1024;
