//! The process beside the one that serves a mount: it starts another one when that crashes, and does nothing else.
//!
//! What ends by itself, unmounted or told to, stays ended. What is killed, or panics, is followed by another process, which removes the dead mount and
//! mounts again. It waits between attempts, longer with each that fails, and gives up where somebody took the dead mount away.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use fdfs_ops::LogOptions;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::time::Instant;
use tracing::{error, info, warn};

use super::{background, status};

/// Keeps `directory`, which the command line calls `named`, mounted.
pub fn run(directory: &Path, named: &Path, logging: LogOptions) -> anyhow::Result<()> {
    logging.install()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let mut keeper = Keeper::new(directory, named)?;
        keeper.keep().await
    });
    fdfs_ops::flush_logs();
    result
}

/// True in a process that another one keeps.
pub fn is_kept() -> bool {
    restarts().is_some()
}

/// How often this mount crashed before, where somebody counts.
pub fn restarts() -> Option<u64> {
    std::env::var(RESTARTS).ok()?.parse().ok()
}

struct Keeper {
    directory: PathBuf,
    named: PathBuf,
    /// What the serving process is started with.
    arguments: Vec<OsString>,
    /// Where this one was started: what else is named in the arguments may be meant from there.
    started_in: Option<PathBuf>,
    terminate: unix::Signal,
    interrupt: unix::Signal,
    quit: unix::Signal,
    hangup: unix::Signal,
    restarts: u64,
    is_told_to_end: bool,
}

/// How a serving process ended.
struct Ended {
    status: ExitStatus,
    was_mounted: bool,
    lived: Duration,
}

impl Keeper {
    fn new(directory: &Path, named: &Path) -> anyhow::Result<Self> {
        let said = std::env::args_os().skip(1).skip_while(|argument| argument != "mount").skip(1);
        // A name from here would mean something else once there is a dead mount.
        let arguments = said.map(|argument| if argument == *named { directory.into() } else { argument });
        Ok(Self {
            directory: directory.components().collect(),
            named: named.to_owned(),
            arguments: arguments.collect(),
            started_in: std::env::current_dir().ok(),
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            restarts: 0,
            is_told_to_end: false,
        })
    }

    /// Returns when the mount has ended for good.
    async fn keep(&mut self) -> anyhow::Result<()> {
        let mut pauses = Pauses::default();
        loop {
            let ended = self.serve().await?;
            let is_first = self.restarts == 0;
            if self.is_told_to_end || is_end(ended.status, ended.was_mounted, is_first) {
                return as_the_server(ended.status);
            }
            let is_in_the_tree = status::is_mounted(&self.directory)?;
            if ended.was_mounted && !is_in_the_tree {
                bail!(
                    "the process that served the mount ended with {}, and nothing is mounted there any more",
                    ended.status
                );
            }
            let pause = pauses.after(ended.lived);
            error!(mountpoint = %self.directory.display(), status = %ended.status, again_in = ?pause, "the process that served the mount ended");
            self.pause(pause).await;
            if self.is_told_to_end {
                return Ok(());
            }
            if is_in_the_tree && !status::is_mounted(&self.directory)? {
                info!(mountpoint = %self.directory.display(), "somebody took the dead mount away");
                return Ok(());
            }
            self.restarts += 1;
        }
    }

    /// Starts a process that mounts and serves; returns when it has ended.
    async fn serve(&mut self) -> anyhow::Result<Ended> {
        let began = Instant::now();
        let mut child = self.start().await?;
        let mut output = child.stdout.take().map(|pipe| BufReader::new(pipe).lines());
        let ready = background::ready(&self.directory);
        let mut was_mounted = false;
        loop {
            let told = tokio::select! {
                // What it said before it ended counts.
                biased;
                line = next(&mut output) => {
                    if line == ready && !was_mounted {
                        was_mounted = true;
                        self.mounted();
                    }
                    continue;
                }
                _ = self.terminate.recv() => Signal::TERM,
                _ = self.interrupt.recv() => Signal::INT,
                _ = self.quit.recv() => Signal::QUIT,
                _ = self.hangup.recv() => Signal::HUP,
                status = child.wait() => {
                    return Ok(Ended { status: status?, was_mounted, lived: began.elapsed() });
                }
            };
            self.is_told_to_end |= told != Signal::HUP;
            let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
            if let Some(Err(error)) = pid.map(|pid| kill_process(pid, told)) {
                warn!(%error, "a signal is not passed on");
            }
            if told == Signal::HUP {
                fdfs_ops::rotate_logs();
            }
        }
    }

    async fn start(&mut self) -> anyhow::Result<Child> {
        let mut command = Command::new("/proc/self/exe");
        command.arg("mount").args(&self.arguments).env(RESTARTS, self.restarts.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        if let Some(directory) = self.started_in.as_ref().filter(|_| self.restarts == 0) {
            command.current_dir(directory);
        } else if let Some(directory) = &self.started_in
            // It may be one of the dead mount.
            && tokio::fs::metadata(directory).await.is_ok()
        {
            command.current_dir(directory);
        }
        command.spawn().context("cannot start the process that serves the mount")
    }

    fn mounted(&mut self) {
        if self.restarts > 0 {
            info!(mountpoint = %self.directory.display(), restarts = self.restarts, "mounted again");
            return;
        }
        println!("{}", background::ready(&self.named));
        if background::is_here() {
            background::detach();
        }
    }

    /// Waits before the next attempt, unless a signal comes that ends this.
    async fn pause(&mut self, pause: Duration) {
        let over = tokio::time::sleep(pause);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                _ = self.terminate.recv() => {}
                _ = self.interrupt.recv() => {}
                _ = self.quit.recv() => {}
                _ = self.hangup.recv() => {
                    fdfs_ops::rotate_logs();
                    continue;
                }
            }
            self.is_told_to_end = true;
            return;
        }
    }
}

/// The next line that the serving process says; waits for ever where it says no more.
async fn next(output: &mut Option<Lines<BufReader<ChildStdout>>>) -> String {
    if let Some(lines) = output
        && let Ok(Some(line)) = lines.next_line().await
    {
        return line;
    }
    *output = None;
    std::future::pending().await
}

/// True if that was an end and not a crash: it decided so, and what it could not do the first time it will not do the second time.
fn is_end(status: ExitStatus, was_mounted: bool, is_first: bool) -> bool {
    match status.code() {
        Some(PANICKED) | None => is_first && !was_mounted,
        Some(0) => true,
        Some(_) => was_mounted || is_first,
    }
}

/// Ends as the serving process did, whose last line tells why.
fn as_the_server(status: ExitStatus) -> anyhow::Result<()> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => {
            fdfs_ops::flush_logs();
            std::process::exit(code)
        }
        _ => bail!("the process that serves the mount ended with {status}"),
    }
}

/// How long to wait before the next attempt.
#[derive(Debug, Default)]
struct Pauses {
    failed: u32,
}

impl Pauses {
    /// A process lived for so long.
    fn after(&mut self, lived: Duration) -> Duration {
        if lived >= STABLE {
            self.failed = 0;
        }
        let pause = SHORTEST.saturating_mul(1 << self.failed.min(16)).min(LONGEST);
        self.failed += 1;
        pause
    }
}

/// Tells a serving process that it is kept, and how often there was another one before it.
const RESTARTS: &str = "FDFS_MOUNT_RESTARTS";
/// What a program ends with whose first thread panics.
const PANICKED: i32 = 101;
/// Before the first attempt.
const SHORTEST: Duration = Duration::from_millis(50);
/// Between attempts that fail for long.
const LONGEST: Duration = Duration::from_secs(30);
/// What served for so long crashes for a new reason.
const STABLE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_that_fail_are_made_at_longer_intervals_up_to_a_limit() {
        let mut pauses = Pauses::default();
        let millis: Vec<_> = (0..12).map(|_| pauses.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(millis[..5], [50, 100, 200, 400, 800]);
        assert_eq!(millis[10..], [30_000, 30_000]);
        assert_eq!(pauses.after(STABLE), SHORTEST);
    }

    #[test]
    fn a_crash_is_told_from_an_end() {
        let (killed, panicked) = (ExitStatus::from_raw(9), ExitStatus::from_raw(PANICKED << 8));
        let (done, failed) = (ExitStatus::from_raw(0), ExitStatus::from_raw(1 << 8));
        for crash in [killed, panicked] {
            assert!(!is_end(crash, true, true) && !is_end(crash, false, false) && is_end(crash, false, true));
        }
        assert!(is_end(done, true, false) && is_end(failed, true, false), "it was unmounted");
        assert!(is_end(failed, false, true), "it never was mounted");
        assert!(!is_end(failed, false, false), "it waits for what is behind it");
    }
}
