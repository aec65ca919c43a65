//! `GET` and `PUT /bucket/key?acl`

use fdfs_objects::access::CannedAcl;
use fdfs_objects::{ContentHeader, VersionId};
use http::StatusCode;

use super::Operation;
use crate::access::Access;
use crate::acl;
use crate::context::Context;
use crate::error::S3Error;
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Reads an object's ACL.
#[derive(Debug)]
pub(crate) struct GetObjectAcl {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
}

/// Sets an object's ACL.
#[derive(Debug)]
pub(crate) struct PutObjectAcl {
    bucket: String,
    key: String,
    version_id: Option<VersionId>,
    access: Access,
    acl: CannedAcl,
}

impl Operation for GetObjectAcl {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        Ok(Self { bucket: request.bucket()?, key: request.key()?, version_id: request.version_id()? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let info = cx.objects.head_version(&self.bucket, self.key.as_bytes(), self.version_id).await?;
        let acl = info.headers.get(&ContentHeader::Acl).and_then(|name| CannedAcl::parse(name));
        Ok(respond::document("AccessControlPolicy", |xml| acl::write(xml, cx, acl.unwrap_or_default())))
    }
}

impl Operation for PutObjectAcl {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let (bucket, key, access) = (request.bucket()?, request.key()?, request.access.clone());
        let version_id = request.version_id()?;
        Ok(Self { bucket, key, version_id, access, acl: acl::asked_for(request).await? })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        self.access.in_bucket(cx, &self.bucket).await?.check_acl(self.acl)?;
        let kept = (self.acl != CannedAcl::Private).then(|| self.acl.name().to_owned());
        cx.objects.set_acl(&self.bucket, self.key.as_bytes(), self.version_id, kept).await?;
        Ok(respond::empty(StatusCode::OK))
    }
}
