//! Signing keys, derived once a day for every user and region.

use std::num::NonZeroUsize;
use std::time::SystemTime;

use lru::LruCache;
use parking_lot::Mutex;

use super::claim::Scope;
use crate::credentials::KeyPair;

/// Derives signing keys and remembers the latest.
#[derive(Debug)]
pub(super) struct SigningKeys {
    latest: Mutex<LruCache<Scope, Derived>>,
}

/// A signing key and the secret it came from: a changed secret makes the key worthless.
#[derive(Clone)]
struct Derived {
    secret: String,
    key: [u8; 32],
}

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Derived(..)")
    }
}

impl SigningKeys {
    /// The key for a scope, whose date is the day of `time`.
    pub(super) fn derive(&self, pair: &KeyPair, time: SystemTime, scope: &Scope) -> [u8; 32] {
        if let Some(derived) = self.latest.lock().get(scope)
            && derived.secret == pair.secret_access_key
        {
            return derived.key;
        }
        let secret = pair.secret_access_key.clone();
        let derived = aws_sigv4::sign::v4::generate_signing_key(&secret, time, &scope.region, &scope.service);
        let mut key = [0; 32];
        key.copy_from_slice(derived.as_ref());
        self.latest.lock().put(scope.clone(), Derived { secret, key });
        key
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self { latest: Mutex::new(LruCache::new(REMEMBERED)) }
    }
}

const REMEMBERED: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not zero");
