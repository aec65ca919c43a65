//! Signatures: who sent a request, and that nobody changed it.
//!
//! A signature of version 4 stands in the `Authorization` header or, presigned, in the query. Both are checked
//! against a canonical request made of the bytes that were sent. Of version 2, presigned URLs are taken.

mod canonical;
mod chunk_signer;
mod claim;
mod form;
mod other_hosts;
mod payload_mode;
mod signing_key;
#[cfg(test)]
mod tests;
mod version2;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fdfs_objects::access::Caller;
use http::{HeaderMap, Method};
use sha2::{Digest as _, Sha256};

use crate::credentials::{CredentialsProvider, Identity};
use crate::error::{ErrorCode, S3Error};
use crate::time;
use crate::uri::Query;

pub(crate) use chunk_signer::ChunkSigner;
pub(crate) use form::FormSignature;
pub(crate) use other_hosts::OtherHosts;
pub(crate) use payload_mode::PayloadMode;

use canonical::CanonicalRequest;
use claim::{Claim, Placement};
use signing_key::{SigningKey, SigningKeys};
use version2::PresignedVersion2;

/// A request's head, as its signature sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedHead<'a> {
    /// The method.
    pub(crate) method: &'a Method,
    /// The path as sent.
    pub(crate) path: &'a str,
    /// The query as sent, without `?`.
    pub(crate) raw_query: &'a str,
    /// The query's decoded pairs.
    pub(crate) query: &'a Query,
    /// The headers.
    pub(crate) headers: &'a HeaderMap,
    /// The bucket, where the host names it and not the path.
    pub(crate) host_bucket: Option<&'a str>,
    /// What the client may have signed as the host instead of what came.
    pub(crate) other_hosts: OtherHosts<'a>,
}

/// What a verified signature vouches for.
#[derive(Debug)]
pub(crate) struct Signer {
    /// Who signed.
    pub(crate) caller: Caller,
    /// The region the client believes to speak with.
    pub(crate) region: String,
    /// How the payload is protected.
    pub(crate) payload: PayloadMode,
}

impl Signer {
    /// What is known of a request that nobody signed.
    pub(crate) fn anonymous(head: &SignedHead<'_>) -> Result<Self, S3Error> {
        let payload = payload_mode::unsigned(head.headers)?;
        Ok(Self { caller: Caller::Anonymous, region: String::new(), payload })
    }
}

impl<'a> SignedHead<'a> {
    /// The access key id it names; none where it is not signed.
    pub(crate) fn access_key_id(&self) -> Option<&'a str> {
        if let Some(authorization) = self.headers.get(http::header::AUTHORIZATION) {
            let credential = authorization.to_str().ok().and_then(|text| text.split_once("Credential="));
            let credential = credential.and_then(|(_, rest)| rest.split([',', ' ']).next());
            return Some(credential.map(id_of_credential).unwrap_or_default());
        }
        if self.query.has("X-Amz-Algorithm") || self.query.has("X-Amz-Signature") {
            return Some(self.query.get("X-Amz-Credential").map(id_of_credential).unwrap_or_default());
        }
        if self.query.has("AWSAccessKeyId") || self.query.has("Signature") {
            return Some(self.query.get("AWSAccessKeyId").unwrap_or_default());
        }
        None
    }

    /// The token that goes with a temporary key.
    pub(crate) fn session_token(&self) -> Option<&'a str> {
        let header = self.headers.get("x-amz-security-token").map(|token| token.to_str().unwrap_or_default());
        header.or_else(|| self.query.get("X-Amz-Security-Token"))
    }
}

/// What stands before the four last fields of a credential.
fn id_of_credential(credential: &str) -> &str {
    credential.rsplitn(5, '/').nth(4).unwrap_or_default()
}

/// Verifies signatures.
#[derive(Debug, Default)]
pub(crate) struct Verifier {
    keys: SigningKeys,
}

impl Verifier {
    /// Verifies the signature of a request that began at `now`.
    pub(crate) fn verify(
        &self,
        head: SignedHead<'_>,
        credentials: &dyn CredentialsProvider,
        now: SystemTime,
    ) -> Result<Signer, S3Error> {
        if let Some(presigned) = PresignedVersion2::of(&head) {
            return presigned.verify(&head, credentials, now);
        }
        let claim = Claim::of(&head)?;
        claim.check_service("s3")?;
        let payload = claim.payload_mode(head.headers)?;
        let hash = claim.payload_hash(head.headers);
        let (identity, key) = self.verify_claim(&head, &claim, hash, credentials, now)?;

        let payload = payload.into_mode(|| {
            let (timestamp, scope) = (claim.timestamp.into_owned(), claim.scope.text().to_owned());
            ChunkSigner::new(key, timestamp, scope, claim.signature.to_owned())
        });
        let region = claim.scope.region.to_owned();
        Ok(Signer { caller: Caller::User(Arc::clone(&identity.user)), region, payload })
    }

    /// Verifies a request to the token service, whose clients tell the hash of the body by signing it alone.
    pub(crate) fn verify_for_tokens(
        &self,
        head: SignedHead<'_>,
        body: &[u8],
        credentials: &dyn CredentialsProvider,
        now: SystemTime,
    ) -> Result<Arc<Identity>, S3Error> {
        let claim = Claim::of(&head)?;
        claim.check_service("sts")?;
        let hash = hex::encode(Sha256::digest(body));
        Ok(self.verify_claim(&head, &claim, &hash, credentials, now)?.0)
    }

    /// Whose claim it is, and the key that signed it.
    fn verify_claim(
        &self,
        head: &SignedHead<'_>,
        claim: &Claim<'_>,
        hash: &str,
        credentials: &dyn CredentialsProvider,
        now: SystemTime,
    ) -> Result<(Arc<Identity>, SigningKey), S3Error> {
        check_time(claim, now)?;
        claim.check_signed_headers(head.headers)?;
        let identity = credentials.identity(claim.scope.access_key_id).ok_or_else(|| {
            S3Error::from(ErrorCode::InvalidAccessKeyId).detail("AWSAccessKeyId", claim.scope.access_key_id)
        })?;
        let key = self.keys.derive(&identity.pair, claim.time, &claim.scope);
        let canonical = CanonicalRequest::as_sent(head, &claim.signed_headers, hash);
        let again = || CanonicalRequest::encoded_again(head, &claim.signed_headers, hash);
        let for_others = || {
            head.other_hosts.of(head.headers).iter().any(|host| {
                let canonical = CanonicalRequest::for_host(head, host, &claim.signed_headers, hash);
                signs(&key, claim, &canonical)
            })
        };
        if !signs(&key, claim, &canonical)
            && !again().is_some_and(|again| signs(&key, claim, &again))
            && !for_others()
        {
            return Err(does_not_match(claim, &canonical));
        }
        Ok((identity, key))
    }
}

/// Whether `key` gives the claimed signature over this canonical request.
fn signs(key: &SigningKey, claim: &Claim<'_>, canonical: &CanonicalRequest) -> bool {
    key.signs(string_to_sign(claim, canonical).as_bytes(), claim.signature)
}

fn string_to_sign(claim: &Claim<'_>, canonical: &CanonicalRequest) -> String {
    let hash = hex::encode(Sha256::digest(canonical.as_bytes()));
    [ALGORITHM, &claim.timestamp, claim.scope.text(), &hash].join("\n")
}

/// Refuses requests of another time than ours, and presigned ones past their end.
fn check_time(claim: &Claim<'_>, now: SystemTime) -> Result<(), S3Error> {
    match claim.placement {
        Placement::Header if time::distance(claim.time, now) > MAX_SKEW => {
            Err(S3Error::from(ErrorCode::RequestTimeTooSkewed)
                .detail("RequestTime", &*claim.timestamp)
                .detail("ServerTime", time::iso8601(now))
                .detail("MaxAllowedSkewMilliseconds", MAX_SKEW.as_millis().to_string()))
        }
        Placement::Query { .. } if claim.time > now + MAX_SKEW => {
            Err(S3Error::new(ErrorCode::AccessDenied, "Request is not valid yet")
                .detail("ServerTime", time::iso8601(now)))
        }
        Placement::Query { expires } if claim.time + expires < now => {
            Err(S3Error::new(ErrorCode::AccessDenied, "Request has expired")
                .detail("X-Amz-Expires", expires.as_secs().to_string())
                .detail("Expires", time::iso8601(claim.time + expires))
                .detail("ServerTime", time::iso8601(now)))
        }
        Placement::Header | Placement::Query { .. } => Ok(()),
    }
}

/// The refusal shows what was signed here, so that a client's author can compare.
fn does_not_match(claim: &Claim<'_>, canonical: &CanonicalRequest) -> S3Error {
    let string_to_sign = string_to_sign(claim, canonical);
    S3Error::from(ErrorCode::SignatureDoesNotMatch)
        .detail("AWSAccessKeyId", claim.scope.access_key_id)
        .detail("StringToSign", &*string_to_sign)
        .detail("SignatureProvided", claim.signature)
        .detail("StringToSignBytes", spaced_hex(string_to_sign.as_bytes()))
        .detail("CanonicalRequest", String::from_utf8_lossy(canonical.as_bytes()))
        .detail("CanonicalRequestBytes", spaced_hex(canonical.as_bytes()))
}

fn spaced_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" ")
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const MAX_SKEW: Duration = Duration::from_secs(15 * 60);

/// A signer of chunks as AWS's published examples have it, for tests and fuzzers.
pub(crate) fn published_chunk_signer(seed: &str) -> ChunkSigner {
    let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let time = time::parse_basic("20130524T000000Z").expect("a valid time");
    let key = SigningKey::derive(secret, time, "us-east-1", "s3");
    ChunkSigner::new(key, "20130524T000000Z".into(), "20130524/us-east-1/s3/aws4_request".into(), seed.into())
}
