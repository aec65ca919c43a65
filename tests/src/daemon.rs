//! A child process that ends with the test that started it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

use crate::Deadline;

/// A running daemon. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    output: PathBuf,
}

impl Daemon {
    /// Starts `command`; both of its output streams go to the file `output`.
    ///
    /// # Errors
    ///
    /// When the file or the process cannot be made.
    pub fn start(command: &mut Command, output: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(output)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { child, output: output.to_owned() })
    }

    /// Takes charge of a running child that writes to the file `output`.
    pub fn adopt(child: Child, output: &Path) -> Self {
        Self { child, output: output.to_owned() }
    }

    /// Waits until the process ends by itself.
    ///
    /// # Errors
    ///
    /// When it has not ended in time.
    pub fn wait(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        deadline
            .wait_for("end of the process", || match self.child.try_wait() {
                Ok(Some(status)) => Ok(Ok(status)),
                Ok(None) => Err("still running"),
                Err(error) => Ok(Err(error)),
            })?
            .context("waiting for the end of the process")
    }

    /// Waits until `probe` succeeds.
    ///
    /// # Errors
    ///
    /// When the daemon ends first or the deadline passes; with the end of what the daemon wrote.
    pub fn wait_until<T>(
        &mut self,
        deadline: Deadline,
        what: &str,
        mut probe: impl FnMut() -> Result<T>,
    ) -> Result<T> {
        deadline
            .wait_for(what, || match self.child.try_wait() {
                Ok(Some(status)) => Ok(Err(anyhow!("ended with {status} before {what}"))),
                Ok(None) => probe().map(Ok),
                Err(error) => Ok(Err(error.into())),
            })
            .and_then(|outcome| outcome)
            .with_context(|| format!("the daemon wrote:\n{}", self.last_output()))
    }

    /// Asks the daemon to end (SIGTERM) and waits for it.
    ///
    /// # Errors
    ///
    /// When it has not ended in time; it is killed then.
    pub fn stop(mut self) -> Result<ExitStatus> {
        kill_process(self.pid()?, Signal::TERM)?;
        self.wait(Deadline::after(STOP_LIMIT))
            .with_context(|| format!("after SIGTERM; the daemon wrote:\n{}", self.last_output()))
    }

    /// Ends the process as a crash would (SIGKILL); what it wrote can still be asked for.
    ///
    /// # Errors
    ///
    /// When its end cannot be awaited.
    pub fn crash(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends the daemon as a crash would (SIGKILL).
    ///
    /// # Errors
    ///
    /// When the process cannot be awaited.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// The process ID.
    ///
    /// # Errors
    ///
    /// When the number is no process ID.
    pub fn pid(&self) -> Result<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("process ID")
    }

    /// The end of what the daemon wrote to its output streams.
    pub fn last_output(&self) -> String {
        let bytes = fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN_OUTPUT)..]).into_owned()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only when the process is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How long a daemon may take to end after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(15);
/// Bytes of output shown when something failed.
const SHOWN_OUTPUT: usize = 4096;

#[cfg(test)]
mod tests {
    use std::io;

    use rustix::process::test_kill_process;

    use super::*;

    #[test]
    fn a_dropped_daemon_is_gone() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let daemon = Daemon::start(Command::new("sleep").arg("600"), &dir.path().join("out"))?;
        let pid = daemon.pid()?;
        test_kill_process(pid)?;
        drop(daemon);
        assert!(test_kill_process(pid).is_err());
        Ok(())
    }

    #[test]
    fn a_daemon_that_ends_early_shows_what_it_wrote() -> Result<()> {
        let dir = tempfile::tempdir()?;
        let mut daemon = Daemon::start(
            Command::new("sh").args(["-c", "echo no such port; exit 3"]),
            &dir.path().join("out"),
        )?;
        let deadline = Deadline::after(Duration::from_secs(10));
        let error = daemon.wait_until(deadline, "port", || Err::<(), _>(io::Error::other("closed").into()));
        let text = error.map_or_else(|error| format!("{error:#}"), |()| String::new());
        assert!(text.contains("no such port") && text.contains("exit status: 3"), "{text}");
        Ok(())
    }
}
