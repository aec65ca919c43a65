//! `fdfs mount` as a process of its own beside a running site.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::{Daemon, Deadline, Site, fdfs_binary};

/// A mount of its own process. Dropping it unmounts what it leaves behind.
#[derive(Debug)]
pub struct Mounting {
    daemon: Option<Daemon>,
    mountpoint: PathBuf,
    output: PathBuf,
    tracker: String,
    options: Vec<String>,
}

impl Mounting {
    /// Mounts `site` on a new directory `name` among the test's files, with options as `-o` takes them.
    ///
    /// # Errors
    ///
    /// When it is not mounted in time.
    pub fn start(site: &Site, name: &str, options: &[&str]) -> Result<Self> {
        let (host, port) = site.tracker();
        Self::start_on(site.dir(), &format!("{host}:{port}"), name, options)
    }

    /// Mounts what the tracker at an address knows, on a new directory `name` of `dir`.
    ///
    /// # Errors
    ///
    /// When it is not mounted in time.
    pub fn start_on(dir: &Path, tracker: &str, name: &str, options: &[&str]) -> Result<Self> {
        let mountpoint = dir.join(name);
        fs::create_dir(&mountpoint)?;
        let mut mounting = Self {
            daemon: None,
            mountpoint,
            output: dir.join(format!("{name}-output")),
            tracker: tracker.to_owned(),
            options: options.iter().map(|option| (*option).to_owned()).collect(),
        };
        mounting.mount()?;
        Ok(mounting)
    }

    /// Mounts again what was stopped or killed.
    ///
    /// # Errors
    ///
    /// When it is not mounted in time.
    pub fn mount(&mut self) -> Result<()> {
        let mut command = Command::new(fdfs_binary()?);
        command.arg("mount").arg(&self.tracker).arg(&self.mountpoint);
        for option in &self.options {
            command.args(["-o", option]);
        }
        let ready = format!("{} is mounted", self.mountpoint.display());
        let said = |text: &str| text.lines().filter(|line| *line == ready).count();
        let before = said(&fs::read_to_string(&self.output).unwrap_or_default());
        let mut daemon = Daemon::start(&mut command, &self.output)?;
        daemon.wait_until(Deadline::after(READY_LIMIT), &ready, || {
            let text = fs::read_to_string(&self.output)?;
            ensure!(said(&text) > before, "not yet");
            Ok(())
        })?;
        self.daemon = Some(daemon);
        Ok(())
    }

    /// A path below it.
    pub fn path(&self, path: &str) -> PathBuf {
        self.mountpoint.join(path)
    }

    /// Ends it in order.
    ///
    /// # Errors
    ///
    /// When it does not end well.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.daemon.take().context("it runs")?.stop()?;
        ensure!(status.success(), "ended with {status}");
        ensure!(!is_mounted(&self.mountpoint)?, "it is still mounted");
        Ok(())
    }

    /// Waits until it has ended, as it does where somebody unmounts it.
    ///
    /// # Errors
    ///
    /// When it does not end in time, or not well.
    pub fn ended(&mut self) -> Result<()> {
        let status = self.daemon.take().context("it runs")?.wait(Deadline::after(READY_LIMIT))?;
        ensure!(status.success(), "ended with {status}");
        Ok(())
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    ///
    /// When its end cannot be awaited.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.daemon.take().context("it runs")?.kill()
    }

    /// What it wrote to its output streams.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }
}

impl Drop for Mounting {
    fn drop(&mut self) {
        // A test that fails leaves a process that is killed, and a mount whose process is gone.
        drop(self.daemon.take());
        if is_mounted(&self.mountpoint).unwrap_or(false) {
            let _ = Command::new("umount").arg("--lazy").arg(&self.mountpoint).status();
        }
    }
}

/// Whether something is mounted there.
///
/// # Errors
///
/// When the mount table cannot be read.
pub fn is_mounted(mountpoint: &Path) -> Result<bool> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(1).is_some_and(|at| Path::new(at) == mountpoint)))
}

const READY_LIMIT: Duration = Duration::from_secs(60);
