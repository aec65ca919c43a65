//! `GET /bucket?location`

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::xml::{NAMESPACE, XmlWriter};

/// Names the region that clients are to sign for.
#[derive(Debug)]
pub(crate) struct GetBucketLocation {
    bucket: String,
}

impl Operation for GetBucketLocation {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()? })
    }

    /// The oldest region, `us-east-1`, is told by saying nothing.
    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.bucket(&self.bucket).await?;
        let region = Some(cx.config.region.as_str()).filter(|region| *region != "us-east-1");
        let mut xml = XmlWriter::document();
        xml.text_with("LocationConstraint", &format!("xmlns=\"{NAMESPACE}\""), region.unwrap_or_default());
        Ok(respond::xml(xml.finish()))
    }
}
