//! `x-amz-copy-source`: the object that is copied.

use fdfs_objects::VersionId;

use crate::error::{ErrorCode, S3Error};
use crate::request::{Request, invalid_version_id};
use crate::target::check_key;
use crate::uri;

/// The source of a copy.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CopySource {
    /// Its bucket.
    pub(crate) bucket: String,
    /// Its key.
    pub(crate) key: String,
    /// The version of it.
    pub(crate) version_id: Option<VersionId>,
}

impl CopySource {
    /// Reads the header of a request.
    pub(crate) fn of(request: &Request) -> Result<Self, S3Error> {
        Self::parse(request.header("x-amz-copy-source")?.unwrap_or_default())
    }

    /// Reads `bucket/key`, percent-encoded, with or without a slash before it.
    /// Reads the header.
    pub(crate) fn parse(text: &str) -> Result<Self, S3Error> {
        let invalid = || {
            S3Error::new(
                ErrorCode::InvalidArgument,
                "Copy Source must mention the source bucket and key: sourcebucket/sourcekey",
            )
            .detail("ArgumentName", "x-amz-copy-source")
            .detail("ArgumentValue", text)
        };
        let (path, version_id) = match text.split_once("?versionId=") {
            Some((path, version)) => (path, Some(version.parse().map_err(|_| invalid_version_id(version))?)),
            None => (text, None),
        };
        let path = path.strip_prefix('/').unwrap_or(path);
        // Some clients encode the slash between bucket and key, too.
        let path = uri::decode(path)?;
        let (bucket, key) = path.split_once('/').ok_or_else(invalid)?;
        if bucket.is_empty() || key.is_empty() {
            return Err(invalid());
        }
        check_key(key)?;
        Ok(Self { bucket: bucket.to_owned(), key: key.to_owned(), version_id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_bucket_and_key() {
        for text in
            ["/pets/a%20b/c%2Bd", "pets/a%20b/c%2Bd", "pets%2Fa%20b%2Fc+d", "pets/a b/c+d?versionId=null"]
        {
            let source = CopySource::parse(text).unwrap();
            assert_eq!((source.bucket.as_str(), source.key.as_str()), ("pets", "a b/c+d"), "{text}");
        }
        for text in ["", "pets", "/pets", "pets/", "//key", "pets/key?versionId=7", "pets/key?versionId="] {
            assert_eq!(CopySource::parse(text).unwrap_err().code(), ErrorCode::InvalidArgument, "{text}");
        }
    }
}
