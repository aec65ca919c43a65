//! What a peer must know to be let in.

use std::fmt;

use subtle::ConstantTimeEq;
use thiserror::Error;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Request, Status};

/// A secret that service and peers share.
#[derive(Clone)]
pub struct Secret(MetadataValue<Ascii>);

/// A text that cannot be a [`Secret`].
#[derive(Clone, Copy, Debug, Error, Eq, PartialEq)]
#[error(
    "the namespace secret must have {MIN_LENGTH} to {MAX_LENGTH} printable ASCII characters and no spaces"
)]
pub struct InvalidSecret;

impl Secret {
    /// A secret from its text.
    pub fn new(text: &str) -> Result<Self, InvalidSecret> {
        let fits =
            (MIN_LENGTH..=MAX_LENGTH).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        let mut value: MetadataValue<Ascii> = text.parse().ok().filter(|_| fits).ok_or(InvalidSecret)?;
        // Never indexed by header compression, never shown.
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// Puts it into a request.
    pub(super) fn sign<T>(&self, request: &mut Request<T>) {
        request.metadata_mut().insert(KEY, self.0.clone());
    }

    /// Checks that a request has it, in a time that does not depend on where the two differ.
    pub(super) fn verify(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let said = metadata.get(KEY).map_or(&[][..], MetadataValue::as_encoded_bytes);
        if bool::from(said.ct_eq(self.0.as_encoded_bytes())) {
            return Ok(());
        }
        metrics::counter!("fdfs_namespace_service_refused_total").increment(1);
        Err(Status::unauthenticated("the namespace secret is missing or wrong"))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

const KEY: &str = "fdfs-secret";
const MIN_LENGTH: usize = 16;
const MAX_LENGTH: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_compared_whole_and_never_shown() {
        let secret = Secret::new("0123456789abcdef").unwrap();
        let verify = |other: &str| {
            let mut request = Request::new(());
            Secret::new(other).unwrap().sign(&mut request);
            secret.verify(request.metadata()).is_ok()
        };
        assert!(verify("0123456789abcdef"));
        assert!(!verify("0123456789abcdeg"));
        assert!(!verify("0123456789abcdef0"));
        assert!(secret.verify(&MetadataMap::new()).is_err());
        assert!(!format!("{secret:?} {:?}", secret.0).contains("0123"));
    }

    #[test]
    fn a_secret_that_could_be_guessed_or_mangled_is_refused() {
        assert!(Secret::new("short").is_err());
        assert!(Secret::new("has spaces in between").is_err());
        assert!(Secret::new(&"x".repeat(300)).is_err());
    }
}
