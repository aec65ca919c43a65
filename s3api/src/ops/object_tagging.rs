//! `GET`, `PUT` and `DELETE /bucket/key?tagging`

use fdfs_objects::{ExtendedAttributes, VersionId};
use http::StatusCode;

use super::Operation;
use crate::context::Context;
use crate::error::S3Error;
use crate::object_response::write_version_id;
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::tagging;

/// Tells the tags of an object.
#[derive(Debug)]
pub(crate) struct GetObjectTagging {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
}

/// Gives an object tags, in place of those it had.
#[derive(Debug)]
pub(crate) struct PutObjectTagging {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
    tags: ExtendedAttributes,
}

/// Takes all tags from an object.
#[derive(Debug)]
pub(crate) struct DeleteObjectTagging {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
}

impl Operation for GetObjectTagging {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, version_id: request.version_id()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let info = cx.objects.head_version(&self.bucket, self.key.as_bytes(), self.version_id).await?;
        let mut response = respond::document("Tagging", |xml| tagging::write(xml, &info.tags));
        write_version_id(response.headers_mut(), &info);
        Ok(response)
    }
}

impl Operation for PutObjectTagging {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, key, version_id) = (request.bucket()?, request.key()?, request.version_id()?);
        let body = request.payload.read_all(MAX_BODY).await?;
        Ok(Self { bucket, key, version_id, tags: parse_body(&body)? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        cx.objects.set_tags(&self.bucket, self.key.as_bytes(), self.version_id, self.tags).await?;
        Ok(answer(StatusCode::OK, self.version_id))
    }
}

impl Operation for DeleteObjectTagging {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, version_id: request.version_id()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let none = ExtendedAttributes::new();
        cx.objects.set_tags(&self.bucket, self.key.as_bytes(), self.version_id, none).await?;
        Ok(answer(StatusCode::NO_CONTENT, self.version_id))
    }
}

/// That it was done, with the version that was named.
fn answer(status: StatusCode, version_id: Option<VersionId>) -> Response {
    let mut response = respond::empty(status);
    if let Some(version_id) = version_id {
        respond::set(response.headers_mut(), "x-amz-version-id", &version_id.to_string());
    }
    response
}

/// The tags of a document.
pub(super) fn parse_body(body: &[u8]) -> Result<ExtendedAttributes, S3Error> {
    tagging::parse(body, tagging::MAX_OBJECT_TAGS)
}

/// Room for the longest tags, each character written as a reference.
const MAX_BODY: usize = 128 * 1024;
