//! Whether a request may be answered: what it wants to do is asked of the bucket's own rules.
//!
//! The rules themselves stand in [`fdfs_objects::access`]; here a request becomes a question.

mod actions;
mod rules;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use fdfs_objects::access::{
    BucketAccess, Caller, CannedAcl, Circumstances, DELETE_RAW_FILE, Decision, Question,
};
use fdfs_objects::{BucketInfo, ObjectsError, VersionId};
use http::HeaderMap;

use crate::context::Context;
use crate::copy_source::CopySource;
use crate::error::{ErrorCode, S3Error};
use crate::peer::Peer;
use crate::route::{Operation, subresource};
use crate::target::Target;
use crate::uri::Query;

pub(crate) use rules::Rules;
pub(crate) use rules::{
    ACL, OWNERSHIP, POLICY, PUBLIC_ACCESS_BLOCK, ownership_document, public_access_block_document,
};

/// Who sent a request, and under which circumstances.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    caller: Caller,
    circumstances: Circumstances,
}

/// What a request may do in one bucket.
#[derive(Clone, Debug)]
pub(crate) struct InBucket<'a> {
    access: &'a Access,
    bucket: &'a str,
    rules: Arc<BucketAccess>,
    info: BucketInfo,
}

impl Access {
    /// What is known of a request.
    pub(crate) fn new(
        caller: Caller,
        peer: &Peer,
        headers: &HeaderMap,
        query: &Query,
        time: SystemTime,
    ) -> Self {
        let mut values = BTreeMap::new();
        for (name, parameter) in QUERY_VALUES {
            values.extend(query.get(parameter).map(|value| (*name, value.to_owned())));
        }
        // A request has fewer headers than there are conditions on them. Of a header that comes twice the first counts.
        for (header, value) in headers {
            let condition = HEADER_VALUES.iter().find(|(_, name)| *name == header.as_str());
            if let (Some((name, _)), Ok(value)) = (condition, value.to_str()) {
                values.entry(*name).or_insert_with(|| value.to_owned());
            }
        }
        if caller != Caller::Anonymous {
            let presigned = query.has("X-Amz-Signature") || query.has("Signature");
            let kind = if presigned { "REST-QUERY-STRING" } else { "REST-HEADER" };
            let version = if query.has("Signature") { "AWS" } else { "AWS4-HMAC-SHA256" };
            values.extend([("s3:authtype", kind.to_owned()), ("s3:signatureversion", version.to_owned())]);
        }
        let (source_ip, secure) = (Some(peer.client(headers)), peer.is_secure(headers));
        Self { caller, circumstances: Circumstances { time, source_ip, secure, values } }
    }

    /// The same caller, who uploads by a form.
    pub(crate) fn by_form(mut self, caller: Caller) -> Self {
        self.caller = caller;
        self.circumstances.values.insert("s3:authtype", "POST".to_owned());
        self
    }

    /// Who sent it.
    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What it may do in a bucket, which has to exist.
    pub(crate) async fn in_bucket<'a>(
        &'a self,
        cx: &Context,
        bucket: &'a str,
    ) -> Result<InBucket<'a>, S3Error> {
        let info = cx.bucket(bucket).await?;
        let settings = cx.objects.bucket_settings(&info).await?;
        let rules = cx.rules.of(&info, settings)?;
        Ok(InBucket { access: self, bucket, rules, info })
    }

    /// Whether it may see that there is such a bucket in the list of all.
    pub(crate) fn sees(&self, bucket: &str) -> bool {
        self.caller.grants().is_some_and(|grants| grants.touch(bucket))
    }

    /// Refuses a request that may not be answered.
    pub(crate) async fn authorize(
        &self,
        cx: &Context,
        operation: Operation,
        target: &Target,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<(), S3Error> {
        let odd;
        let (bucket, key) = match target {
            // What a policy can say of such a key it says of its text.
            Target::OddObject { bucket, key } => {
                odd = String::from_utf8_lossy(key);
                (bucket.as_str(), Some(odd.as_ref()))
            }
            Target::Service if self.caller == Caller::Anonymous => return Err(ErrorCode::AccessDenied.into()),
            Target::Service => return Ok(()),
            Target::Bucket { bucket } => (bucket.as_str(), None),
            Target::Object { bucket, key } => (bucket.as_str(), Some(key.as_str())),
        };
        if operation == Operation::CreateBucket {
            let question = self.question("s3:CreateBucket", bucket, None);
            let decision = BucketAccess::default().decide(&question);
            return if decision == Decision::Allowed { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) };
        }
        let in_bucket = self.in_bucket(cx, bucket).await?;
        // What is no version ID is refused by the operation.
        let version = query.get("versionId").and_then(|text| text.parse().ok());
        let versioned = query.has("versionId");
        for action in actions::of(operation.name(), subresource(query).unwrap_or_default(), versioned) {
            in_bucket.check_version(cx, action, key, version).await?;
        }
        let sets = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
        if actions::puts_an_object(operation.name()) {
            if sets("x-amz-tagging") {
                in_bucket.check(cx, "s3:PutObjectTagging", key).await?;
            }
            if sets("x-amz-acl") {
                in_bucket.check(cx, "s3:PutObjectAcl", key).await?;
            }
        }
        if let Some(acl) = headers.get("x-amz-acl") {
            let acl = acl.to_str().ok().and_then(CannedAcl::parse).unwrap_or_default();
            in_bucket.check_acl(acl)?;
        }
        if actions::copies(operation.name())
            && let Some(source) = headers.get("x-amz-copy-source").and_then(|source| source.to_str().ok())
        {
            let source = CopySource::parse(source)?;
            let source_bucket = self.in_bucket(cx, &source.bucket).await?;
            let action = if source.version_id.is_some() { "s3:GetObjectVersion" } else { "s3:GetObject" };
            source_bucket.check_version(cx, action, Some(&source.key), source.version_id).await?;
        }
        Ok(())
    }

    fn question<'a>(&'a self, action: &'a str, bucket: &'a str, key: Option<&'a str>) -> Question<'a> {
        Question { caller: &self.caller, action, bucket, key, circumstances: &self.circumstances }
    }
}

impl InBucket<'_> {
    /// Refuses an action that may not be done.
    pub(crate) async fn check(&self, cx: &Context, action: &str, key: Option<&str>) -> Result<(), S3Error> {
        self.check_version(cx, action, key, None).await
    }

    /// Refuses an action that may not be done on a version of an object: each has an ACL of its own.
    async fn check_version(
        &self,
        cx: &Context,
        action: &str,
        key: Option<&str>,
        version: Option<VersionId>,
    ) -> Result<(), S3Error> {
        let decision =
            self.rules.decide(&self.access.question(self.action_on(cx, action, key), self.bucket, key));
        let allowed = match (decision, key) {
            (Decision::Allowed, _) => true,
            (Decision::IfObjectIsPublic, Some(key)) => self.is_public(cx, key, version).await?,
            _ => false,
        };
        if allowed { Ok(()) } else { Err(ErrorCode::AccessDenied.into()) }
    }

    /// Whether it may see which keys there are; who may not is told of none that is missing.
    pub(crate) fn may_list(&self) -> bool {
        self.rules.decide(&self.access.question("s3:ListBucket", self.bucket, None)) == Decision::Allowed
    }

    /// Refuses an ACL that cannot be set here.
    pub(crate) fn check_acl(&self, acl: CannedAcl) -> Result<(), S3Error> {
        if acl == CannedAcl::Private {
            return Ok(());
        }
        if self.rules.acls_disabled {
            return Err(ErrorCode::AccessControlListNotSupported.into());
        }
        if self.rules.block.block_public_acls {
            return Err(ErrorCode::AccessDenied.into());
        }
        Ok(())
    }

    /// What the bucket says about access.
    pub(crate) fn rules(&self) -> &BucketAccess {
        &self.rules
    }

    /// The same action, or the one that it is on a raw file.
    fn action_on<'b>(&self, cx: &Context, action: &'b str, key: Option<&str>) -> &'b str {
        let raw = key.is_some_and(|key| cx.objects.is_raw(&self.info, key.as_bytes()));
        if raw && action.starts_with("s3:DeleteObject") { DELETE_RAW_FILE } else { action }
    }

    async fn is_public(&self, cx: &Context, key: &str, version: Option<VersionId>) -> Result<bool, S3Error> {
        match cx.objects.head_version(self.bucket, key.as_bytes(), version).await {
            Ok(info) => {
                let acl = info.headers.get(&fdfs_objects::ContentHeader::Acl);
                Ok(acl.and_then(|acl| CannedAcl::parse(acl)) == Some(CannedAcl::PublicRead))
            }
            // Who may list is told that there is none.
            Err(ObjectsError::NotFound | ObjectsError::NoSuchVersion | ObjectsError::DeleteMarker { .. }) => {
                Ok(self.may_list())
            }
            Err(error) => Err(error.into()),
        }
    }
}

/// Condition keys that stand in the query.
const QUERY_VALUES: &[(&str, &str)] = &[
    ("s3:delimiter", "delimiter"),
    ("s3:max-keys", "max-keys"),
    ("s3:prefix", "prefix"),
    ("s3:versionid", "versionId"),
];

/// Condition keys that stand in headers.
const HEADER_VALUES: &[(&str, &str)] = &[
    ("aws:referer", "referer"),
    ("aws:useragent", "user-agent"),
    ("s3:if-match", "if-match"),
    ("s3:if-none-match", "if-none-match"),
    ("s3:x-amz-acl", "x-amz-acl"),
    ("s3:x-amz-content-sha256", "x-amz-content-sha256"),
    ("s3:x-amz-copy-source", "x-amz-copy-source"),
    ("s3:x-amz-metadata-directive", "x-amz-metadata-directive"),
    ("s3:x-amz-server-side-encryption", "x-amz-server-side-encryption"),
    ("s3:x-amz-storage-class", "x-amz-storage-class"),
];
