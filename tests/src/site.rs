//! A running `fdfs up` on an address and in a directory of its own.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::{Addresses, Daemon, Deadline, fdfs_binary};
use anyhow::{Context as _, Result, ensure};

/// A site: `fdfs up`. Dropping it kills the process and unmounts what that leaves behind.
#[derive(Debug)]
pub struct Site {
    daemon: Option<Daemon>,
    mounts: bool,
    mount_options: Option<&'static str>,
    frees_soon: bool,
    address: IpAddr,
    dir: tempfile::TempDir,
    /// Certificate and key of S3, where it is encrypted.
    tls: Option<(PathBuf, PathBuf)>,
}

impl Site {
    /// Starts it and waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// When it does not, or is not mounted.
    pub fn start() -> Result<Self> {
        Self::new(true)?.run()
    }

    /// Starts it with a mount that other users see, too.
    ///
    /// # Errors
    ///
    /// When it does not become ready, or is not mounted.
    pub fn start_for_everybody() -> Result<Self> {
        let mut site = Self::new(true)?;
        site.mount_options = Some("allow_other");
        site.run()
    }

    /// Starts it so that content which no name uses any more goes in a second: for tests that write much more than stays.
    ///
    /// # Errors
    ///
    /// When it does not become ready, or is not mounted.
    pub fn start_that_frees_soon() -> Result<Self> {
        let mut site = Self::new(true)?;
        site.frees_soon = true;
        site.run()
    }

    /// Starts it without a mount and waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start_without_mount() -> Result<Self> {
        Self::new(false)?.run()
    }

    /// Starts it without a mount, S3 encrypted by a certificate of this name and key beside the test's files.
    ///
    /// # Errors
    ///
    /// When it does not become ready.
    pub fn start_encrypted(make: impl FnOnce(IpAddr, &Path) -> Result<(PathBuf, PathBuf)>) -> Result<Self> {
        let mut site = Self::new(false)?;
        site.tls = Some(make(site.address, site.dir.path())?);
        site.run()
    }

    fn new(mounts: bool) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fdfs-up-").tempdir()?;
        Ok(Self {
            daemon: None,
            mounts,
            mount_options: None,
            frees_soon: false,
            address: Addresses::next()?.into(),
            dir,
            tls: None,
        })
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// When it does not end in time, or not well.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.take().context("it runs")?.stop()?;
        ensure!(status.success(), "ended with {status}");
        ensure!(!self.is_mounted()?, "it is still mounted");
        Ok(())
    }

    /// Ends it in order, and starts it again on the same directory.
    ///
    /// # Errors
    ///
    /// When either fails.
    pub fn restart(mut self) -> Result<Self> {
        self.stop()?;
        self.run()
    }

    /// Kills it, and starts it again on the same directory.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn crash_and_restart(mut self) -> Result<Self> {
        self.daemon.take().context("it runs")?.kill()?;
        self.run()
    }

    fn run(mut self) -> Result<Self> {
        let output = self.dir.path().join(format!("output-{}", fs::read_dir(self.dir.path())?.count()));
        let mut command = Command::new(fdfs_binary()?);
        command.arg("up").arg("--dir").arg(self.data()).arg("--bind").arg(self.address.to_string());
        if let Some(options) = self.mount_options {
            command.args(["--mount-options", options]);
        }
        if self.frees_soon {
            command.args(["--free-after", "1"]);
        }
        if !self.mounts {
            command.arg("--no-mount");
        }
        if let Some((certificate, key)) = &self.tls {
            command.arg("--s3-tls-cert").arg(certificate).arg("--s3-tls-key").arg(key);
        }
        let mut daemon = Daemon::start(&mut command, &output)?;
        daemon.wait_until(Deadline::after(READY_LIMIT), "\"fdfs is ready\"", || {
            let text = fs::read_to_string(&output)?;
            ensure!(text.lines().any(|line| line == "fdfs is ready"), "not yet");
            Ok(())
        })?;
        self.daemon = Some(daemon);
        ensure!(!self.mounts || self.is_mounted()?, "not mounted: {}", fs::read_to_string(&output)?);
        Ok(self)
    }

    /// A directory for the test's own files.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where its credentials are.
    pub fn credentials(&self) -> PathBuf {
        self.data().join("credentials")
    }

    /// A path below the mount.
    pub fn mounted(&self, path: &str) -> PathBuf {
        self.data().join("mnt").join(path)
    }

    /// Host and port of the tracker.
    pub fn tracker(&self) -> (String, u16) {
        (self.address.to_string(), 22122)
    }

    /// Base URL of S3.
    pub fn s3(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}:9000", self.address)
    }

    /// URL of the figures of the gateway.
    pub fn metrics(&self) -> String {
        format!("http://{}:9001/metrics", self.address)
    }

    /// Base URL of the storage's native paths.
    pub fn storage_http(&self) -> String {
        format!("http://{}:8888", self.address)
    }

    /// Base URL of the front.
    pub fn front(&self) -> String {
        format!("http://{}:8000", self.address)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn is_mounted(&self) -> Result<bool> {
        crate::is_mounted(&self.data().join("mnt"))
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // A test that fails leaves a process that is killed, and a mount whose process is gone.
        drop(self.daemon.take());
        if self.is_mounted().unwrap_or(false) {
            let _ = Command::new("umount").arg("--lazy").arg(self.data().join("mnt")).status();
        }
    }
}

const READY_LIMIT: Duration = Duration::from_secs(90);
