//! Temporary keys: made from a key of a user, good for some hours, kept nowhere.
//!
//! The session token names the key it was made from and its own end, under a code that only the secret of that key
//! gives; the temporary secret is derived from both. So every gateway that knows the key knows its temporary ones, and
//! a key that is taken away takes them along.

use std::io::{self, Read as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

use crate::credentials::{Identity, KeyPair};
use crate::error::{ErrorCode, S3Error};

/// What a session token says.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Session {
    parent: String,
    access_key_id: String,
    /// Seconds since 1970.
    ends: u64,
    code: Vec<u8>,
}

impl Session {
    /// A new temporary key of `parent`, good for so long.
    pub(crate) fn begin(parent: &KeyPair, now: SystemTime, lasts: Duration) -> io::Result<Self> {
        let mut random = [0; 16];
        std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default() + lasts;
        let access_key_id = format!("FDFT{}", hex::encode_upper(random));
        let mut session = Self {
            parent: parent.access_key_id.clone(),
            access_key_id,
            ends: seconds.as_secs(),
            code: vec![],
        };
        session.code = session.code_by(parent, CODE);
        Ok(session)
    }

    /// Reads a token, which may say anything: only [`Session::identity`] knows whether to believe it.
    pub(crate) fn parse(token: &str) -> Result<Self, S3Error> {
        let read = || {
            if token.len() > MAX_TOKEN {
                return None;
            }
            let text = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
            // The id of a key may have any form.
            let mut fields = text.rsplitn(4, ' ');
            let (code, ends) = (hex::decode(fields.next()?).ok()?, fields.next()?.parse().ok()?);
            let (access_key_id, parent) = (fields.next()?.to_owned(), fields.next()?.to_owned());
            Some(Self { parent, access_key_id, ends, code })
        };
        read().ok_or_else(|| ErrorCode::InvalidToken.into())
    }

    /// The token.
    pub(crate) fn token(&self) -> String {
        let text = format!("{} {}", self.signed_text(), hex::encode(&self.code));
        BASE64_URL_SAFE_NO_PAD.encode(text)
    }

    /// The id of the temporary key.
    pub(crate) fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The id of the key it was made from.
    pub(crate) fn parent(&self) -> &str {
        &self.parent
    }

    /// When it ends.
    pub(crate) fn ends(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.ends))
    }

    /// The temporary key, where the parent's secret vouches for the token and it has not ended: it may do what the
    /// parent may.
    pub(crate) fn identity(&self, parent: &Identity, now: SystemTime) -> Result<Identity, S3Error> {
        if !bool::from(self.code_by(&parent.pair, CODE).ct_eq(&self.code)) {
            return Err(ErrorCode::InvalidToken.into());
        }
        if self.ends().is_none_or(|ends| ends <= now) {
            return Err(ErrorCode::ExpiredToken.into());
        }
        Ok(Identity { pair: self.pair(&parent.pair), user: Arc::clone(&parent.user) })
    }

    /// The temporary key.
    pub(crate) fn pair(&self, parent: &KeyPair) -> KeyPair {
        let secret_access_key = BASE64_STANDARD.encode(self.code_by(parent, SECRET));
        KeyPair { access_key_id: self.access_key_id.clone(), secret_access_key }
    }

    fn signed_text(&self) -> String {
        format!("{} {} {}", self.parent, self.access_key_id, self.ends)
    }

    fn code_by(&self, parent: &KeyPair, purpose: &str) -> Vec<u8> {
        let mut code = Hmac::<Sha256>::new_from_slice(parent.secret_access_key.as_bytes())
            .expect("a key of HMAC may have any length");
        code.update(purpose.as_bytes());
        code.update(self.signed_text().as_bytes());
        code.finalize().into_bytes().to_vec()
    }
}

const CODE: &str = "fdfs session token\n";
const SECRET: &str = "fdfs session secret\n";
/// Longer tokens are not ours.
const MAX_TOKEN: usize = 4096;

#[cfg(test)]
mod tests {
    use fdfs_objects::access::{Grants, User};

    use super::*;

    fn identity(id: &str, secret: &str) -> Identity {
        let pair = KeyPair { access_key_id: id.to_owned(), secret_access_key: secret.to_owned() };
        let user = User { access_key_id: id.to_owned(), name: "anna".to_owned(), grants: Grants::default() };
        Identity { pair, user: Arc::new(user) }
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_session_is_what_its_token_says_until_it_ends() {
        let anna = identity("an id/with everything", "secret");
        let session = Session::begin(&anna.pair, at(1_000), Duration::from_secs(900)).unwrap();
        let read = Session::parse(&session.token()).unwrap();
        assert_eq!(read, session);
        let temporary = read.identity(&anna, at(1_899)).unwrap();
        assert_eq!(temporary.pair, session.pair(&anna.pair));
        assert_eq!(temporary.user, anna.user);
        let code = |result: Result<Identity, S3Error>| result.map_err(|error| error.code()).err();
        assert_eq!(code(read.identity(&anna, at(1_900))), Some(ErrorCode::ExpiredToken));
    }

    #[test]
    fn a_token_that_was_changed_or_made_by_another_secret_is_worth_nothing() {
        let anna = identity("anna", "secret");
        let session = Session::begin(&anna.pair, at(1_000), Duration::from_secs(900)).unwrap();
        let code = |result: Result<Identity, S3Error>| result.map_err(|error| error.code()).err();
        let longer = Session { ends: 9_000, ..Session::parse(&session.token()).unwrap() };
        assert_eq!(code(longer.identity(&anna, at(1_000))), Some(ErrorCode::InvalidToken));
        let changed = identity("anna", "another secret");
        assert_eq!(code(session.identity(&changed, at(1_000))), Some(ErrorCode::InvalidToken));
        assert_ne!(session.pair(&anna.pair).secret_access_key, longer.pair(&anna.pair).secret_access_key);
    }

    #[test]
    fn what_is_no_token_is_refused() {
        for token in ["", "x", "!", &BASE64_URL_SAFE_NO_PAD.encode("a b c"), &"A".repeat(10_000)] {
            assert_eq!(Session::parse(token).map_err(|error| error.code()), Err(ErrorCode::InvalidToken));
        }
    }
}
