//! Going to the background.
//!
//! A process with threads must not fork. So the program starts itself once more, in a session of its own; what would be
//! the child's standard output is a pipe on which it tells that it serves, or why it does not:
//!
//! ```text
//!  ready\n
//!  failed ERRNO TEXT\n
//! ```

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use anyhow::Context as _;

use super::super::arguments::complain;
use super::{Start, errno};
use crate::daemon::{Daemon, run_foreground};

/// Where a daemon in the background tells how its start went.
pub struct Ready(File);

impl Ready {
    /// That of this process, if it is the one in the background.
    pub fn of_this_process() -> Option<Self> {
        std::env::var_os(MARK)?;
        let pipe = std::io::stdout().as_fd().try_clone_to_owned().ok()?;
        Some(Self(File::from(pipe)))
    }

    fn tell(mut self, line: &str) {
        let _ = writeln!(self.0, "{line}"); // whoever has started this may have gone
    }
}

/// Starts this program again in the background, and waits until it serves or has failed.
pub fn start(program: &str, config: &Path, patience: Start) -> anyhow::Result<()> {
    let config = config.canonicalize().with_context(|| config.display().to_string())?;
    let mut command = Command::new("/proc/self/exe");
    command.arg0(program).arg(config).arg("start").env(MARK, "1").current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("cannot start the daemon")?;
    let pipe = child.stdout.take().context("the daemon has no pipe")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(pipe).read_line(&mut line).map(|_| line);
        let _ = sender.send(read); // too late for anybody
    });
    let (Start::Within(limit) | Start::AloneAfter(limit)) = patience;
    let line = match receiver.recv_timeout(limit) {
        Ok(line) => line.context("cannot hear from the daemon")?,
        Err(_) if patience == Start::Within(limit) => {
            let late = std::io::Error::from(rustix::io::Errno::TIMEDOUT);
            return Err(late)
                .with_context(|| format!("the daemon does not serve after {limit:?}; see its log"));
        }
        Err(_) => {
            complain("still starting: its log tells what it waits for");
            return Ok(());
        }
    };
    match line.trim_end().split_once(' ') {
        None if line.trim_end() == READY => Ok(()),
        Some((FAILED, rest)) => {
            let (number, text) = rest.split_once(' ').unwrap_or((rest, ""));
            let error = std::io::Error::from_raw_os_error(number.parse().unwrap_or(1));
            Err(anyhow::Error::from(error).context(text.to_owned()))
        }
        _ => {
            let status = child.wait().context("the daemon has gone")?;
            anyhow::bail!("the daemon has ended before it served: {status}")
        }
    }
}

/// Runs a daemon in this process, which is the one in the background.
pub fn serve<D: Daemon>(config: &Path, ready: Ready) -> i32 {
    // Fails only for the leader of a group, which is on its own already.
    let _ = rustix::process::setsid();
    let (slot, ready) = (std::cell::Cell::new(Some(ready)), READY);
    let tell = |line: &str| slot.take().into_iter().for_each(|pipe| pipe.tell(line));
    match run_foreground::<D>(config, || tell(ready)) {
        Ok(()) => 0,
        Err(error) => {
            let code = errno::of(&error);
            let text = crate::tools::sentence(&error).replace('\n', " ");
            tell(&format!("{FAILED} {code} {text}"));
            tracing::error!(error = text, "daemon has failed");
            fdfs_ops::flush_logs();
            code
        }
    }
}

/// Set in the environment of the process in the background.
const MARK: &str = "FDFS_IN_BACKGROUND";

const READY: &str = "ready";
const FAILED: &str = "failed";
