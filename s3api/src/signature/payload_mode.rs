//! How a payload is protected: `x-amz-content-sha256`.

use http::HeaderMap;

use super::ChunkSigner;
use crate::error::{ErrorCode, S3Error};

/// How a payload is protected, with what is needed to check it.
#[derive(Debug)]
pub(crate) enum PayloadMode {
    /// By its SHA-256, which stands in the signed head.
    Exact([u8; 32]),
    /// Not at all.
    Unsigned,
    /// Sent in chunks.
    Chunked {
        /// Checks the signature of every chunk, where they have one.
        signer: Option<ChunkSigner>,
        /// Whether headers follow the last chunk.
        trailer: bool,
    },
}

/// What `x-amz-content-sha256` declares.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DeclaredPayload {
    /// This hash.
    Exact([u8; 32]),
    /// `UNSIGNED-PAYLOAD`.
    Unsigned,
    /// `STREAMING-…`
    Chunked { signed: bool, trailer: bool },
}

/// How the payload of a request is protected that nobody signed: chunks cannot have signatures.
pub(super) fn unsigned(headers: &HeaderMap) -> Result<PayloadMode, S3Error> {
    let declared = match headers.get("x-amz-content-sha256") {
        Some(value) => DeclaredPayload::parse(value.to_str().unwrap_or_default())?,
        None => DeclaredPayload::Unsigned,
    };
    match declared {
        DeclaredPayload::Exact(hash) => Ok(PayloadMode::Exact(hash)),
        DeclaredPayload::Unsigned => Ok(PayloadMode::Unsigned),
        DeclaredPayload::Chunked { signed: false, trailer } => {
            Ok(PayloadMode::Chunked { signer: None, trailer })
        }
        DeclaredPayload::Chunked { signed: true, .. } => Err(ErrorCode::AccessDenied.into()),
    }
}

impl DeclaredPayload {
    /// Reads the header's value.
    pub(super) fn parse(value: &str) -> Result<Self, S3Error> {
        match value {
            "UNSIGNED-PAYLOAD" => Ok(Self::Unsigned),
            "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Ok(Self::Chunked { signed: false, trailer: true }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Ok(Self::Chunked { signed: true, trailer: false }),
            "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER" => Ok(Self::Chunked { signed: true, trailer: true }),
            _ => {
                let mut hash = [0; 32];
                hex::decode_to_slice(value, &mut hash).map_err(|_| {
                    S3Error::new(
                        ErrorCode::InvalidArgument,
                        "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, \
                         STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                    )
                    .detail("ArgumentName", "x-amz-content-sha256")
                    .detail("ArgumentValue", value)
                })?;
                Ok(Self::Exact(hash))
            }
        }
    }

    /// The mode, with a signer for the chunks where they are signed.
    pub(super) fn into_mode(self, signer: impl FnOnce() -> ChunkSigner) -> PayloadMode {
        match self {
            Self::Exact(hash) => PayloadMode::Exact(hash),
            Self::Unsigned => PayloadMode::Unsigned,
            Self::Chunked { signed, trailer } => {
                PayloadMode::Chunked { signer: signed.then(signer), trailer }
            }
        }
    }
}
