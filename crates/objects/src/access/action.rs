//! Actions as policies name them, and which permission of a key covers each.

use super::DELETE_RAW_FILE;

/// What a key may be good for on a bucket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Permission {
    /// Reading objects, lists and configuration.
    Read,
    /// Putting and deleting objects.
    Write,
    /// Making and deleting buckets, and all of their configuration.
    Admin,
    /// Deleting files of a group by their paths.
    RawDelete,
}

impl Permission {
    /// The permission that covers an action. What is not known takes the most.
    pub fn of_action(action: &str) -> Self {
        let Some(name) = action.strip_prefix("s3:") else {
            return if action == DELETE_RAW_FILE { Self::RawDelete } else { Self::Admin };
        };
        if WRITES.contains(&name) {
            Self::Write
        } else if name != "GetBucketPolicy" && (name.starts_with("Get") || name.starts_with("List")) {
            Self::Read
        } else {
            Self::Admin
        }
    }
}

/// Whether S3 has an action of this name (without `s3:`).
pub fn is_known_action(name: &str) -> bool {
    known().any(|known| known.eq_ignore_ascii_case(name))
}

/// The names of all actions.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    ON_OBJECTS.iter().chain(ON_BUCKETS).copied()
}

/// The names of the actions on objects; the others are on buckets.
pub(super) fn is_on_object(name: &str) -> bool {
    ON_OBJECTS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

const WRITES: &[&str] = &[
    "AbortMultipartUpload",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjectVersion",
    "DeleteObjectVersionTagging",
    "PutObject",
    "PutObjectAcl",
    "PutObjectTagging",
    "PutObjectVersionAcl",
    "PutObjectVersionTagging",
    "RestoreObject",
];

const ON_OBJECTS: &[&str] = &[
    "AbortMultipartUpload",
    "BypassGovernanceRetention",
    "DeleteObject",
    "DeleteObjectTagging",
    "DeleteObjectVersion",
    "DeleteObjectVersionTagging",
    "GetObject",
    "GetObjectAcl",
    "GetObjectAttributes",
    "GetObjectLegalHold",
    "GetObjectRetention",
    "GetObjectTagging",
    "GetObjectTorrent",
    "GetObjectVersion",
    "GetObjectVersionAcl",
    "GetObjectVersionAttributes",
    "GetObjectVersionTagging",
    "ListMultipartUploadParts",
    "PutObject",
    "PutObjectAcl",
    "PutObjectLegalHold",
    "PutObjectRetention",
    "PutObjectTagging",
    "PutObjectVersionAcl",
    "PutObjectVersionTagging",
    "ReplicateDelete",
    "ReplicateObject",
    "ReplicateTags",
    "RestoreObject",
];

const ON_BUCKETS: &[&str] = &[
    "CreateBucket",
    "DeleteBucket",
    "DeleteBucketPolicy",
    "DeleteBucketWebsite",
    "GetAccelerateConfiguration",
    "GetAnalyticsConfiguration",
    "GetBucketAcl",
    "GetBucketCORS",
    "GetBucketLocation",
    "GetBucketLogging",
    "GetBucketNotification",
    "GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketPublicAccessBlock",
    "GetBucketRequestPayment",
    "GetBucketTagging",
    "GetBucketVersioning",
    "GetBucketWebsite",
    "GetEncryptionConfiguration",
    "GetIntelligentTieringConfiguration",
    "GetInventoryConfiguration",
    "GetLifecycleConfiguration",
    "GetMetricsConfiguration",
    "GetReplicationConfiguration",
    "ListBucket",
    "ListBucketMultipartUploads",
    "ListBucketVersions",
    "PutAccelerateConfiguration",
    "PutAnalyticsConfiguration",
    "PutBucketAcl",
    "PutBucketCORS",
    "PutBucketLogging",
    "PutBucketNotification",
    "PutBucketObjectLockConfiguration",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketRequestPayment",
    "PutBucketTagging",
    "PutBucketVersioning",
    "PutBucketWebsite",
    "PutEncryptionConfiguration",
    "PutIntelligentTieringConfiguration",
    "PutInventoryConfiguration",
    "PutLifecycleConfiguration",
    "PutMetricsConfiguration",
    "PutReplicationConfiguration",
];
