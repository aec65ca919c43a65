//! `POST /bucket/key?uploads`

use fdfs_objects::UploadOptions;

use super::Operation;
use crate::checksum::ChecksumAlgorithm;
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::object_headers::{content_headers, user_metadata};
use crate::request::Request;
use crate::respond;
use crate::service::Response;

/// Begins an upload in parts.
#[derive(Debug)]
pub(crate) struct CreateMultipartUpload {
    bucket: String,
    key: String,
    new: UploadOptions,
    checksum: Option<ChecksumAlgorithm>,
    checksum_type: Option<String>,
}

impl Operation for CreateMultipartUpload {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let checksum = match request.header("x-amz-checksum-algorithm")? {
            None => None,
            Some(name) => Some(ChecksumAlgorithm::of_name(name).ok_or_else(|| {
                S3Error::new(ErrorCode::InvalidRequest, "Checksum algorithm provided is unsupported.")
            })?),
        };
        let new = UploadOptions {
            headers: content_headers(&request.headers)?,
            extended: user_metadata(&request.headers)?,
            checksum_algorithm: checksum.map_or(0, ChecksumAlgorithm::number),
            ..UploadOptions::default()
        };
        let checksum_type = request.header("x-amz-checksum-type")?.map(str::to_owned);
        Ok(Self { bucket: request.bucket()?, key: request.key()?, new, checksum, checksum_type })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let new = UploadOptions { owner: cx.owner().to_owned(), ..self.new };
        let upload_id = cx.objects.create_upload(&self.bucket, self.key.as_bytes(), new).await?;
        let mut response = respond::document("InitiateMultipartUploadResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.value("UploadId", upload_id);
        });
        if let Some(checksum) = self.checksum {
            respond::set(response.headers_mut(), "x-amz-checksum-algorithm", checksum.name());
            let default = if checksum == ChecksumAlgorithm::Crc64Nvme { "FULL_OBJECT" } else { "COMPOSITE" };
            let kind = self.checksum_type.as_deref().unwrap_or(default);
            respond::set(response.headers_mut(), "x-amz-checksum-type", kind);
        }
        Ok(response)
    }
}
