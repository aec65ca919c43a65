//! `POST /bucket/key?uploads`

use fdfs_objects::UploadOptions;

use super::Operation;
use crate::checksum::{ChecksumAlgorithm, ChecksumType};
use crate::context::Context;
use crate::error::{ErrorCode, S3Error};
use crate::object_headers::{content_headers, user_metadata};
use crate::request::Request;
use crate::respond;
use crate::service::Response;
use crate::tagging;

/// Begins an upload in parts.
#[derive(Debug)]
pub(crate) struct CreateMultipartUpload {
    bucket: String,
    key: String,
    new: UploadOptions,
    checksum: Option<(ChecksumAlgorithm, ChecksumType)>,
}

impl Operation for CreateMultipartUpload {
    async fn parse(request: Request) -> Result<Self, S3Error> {
        let checksum = checksum_of(&request)?;
        let new = UploadOptions {
            headers: content_headers(&request.headers)?,
            extended: user_metadata(&request.headers)?,
            tags: tagging::of_header(&request.headers)?,
            checksum_algorithm: checksum.map_or(0, |(algorithm, _)| algorithm.number()),
            checksum_type: checksum.map_or(0, |(_, kind)| kind.number()),
            ..UploadOptions::default()
        };
        Ok(Self { bucket: request.bucket()?, key: request.key()?, new, checksum })
    }

    async fn run(self, cx: &Context) -> Result<Response, S3Error> {
        let new = UploadOptions { owner: cx.owner().to_owned(), ..self.new };
        let upload_id = cx.objects.create_upload(&self.bucket, self.key.as_bytes(), new).await?;
        let mut response = respond::document("InitiateMultipartUploadResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.value("UploadId", upload_id);
        });
        if let Some((algorithm, kind)) = self.checksum {
            respond::set(response.headers_mut(), "x-amz-checksum-algorithm", algorithm.name());
            respond::set(response.headers_mut(), "x-amz-checksum-type", kind.name());
        }
        Ok(response)
    }
}

/// The checksum that the object is to have, and what it is to be made of.
fn checksum_of(request: &Request) -> Result<Option<(ChecksumAlgorithm, ChecksumType)>, S3Error> {
    let invalid = |message: String| S3Error::new(ErrorCode::InvalidRequest, message);
    let algorithm = checksum_algorithm(request)?;
    let kind = request.header("x-amz-checksum-type")?.map(|name| {
        ChecksumType::of_name(name).ok_or_else(|| {
            S3Error::new(ErrorCode::InvalidRequest, "Value for x-amz-checksum-type header is invalid.")
        })
    });
    let Some(algorithm) = algorithm else {
        return match kind {
            None => Ok(None),
            Some(_) => Err(invalid(
                "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header."
                    .to_owned(),
            )),
        };
    };
    let kind = kind.transpose()?.unwrap_or(algorithm.usual_type());
    if !algorithm.can_be(kind) {
        let (kind, name) = (kind.name(), algorithm.name().to_ascii_lowercase());
        return Err(invalid(format!(
            "The {kind} checksum type cannot be used with the {name} checksum algorithm."
        )));
    }
    Ok(Some((algorithm, kind)))
}

/// The algorithm that `x-amz-checksum-algorithm` names.
pub(super) fn checksum_algorithm(request: &Request) -> Result<Option<ChecksumAlgorithm>, S3Error> {
    let Some(name) = request.header("x-amz-checksum-algorithm")? else { return Ok(None) };
    let algorithm = ChecksumAlgorithm::of_name(name);
    algorithm.map(Some).ok_or_else(|| {
        S3Error::new(
            ErrorCode::InvalidRequest,
            "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]",
        )
    })
}
