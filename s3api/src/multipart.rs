//! What the operations on multipart uploads have in common.

use fdfs_objects::UploadId;

use crate::error::{ErrorCode, S3Error};
use crate::request::Request;

/// The upload that a request names. What is no ID at all names no upload.
pub(crate) fn upload_id(request: &Request) -> Result<UploadId, S3Error> {
    let text = request.query.get("uploadId").unwrap_or_default();
    text.parse().map_err(|_| ErrorCode::NoSuchUpload.into())
}

/// The part that a request names.
pub(crate) fn part_number(request: &Request) -> Result<u16, S3Error> {
    let text = request.query.get("partNumber").unwrap_or_default();
    text.parse().ok().filter(|number| (1..=MAX_PARTS).contains(number)).ok_or_else(|| {
        S3Error::new(
            ErrorCode::InvalidArgument,
            format!("Part number must be an integer between 1 and {MAX_PARTS}, inclusive"),
        )
        .detail("ArgumentName", "partNumber")
        .detail("ArgumentValue", text)
    })
}

/// The most parts of an upload.
pub(crate) const MAX_PARTS: u16 = 10_000;
