//! What is kept with a bucket as a document: read and checked when it is put, answered as it was understood.

use crate::access;
use crate::cors::CorsRules;
use crate::error::{ErrorCode, S3Error};
use crate::lifecycle::Lifecycle;
use crate::tagging;
use crate::website::Website;
use crate::xml::XmlWriter;

/// A document that can be put, got and deleted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum BucketSetting {
    Cors,
    Lifecycle,
    OwnershipControls,
    Policy,
    PublicAccessBlock,
    Tagging,
    Website,
}

impl BucketSetting {
    /// The one that a subresource names.
    pub(crate) fn of(subresource: &str) -> Option<Self> {
        match subresource {
            "cors" => Some(Self::Cors),
            "lifecycle" => Some(Self::Lifecycle),
            access::OWNERSHIP => Some(Self::OwnershipControls),
            access::POLICY => Some(Self::Policy),
            access::PUBLIC_ACCESS_BLOCK => Some(Self::PublicAccessBlock),
            "tagging" => Some(Self::Tagging),
            "website" => Some(Self::Website),
            _ => None,
        }
    }

    /// Its name in the query, which is also its name among the bucket's settings.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Cors => "cors",
            Self::Lifecycle => "lifecycle",
            Self::OwnershipControls => access::OWNERSHIP,
            Self::Policy => access::POLICY,
            Self::PublicAccessBlock => access::PUBLIC_ACCESS_BLOCK,
            Self::Tagging => "tagging",
            Self::Website => "website",
        }
    }

    /// Checks a document; gives what is kept and answered.
    pub(crate) fn read(self, body: &[u8]) -> Result<String, S3Error> {
        match self {
            Self::Cors => Ok(CorsRules::parse(body)?.to_xml()),
            Self::Website => Ok(Website::parse(body)?.to_xml()),
            Self::Lifecycle => Ok(Lifecycle::parse(body)?.to_xml()),
            Self::OwnershipControls => Ok(access::ownership_document(body)?),
            Self::PublicAccessBlock => Ok(access::public_access_block_document(body)?),
            // It is no XML, and is judged with its bucket: see `PutBucketPolicy`.
            Self::Policy => Err(ErrorCode::NotImplemented.into()),
            Self::Tagging => {
                let tags = tagging::parse(body, tagging::MAX_BUCKET_TAGS)?;
                Ok(XmlWriter::s3_document("Tagging", |xml| tagging::write(xml, &tags)))
            }
        }
    }

    /// The most bytes of a document.
    pub(crate) fn max_body(self) -> usize {
        match self {
            Self::Lifecycle => 512 * 1024,
            Self::Website => 128 * 1024,
            Self::Cors | Self::OwnershipControls | Self::Policy | Self::PublicAccessBlock | Self::Tagging => {
                64 * 1024
            }
        }
    }

    /// What S3 answers where none was put.
    pub(crate) fn missing(self) -> ErrorCode {
        match self {
            Self::Cors => ErrorCode::NoSuchCORSConfiguration,
            Self::Lifecycle => ErrorCode::NoSuchLifecycleConfiguration,
            Self::OwnershipControls => ErrorCode::OwnershipControlsNotFoundError,
            Self::Policy => ErrorCode::NoSuchBucketPolicy,
            Self::PublicAccessBlock => ErrorCode::NoSuchPublicAccessBlockConfiguration,
            Self::Tagging => ErrorCode::NoSuchTagSet,
            Self::Website => ErrorCode::NoSuchWebsiteConfiguration,
        }
    }
}
