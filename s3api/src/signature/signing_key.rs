//! Signing keys, derived once a day for every user and region.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use lru::LruCache;
use parking_lot::Mutex;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use super::claim::Scope;
use crate::credentials::KeyPair;

/// What signs the requests of a user on a day, ready to begin.
#[derive(Clone)]
pub(crate) struct SigningKey(Hmac<Sha256>);

/// Derives signing keys and remembers the latest, by the credentials that requests name.
#[derive(Debug)]
pub(super) struct SigningKeys {
    latest: Mutex<LruCache<String, Derived>>,
}

/// A signing key and the secret it came from: a changed secret makes the key worthless.
struct Derived {
    secret: String,
    key: SigningKey,
}

impl SigningKey {
    /// The key of a secret, for the day of `time`.
    pub(super) fn derive(secret: &str, time: SystemTime, region: &str, service: &str) -> Self {
        let key = aws_sigv4::sign::v4::generate_signing_key(secret, time, region, service);
        Self(Hmac::new_from_slice(key.as_ref()).expect("a key of any length is taken"))
    }

    /// The signature of a text, in hex.
    pub(super) fn sign(&self, text: &[u8]) -> String {
        hex::encode(self.0.clone().chain_update(text).finalize().into_bytes())
    }

    /// Whether this is the signature of a text, in hex. How long it takes tells nothing of the right one.
    pub(super) fn signs(&self, text: &[u8], signature: &str) -> bool {
        self.sign(text).as_bytes().ct_eq(signature.as_bytes()).into()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl fmt::Debug for Derived {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Derived(..)")
    }
}

impl SigningKeys {
    /// The key for a scope, whose date is the day of `time`.
    pub(super) fn derive(&self, pair: &KeyPair, time: SystemTime, scope: &Scope<'_>) -> SigningKey {
        if let Some(derived) = self.latest.lock().get(scope.credential)
            && derived.secret == pair.secret_access_key
        {
            return derived.key.clone();
        }
        let secret = pair.secret_access_key.clone();
        let key = SigningKey::derive(&secret, time, scope.region, scope.service);
        self.latest.lock().put(scope.credential.to_owned(), Derived { secret, key: key.clone() });
        key
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { latest: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
