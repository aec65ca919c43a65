//! A request whose signature has been verified, on its way to an operation.

use fdfs_objects::VersionId;
use http::HeaderMap;

use crate::access::Access;
use crate::bucket_setting::BucketSetting;
use crate::error::{ErrorCode, S3Error};
use crate::payload::Payload;
use crate::route::subresource;
use crate::target::Target;
use crate::uri::Query;

/// A verified request.
#[derive(Debug)]
pub(crate) struct Request {
    target: Target,
    /// The query.
    pub(crate) query: Query,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The payload, not yet asked for.
    pub(crate) payload: Payload,
    /// The region its signature names.
    pub(crate) region: String,
    /// Who sent it.
    pub(crate) access: Access,
}

impl Request {
    /// Puts the parts together.
    pub(crate) fn new(
        target: Target,
        query: Query,
        headers: HeaderMap,
        payload: Payload,
        region: String,
        access: Access,
    ) -> Self {
        Self { target, query, headers, payload, region, access }
    }

    /// The bucket it is about; routing has seen to it that there is one.
    pub(crate) fn bucket(&self) -> Result<String, S3Error> {
        match &self.target {
            Target::Bucket { bucket } | Target::Object { bucket, .. } | Target::OddObject { bucket, .. } => {
                Ok(bucket.clone())
            }
            Target::Service => Err(ErrorCode::InvalidBucketName.into()),
        }
    }

    /// The key it is about; routing has seen to it that there is one.
    pub(crate) fn key(&self) -> Result<String, S3Error> {
        match &self.target {
            Target::Object { key, .. } => Ok(key.clone()),
            Target::Service | Target::Bucket { .. } | Target::OddObject { .. } => {
                Err(ErrorCode::InvalidURI.into())
            }
        }
    }

    /// The key it is about, be it text or not.
    pub(crate) fn key_bytes(&self) -> Result<Vec<u8>, S3Error> {
        match &self.target {
            Target::OddObject { key, .. } => Ok(key.clone()),
            _ => self.key().map(String::into_bytes),
        }
    }

    /// A header's text; nothing where it is absent, an error where it is no text.
    pub(crate) fn header(&self, name: &str) -> Result<Option<&str>, S3Error> {
        let Some(value) = self.headers.get(name) else { return Ok(None) };
        std::str::from_utf8(value.as_bytes()).map(Some).map_err(|_| {
            S3Error::new(ErrorCode::InvalidArgument, format!("The header {name} is no text"))
                .detail("ArgumentName", name)
        })
    }

    /// The length of the data to come, which an upload has to tell.
    pub(crate) fn data_length(&self) -> Result<u64, S3Error> {
        match self.payload.length() {
            None => Err(ErrorCode::MissingContentLength.into()),
            Some(length) if length > MAX_OBJECT => Err(S3Error::from(ErrorCode::EntityTooLarge)
                .detail("ProposedSize", length.to_string())
                .detail("MaxSizeAllowed", MAX_OBJECT.to_string())),
            Some(length) => Ok(length),
        }
    }

    /// The version it names.
    pub(crate) fn version_id(&self) -> Result<Option<VersionId>, S3Error> {
        let Some(text) = self.query.get("versionId") else { return Ok(None) };
        text.parse().map(Some).map_err(|_| invalid_version_id(text))
    }

    /// The setting of a bucket it is about; routing has seen to it that there is one.
    pub(crate) fn bucket_setting(&self) -> Result<BucketSetting, S3Error> {
        let name = subresource(&self.query).unwrap_or_default();
        BucketSetting::of(name).ok_or_else(|| ErrorCode::NotImplemented.into())
    }

    /// A number in the query.
    pub(crate) fn number(&self, name: &'static str) -> Result<Option<u32>, S3Error> {
        let Some(text) = self.query.get(name).filter(|text| !text.is_empty()) else { return Ok(None) };
        match text.parse::<u32>() {
            Ok(number) if number <= i32::MAX as u32 => Ok(Some(number)),
            _ => Err(S3Error::new(
                ErrorCode::InvalidArgument,
                format!("Provided {name} not an integer or within integer range"),
            )
            .detail("ArgumentName", name)
            .detail("ArgumentValue", text)),
        }
    }
}

/// The refusal of a version ID that is none.
pub(crate) fn invalid_version_id(text: &str) -> S3Error {
    let message = if text.is_empty() {
        "Version id cannot be the empty string"
    } else {
        "Invalid version id specified"
    };
    S3Error::new(ErrorCode::InvalidArgument, message)
        .detail("ArgumentName", "versionId")
        .detail("ArgumentValue", text)
}

/// Largest object, in bytes: 5 TiB.
const MAX_OBJECT: u64 = 5 << 40;
