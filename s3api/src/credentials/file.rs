//! The file of key pairs: read, made when it is missing, read anew when it changes.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_objects::access::{Grant, Grants, User};
use parking_lot::Mutex;
use tracing::{info, warn};

use super::{Credentials, CredentialsError, CredentialsProvider, Identity, KeyPair};

/// The key pairs of a file, which is looked at again when it is used and at least a second old.
///
/// While a changed file cannot be read, the pairs of before stay; a warning says so.
#[derive(Debug)]
pub struct CredentialsFile {
    path: PathBuf,
    look_interval: Duration,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    credentials: Arc<Credentials>,
    stamp: Option<Stamp>,
    looked: Instant,
}

/// What tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

impl CredentialsFile {
    /// Reads the file, or makes it with one generated pair where there is none.
    pub fn open(path: &Path) -> Result<Self, CredentialsError> {
        let stamp = stamp_of(path);
        let credentials = Arc::new(Credentials::read_or_generate(path)?);
        let known = Known { credentials, stamp, looked: Instant::now() };
        Ok(Self { path: path.to_owned(), look_interval: LOOK_INTERVAL, known: Mutex::new(known) })
    }

    /// Looks at the file whenever it is used.
    #[cfg(test)]
    pub(super) fn looking_always(self) -> Self {
        Self { look_interval: Duration::ZERO, ..self }
    }

    fn current(&self) -> Arc<Credentials> {
        let mut known = self.known.lock();
        if known.looked.elapsed() >= self.look_interval {
            known.looked = Instant::now();
            let stamp = stamp_of(&self.path);
            if stamp != known.stamp {
                known.stamp = stamp;
                match Credentials::read(&self.path) {
                    Ok(credentials) => {
                        known.credentials = Arc::new(credentials);
                        info!(path = %self.path.display(), "credentials were read anew");
                    }
                    Err(error) => warn!(%error, "changed credentials are not used"),
                }
            }
        }
        Arc::clone(&known.credentials)
    }
}

impl CredentialsProvider for CredentialsFile {
    fn identity(&self, access_key_id: &str) -> Option<Arc<Identity>> {
        self.current().identity(access_key_id)
    }
}

fn stamp_of(path: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// Makes the file, which only its owner can read and which appears whole or not at all.
pub(super) fn generate(path: &Path) -> io::Result<()> {
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

/// The keys of a file, or the line that is wrong.
pub(super) fn parse(text: &str) -> Result<Vec<Identity>, (usize, &'static str)> {
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
            let name = content.trim_matches(['[', ']']).trim().to_owned();
            profile = Some(Profile { line, name, ..Profile::default() });
            continue;
        }
        let (name, value) = content.split_once('=').ok_or((line, "neither a profile nor `name = value`"))?;
        let profile = profile.as_mut().ok_or((line, "a setting stands before the first profile"))?;
        let value = value.trim().to_owned();
        match name.trim() {
            "aws_access_key_id" => profile.access_key_id = Some(value),
            "aws_secret_access_key" => profile.secret_access_key = Some(value),
            "fdfs_access" => profile.grants = Some(parse_grants(&value).ok_or((line, WRONG_GRANT))?),
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
    name: String,
    access_key_id: Option<String>,
    secret_access_key: Option<String>,
    grants: Option<Grants>,
}

impl Profile {
    /// Its pair. A profile may have none, but not half of one.
    fn finish(self) -> Result<Option<Identity>, (usize, &'static str)> {
        match (self.access_key_id, self.secret_access_key) {
            (Some(id), Some(secret)) if id.is_empty() || secret.is_empty() => {
                Err((self.line, "the profile's access key id or secret is empty"))
            }
            (Some(access_key_id), Some(secret_access_key)) => {
                let grants = self.grants.unwrap_or_else(Grants::everything);
                let user = User { access_key_id: access_key_id.clone(), name: self.name, grants };
                Ok(Some(Identity {
                    pair: KeyPair { access_key_id, secret_access_key },
                    user: Arc::new(user),
                }))
            }
            (None, None) => Ok(None),
            _ => Err((self.line, "the profile has only one of access key id and secret")),
        }
    }
}

/// Grants separated by spaces or commas.
fn parse_grants(text: &str) -> Option<Grants> {
    let grants = text.split([' ', ',']).filter(|grant| !grant.is_empty());
    grants.map(|grant| grant.parse::<Grant>().ok()).collect()
}

const WRONG_GRANT: &str =
    "fdfs_access lists grants `BUCKET:read+write+admin+raw-delete`, separated by spaces";
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
