//! Key pairs of S3 users, and the file they are kept in.
//!
//! The file has the AWS shared-credentials format, so that `AWS_SHARED_CREDENTIALS_FILE` may point
//! at it. Every profile of it is a key pair that the server accepts:
//!
//! ```text
//! [default]
//! aws_access_key_id = AKIAIOSFODNN7EXAMPLE
//! aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;

/// Where the server looks up who signed a request.
pub trait CredentialsProvider: Send + Sync + fmt::Debug {
    /// The key pair of this access key id, where it exists.
    fn key_pair(&self, access_key_id: &str) -> Option<Arc<KeyPair>>;
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

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Key pairs held in memory.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    pairs: BTreeMap<String, Arc<KeyPair>>,
    first: Option<Arc<KeyPair>>,
}

impl Credentials {
    /// Holds these pairs.
    pub fn new(pairs: impl IntoIterator<Item = KeyPair>) -> Self {
        let mut credentials = Self::default();
        for pair in pairs {
            let pair = Arc::new(pair);
            credentials.first.get_or_insert_with(|| Arc::clone(&pair));
            credentials.pairs.insert(pair.access_key_id.clone(), pair);
        }
        credentials
    }

    /// Reads a file in the shared-credentials format.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let text = fs::read_to_string(path)
            .map_err(|source| CredentialsError::Io { path: path.to_owned(), source })?;
        let pairs = parse(&text).map_err(|(line, reason)| CredentialsError::Malformed {
            path: path.to_owned(),
            line,
            reason,
        })?;
        Ok(Self::new(pairs))
    }

    /// Reads the file, or makes it with one generated pair where there is none.
    ///
    /// Only its owner can read the new file, and it appears whole or not at all.
    pub fn read_or_generate(path: &Path) -> Result<Self, CredentialsError> {
        match Self::read(path) {
            Err(CredentialsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                generate(path).map_err(|source| CredentialsError::Io { path: path.to_owned(), source })?;
                Self::read(path)
            }
            read => read,
        }
    }

    /// The pair that stands first in the file: what to show to somebody who wants to try.
    pub fn first(&self) -> Option<&KeyPair> {
        self.first.as_deref()
    }
}

impl CredentialsProvider for Credentials {
    fn key_pair(&self, access_key_id: &str) -> Option<Arc<KeyPair>> {
        self.pairs.get(access_key_id).cloned()
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

fn generate(path: &Path) -> io::Result<()> {
    let pair = KeyPair::generate()?;
    let mut draft = path.as_os_str().to_owned();
    draft.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(draft);
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    write!(
        file,
        "[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        pair.access_key_id, pair.secret_access_key
    )?;
    file.sync_all()?;
    drop(file);
    // A link, unlike a rename, never replaces what another process has made meanwhile.
    let linked = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    };
    fs::remove_file(&draft)?;
    linked
}

/// The pairs of a file, or the line that is wrong.
fn parse(text: &str) -> Result<Vec<KeyPair>, (usize, &'static str)> {
    let mut pairs = Vec::new();
    let mut profile: Option<Profile> = None;
    for (line, content) in (1..).zip(text.lines()) {
        let content = content.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        if content.starts_with('[') {
            if !content.ends_with(']') {
                return Err((line, "a profile's name is not closed"));
            }
            pairs.extend(profile.take().map(Profile::finish).transpose()?.flatten());
            profile = Some(Profile { line, ..Profile::default() });
            continue;
        }
        let (name, value) = content.split_once('=').ok_or((line, "neither a profile nor `name = value`"))?;
        let profile = profile.as_mut().ok_or((line, "a setting stands before the first profile"))?;
        let value = value.trim().to_owned();
        match name.trim() {
            "aws_access_key_id" => profile.access_key_id = Some(value),
            "aws_secret_access_key" => profile.secret_access_key = Some(value),
            _ => {}
        }
    }
    pairs.extend(profile.map(Profile::finish).transpose()?.flatten());
    Ok(pairs)
}

/// A profile being read.
#[derive(Default)]
struct Profile {
    line: usize,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
}

impl Profile {
    /// Its pair. A profile may have none, but not half of one.
    fn finish(self) -> Result<Option<KeyPair>, (usize, &'static str)> {
        match (self.access_key_id, self.secret_access_key) {
            (Some(id), Some(secret)) if id.is_empty() || secret.is_empty() => {
                Err((self.line, "the profile's access key id or secret is empty"))
            }
            (Some(access_key_id), Some(secret_access_key)) => {
                Ok(Some(KeyPair { access_key_id, secret_access_key }))
            }
            (None, None) => Ok(None),
            _ => Err((self.line, "the profile has only one of access key id and secret")),
        }
    }
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
        let credentials = Credentials::new(parse(text).unwrap());

        assert_eq!(credentials.first().unwrap().access_key_id, "A");
        assert_eq!(credentials.key_pair("A").unwrap().secret_access_key, "s=1");
        assert_eq!(credentials.key_pair("B").unwrap().secret_access_key, "t");
        assert!(credentials.key_pair("C").is_none());
    }

    #[test]
    fn a_wrong_line_is_named() {
        assert_eq!(parse("[default\n").unwrap_err().0, 1);
        assert_eq!(parse("aws_access_key_id = A\n").unwrap_err().0, 1);
        assert_eq!(parse("[a]\nnonsense\n").unwrap_err().0, 2);
        assert_eq!(parse("\n[a]\naws_access_key_id = A\n").unwrap_err().0, 2);
        assert_eq!(parse("[a]\naws_access_key_id =\naws_secret_access_key = s\n").unwrap_err().0, 1);
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
