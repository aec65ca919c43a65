//! Whether files have to be looked for on the other members once this storage serves.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use tokio::sync::watch;
use tracing::{info, warn};

/// `data/rs/verify`: it is there while files have to be looked for on the other members; its line says why.
#[derive(Debug)]
pub(crate) struct Verification {
    path: PathBuf,
    wanted: watch::Sender<bool>,
}

impl Verification {
    /// Reads from `directory` whether an earlier run has left something to be done.
    pub(crate) fn open(directory: &Path) -> Self {
        let path = directory.join("verify");
        let wanted = watch::Sender::new(path.exists());
        Self { path, wanted }
    }

    /// Files may be missing here, because of `reason`.
    pub(crate) fn want(&self, reason: &str) {
        info!(reason, "the files of the other members will be compared with those here");
        if let Err(error) = fs::write(&self.path, format!("{reason}\n")) {
            warn!(path = %self.path.display(), %error, "a restart will not know that files may be missing");
        }
        self.wanted.send_replace(true);
    }

    /// Everything that others have is here.
    pub(crate) fn done(&self) {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                warn!(path = %self.path.display(), %error, "a restart will look for missing files again");
            }
            _ => {}
        }
        self.wanted.send_replace(false);
    }

    /// Shows whether files have to be looked for.
    pub(crate) fn wanted(&self) -> watch::Receiver<bool> {
        self.wanted.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_survives_a_restart_until_it_is_met() {
        let directory = tempfile::tempdir().expect("directory");
        let verification = Verification::open(directory.path());
        assert!(!*verification.wanted().borrow());
        verification.want("test");
        assert!(*verification.wanted().borrow());
        let again = Verification::open(directory.path());
        assert!(*again.wanted().borrow());
        again.done();
        assert!(!*Verification::open(directory.path()).wanted().borrow());
    }
}
