//! A disk so small that a test can fill it.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

/// A file system in memory of a few megabytes. Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    dir: TempDir,
}

impl SmallDisk {
    /// Mounts one, where this process may; else says so on standard error.
    ///
    /// # Errors
    ///
    /// When no directory can be made.
    pub fn mount(megabytes: u32) -> Result<Option<Self>> {
        let dir = tempfile::Builder::new().prefix("fdfs-disk-").tempdir()?;
        let options = format!("size={megabytes}m,mode=0777");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        match mounted {
            Ok(output) if output.status.success() => Ok(Some(Self { dir })),
            refused => {
                eprintln!("SKIPPED: a small disk cannot be mounted here (run as root): {refused:?}");
                Ok(None)
            }
        }
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Fills what is free with one file.
    ///
    /// # Errors
    ///
    /// When writing fails otherwise than for want of space.
    pub fn fill(&self) -> Result<()> {
        let mut file = File::options().create(true).append(true).open(self.filler())?;
        for length in [1 << 20, 4096, 1] {
            let piece = vec![b'x'; length];
            loop {
                match file.write_all(&piece) {
                    Ok(()) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Frees what [`SmallDisk::fill`] has taken.
    ///
    /// # Errors
    ///
    /// When it has taken nothing.
    pub fn free(&self) -> Result<()> {
        fs::remove_file(self.filler()).context("the disk was not filled")
    }

    /// Mounts it read-only, as a kernel does with a disk that fails, or for writing again.
    ///
    /// # Errors
    ///
    /// When that is refused.
    pub fn set_read_only(&self, read_only: bool) -> Result<()> {
        let options = if read_only { "remount,ro" } else { "remount,rw" };
        let status = Command::new("mount").args(["-o", options]).arg(self.path()).status()?;
        ensure!(status.success(), "mount -o {options}: {status}");
        Ok(())
    }

    fn filler(&self) -> std::path::PathBuf {
        self.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
