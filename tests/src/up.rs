//! `fdfs up`: everything in one process.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{Addresses, Daemon, Deadline, fdfs_binary};

/// A running `fdfs up` on an address of its own, with its usual ports.
#[derive(Debug)]
pub struct Up {
    daemon: Daemon,
    address: IpAddr,
    dir: PathBuf,
}

impl Up {
    /// Starts it on `dir` and waits until it says that it is ready.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start(dir: &Path, mount: bool) -> Result<Self> {
        let address = IpAddr::V4(Addresses::next()?);
        let output = dir.with_extension("out");
        let mut command = Command::new(fdfs_binary()?);
        command.arg("up").arg("--dir").arg(dir).arg("--bind").arg(address.to_string());
        if !mount {
            command.arg("--no-mount");
        }
        let _ = fs::remove_file(&output);
        let mut daemon = Daemon::start(&mut command, &output)?;
        daemon.wait_until(Deadline::after(READY_LIMIT), "line `fdfs is ready`", || {
            let printed = fs::read_to_string(&output)?;
            if !printed.lines().any(|line| line == "fdfs is ready") {
                bail!("it has printed {} lines", printed.lines().count());
            }
            Ok(())
        })?;
        Ok(Self { daemon, address, dir: dir.to_owned() })
    }

    /// Where its tracker listens.
    pub fn tracker(&self) -> SocketAddr {
        SocketAddr::new(self.address, 22122)
    }

    /// Where its storage listens.
    pub fn storage(&self) -> SocketAddr {
        SocketAddr::new(self.address, 23000)
    }

    /// The S3 endpoint.
    pub fn s3(&self) -> String {
        format!("http://{}:9000", self.address)
    }

    /// The storage's native HTTP paths.
    pub fn http(&self) -> String {
        format!("http://{}:8888", self.address)
    }

    /// The front for native HTTP paths of all groups.
    pub fn front(&self) -> String {
        format!("http://{}:8000", self.address)
    }

    /// The file with the S3 keys.
    pub fn credentials(&self) -> PathBuf {
        self.dir.join("credentials")
    }

    /// Where it is mounted.
    pub fn mount(&self) -> PathBuf {
        self.dir.join("mnt")
    }

    /// Asks it to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    ///
    /// When it has not ended in time, or not well.
    pub fn stop(self) -> Result<ExitStatus> {
        self.daemon.stop().context("fdfs up")
    }
}

/// How long it may take until every port answers.
const READY_LIMIT: Duration = Duration::from_secs(60);
