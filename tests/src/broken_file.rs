//! A file on a disk that answers errors.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

/// A file whose every read and write is an input/output error, laid over another one. Dropping it brings back what was there.
#[derive(Debug)]
pub struct BrokenFile(PathBuf);

impl BrokenFile {
    /// The size of the file, as its directory tells it.
    pub const SIZE: usize = 4096;

    /// Lays one over `path`, where this process may mount; else says so on standard error.
    ///
    /// # Errors
    ///
    /// When `mount` cannot be run.
    pub fn over(path: &Path) -> Result<Option<Self>> {
        let mounted = Command::new("mount").args(["--bind", BROKEN]).arg(path).output()?;
        if mounted.status.success() {
            return Ok(Some(Self(path.to_owned())));
        }
        eprintln!("SKIPPED: no file can be mounted over another here (run as root): {mounted:?}");
        Ok(None)
    }
}

impl Drop for BrokenFile {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// A setting of the kernel that answers EIO to whoever reads or writes it, for the loopback device cannot be suspended.
const BROKEN: &str = "/sys/class/net/lo/power/autosuspend_delay_ms";
