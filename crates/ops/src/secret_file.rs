//! Files that hold a secret: read once, and only where nobody else can read them.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file with a secret is not used. The text names the file and says what to do, and shows nothing of its content.
#[derive(Debug, Error)]
pub enum SecretFileError {
    /// It cannot be read.
    #[error("cannot read the secret in {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What reading it answered.
        #[source]
        source: io::Error,
    },
    /// Others than its owner may read or change it.
    #[error(
        "the secret in {} is open to others (mode {mode:03o}): chmod 600 it, and make a new one if this machine has \
         other users", path.display()
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It holds no secret.
    #[error("the secret in {} cannot be used: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Reads the secret in a file that its owner alone may read or write.
///
/// # Errors
///
/// The file is not there, is open to others, or `parse` refuses what it holds.
pub fn read_secret<T, E: Display>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, E>,
) -> Result<T, SecretFileError> {
    let failed = |source| SecretFileError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SecretFileError::OpenToOthers { path: path.to_owned(), mode });
    }
    let mut content = Vec::new();
    file.take(MAX_LEN).read_to_end(&mut content).map_err(failed)?;
    parse(&content)
        .map_err(|error| SecretFileError::Unusable { path: path.to_owned(), reason: error.to_string() })
}

impl SecretFileError {
    /// The exit code for this error, as the original has them.
    pub fn errno(&self) -> i32 {
        match self {
            Self::Io { source, .. } => source.raw_os_error().unwrap_or(EINVAL),
            Self::OpenToOthers { .. } => EACCES,
            Self::Unusable { .. } => EINVAL,
        }
    }
}

/// No secret is longer; more is not read.
const MAX_LEN: u64 = 64 * 1024;

const EACCES: i32 = 13;
const EINVAL: i32 = 22;

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn read(path: &Path) -> Result<Vec<u8>, SecretFileError> {
        read_secret(path, |content| if content.len() < 4 { Err("too short") } else { Ok(content.to_vec()) })
    }

    #[test]
    fn a_secret_is_read_only_where_nobody_else_can() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        assert!(matches!(read(&path), Err(SecretFileError::Io { .. })));
        fs::write(&path, "hidden").expect("a file");
        for (mode, is_taken) in [
            (0o600, true),
            (0o400, true),
            (0o700, true),
            (0o640, false),
            (0o604, false),
            (0o602, false),
            (0o610, false),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
            match read(&path) {
                Ok(content) => assert!(is_taken && content == b"hidden", "{mode:o}"),
                Err(error) => {
                    let text = error.to_string();
                    assert!(!is_taken && text.contains(&format!("mode {mode:03o}")), "{mode:o}: {text}");
                    assert!(text.contains("chmod 600") && !text.contains("hidden"), "{text}");
                    assert_eq!(error.errno(), 13);
                }
            }
        }
    }

    #[test]
    fn a_file_without_a_secret_is_named_and_its_content_is_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("secret");
        fs::write(&path, "xyz").expect("a file");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("permissions");
        let text = read(&path).expect_err("too short").to_string();
        assert!(text.contains("/secret cannot be used: too short") && !text.contains("xyz"), "{text}");
    }
}
