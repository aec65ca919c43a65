//! TLS to the database, as `sslmode`, `sslrootcert`, `sslcert` and `sslkey` of the URL ask for it: what they mean is what they mean to PostgreSQL's own clients, but
//! that without them nothing is encrypted, and no file is used that is not named.

mod binding;
mod identity;

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use percent_encoding::percent_decode_str;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::{TlsConnector, client};
use tracing::warn;

use self::identity::Identity;
use crate::engine::EngineError;

/// How connections are encrypted, if they are.
#[derive(Clone)]
pub(super) struct Tls {
    config: Option<Arc<ClientConfig>>,
    /// Whether they have to be.
    pub(super) mode: SslMode,
}

/// What of the server is verified.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verify {
    Nothing,
    Authority,
    AuthorityAndName,
}

impl Tls {
    /// Takes what of the URL is about TLS; the rest of the URL is the library's.
    pub(super) fn of_url(url: &str) -> Result<(String, Self), EngineError> {
        let (place, options) = url.split_once('?').unwrap_or((url, ""));
        let (mut mode, mut roots, mut rest) = (None, None, Vec::new());
        let (mut certificate, mut key) = (None, None);
        let path = |value: &str| PathBuf::from(percent_decode_str(value).decode_utf8_lossy().as_ref());
        for option in options.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", value)) => mode = Some(value),
                Some(("sslrootcert", value)) => roots = Some(path(value)),
                Some(("sslcert", value)) => certificate = Some(path(value)),
                Some(("sslkey", value)) => key = Some(path(value)),
                _ => rest.push(option),
            }
        }
        let rest = if rest.is_empty() { place.to_owned() } else { format!("{place}?{}", rest.join("&")) };
        if matches!(mode, None | Some("disable"))
            && (roots.is_some() || certificate.is_some() || key.is_some())
        {
            return Err(EngineError::Store(
                "the URL names certificates, but connections would not be encrypted: say sslmode=verify-full, or leave sslrootcert, sslcert and sslkey out"
                    .to_owned(),
            ));
        }
        let (mode, verify) = match (mode, &roots) {
            (None | Some("disable"), _) => return Ok((rest, Self { config: None, mode: SslMode::Disable })),
            (Some("prefer"), _) => (SslMode::Prefer, Verify::Nothing),
            (Some("require"), None) => (SslMode::Require, Verify::Nothing),
            (Some("require" | "verify-ca"), _) => (SslMode::Require, Verify::Authority),
            (Some("verify-full"), _) => (SslMode::Require, Verify::AuthorityAndName),
            (Some(_), _) => {
                return Err(EngineError::Store(
                    "sslmode is one of disable, prefer, require, verify-ca and verify-full".to_owned(),
                ));
            }
        };
        if verify == Verify::Nothing {
            warn!("the database's certificate is not verified: sslmode=verify-full does that");
        }
        let identity = Identity::read(certificate.as_deref(), key.as_deref())?;
        let config = config(verify, roots.as_deref(), identity)?;
        Ok((rest, Self { config: Some(Arc::new(config)), mode }))
    }
}

fn config(
    verify: Verify,
    roots: Option<&Path>,
    identity: Option<Identity>,
) -> Result<ClientConfig, EngineError> {
    let failed = |error: &dyn std::fmt::Display| EngineError::Store(format!("TLS to the database: {error}"));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let verifier = match verify {
        Verify::Nothing => None,
        Verify::Authority | Verify::AuthorityAndName => {
            let roots = Arc::new(authorities(roots)?);
            let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
            Some(verifier.map_err(|error| failed(&error))?)
        }
    };
    let verifier: Arc<dyn ServerCertVerifier> = match verifier {
        Some(verifier) if verify == Verify::AuthorityAndName => verifier,
        verifier => Arc::new(Lenient { verifier, provider }),
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match identity {
        None => Ok(builder.with_no_client_auth()),
        Some(Identity { certificates, key }) => builder
            .with_client_auth_cert(certificates, key)
            .map_err(|error| EngineError::Store(format!("sslcert and sslkey cannot be used: {error}"))),
    }
}

/// Those of the file, or those that this machine trusts.
fn authorities(file: Option<&Path>) -> Result<RootCertStore, EngineError> {
    let file = file
        .filter(|file| *file != Path::new("system"))
        .or_else(|| SYSTEM_AUTHORITIES.iter().map(Path::new).find(|file| file.exists()));
    let file = file.ok_or_else(|| {
        EngineError::Store(
            "no certificates are trusted here: give sslrootcert=FILE, or install ca-certificates".to_owned(),
        )
    })?;
    let unusable = |error: &dyn std::fmt::Display| {
        EngineError::Store(format!("sslrootcert {} cannot be used: {error}", file.display()))
    };
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| unusable(&error))?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        // Those of a machine may hold some that nobody can read.
        roots.add_parsable_certificates([certificate.map_err(|error| unusable(&error))?]);
    }
    if roots.is_empty() { Err(unusable(&"it holds no certificate")) } else { Ok(roots) }
}

/// Verifies that the server has the key of its certificate, and the certificate by an authority where there are some: not whose it is.
#[derive(Debug)]
struct Lenient {
    verifier: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let Some(verifier) = &self.verifier else { return Ok(ServerCertVerified::assertion()) };
        // The name is looked at last.
        match verifier.verify_server_cert(certificate, intermediates, name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Tls {
    type Stream = Encrypted<S>;
    type TlsConnect = Handshake;
    type Error = Reason;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Reason> {
        // A socket of this machine has no name, and no TLS.
        Ok(Handshake { config: self.config.clone(), host: host.to_owned() })
    }
}

/// Encrypts a connection.
pub(super) struct Handshake {
    config: Option<Arc<ClientConfig>>,
    host: String,
}

/// Why a connection could not be encrypted. What the certificate's verifier says stands in it as it is, since the same would come of another attempt.
type Reason = Box<dyn std::error::Error + Send + Sync>;

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Encrypted<S>;
    type Error = Reason;
    type Future = Pin<Box<dyn Future<Output = Result<Encrypted<S>, Reason>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let config = self.config.ok_or("TLS is not configured")?;
            let name = ServerName::try_from(self.host)?;
            match TlsConnector::from(config).connect(name, stream).await {
                Ok(stream) => Ok(Encrypted(stream)),
                Err(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(reason) => Err(reason.clone().into()),
                    None => Err(error.into()),
                },
            }
        })
    }
}

/// An encrypted connection.
pub(super) struct Encrypted<S>(client::TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Encrypted<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let (_, session) = self.0.get_ref();
        let end_point = session.peer_certificates().and_then(|chain| binding::end_point(chain.first()?));
        end_point.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Encrypted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Encrypted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

/// Where machines keep the authorities that they trust.
const SYSTEM_AUTHORITIES: [&str; 2] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"];
