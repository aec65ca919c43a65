//! Key pairs of S3 users, and the file they are kept in.
//!
//! The file has the AWS shared-credentials format, so that `AWS_SHARED_CREDENTIALS_FILE` may point
//! at it. Every profile of it is a key pair that the server accepts:
//!
//! ```text
//! [default]
//! aws_access_key_id = AKIAIOSFODNN7EXAMPLE
//! aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
//!
//! [reports]
//! aws_access_key_id = AKIAI44QH8DHBEXAMPLE
//! aws_secret_access_key = je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY
//! fdfs_access = reports:read+write  logs-*:read
//! ```
//!
//! A profile without `fdfs_access` may do everything but delete raw files.

mod file;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fdfs_objects::access::{Grant, Grants, Permissions, User};
use fdfs_objects::{AccessGrant, AccessKey};
use thiserror::Error;

pub use file::CredentialsFile;

/// Where the server looks up who signed a request.
pub trait CredentialsProvider: Send + Sync + fmt::Debug {
    /// The key pair of this access key id and what it is for, where it exists.
    fn identity(&self, access_key_id: &str) -> Option<Arc<Identity>>;
}

/// A key pair and who holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Identity {
    /// What signs.
    pub pair: KeyPair,
    /// Who it is, and what the key is for.
    pub user: Arc<User>,
}

/// An access key id and its secret.
#[derive(Clone, Eq, PartialEq)]
pub struct KeyPair {
    /// The public half, sent with every request.
    pub access_key_id: String,
    /// The secret half, which signs requests and is never sent.
    pub secret_access_key: String,
}

impl KeyPair {
    /// A new pair from the system's randomness.
    pub fn generate() -> io::Result<Self> {
        let mut random = [0; 12 + 30];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let (id, secret) = random.split_at(12);
        let id: String = id.iter().map(|byte| char::from(BASE32[usize::from(byte & 31)])).collect();
        Ok(Self { access_key_id: format!("FDFS{id}"), secret_access_key: BASE64_STANDARD.encode(secret) })
    }
}

/// A key that was made at run time.
impl From<AccessKey> for Identity {
    fn from(key: AccessKey) -> Self {
        let grant =
            |grant: &AccessGrant| Grant::new(&grant.bucket, Permissions::from_bits(grant.permissions));
        let grants = key.grants.iter().map(grant).collect();
        let user = User { access_key_id: key.id.clone(), name: key.name, grants };
        let pair = KeyPair { access_key_id: key.id, secret_access_key: key.secret };
        Self { pair, user: Arc::new(user) }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Key pairs held in memory.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    identities: BTreeMap<String, Arc<Identity>>,
    first: Option<Arc<Identity>>,
}

impl Credentials {
    /// Holds these pairs, which may do everything.
    pub fn new(pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        Self::of_identities(pairs.into_iter().map(|pair| {
            let (id, grants) = (pair.access_key_id.clone(), Grants::everything());
            let user = User { name: id.clone(), access_key_id: id, grants };
            Identity { pair, user: Arc::new(user) }
        }))
    }

    /// Holds these pairs with what they are for.
    pub fn of_identities(identities: impl IntoIterator<Item = Identity>) -> Self {
        let mut credentials = Self::default();
        for identity in identities {
            let identity = Arc::new(identity);
            credentials.first.get_or_insert_with(|| Arc::clone(&identity));
            credentials.identities.insert(identity.pair.access_key_id.clone(), identity);
        }
        credentials
    }

    /// Reads a file in the shared-credentials format.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = fs::read_to_string(path)
            .map_err(|source| CredentialsError::Io { path: path.to_owned(), source })?;
        let identities = file::parse(&text).map_err(|(line, reason)| CredentialsError::Malformed {
            path: path.to_owned(),
            line,
            reason,
        })?;
        Ok(Self::of_identities(identities))
    }

    /// Reads the file, or makes it with one generated pair where there is none.
    ///
    /// Only its owner can read the new file, and it appears whole or not at all.
    pub fn read_or_generate(path: &Path) -> Result<Self, CredentialsError> {
        match Self::read(path) {
            Err(CredentialsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                file::generate(path)
                    .map_err(|source| CredentialsError::Io { path: path.to_owned(), source })?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// The pair that stands first in the file: what to show to somebody who wants to try.
    pub fn first(&self) -> Option<&KeyPair> {
        self.first.as_deref().map(|identity| &identity.pair)
    }
}

impl CredentialsProvider for Credentials {
    fn identity(&self, access_key_id: &str) -> Option<Arc<Identity>> {
        self.identities.get(access_key_id).cloned()
    }
}

/// One that was found, or none.
impl CredentialsProvider for Option<Arc<Identity>> {
    fn identity(&self, access_key_id: &str) -> Option<Arc<Identity>> {
        self.clone().filter(|identity| identity.pair.access_key_id == access_key_id)
    }
}

/// Why credentials could not be had from a file.
#[derive(Debug, Error)]
pub enum CredentialsError {
    /// The file could not be read or made.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line of the file is not as the format wants it.
    #[error("{}:{line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn every_profile_is_a_pair() {
        let text = "# keys\n[default]\naws_access_key_id = A\naws_secret_access_key=s=1\nregion = x\n\n\
                    [other]\naws_access_key_id=B\naws_secret_access_key=t\n[empty]\n";
        let credentials = Credentials::of_identities(file::parse(text).unwrap());

        assert_eq!(credentials.first().unwrap().access_key_id, "A");
        assert_eq!(credentials.identity("A").unwrap().pair.secret_access_key, "s=1");
        assert_eq!(credentials.identity("B").unwrap().pair.secret_access_key, "t");
        assert!(credentials.identity("C").is_none());
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(file::parse("[default\n").unwrap_err().0, 1);
        assert_eq!(file::parse("aws_access_key_id = A\n").unwrap_err().0, 1);
        assert_eq!(file::parse("[a]\nnonsense\n").unwrap_err().0, 2);
        assert_eq!(file::parse("\n[a]\naws_access_key_id = A\n").unwrap_err().0, 2);
        assert_eq!(file::parse("[a]\naws_access_key_id =\naws_secret_access_key = s\n").unwrap_err().0, 1);
    }

    #[test]
    fn a_profile_says_what_its_key_is_for() {
        let text = "[ann]\naws_access_key_id=A\naws_secret_access_key=s\nfdfs_access = pets:read+write  logs-*:read\n\
                    [root]\naws_access_key_id=R\naws_secret_access_key=t\n";
        let credentials = Credentials::of_identities(file::parse(text).unwrap());
        let ann = credentials.identity("A").unwrap();
        let grants: Vec<_> = ann.user.grants.iter().map(ToString::to_string).collect();
        assert_eq!(
            (ann.user.name.as_str(), grants),
            ("ann", vec!["pets:read+write".into(), "logs-*:read".into()])
        );
        assert_eq!(credentials.identity("R").unwrap().user.grants, Grants::everything());
        let wrong = "[ann]\naws_access_key_id=A\naws_secret_access_key=s\nfdfs_access = pets:all\n";
        assert_eq!(file::parse(wrong).unwrap_err().0, 4);
    }

    #[test]
    fn a_changed_file_is_read_anew_and_a_broken_one_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        let write = |id: &str, end: &str| {
            let text = format!("[a]\naws_access_key_id={id}\naws_secret_access_key=s\n{end}");
            fs::write(&path, text).unwrap();
        };
        write("A", "");
        let file = CredentialsFile::open(&path).unwrap().looking_always();
        assert!(file.identity("A").is_some());
        write("BB", "");
        assert!(file.identity("A").is_none() && file.identity("BB").is_some());
        write("CCC", "nonsense");
        assert!(file.identity("CCC").is_none() && file.identity("BB").is_some());
    }

    #[test]
    fn a_pair_is_generated_once_and_for_its_owner_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");

        let made = Credentials::read_or_generate(&path).unwrap();
        let read = Credentials::read_or_generate(&path).unwrap();

        assert_eq!(made.first(), read.first());
        let pair = made.first().unwrap();
        assert_eq!((pair.access_key_id.len(), pair.secret_access_key.len()), (16, 40));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
        assert_ne!(KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    }

    #[test]
    fn a_secret_is_not_printed() {
        let pair = KeyPair { access_key_id: "A".into(), secret_access_key: "hush".into() };

        assert!(!format!("{:?}", Credentials::new([pair])).contains("hush"));
    }
}
