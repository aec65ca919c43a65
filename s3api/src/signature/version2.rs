//! Presigned URLs of signature version 2, which `aws s3 presign` (CLI version 1) and `s3cmd signurl` still make.
//!
//! Only this form is taken: `?AWSAccessKeyId=…&Expires=…&Signature=…`. Requests signed by header use version 4.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fdfs_objects::access::Caller;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use super::{PayloadMode, SignedHead, Signer};
use crate::credentials::CredentialsProvider;
use crate::error::{ErrorCode, S3Error};
use crate::time;

/// A presigned URL of version 2.
#[derive(Debug)]
pub(super) struct PresignedVersion2<'a> {
    access_key_id: &'a str,
    expires: &'a str,
    signature: &'a str,
}

impl<'a> PresignedVersion2<'a> {
    /// The URL's signature, where it has one of this version.
    pub(super) fn of(head: &SignedHead<'a>) -> Option<Self> {
        let field = |name| head.query.get(name);
        Some(Self {
            access_key_id: field("AWSAccessKeyId")?,
            expires: field("Expires")?,
            signature: field("Signature")?,
        })
    }

    /// Verifies it.
    pub(super) fn verify(
        &self,
        head: &SignedHead<'_>,
        credentials: &dyn CredentialsProvider,
        now: SystemTime,
    ) -> Result<Signer, S3Error> {
        if head.headers.contains_key(http::header::AUTHORIZATION) {
            return Err(ErrorCode::InvalidArgument.into());
        }
        let expires = self
            .expires
            .parse()
            .ok()
            .and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let expires = expires.ok_or_else(|| {
            S3Error::new(ErrorCode::AccessDenied, "Invalid date (should be seconds since epoch)")
        })?;
        if expires < now {
            return Err(S3Error::new(ErrorCode::AccessDenied, "Request has expired")
                .detail("Expires", time::iso8601(expires))
                .detail("ServerTime", time::iso8601(now)));
        }
        let identity = credentials.identity(self.access_key_id).ok_or_else(|| {
            S3Error::from(ErrorCode::InvalidAccessKeyId).detail("AWSAccessKeyId", self.access_key_id)
        })?;
        let string_to_sign = string_to_sign(head, self.expires);
        if !bool::from(
            sign(&identity.pair.secret_access_key, &string_to_sign)
                .as_bytes()
                .ct_eq(self.signature.as_bytes()),
        ) {
            return Err(S3Error::from(ErrorCode::SignatureDoesNotMatch)
                .detail("AWSAccessKeyId", self.access_key_id)
                .detail("StringToSign", string_to_sign)
                .detail("SignatureProvided", self.signature));
        }
        Ok(Signer {
            caller: Caller::User(Arc::clone(&identity.user)),
            region: String::new(),
            payload: PayloadMode::Unsigned,
        })
    }
}

/// The signature over a text.
pub(super) fn sign(secret: &str, string_to_sign: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("a key of any length is taken");
    mac.update(string_to_sign.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

fn string_to_sign(head: &SignedHead<'_>, expires: &str) -> String {
    let header =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut amz: Vec<String> = head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("x-amz-"))
        .map(|(name, value)| format!("{name}:{}\n", value.to_str().unwrap_or_default().trim()))
        .collect();
    amz.sort_unstable();
    format!(
        "{}\n{}\n{}\n{expires}\n{}{}",
        head.method,
        header("content-md5"),
        header("content-type"),
        amz.concat(),
        resource(head)
    )
}

/// The path with its bucket, and what of the query chooses a part of it or changes the answer.
fn resource(head: &SignedHead<'_>) -> String {
    let mut chosen: Vec<String> = head
        .query
        .pairs()
        .filter(|(name, _)| SIGNED_PARAMETERS.contains(name) || name.starts_with("response-"))
        .map(|(name, value)| if value.is_empty() { name.to_owned() } else { format!("{name}={value}") })
        .collect();
    chosen.sort_unstable();
    let bucket = head.host_bucket.map(|bucket| format!("/{bucket}")).unwrap_or_default();
    let question = if chosen.is_empty() { "" } else { "?" };
    format!("{bucket}{}{question}{}", head.path, chosen.join("&"))
}

const SIGNED_PARAMETERS: &[&str] = &[
    "acl",
    "cors",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
];
