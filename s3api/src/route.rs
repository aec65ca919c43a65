//! Which operation a request asks for: by method, target, query and headers.

use http::{HeaderMap, Method};

use crate::bucket_setting::BucketSetting;
use crate::error::{ErrorCode, S3Error};
use crate::target::Target;
use crate::uri::Query;

/// The operations of S3 that are served.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Operation {
    AbortMultipartUpload,
    CompleteMultipartUpload,
    CopyObject,
    CreateBucket,
    CreateMultipartUpload,
    DeleteBucket,
    DeleteBucketSetting,
    DeleteObject,
    DeleteObjectTagging,
    DeleteObjects,
    GetBucketAcl,
    GetBucketConfiguration,
    GetBucketLocation,
    GetBucketPolicy,
    GetBucketPolicyStatus,
    GetObject,
    GetObjectAcl,
    GetObjectAttributes,
    GetObjectTagging,
    HeadBucket,
    HeadObject,
    ListBuckets,
    ListMultipartUploads,
    ListObjectVersions,
    ListObjects,
    ListObjectsV2,
    ListParts,
    PostObject,
    PutBucketAcl,
    PutBucketPolicy,
    PutBucketSetting,
    PutBucketVersioning,
    PutObject,
    PutObjectAcl,
    PutObjectTagging,
    RenameObject,
    UploadPart,
    UploadPartCopy,
}

impl Operation {
    /// Chooses the operation. Known ones that are not served are `NotImplemented`, never taken for others.
    pub(crate) fn of(
        method: &Method,
        target: &Target,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error> {
        let request = (method, subresource(query));
        match target {
            Target::Service => Self::on_service(request, query),
            // What a function of Object Lambda answers; no bucket has such a name.
            Target::Bucket { bucket } if method == Method::POST && bucket == "WriteGetObjectResponse" => {
                Err(not_implemented())
            }
            Target::Bucket { .. } => Self::on_bucket(request, query),
            Target::Object { .. } => Self::on_object(request, query, headers),
            // Nothing else can be done with such a key, as in S3.
            Target::OddObject { .. } if request == (&Method::DELETE, None) => Ok(Self::DeleteObject),
            Target::OddObject { .. } => Err(ErrorCode::InvalidURI.into()),
        }
    }

    /// Its name, as S3 and our metrics have it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::AbortMultipartUpload => "AbortMultipartUpload",
            Self::CompleteMultipartUpload => "CompleteMultipartUpload",
            Self::CopyObject => "CopyObject",
            Self::CreateBucket => "CreateBucket",
            Self::CreateMultipartUpload => "CreateMultipartUpload",
            Self::DeleteBucket => "DeleteBucket",
            Self::DeleteBucketSetting => "DeleteBucketSetting",
            Self::DeleteObject => "DeleteObject",
            Self::DeleteObjectTagging => "DeleteObjectTagging",
            Self::DeleteObjects => "DeleteObjects",
            Self::GetBucketAcl => "GetBucketAcl",
            Self::GetBucketConfiguration => "GetBucketConfiguration",
            Self::GetBucketLocation => "GetBucketLocation",
            Self::GetBucketPolicy => "GetBucketPolicy",
            Self::GetBucketPolicyStatus => "GetBucketPolicyStatus",
            Self::GetObject => "GetObject",
            Self::GetObjectAcl => "GetObjectAcl",
            Self::GetObjectAttributes => "GetObjectAttributes",
            Self::GetObjectTagging => "GetObjectTagging",
            Self::HeadBucket => "HeadBucket",
            Self::HeadObject => "HeadObject",
            Self::ListBuckets => "ListBuckets",
            Self::ListMultipartUploads => "ListMultipartUploads",
            Self::ListObjectVersions => "ListObjectVersions",
            Self::ListObjects => "ListObjects",
            Self::ListObjectsV2 => "ListObjectsV2",
            Self::ListParts => "ListParts",
            Self::PostObject => "PostObject",
            Self::PutBucketAcl => "PutBucketAcl",
            Self::PutBucketPolicy => "PutBucketPolicy",
            Self::PutBucketSetting => "PutBucketSetting",
            Self::PutBucketVersioning => "PutBucketVersioning",
            Self::PutObject => "PutObject",
            Self::PutObjectAcl => "PutObjectAcl",
            Self::PutObjectTagging => "PutObjectTagging",
            Self::RenameObject => "RenameObject",
            Self::UploadPart => "UploadPart",
            Self::UploadPartCopy => "UploadPartCopy",
        }
    }

    fn on_service(request: (&Method, Option<&str>), query: &Query) -> Result<Self, S3Error> {
        match request {
            // Buckets of another kind, of which there are none.
            (&Method::GET, None)
                if query.get("x-id") == Some("ListDirectoryBuckets")
                    || query.has("max-directory-buckets") =>
            {
                Err(not_implemented())
            }
            (&Method::GET, None) => Ok(Self::ListBuckets),
            (_, Some(_)) => Err(not_implemented()),
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    fn on_bucket(request: (&Method, Option<&str>), query: &Query) -> Result<Self, S3Error> {
        match request {
            (&Method::GET, None) if query.get("list-type") == Some("2") => Ok(Self::ListObjectsV2),
            (&Method::GET, None) => Ok(Self::ListObjects),
            (&Method::GET, Some("location")) => Ok(Self::GetBucketLocation),
            (&Method::GET, Some("uploads")) => Ok(Self::ListMultipartUploads),
            (&Method::GET, Some("versions")) => Ok(Self::ListObjectVersions),
            (&Method::PUT, Some("versioning")) => Ok(Self::PutBucketVersioning),
            (&Method::GET, Some("acl")) => Ok(Self::GetBucketAcl),
            (&Method::PUT, Some("acl")) => Ok(Self::PutBucketAcl),
            (&Method::GET, Some("policy")) => Ok(Self::GetBucketPolicy),
            (&Method::PUT, Some("policy")) => Ok(Self::PutBucketPolicy),
            (&Method::GET, Some("policyStatus")) => Ok(Self::GetBucketPolicyStatus),
            (&Method::GET, Some(name)) if BUCKET_CONFIGURATION.contains(&name) => {
                Ok(Self::GetBucketConfiguration)
            }
            (&Method::HEAD, None) => Ok(Self::HeadBucket),
            (&Method::PUT, None) => Ok(Self::CreateBucket),
            (&Method::DELETE, None) => Ok(Self::DeleteBucket),
            (&Method::PUT, Some(name)) if BucketSetting::of(name).is_some() => Ok(Self::PutBucketSetting),
            (&Method::DELETE, Some(name)) if BucketSetting::of(name).is_some() => {
                Ok(Self::DeleteBucketSetting)
            }
            (&Method::POST, Some("delete")) => Ok(Self::DeleteObjects),
            // An upload by an HTML form.
            (&Method::POST, None) => Ok(Self::PostObject),
            (_, Some(_)) => Err(not_implemented()),
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }

    fn on_object(
        request: (&Method, Option<&str>),
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Self, S3Error> {
        let is_copy = headers.contains_key("x-amz-copy-source");
        match request {
            (&Method::GET, None) => Ok(Self::GetObject),
            (&Method::GET, Some("uploadId")) => Ok(Self::ListParts),
            (&Method::GET, Some("acl")) => Ok(Self::GetObjectAcl),
            (&Method::PUT, Some("acl")) => Ok(Self::PutObjectAcl),
            (&Method::GET, Some("attributes")) => Ok(Self::GetObjectAttributes),
            (&Method::GET, Some("tagging")) => Ok(Self::GetObjectTagging),
            (&Method::PUT, Some("tagging")) => Ok(Self::PutObjectTagging),
            (&Method::DELETE, Some("tagging")) => Ok(Self::DeleteObjectTagging),
            (&Method::PUT, Some("renameObject")) => Ok(Self::RenameObject),
            (&Method::HEAD, None) => Ok(Self::HeadObject),
            // A part whose upload was forgotten must not become the object.
            (&Method::PUT, None) if query.has("partNumber") => {
                Err(S3Error::new(ErrorCode::InvalidArgument, "A part number needs the ID of its upload")
                    .detail("ArgumentName", "uploadId"))
            }
            (&Method::PUT, None) if is_copy => Ok(Self::CopyObject),
            (&Method::PUT, None) => Ok(Self::PutObject),
            (&Method::PUT, Some("uploadId")) if query.has("partNumber") => {
                Ok(if is_copy { Self::UploadPartCopy } else { Self::UploadPart })
            }
            (&Method::DELETE, None) => Ok(Self::DeleteObject),
            (&Method::DELETE, Some("uploadId")) => Ok(Self::AbortMultipartUpload),
            (&Method::POST, Some("uploads")) => Ok(Self::CreateMultipartUpload),
            (&Method::POST, Some("uploadId")) => Ok(Self::CompleteMultipartUpload),
            (_, Some(_)) => Err(not_implemented()),
            _ => Err(ErrorCode::MethodNotAllowed.into()),
        }
    }
}

/// The part of a bucket or object that the query names.
pub(crate) fn subresource(query: &Query) -> Option<&str> {
    query.names().find(|name| SUBRESOURCES.contains(name))
}

fn not_implemented() -> S3Error {
    S3Error::new(ErrorCode::NotImplemented, "This operation is not implemented")
}

/// Configuration of a bucket that can be asked for, though none can be set.
const BUCKET_CONFIGURATION: &[&str] = &[
    "accelerate",
    "cors",
    "encryption",
    "lifecycle",
    "logging",
    "notification",
    "object-lock",
    "ownershipControls",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "tagging",
    "versioning",
    "website",
];

/// Every subresource that S3 knows.
const SUBRESOURCES: &[&str] = &[
    "abac",
    "accelerate",
    "acl",
    "analytics",
    "attributes",
    "cors",
    "delete",
    "encryption",
    "intelligent-tiering",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metadataConfiguration",
    "metadataInventoryTable",
    "metadataJournalTable",
    "metadataTable",
    "metrics",
    "notification",
    "object-lock",
    "ownershipControls",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "renameObject",
    "replication",
    "requestPayment",
    "restore",
    "retention",
    "select",
    "session",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versioning",
    "versions",
    "website",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: Method, path: &str, query: &str) -> Result<Operation, ErrorCode> {
        let target = Target::parse(path, "", None).unwrap();
        let query = Query::parse(query).unwrap();
        Operation::of(&method, &target, &query, &HeaderMap::new()).map_err(|error| error.code())
    }

    #[test]
    fn operations_are_told_apart() {
        use Operation as Op;
        for (method, path, query, operation) in [
            (Method::GET, "/", "x-id=ListBuckets", Op::ListBuckets),
            (Method::GET, "/b", "", Op::ListObjects),
            (Method::GET, "/b", "list-type=2&prefix=acl", Op::ListObjectsV2),
            (Method::GET, "/b", "location", Op::GetBucketLocation),
            (Method::GET, "/b", "versioning", Op::GetBucketConfiguration),
            (Method::POST, "/b", "delete", Op::DeleteObjects),
            (Method::PUT, "/b/k", "x-id=PutObject", Op::PutObject),
            (Method::PUT, "/b/k", "partNumber=1&uploadId=x", Op::UploadPart),
            (Method::POST, "/b/k", "uploads", Op::CreateMultipartUpload),
            (Method::POST, "/b/k", "uploadId=x", Op::CompleteMultipartUpload),
            (Method::GET, "/b/k", "uploadId=x", Op::ListParts),
            (Method::DELETE, "/b/k", "uploadId=x", Op::AbortMultipartUpload),
            (Method::DELETE, "/b/k", "", Op::DeleteObject),
            (Method::DELETE, "/b/k", "tagging", Op::DeleteObjectTagging),
            (Method::GET, "/b/k", "attributes", Op::GetObjectAttributes),
            (Method::PUT, "/b/k", "renameObject", Op::RenameObject),
        ] {
            assert_eq!(of(method.clone(), path, query), Ok(operation), "{method} {path}?{query}");
        }
    }

    #[test]
    fn what_is_not_served_is_not_taken_for_something_else() {
        for (method, path, query) in [
            (Method::PUT, "/b", "accelerate"),
            (Method::DELETE, "/b", "encryption"),
            (Method::GET, "/b", "inventory"),
            (Method::GET, "/b/k", "retention"),
            (Method::POST, "/b/k", "select&select-type=2"),
        ] {
            assert_eq!(
                of(method.clone(), path, query),
                Err(ErrorCode::NotImplemented),
                "{method} {path}?{query}"
            );
        }
        assert_eq!(of(Method::PATCH, "/b/k", ""), Err(ErrorCode::MethodNotAllowed));
        assert_eq!(of(Method::PUT, "/b/k", "partNumber=1"), Err(ErrorCode::InvalidArgument));
        assert_eq!(of(Method::PUT, "/", ""), Err(ErrorCode::MethodNotAllowed));
    }
}
