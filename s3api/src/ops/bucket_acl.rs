//! `GET` and `PUT /bucket?acl`

use bytes::Bytes;
use fdfs_objects::access::CannedAcl;
use http::StatusCode;

use super::Operation;
use crate::access::{ACL, Access};
use crate::acl;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Reads a bucket's ACL.
#[derive(Debug)]
pub(crate) struct GetBucketAcl {
    bucket: String,
    access: Access,
}

/// Sets a bucket's ACL.
#[derive(Debug)]
pub(crate) struct PutBucketAcl {
    bucket: String,
    access: Access,
    acl: CannedAcl,
}

impl Operation for GetBucketAcl {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, access: request.access })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let in_bucket = self.access.in_bucket(cx, &self.bucket).await?;
        let rules = in_bucket.rules();
        let acl = if rules.acls_disabled { CannedAcl::Private } else { rules.acl };
        Ok(respond::document("AccessControlPolicy", |xml| acl::write(xml, cx, acl)))
    }
}

impl Operation for PutBucketAcl {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, access) = (request.bucket()?, request.access.clone());
        Ok(Self { bucket, access, acl: acl::asked_for(request).await? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        self.access.in_bucket(cx, &self.bucket).await?.check_acl(self.acl)?;
        let bucket = cx.bucket(&self.bucket).await?;
        let kept = (self.acl != CannedAcl::Private).then(|| Bytes::from_static(self.acl.name().as_bytes()));
        cx.objects.set_bucket_setting(&bucket, ACL, kept).await?;
        Ok(respond::empty(StatusCode::OK))
    }
}
