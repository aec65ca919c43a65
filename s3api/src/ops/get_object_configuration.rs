//! `GET /bucket/key?acl` and `?tagging`: the owner may do all, and there are no tags.

use super::Operation;
use super::get_bucket_configuration::write_private_acl;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::route::subresource;
use crate::service::Response;

/// Reads what cannot be set.
#[derive(Debug)]
pub(crate) struct GetObjectConfiguration {
    bucket: String,
    key: String,
    is_acl: bool,
}

impl Operation for GetObjectConfiguration {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let is_acl = subresource(&request.query) == Some("acl");
        Ok(Self { bucket: request.bucket()?, key: request.key()?, is_acl })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.objects.head(&self.bucket, self.key.as_bytes()).await?;
        Ok(if self.is_acl {
            respond::document("AccessControlPolicy", |xml| write_private_acl(xml, cx))
        } else {
            respond::document("Tagging", |xml| xml.element("TagSet", |_| {}))
        })
    }
}
