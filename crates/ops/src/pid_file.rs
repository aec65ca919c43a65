//! The file that says which process a daemon is: `data/fdfs_storaged.pid`, a decimal number.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Signal, getpid, kill_process, test_kill_process};
use thiserror::Error;

/// The pid file of this process. It is locked as long as the process lives, and removed when dropped.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

/// Why a process gets no pid file.
#[derive(Debug, Error)]
pub enum PidFileError {
    /// Another process has it.
    #[error("process {pid} is running already, see {}", path.display())]
    Running {
        /// That process; 0 if it has not yet said.
        pid: i32,
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be written.
    #[error("cannot write the pid file {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What writing it answered.
        #[source]
        source: io::Error,
    },
}

impl PidFile {
    /// Makes the file, or takes over one whose process is gone.
    ///
    /// # Errors
    ///
    /// Its process runs, or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, PidFileError> {
        let failed = |source| PidFileError::Io { path: path.to_owned(), source };
        loop {
            let mut options = OpenOptions::new();
            let mut file =
                options.read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
            let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
            let pid = read_pid(&mut file).map_err(failed)?;
            let taken =
                || PidFileError::Running { pid: pid.map_or(0, Pid::as_raw_pid), path: path.to_owned() };
            match locked {
                Ok(()) => {}
                Err(error) if error == rustix::io::Errno::WOULDBLOCK => return Err(taken()),
                Err(error) => return Err(failed(error.into())),
            }
            if !is_at(&file, path) {
                continue; // the former owner removed it in between
            }
            // A daemon of the original keeps no lock. One of ours does: without it, somebody got its number.
            if pid.is_some_and(|pid| is_daemon(pid) && !is_this_program(pid)) {
                return Err(taken());
            }
            write_pid(&mut file).map_err(failed)?;
            return Ok(Self { path: path.to_owned(), file });
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.file, &self.path) {
            let _ = fs::remove_file(&self.path); // a stale one does no harm
        }
    }
}

impl PidFileError {
    /// The exit code of the original: 17 while the daemon runs.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            Self::Running { .. } => rustix::io::Errno::EXIST.raw_os_error(),
            Self::Io { source, .. } => source.raw_os_error().unwrap_or(EIO),
        }
    }
}

/// The process that a pid file names, if it is a running daemon.
#[must_use]
pub fn running(path: &Path) -> Option<i32> {
    let pid = read_pid(&mut File::open(path).ok()?).ok()??;
    is_daemon(pid).then(|| pid.as_raw_pid())
}

/// Ends the daemon that a pid file names: TERM every second, KILL after `patience`.
///
/// Answers whether it had to be killed. Blocks; meant for the command line.
///
/// # Errors
///
/// ENOENT without a file or pid, ESRCH when its process is gone, EPERM when it belongs to another user, ETIMEDOUT
/// when not even KILL ends it.
pub fn stop(path: &Path, patience: Duration) -> io::Result<bool> {
    let pid = read_pid(&mut File::open(path)?)?.ok_or(io::ErrorKind::NotFound)?;
    if !is_daemon(pid) {
        return Err(rustix::io::Errno::SRCH.into());
    }
    let begun = Instant::now();
    while begun.elapsed() < patience {
        match kill_process(pid, Signal::TERM) {
            Ok(()) => {}
            Err(error) if error == rustix::io::Errno::SRCH => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        if wait_for_end(pid, patience.saturating_sub(begun.elapsed()).min(Duration::from_secs(1))) {
            return Ok(false);
        }
    }
    kill_process(pid, Signal::KILL)?;
    if wait_for_end(pid, Duration::from_secs(5)) { Ok(true) } else { Err(io::ErrorKind::TimedOut.into()) }
}

fn wait_for_end(pid: Pid, patience: Duration) -> bool {
    let begun = Instant::now();
    loop {
        if !is_daemon(pid) {
            return true;
        }
        if begun.elapsed() >= patience {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process lives and is not another program that got the number later.
fn is_daemon(pid: Pid) -> bool {
    // EPERM: it lives, and belongs to somebody else.
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return false;
    }
    let directory = PathBuf::from(format!("/proc/{}", pid.as_raw_pid()));
    let status = fs::read_to_string(directory.join("stat")).unwrap_or_default();
    if status.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['Z', 'X'])) {
        return false; // ended, its parent has not noticed yet
    }
    let name = |command: Vec<u8>| {
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default().to_vec();
        PathBuf::from(String::from_utf8_lossy(&program).into_owned()).file_name().map(ToOwned::to_owned)
    };
    let Ok(theirs) = fs::read(directory.join("cmdline")) else { return true };
    let (theirs, mine) = (name(theirs), fs::read("/proc/self/cmdline").ok().and_then(name));
    theirs == mine || theirs.is_some_and(|name| name.to_string_lossy().starts_with("fdfs"))
}

/// Whether a process runs the same executable as this one.
fn is_this_program(pid: Pid) -> bool {
    let program = |pid: &str| fs::metadata(format!("/proc/{pid}/exe")).map(|file| (file.dev(), file.ino()));
    match (program(&pid.as_raw_pid().to_string()), program("self")) {
        (Ok(theirs), Ok(mine)) => theirs == mine,
        _ => false,
    }
}

fn read_pid(file: &mut File) -> io::Result<Option<Pid>> {
    let mut text = String::new();
    match file.take(32).read_to_string(&mut text) {
        Err(error) if error.kind() != io::ErrorKind::InvalidData => return Err(error),
        _ => {}
    }
    Ok(text.trim().parse().ok().filter(|pid| *pid > 0).and_then(Pid::from_raw))
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    write!(file, "{}", getpid().as_raw_pid())
}

fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(mine), Ok(there)) => (mine.dev(), mine.ino()) == (there.dev(), there.ino()),
        _ => false,
    }
}

const EIO: i32 = 5;

#[cfg(test)]
mod tests;
