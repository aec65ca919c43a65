//! Who the gateway is to the database: a certificate and its key, as `sslcert` and `sslkey` name them.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::engine::EngineError;

/// A certificate, those up to its authority where the file holds them, and the key.
pub(super) struct Identity {
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// Reads both files; one without the other is a mistake.
    pub(super) fn read(certificate: Option<&Path>, key: Option<&Path>) -> Result<Option<Self>, EngineError> {
        let (certificate, key) = match (certificate, key) {
            (None, None) => return Ok(None),
            (Some(certificate), Some(key)) => (certificate, key),
            _ => return Err(EngineError::Store("sslcert and sslkey are given together".to_owned())),
        };
        let read = CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
        let certificates: Vec<_> = read.map_err(|error| unusable("sslcert", certificate, &error))?;
        if certificates.is_empty() {
            return Err(unusable("sslcert", certificate, &"it holds no certificate"));
        }
        check_key_file(key)?;
        let key = PrivateKeyDer::from_pem_file(key).map_err(|error| {
            unusable("sslkey", key, &format!("{error} (a key with a password is not read)"))
        })?;
        Ok(Some(Self { certificates, key }))
    }
}

/// Refuses a key that others can read, as PostgreSQL's own clients do: one of root may be read by a group.
fn check_key_file(key: &Path) -> Result<(), EngineError> {
    let about = fs::metadata(key).map_err(|error| unusable("sslkey", key, &error))?;
    let forbidden = if about.uid() == 0 { 0o027 } else { 0o077 };
    if about.mode() & forbidden == 0 {
        return Ok(());
    }
    Err(unusable("sslkey", key, &"others can read it: give it mode 0600, or 0640 where it belongs to root"))
}

fn unusable(option: &str, file: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError::Store(format!("{option} {} cannot be used: {why}", file.display()))
}
