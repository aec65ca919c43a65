//! `fdfs_trackerd` and `fdfs_storaged`: start, stop, restart, status.

mod child;
mod command;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fdfs_conf::{ConfError, ConfFile, Configuration};

use self::command::{Action, Command, Refusal};
use super::arguments::{Arguments, complain, say};
use super::{VERSION, errno};
use crate::daemon::{Daemon, StorageDaemon, TrackerDaemon, pid_path, run_foreground};

/// A daemon that goes to the background.
pub trait Background: Daemon {
    /// How long its start is waited for.
    const START: Start;
}

/// How long a start is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Start {
    /// It fails when this time is over.
    Within(Duration),
    /// After this time it goes on alone.
    AloneAfter(Duration),
}

impl Background for TrackerDaemon {
    const START: Start = Start::Within(Duration::from_secs(60));
}

/// A storage waits for its trackers as long as it takes; whoever starts both at boot must get on.
impl Background for StorageDaemon {
    const START: Start = Start::AloneAfter(Duration::from_secs(5));
}

/// Does what the arguments say, with the daemon `D`.
pub fn run<D: Background>(arguments: &Arguments) -> i32 {
    match Command::parse(&arguments.rest) {
        Ok(Command::Version) => {
            say(format_args!("\n{} V{VERSION}\n", D::PROGRAM));
            0
        }
        Ok(Command::Help) => usage(&arguments.program, 0),
        Ok(Command::Do { action, config, in_foreground }) => match base_path(Path::new(&config)) {
            Ok(base) => act::<D>(action, &arguments.program, Path::new(&config), &base, in_foreground),
            Err(error) => {
                errno::log(&error);
                if action == Action::Status {
                    say("NOT running");
                }
                errno::of(&error)
            }
        },
        Err(Refusal { text, code }) => {
            if let Some(text) = text {
                complain(text);
            }
            usage(&arguments.program, code)
        }
    }
}

fn act<D: Background>(action: Action, program: &str, config: &Path, base: &Path, in_foreground: bool) -> i32 {
    let pid_file = pid_path::<D>(base);
    match action {
        Action::Status => match fdfs_ops::running(&pid_file) {
            Some(pid) => {
                say(format_args!("Running, pid: {pid}"));
                0
            }
            None => {
                say("NOT running");
                NOT_RUNNING
            }
        },
        Action::Stop => stop(&pid_file, true),
        Action::Restart => {
            // What cannot be started again is better left running.
            if let Err(error) = D::Config::read(config, &mut |path| fs::read(path)) {
                let code = error.errno();
                errno::log(&error.into());
                return code;
            }
            match stop(&pid_file, false) {
                0 => complain("starting ..."),
                NOT_RUNNING | NO_SUCH_PROCESS => {}
                code => return code,
            }
            start::<D>(program, config, &pid_file, in_foreground)
        }
        Action::Start => start::<D>(program, config, &pid_file, in_foreground),
    }
}

/// Ends the daemon; complains where there is none.
fn stop(pid_file: &Path, must_run: bool) -> i32 {
    let Ok(text) = fs::read_to_string(pid_file) else {
        if must_run {
            complain(format_args!("pid file: {} not exist!", pid_file.display()));
        }
        return NOT_RUNNING;
    };
    let pid = text.trim();
    if fdfs_ops::running(pid_file).is_some() {
        complain(format_args!("waiting for pid [{pid}] exit ..."));
    }
    match fdfs_ops::stop(pid_file, PATIENCE) {
        Ok(_) => {
            complain(format_args!("pid [{pid}] exit.\n"));
            0
        }
        Err(error) => {
            let code = error.raw_os_error().unwrap_or(NOT_RUNNING);
            if must_run || code != NO_SUCH_PROCESS {
                let meaning = errno::meaning(code);
                complain(format_args!("kill pid: {pid} fail, errno: {code}, error info: {meaning}"));
            }
            code
        }
    }
}

fn start<D: Background>(program: &str, config: &Path, pid_file: &Path, in_foreground: bool) -> i32 {
    if let Some(ready) = child::Ready::of_this_process() {
        return child::serve::<D>(config, ready);
    }
    if let Some(pid) = fdfs_ops::running(pid_file) {
        complain(format_args!("process {} already running, pid: {pid}", D::PROGRAM));
        return ALREADY_RUNNING;
    }
    let done = match in_foreground {
        true => run_foreground::<D>(config, || {}),
        false => child::start(program, config, D::START),
    };
    match done {
        Ok(()) => 0,
        Err(error) => {
            errno::log(&error);
            errno::of(&error)
        }
    }
}

/// The base path of a configuration, wherever else it may be wrong: a daemon must be stopped with it.
fn base_path(config: &Path) -> anyhow::Result<PathBuf> {
    let file = ConfFile::read(config, &mut |path| fs::read(path))?;
    let base = file.get("", "base_path").filter(|entry| !entry.value.is_empty());
    let base = base.ok_or_else(|| ConfError::Missing {
        file: config.to_owned(),
        key: "base_path".to_owned(),
        help: "it is the directory for data and logs",
    })?;
    Ok(PathBuf::from(&base.value))
}

fn usage(program: &str, code: i32) -> i32 {
    complain(format_args!(
        "\nUsage: {program} [options] <config_file> [start | stop | restart | status]\n\n\
         options:\n\
         \t-N | --no-daemon: stay in the foreground\n\
         \t-V | --version: show the version\n\
         \t-h | --help: show this\n"
    ));
    code
}

/// How long a daemon may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

const NOT_RUNNING: i32 = 2;
const NO_SUCH_PROCESS: i32 = 3;
const ALREADY_RUNNING: i32 = 17;
