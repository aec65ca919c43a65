//! TLS: the certificate and its key, read anew when their files change.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, crypto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

/// Where certificate and key stand.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TlsFiles {
    /// The certificate and those that lead to a root, PEM, the server's own first.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
}

/// Encrypts connections.
///
/// The files are looked at by a connection that comes a second after the last look. A pair that cannot be used leaves
/// the one of before in use; a warning says so.
pub struct Tls {
    files: TlsFiles,
    protocols: Vec<Vec<u8>>,
    look_interval: Duration,
    known: Mutex<Known>,
}

struct Known {
    config: Arc<ServerConfig>,
    stamps: [Option<Stamp>; 2],
    looked: Instant,
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

impl Tls {
    /// Reads the files. Clients may choose among `protocols`, as ALPN calls them, the best one first.
    pub fn read(files: TlsFiles, protocols: &[&str]) -> io::Result<Self> {
        let protocols: Vec<_> = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let stamps = files.stamps();
        let known = Known { config: load(&files, &protocols)?, stamps, looked: Instant::now() };
        Ok(Self { files, protocols, look_interval: LOOK_INTERVAL, known: Mutex::new(known) })
    }

    /// Agrees on keys with a client.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        TlsAcceptor::from(self.current()).accept(stream).await
    }

    fn current(&self) -> Arc<ServerConfig> {
        let mut known = self.known.lock();
        if known.looked.elapsed() >= self.look_interval {
            known.looked = Instant::now();
            let stamps = self.files.stamps();
            if stamps != known.stamps {
                known.stamps = stamps;
                match load(&self.files, &self.protocols) {
                    Ok(config) => {
                        known.config = config;
                        info!(path = %self.files.certificate.display(), "the certificate was read anew");
                    }
                    Err(error) => warn!(%error, "the changed certificate or key is not used"),
                }
            }
        }
        Arc::clone(&known.config)
    }
}

impl TlsFiles {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [&self.certificate, &self.key].map(|path| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
        })
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("files", &self.files).finish_non_exhaustive()
    }
}

fn load(files: &TlsFiles, protocols: &[Vec<u8>]) -> io::Result<Arc<ServerConfig>> {
    let certificates = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&files.certificate, &error))?;
    if certificates.is_empty() {
        return Err(unusable(&files.certificate, &"there is no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config
        .map_err(|error| unusable(&files.certificate, &error))?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(|error| unusable(&files.certificate, &error))?;
    config.alpn_protocols = protocols.to_vec();
    Ok(Arc::new(config))
}

fn unusable(path: &Path, error: &dyn fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {error}", path.display()))
}

const LOOK_INTERVAL: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    fn write(files: &TlsFiles, name: &str) -> CertificateDer<'static> {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        fs::write(&files.certificate, made.cert.pem()).unwrap();
        fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().clone()
    }

    #[test]
    fn a_new_certificate_is_used_and_a_broken_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let files = TlsFiles { certificate: dir.path().join("cert.pem"), key: dir.path().join("key.pem") };
        assert!(Tls::read(files.clone(), &["http/1.1"]).is_err());
        write(&files, "one.example");
        let tls = Tls { look_interval: Duration::ZERO, ..Tls::read(files.clone(), &["http/1.1"]).unwrap() };
        let first = tls.current();
        assert!(Arc::ptr_eq(&first, &tls.current()), "nothing has changed");
        write(&files, "second.example");
        let second = tls.current();
        assert!(!Arc::ptr_eq(&first, &second));
        fs::write(&files.certificate, "nonsense").unwrap();
        assert!(Arc::ptr_eq(&second, &tls.current()));
        fs::write(&files.key, "").unwrap();
        assert!(Arc::ptr_eq(&second, &tls.current()));
    }
}
