//! The signature of a form: over its policy alone.

use subtle::ConstantTimeEq as _;

use super::ALGORITHM;
use super::claim::Scope;
use super::signing_key::SigningKey;
use super::version2;
use crate::credentials::KeyPair;
use crate::error::{ErrorCode, S3Error};
use crate::form::Form;
use crate::time;

/// The signature that stands in the fields of a form.
#[derive(Debug)]
pub(crate) enum FormSignature<'a> {
    /// Of version 4.
    Version4 {
        /// Who signed, for which day, region and service.
        scope: Scope<'a>,
        /// When.
        time: std::time::SystemTime,
        /// The signature, in hex.
        signature: &'a str,
    },
    /// Of version 2, which boto3 makes by default.
    Version2 {
        /// Who signed.
        access_key_id: &'a str,
        /// The signature, in base64.
        signature: &'a str,
    },
}

impl<'a> FormSignature<'a> {
    /// The signature of a form; nothing where it has none.
    pub(crate) fn of(form: &'a Form) -> Result<Option<Self>, S3Error> {
        let missing = |name: &str| {
            S3Error::new(
                ErrorCode::InvalidArgument,
                format!("Bucket POST must contain a field named '{name}'.  If it is specified, please check the order of the fields."),
            )
            .detail("ArgumentName", name)
        };
        let field = |name: &str| form.get(name).ok_or_else(|| missing(name));
        if form.get("policy").is_none() {
            return Ok(None);
        }
        if form.get("awsaccesskeyid").is_some() {
            let (access_key_id, signature) = (field("awsaccesskeyid")?, field("signature")?);
            return Ok(Some(Self::Version2 { access_key_id, signature }));
        }
        let wrong = |reason: &str| S3Error::new(ErrorCode::InvalidArgument, reason.to_owned());
        if field("x-amz-algorithm")? != ALGORITHM {
            return Err(wrong("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
        }
        let scope = Scope::parse(field("x-amz-credential")?).map_err(|reason| wrong(&reason))?;
        if scope.service != "s3" {
            return Err(wrong("X-Amz-Credential must be for the service \"s3\""));
        }
        let timestamp = field("x-amz-date")?;
        let time = time::parse_basic(timestamp).filter(|_| timestamp.starts_with(scope.date));
        let time = time.ok_or_else(|| wrong("X-Amz-Date must be of the day of X-Amz-Credential"))?;
        Ok(Some(Self::Version4 { scope, time, signature: field("x-amz-signature")? }))
    }

    /// Who signed.
    pub(crate) fn access_key_id(&self) -> &str {
        match self {
            Self::Version4 { scope, .. } => scope.access_key_id,
            Self::Version2 { access_key_id, .. } => access_key_id,
        }
    }

    /// Refuses a policy that was not signed with this pair.
    pub(crate) fn verify(&self, policy: &str, pair: &KeyPair) -> Result<(), S3Error> {
        let secret = &pair.secret_access_key;
        let (expected, given) = match self {
            Self::Version4 { scope, time, signature } => {
                let key = SigningKey::derive(secret, *time, scope.region, scope.service);
                (key.sign(policy.as_bytes()), signature)
            }
            Self::Version2 { signature, .. } => (version2::sign(secret, policy), signature),
        };
        if bool::from(expected.as_bytes().ct_eq(given.as_bytes())) {
            return Ok(());
        }
        Err(S3Error::from(ErrorCode::SignatureDoesNotMatch)
            .detail("AWSAccessKeyId", self.access_key_id())
            .detail("StringToSign", policy)
            .detail("SignatureProvided", *given))
    }
}
