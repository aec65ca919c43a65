//! A tracker and a storage as child processes, and tools that are run against them.

use std::fs;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A directory with the old names of the program, and room for files.
pub(crate) struct Site {
    dir: TempDir,
}

/// A tracker and a storage, ended when dropped.
pub(crate) struct Cluster {
    // Ended before the directory goes.
    _daemons: [Ended; 2],
    pub(crate) site: Site,
    pub(crate) tracker: SocketAddr,
}

/// What a tool printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: Vec<u8>,
    pub(crate) err: String,
}

/// A child process, killed when dropped.
struct Ended(Child);

impl Site {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("fdfs-tools-").tempdir().unwrap();
        for name in ["bin", "work", "tracker", "storage"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file in the directory where tools run.
    pub(crate) fn file(&self, name: &str, content: &[u8]) {
        fs::write(self.path("work").join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("work").join(name)).unwrap()
    }

    pub(crate) fn tracker_conf(&self, name: &str, address: SocketAddr, more: &str) -> PathBuf {
        let base = self.path("tracker");
        let text = format!(
            "bind_addr={}\nport={}\nbase_path={}\nmetrics_listen=off\n{more}\n",
            address.ip(),
            address.port(),
            base.display()
        );
        self.conf(name, &text)
    }

    pub(crate) fn storage_conf(&self, address: SocketAddr, tracker: SocketAddr) -> PathBuf {
        let base = self.path("storage");
        let text = format!(
            "group_name=group1\nbind_addr={ip}\nport={port}\nbase_path={base}\nstore_path0={base}\n\
             store_path_count=1\nsubdir_count_per_path=4\ntracker_server={tracker}\nheart_beat_interval=1\n\
             http.disabled=true\nmetrics_listen=off\n",
            ip = address.ip(),
            port = address.port(),
            base = base.display(),
        );
        self.conf("storage.conf", &text)
    }

    pub(crate) fn conf(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Runs the program under an old name.
    pub(crate) fn old(&self, name: &str, arguments: &[&str]) -> Run {
        let link = self.path("bin").join(name);
        if !link.exists() {
            symlink(PROGRAM, &link).unwrap();
        }
        self.run(Command::new(&link).args(arguments), b"")
    }

    /// Runs the program as `fdfs`.
    pub(crate) fn fdfs(&self, trackers: &str, arguments: &[&str], input: &[u8]) -> Run {
        self.run(Command::new(PROGRAM).args(arguments).env("FDFS_TRACKERS", trackers), input)
    }

    fn run(&self, command: &mut Command, input: &[u8]) -> Run {
        command.current_dir(self.path("work")).env("TZ", "UTC");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Ended(command.spawn().unwrap());
        let mut stdin = child.0.stdin.take().unwrap();
        thread::scope(|scope| {
            // A tool may end without reading all of it.
            scope.spawn(move || drop(stdin.write_all(input)));
            Run::from(child.output())
        })
    }
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let site = Site::new();
        let (tracker, storage) = (free_address(), free_address());
        let tracker_conf = site.tracker_conf("tracker.conf", tracker, "");
        let storage_conf = site.storage_conf(storage, tracker);
        let daemons = [start("tracker", &tracker_conf), start("storage", &storage_conf)];
        let cluster = Self { _daemons: daemons, site, tracker };
        let conf = format!("tracker_server={tracker}\nconnect_timeout=2\nnetwork_timeout=10\n");
        cluster.site.conf("work/client.conf", &conf);
        let begun = Instant::now();
        while !cluster.is_writable() {
            assert!(begun.elapsed() < PATIENCE, "no storage becomes active");
            thread::sleep(Duration::from_millis(50));
        }
        cluster
    }

    /// Runs a tool as `fdfs`.
    pub(crate) fn fdfs(&self, arguments: &[&str]) -> Run {
        self.fdfs_with_input(arguments, b"")
    }

    pub(crate) fn fdfs_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        self.site.fdfs(&self.tracker.to_string(), arguments, input)
    }

    /// Runs an old tool with the cluster's client.conf.
    pub(crate) fn old(&self, name: &str, arguments: &[&str]) -> Run {
        self.site.old(name, &[&["client.conf"], arguments].concat())
    }

    fn is_writable(&self) -> bool {
        let run = self.fdfs(&["monitor", "--json"]);
        run.code == 0 && run.json()["groups"][0]["writable_count"] == 1
    }
}

impl Run {
    /// Standard output of a run that went well.
    pub(crate) fn ok(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        self.text()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    /// The first line.
    pub(crate) fn line(&self) -> &str {
        self.text().lines().next().unwrap_or_default()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(self.line()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        Self { code: output.status.code().unwrap_or(-1), out: output.stdout, err }
    }
}

impl Ended {
    /// Waits for the end of a tool, for as long as none of them may take.
    fn output(mut self) -> Output {
        use std::io::Read as _;
        let mut stderr = self.0.stderr.take().unwrap();
        let mut stdout = self.0.stdout.take().unwrap();
        let pid = self.0.id();
        let (done, waiting) = std::sync::mpsc::channel::<()>();
        let watch = thread::spawn(move || {
            if waiting.recv_timeout(PATIENCE).is_err() {
                kill(pid);
            }
        });
        let errors = thread::spawn(move || {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).map(|_| text).unwrap()
        });
        let mut out = Vec::new();
        stdout.read_to_end(&mut out).unwrap();
        let status = self.0.wait().unwrap();
        let _ = done.send(());
        watch.join().unwrap();
        Output { status, stdout: out, stderr: errors.join().unwrap() }
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill(); // may have ended by itself
        let _ = self.0.wait();
    }
}

fn start(kind: &str, conf: &Path) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.arg(kind).arg("-c").arg(conf).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ended(command.spawn().unwrap())
}

/// Kills a process of ours.
pub(crate) fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL); // may be gone
}

/// An address that nobody listens on.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.8.20:0").unwrap().local_addr().unwrap()
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_fdfs");

/// No tool and no start takes so long.
const PATIENCE: Duration = Duration::from_secs(40);
