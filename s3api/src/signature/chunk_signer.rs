//! The chain of signatures over the chunks of a payload.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::signing_key::SigningKey;

/// Checks chunk after chunk: each signature covers the one before it, the first the request's own.
pub(crate) struct ChunkSigner {
    key: SigningKey,
    timestamp: String,
    scope: String,
    previous: String,
}

impl ChunkSigner {
    /// Starts from the signature of the request's head.
    pub(super) fn new(key: SigningKey, timestamp: String, scope: String, seed: String) -> Self {
        Self { key, timestamp, scope, previous: seed }
    }

    /// Whether `signature` is right for the next chunk, whose data has this SHA-256.
    pub(crate) fn accept_chunk(&mut self, hash: &[u8], signature: &str) -> bool {
        let empty = hex::encode(Sha256::digest(b""));
        let Self { timestamp, scope, previous, .. } = &*self;
        let hash = hex::encode(hash);
        self.accept(
            format!("AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{empty}\n{hash}"),
            signature,
        )
    }

    /// Whether `signature` is right for the trailing headers, given as `name:value\n` lines.
    pub(crate) fn accept_trailer(&mut self, headers: &str, signature: &str) -> bool {
        let Self { timestamp, scope, previous, .. } = &*self;
        let hash = hex::encode(Sha256::digest(headers.as_bytes()));
        self.accept(format!("AWS4-HMAC-SHA256-TRAILER\n{timestamp}\n{scope}\n{previous}\n{hash}"), signature)
    }

    fn accept(&mut self, string_to_sign: String, signature: &str) -> bool {
        self.previous = self.key.sign(string_to_sign.as_bytes());
        self.previous.as_bytes().ct_eq(signature.as_bytes()).into()
    }
}

impl fmt::Debug for ChunkSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkSigner").field("scope", &self.scope).finish_non_exhaustive()
    }
}
