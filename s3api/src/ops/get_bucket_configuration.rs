//! Reads of configuration: what was put, or what S3 answers for a bucket without any.

use crate::bucket_setting::BucketSetting;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::request::Request;
use crate::respond;
use crate::route::subresource;
use crate::service::Response;

use super::Operation;
use fdfs_objects::Versioning;

/// `GET /bucket?NAME`
#[derive(Debug)]
pub(crate) struct GetBucketConfiguration {
    bucket: String,
    name: String,
}

impl Operation for GetBucketConfiguration {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let name = subresource(&request.query).unwrap_or_default().to_owned();
        Ok(Self { bucket: request.bucket()?, name })
    }

    /// Answers what was put, or says that nothing is configured.
    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let bucket = cx.bucket(&self.bucket).await?;
        if let Some(setting) = BucketSetting::of(&self.name) {
            let settings = cx.objects.bucket_settings(&bucket).await?;
            let missing = || S3Error::from(setting.missing()).detail("BucketName", &self.bucket);
            let document = settings.get(setting.name()).ok_or_else(missing)?;
            return Ok(respond::xml(String::from_utf8_lossy(document).into_owned()));
        }
        let empty = |root| Ok(respond::document(root, |_| {}));
        match self.name.as_str() {
            "accelerate" => empty("AccelerateConfiguration"),
            "logging" => empty("BucketLoggingStatus"),
            "notification" => empty("NotificationConfiguration"),
            "requestPayment" => {
                Ok(respond::document("RequestPaymentConfiguration", |xml| xml.text("Payer", "BucketOwner")))
            }
            "versioning" => Ok(respond::document("VersioningConfiguration", |xml| match bucket.versioning {
                Versioning::Off => {}
                Versioning::Enabled => xml.text("Status", "Enabled"),
                Versioning::Suspended => xml.text("Status", "Suspended"),
            })),
            other => Err(S3Error::from(not_configured(other)).detail("BucketName", self.bucket)),
        }
    }
}

fn not_configured(name: &str) -> ErrorCode {
    match name {
        "encryption" => ErrorCode::ServerSideEncryptionConfigurationNotFoundError,
        "object-lock" => ErrorCode::ObjectLockConfigurationNotFoundError,
        "replication" => ErrorCode::ReplicationConfigurationNotFoundError,
        _ => ErrorCode::NotImplemented,
    }
}
