//! Which actions, as policies call them, an operation takes.

/// The actions of an operation on a subresource; of an older version where one is named. `DeleteObjects` takes an action
/// for each of its keys, which it asks for itself.
pub(super) fn of(operation: &str, subresource: &str, versioned: bool) -> Vec<&'static str> {
    let version = |plain: &'static str, versioned_action: &'static str| {
        vec![if versioned { versioned_action } else { plain }]
    };
    match operation {
        "DeleteObjects" | "PostObject" => Vec::new(),
        "ListObjects" | "ListObjectsV2" | "HeadBucket" => vec!["s3:ListBucket"],
        "ListObjectVersions" => vec!["s3:ListBucketVersions"],
        "ListMultipartUploads" => vec!["s3:ListBucketMultipartUploads"],
        "ListParts" => vec!["s3:ListMultipartUploadParts"],
        "GetBucketLocation" => vec!["s3:GetBucketLocation"],
        "DeleteBucket" => vec!["s3:DeleteBucket"],
        "GetObject" | "HeadObject" => version("s3:GetObject", "s3:GetObjectVersion"),
        "GetObjectAttributes" if versioned => vec!["s3:GetObjectVersion", "s3:GetObjectVersionAttributes"],
        "GetObjectAttributes" => vec!["s3:GetObject", "s3:GetObjectAttributes"],
        "PutObject"
        | "CopyObject"
        | "CreateMultipartUpload"
        | "UploadPart"
        | "UploadPartCopy"
        | "CompleteMultipartUpload" => vec!["s3:PutObject"],
        "RenameObject" => vec!["s3:PutObject", "s3:DeleteObject"],
        "AbortMultipartUpload" => vec!["s3:AbortMultipartUpload"],
        "DeleteObject" => version("s3:DeleteObject", "s3:DeleteObjectVersion"),
        "GetObjectAcl" => version("s3:GetObjectAcl", "s3:GetObjectVersionAcl"),
        "PutObjectAcl" => version("s3:PutObjectAcl", "s3:PutObjectVersionAcl"),
        "GetObjectTagging" => version("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
        "PutObjectTagging" => version("s3:PutObjectTagging", "s3:PutObjectVersionTagging"),
        "DeleteObjectTagging" => version("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"),
        "GetObjectConfiguration" if subresource == "acl" => {
            version("s3:GetObjectAcl", "s3:GetObjectVersionAcl")
        }
        "GetObjectConfiguration" => version("s3:GetObjectTagging", "s3:GetObjectVersionTagging"),
        name => vec![on_configuration(name.starts_with("Get"), name.starts_with("Delete"), subresource)],
    }
}

/// Whether an operation gives a key its content, with headers about it.
pub(super) fn puts_an_object(operation: &str) -> bool {
    matches!(operation, "PutObject" | "CopyObject" | "CreateMultipartUpload")
}

/// Whether an operation reads another object.
pub(super) fn copies(operation: &str) -> bool {
    matches!(operation, "CopyObject" | "UploadPartCopy")
}

/// The action on a bucket's configuration. What is not known takes one that no policy can name, and so `admin`.
fn on_configuration(gets: bool, deletes: bool, subresource: &str) -> &'static str {
    let (get, put) = match subresource {
        "accelerate" => ("s3:GetAccelerateConfiguration", "s3:PutAccelerateConfiguration"),
        "acl" => ("s3:GetBucketAcl", "s3:PutBucketAcl"),
        "cors" => ("s3:GetBucketCORS", "s3:PutBucketCORS"),
        "encryption" => ("s3:GetEncryptionConfiguration", "s3:PutEncryptionConfiguration"),
        "lifecycle" => ("s3:GetLifecycleConfiguration", "s3:PutLifecycleConfiguration"),
        "logging" => ("s3:GetBucketLogging", "s3:PutBucketLogging"),
        "notification" => ("s3:GetBucketNotification", "s3:PutBucketNotification"),
        "object-lock" => ("s3:GetBucketObjectLockConfiguration", "s3:PutBucketObjectLockConfiguration"),
        "ownershipControls" => ("s3:GetBucketOwnershipControls", "s3:PutBucketOwnershipControls"),
        "policy" if deletes => return "s3:DeleteBucketPolicy",
        "policy" => ("s3:GetBucketPolicy", "s3:PutBucketPolicy"),
        "policyStatus" => ("s3:GetBucketPolicyStatus", UNKNOWN),
        "publicAccessBlock" => ("s3:GetBucketPublicAccessBlock", "s3:PutBucketPublicAccessBlock"),
        "replication" => ("s3:GetReplicationConfiguration", "s3:PutReplicationConfiguration"),
        "requestPayment" => ("s3:GetBucketRequestPayment", "s3:PutBucketRequestPayment"),
        "tagging" => ("s3:GetBucketTagging", "s3:PutBucketTagging"),
        "versioning" => ("s3:GetBucketVersioning", "s3:PutBucketVersioning"),
        "website" if deletes => return "s3:DeleteBucketWebsite",
        "website" => ("s3:GetBucketWebsite", "s3:PutBucketWebsite"),
        _ => (UNKNOWN, UNKNOWN),
    };
    if gets { get } else { put }
}

const UNKNOWN: &str = "fdfs:Configure";

#[cfg(test)]
mod tests {
    use fdfs_objects::access::is_known_action;

    use super::*;

    #[test]
    fn every_operation_takes_actions_that_a_policy_can_name() {
        let source = include_str!("../route.rs");
        let (_, rest) = source.split_once("pub(crate) enum Operation {").unwrap();
        let (names, _) = rest.split_once('}').unwrap();
        let names: Vec<_> = names.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        assert!(names.len() > 20, "{names:?}");
        for operation in names.into_iter().filter(|name| !matches!(*name, "ListBuckets" | "CreateBucket")) {
            for (subresource, versioned) in
                [("acl", false), ("acl", true), ("cors", false), ("policy", false)]
            {
                for action in of(operation, subresource, versioned) {
                    let name = action.strip_prefix("s3:").unwrap_or_default();
                    assert!(is_known_action(name), "{operation} {action}");
                }
            }
        }
    }
}
