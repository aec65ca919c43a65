//! Mounting in the background: the program starts itself once more, and comes back when the files are there.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tracing::warn;

/// Mounts on `directory` in another process, which stays; `arguments` are those after `fdfs mount`.
pub fn start(arguments: &[OsString], directory: &Path) -> anyhow::Result<()> {
    let mut command = Command::new("/proc/self/exe");
    command.arg("mount").args(arguments).env(MARK, "1");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("cannot start the process that serves the mount")?;
    let pipe = child.stdout.take().context("it has no pipe")?;
    let (sender, receiver) = mpsc::channel();
    let wanted = ready(directory);
    std::thread::spawn(move || {
        let is_ready = BufReader::new(pipe).lines().map_while(Result::ok).any(|line| line == wanted);
        let _ = sender.send(is_ready); // too late for anybody
    });
    match receiver.recv_timeout(PATIENCE) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let mut text = String::new();
            if let Some(mut errors) = child.stderr.take() {
                errors.read_to_string(&mut text)?;
            }
            let status = child.wait()?;
            let last = text.trim_end().lines().last().unwrap_or_default();
            match last.strip_prefix("fdfs: ").unwrap_or(last) {
                "" => bail!("the process that serves the mount ended with {status}; its log may tell why"),
                reason => bail!("{reason}"),
            }
        }
        Err(_) => {
            let _ = child.kill();
            bail!("not mounted within {PATIENCE:?}; the log tells what it waits for (-o log=FILE)")
        }
    }
}

/// What a mount says when it serves.
pub fn ready(directory: &Path) -> String {
    format!("{} is mounted", directory.display())
}

/// True in a process that was started by [`start`].
pub fn is_here() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Leaves the terminal, the directory and the output streams of whoever started this to them.
pub fn detach() {
    let detached = || -> std::io::Result<()> {
        // Fails only for the leader of a group, which is on its own already.
        let _ = rustix::process::setsid();
        std::env::set_current_dir("/")?;
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdout(&null)?;
        Ok(rustix::stdio::dup2_stderr(&null)?)
    };
    if let Err(error) = detached() {
        warn!(%error, "the mount still holds the terminal or the directory it was started from");
    }
}

/// Set for the process in the background.
const MARK: &str = "FDFS_MOUNT_IN_BACKGROUND";
/// How long a mount may take: a gateway that is being started at the same time answers by then.
const PATIENCE: Duration = Duration::from_secs(90);
