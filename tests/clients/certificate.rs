//! Certificates for one test.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Result;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

/// Makes a certificate for an address, its key, and the authority that it is by, which is kept as [`AUTHORITY`].
pub(crate) fn make(address: IpAddr, dir: &Path) -> Result<(PathBuf, PathBuf)> {
    let mut authority = CertificateParams::new(Vec::new())?;
    authority.distinguished_name.push(DnType::CommonName, "an authority for one test");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority_key = KeyPair::generate()?;
    fs::write(dir.join(AUTHORITY), authority.self_signed(&authority_key)?.pem())?;
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec![address.to_string()])?;
    params.distinguished_name.push(DnType::CommonName, address.to_string());
    params.use_authority_key_identifier_extension = true;
    let (cert_file, key_file) = (dir.join("cert.pem"), dir.join("key.pem"));
    fs::write(&cert_file, params.signed_by(&key, &issuer)?.pem())?;
    fs::write(&key_file, key.serialize_pem())?;
    Ok((cert_file, key_file))
}

/// The file of the authority's own certificate, PEM.
pub(crate) const AUTHORITY: &str = "ca.pem";
