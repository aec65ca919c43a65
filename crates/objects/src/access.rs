//! Who may do what: key permissions, bucket policies, canned ACLs, public access blocks.
//!
//! Nothing here reads a row, a socket or a clock: a question comes with all that its answer depends on. It is
//! answered in this order:
//!
//! 1. A `Deny` of the bucket's policy that fits wins over everything. One exception: who administers the bucket may
//!    always read, set and delete the policy itself, so that nobody is locked out for good.
//! 2. The permissions of the key.
//! 3. An `Allow` of the policy.
//! 4. The canned ACL `public-read` of the bucket (its lists) or of the object (its content), where ACLs are honoured.
//! 5. Everything else is denied.

mod action;
mod condition;
mod grants;
mod pattern;
mod policy;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

pub use action::{Permission, is_known_action};
pub use grants::{Grant, Grants, ParseGrantError, Permissions};
pub use policy::{Policy, PolicyError};

pub use fdfs_types::Network;

/// Who asks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Caller {
    /// Nobody in particular: the request was not signed.
    Anonymous,
    /// The holder of an access key.
    User(Arc<User>),
}

/// The holder of an access key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct User {
    /// The id of the key.
    pub access_key_id: String,
    /// What people call the user; policies name it as `arn:aws:iam:::user/NAME`.
    pub name: String,
    /// What the key is for.
    pub grants: Grants,
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who asks.
    pub caller: &'a Caller,
    /// The action, as policies call it: `s3:GetObject`.
    pub action: &'a str,
    /// The bucket.
    pub bucket: &'a str,
    /// The key, where the action is on an object.
    pub key: Option<&'a str>,
    /// What else is known of the request.
    pub circumstances: &'a Circumstances,
}

/// What conditions of a policy may ask about.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// When the request began.
    pub time: SystemTime,
    /// Where it came from.
    pub source_ip: Option<IpAddr>,
    /// Whether it came over TLS.
    pub secure: bool,
    /// Further values by the condition key in lower case: `s3:prefix`, `aws:referer`.
    pub values: BTreeMap<&'static str, String>,
}

/// The answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Decision {
    /// It may be done.
    Allowed,
    /// It may be done if the object's own ACL is [`CannedAcl::PublicRead`].
    IfObjectIsPublic,
    /// It may not be done.
    Denied,
}

/// An ACL that has a name.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CannedAcl {
    /// The owner alone.
    #[default]
    Private,
    /// Everybody may read.
    PublicRead,
}

/// What keeps a bucket from becoming public by mistake.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PublicAccessBlock {
    /// Public ACLs cannot be set.
    pub block_public_acls: bool,
    /// Public ACLs mean nothing.
    pub ignore_public_acls: bool,
    /// Public policies cannot be set.
    pub block_public_policy: bool,
    /// A public policy lets nobody in who did not sign.
    pub restrict_public_buckets: bool,
}

/// All that a bucket says about access.
#[derive(Clone, Debug, Default)]
pub struct BucketAccess {
    /// Its policy.
    pub policy: Option<Policy>,
    /// Its canned ACL.
    pub acl: CannedAcl,
    /// What keeps it from becoming public.
    pub block: PublicAccessBlock,
    /// ACLs mean nothing and cannot be set: ownership `BucketOwnerEnforced`.
    pub acls_disabled: bool,
}

impl BucketAccess {
    /// Answers a question about this bucket.
    pub fn decide(&self, question: &Question<'_>) -> Decision {
        let grants = question.caller.grants();
        let permitted = |permission| grants.is_some_and(|grants| grants.permit(question.bucket, permission));
        let keeps_policy = POLICY_ACTIONS.contains(&question.action) && permitted(Permission::Admin);
        if !keeps_policy && self.policy.as_ref().is_some_and(|policy| policy.denies(question)) {
            return Decision::Denied;
        }
        if permitted(Permission::of_action(question.action)) {
            return Decision::Allowed;
        }
        // What a bucket says can make no raw file disappear.
        if question.action == DELETE_RAW_FILE {
            return Decision::Denied;
        }
        if self.policy.as_ref().is_some_and(|policy| self.admits(policy, question)) {
            return Decision::Allowed;
        }
        if self.acls_disabled || self.block.ignore_public_acls {
            return Decision::Denied;
        }
        match question.action {
            "s3:ListBucket" | "s3:ListBucketVersions" | "s3:ListBucketMultipartUploads"
                if self.acl == CannedAcl::PublicRead =>
            {
                Decision::Allowed
            }
            "s3:GetObject" | "s3:GetObjectVersion" => Decision::IfObjectIsPublic,
            _ => Decision::Denied,
        }
    }

    fn admits(&self, policy: &Policy, question: &Question<'_>) -> bool {
        let restricted =
            self.block.restrict_public_buckets && *question.caller == Caller::Anonymous && policy.is_public();
        !restricted && policy.allows(question)
    }
}

impl Caller {
    /// What it may do by its key.
    pub fn grants(&self) -> Option<&Grants> {
        match self {
            Self::Anonymous => None,
            Self::User(user) => Some(&user.grants),
        }
    }
}

impl CannedAcl {
    /// The ACL of this name; those that come to the same as `private` here are `private`.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "private" | "bucket-owner-full-control" | "bucket-owner-read" => Some(Self::Private),
            "public-read" => Some(Self::PublicRead),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::PublicRead => "public-read",
        }
    }
}

/// The action of deleting a raw file by its path. Only a key's permission `raw-delete` allows it.
pub const DELETE_RAW_FILE: &str = "fdfs:DeleteRawFile";
const POLICY_ACTIONS: &[&str] = &["s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"];
