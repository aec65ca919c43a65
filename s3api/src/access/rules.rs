//! What a bucket's settings say about access, read once for every change of them.

use std::num::NonZeroUsize;
use std::sync::Arc;

use fdfs_objects::access::{BucketAccess, CannedAcl, Policy, PublicAccessBlock};
use fdfs_objects::{BucketInfo, BucketSettings};
use lru::LruCache;
use parking_lot::Mutex;

use crate::error::{ErrorCode, S3Error};
use crate::xml::{Element, XmlWriter};

/// The rules of the buckets asked for last.
#[derive(Debug)]
pub(crate) struct Rules {
    latest: Mutex<LruCache<u64, Known>>,
    none: Arc<BucketAccess>,
}

/// Rules, and the settings that they were read from.
type Known = (Arc<BucketSettings>, Arc<BucketAccess>);

impl Rules {
    /// The rules of a bucket with these settings.
    pub(crate) fn of(
        &self,
        bucket: &BucketInfo,
        settings: Arc<BucketSettings>,
    ) -> Result<Arc<BucketAccess>, S3Error> {
        if ![POLICY, ACL, OWNERSHIP, PUBLIC_ACCESS_BLOCK].iter().any(|name| settings.contains_key(*name)) {
            return Ok(Arc::clone(&self.none));
        }
        if let Some((of, rules)) = self.latest.lock().get(&bucket.root)
            && Arc::ptr_eq(of, &settings)
        {
            return Ok(Arc::clone(rules));
        }
        let rules = Arc::new(read(&bucket.name, &settings)?);
        self.latest.lock().put(bucket.root, (settings, Arc::clone(&rules)));
        Ok(rules)
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { latest: Mutex::new(LruCache::new(REMEMBERED)), none: Arc::default() }
    }
}

/// Reads settings that were checked when they were put. What cannot be understood now lets nobody in.
fn read(bucket: &str, settings: &BucketSettings) -> Result<BucketAccess, S3Error> {
    let unreadable = |name: &str| {
        S3Error::new(ErrorCode::InternalError, "The bucket's access settings cannot be read")
            .detail("Setting", name)
    };
    let policy = settings.get(POLICY).map(|text| Policy::parse(text, bucket)).transpose();
    let acl = settings.get(ACL).map(|text| std::str::from_utf8(text).ok().and_then(CannedAcl::parse));
    let block = settings.get(PUBLIC_ACCESS_BLOCK).map(|text| read_public_access_block(text)).transpose();
    let ownership = settings.get(OWNERSHIP).map(|text| read_ownership(text)).transpose();
    Ok(BucketAccess {
        policy: policy.map_err(|_| unreadable(POLICY))?,
        acl: acl.map_or(Some(CannedAcl::Private), |acl| acl).ok_or_else(|| unreadable(ACL))?,
        block: block.map_err(|_| unreadable(PUBLIC_ACCESS_BLOCK))?.unwrap_or_default(),
        acls_disabled: ownership.map_err(|_| unreadable(OWNERSHIP))?.is_some_and(|name| name == ENFORCED),
    })
}

/// Reads a `PublicAccessBlockConfiguration`.
fn read_public_access_block(document: &[u8]) -> Result<PublicAccessBlock, S3Error> {
    let configuration = Element::parse(document, "PublicAccessBlockConfiguration")?;
    let flag = |name: &str| match configuration.text_of(name).map(str::trim) {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(S3Error::from(ErrorCode::MalformedXML)),
    };
    Ok(PublicAccessBlock {
        block_public_acls: flag("BlockPublicAcls")?,
        ignore_public_acls: flag("IgnorePublicAcls")?,
        block_public_policy: flag("BlockPublicPolicy")?,
        restrict_public_buckets: flag("RestrictPublicBuckets")?,
    })
}

/// Reads `OwnershipControls`: who owns what others put, and whether ACLs mean anything.
fn read_ownership(document: &[u8]) -> Result<&'static str, S3Error> {
    let controls = Element::parse(document, "OwnershipControls")?;
    let mut rules = controls.all("Rule");
    let (Some(rule), None) = (rules.next(), rules.next()) else { return Err(ErrorCode::MalformedXML.into()) };
    let name = rule.text_of("ObjectOwnership").map(str::trim).unwrap_or_default();
    let known = OWNERSHIP_NAMES.iter().find(|known| **known == name);
    known.copied().ok_or_else(|| ErrorCode::MalformedXML.into())
}

/// The document that says the same, in full.
pub(crate) fn public_access_block_document(document: &[u8]) -> Result<String, S3Error> {
    let block = read_public_access_block(document)?;
    Ok(XmlWriter::s3_document("PublicAccessBlockConfiguration", |xml| {
        xml.value("BlockPublicAcls", block.block_public_acls);
        xml.value("IgnorePublicAcls", block.ignore_public_acls);
        xml.value("BlockPublicPolicy", block.block_public_policy);
        xml.value("RestrictPublicBuckets", block.restrict_public_buckets);
    }))
}

/// The document that says the same.
pub(crate) fn ownership_document(document: &[u8]) -> Result<String, S3Error> {
    let name = read_ownership(document)?;
    Ok(XmlWriter::s3_document("OwnershipControls", |xml| {
        xml.element("Rule", |xml| xml.text("ObjectOwnership", name));
    }))
}

/// Names of the settings, which are those of S3's subresources.
pub(crate) const POLICY: &str = "policy";
pub(crate) const ACL: &str = "acl";
pub(crate) const OWNERSHIP: &str = "ownershipControls";
pub(crate) const PUBLIC_ACCESS_BLOCK: &str = "publicAccessBlock";
const OWNERSHIP_NAMES: [&str; 3] = [ENFORCED, "BucketOwnerPreferred", "ObjectWriter"];
const ENFORCED: &str = "BucketOwnerEnforced";
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not zero");
