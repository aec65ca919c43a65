//! What tests need: a PostgreSQL server of their own (Debian's, in a directory that goes with it), and many objects.

pub mod filler;

use std::fs;
use std::net::Ipv4Addr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub struct PostgresServer {
    running: Mutex<Option<Child>>,
    programs: PathBuf,
    schemas: AtomicU32,
    /// Settings beyond those of every server.
    settings: Vec<String>,
    dir: TempDir,
}

impl PostgresServer {
    /// A server that all tests of this process share, for as long as one of them uses it. None where PostgreSQL is not
    /// installed; that is said aloud.
    #[expect(clippy::print_stderr, reason = "who runs the tests must know what was not tested")]
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<PostgresServer>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let Some(programs) = programs() else {
            eprintln!(
                "\nSKIPPED: PostgreSQL is not installed; nothing of it is tested (apt install postgresql)\n"
            );
            return None;
        };
        let server = Arc::new(Self::start(programs));
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    /// A server of this test alone, which may kill it.
    pub fn own() -> Option<Self> {
        Self::shared()?;
        programs().map(Self::start)
    }

    /// A server of this test alone that takes encrypted connections from elsewhere, with this certificate and key (PEM), and no others; and the address that it
    /// listens on, beside its socket. The user `certified` needs a certificate of this authority, the user `bound` the password `secret`.
    pub fn encrypted(certificate: &str, key: &str, authority: &str) -> Option<(Self, Ipv4Addr)> {
        Self::shared()?;
        let mut server = Self::made(programs()?);
        let own = |name: &str, content: &str| {
            let path = server.dir.path().join(name);
            fs::write(&path, content).expect("a file can be written");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions can be set");
            if let Some((user, group)) = user() {
                chown(&path, Some(user), Some(group)).expect("root may give a file away");
            }
            path.display().to_string()
        };
        let files = [
            ("ssl_cert_file", own("server.crt", certificate)),
            ("ssl_key_file", own("server.key", key)),
            ("ssl_ca_file", own("authority.crt", authority)),
        ];
        let rules = server.data().join("pg_hba.conf");
        let lines = [
            "local all all trust",
            "hostssl all certified 127.0.0.0/8 cert",
            "hostssl all bound 127.0.0.0/8 scram-sha-256",
            "hostssl all all 127.0.0.0/8 trust",
        ];
        fs::write(&rules, lines.join("\n") + "\n").expect("rules can be written");
        // No other process has this one's number.
        let [_, high, middle, low] = std::process::id().to_be_bytes();
        let address = Ipv4Addr::new(127, 64 | (high & 63), middle, low.max(1));
        let mut settings: Vec<String> = files.iter().map(|(name, file)| format!("{name}={file}")).collect();
        settings.extend(["ssl=on".to_owned(), format!("listen_addresses={address}")]);
        server.settings = settings;
        server.restart();
        server.run("CREATE ROLE certified SUPERUSER LOGIN");
        server.run("CREATE ROLE bound SUPERUSER LOGIN PASSWORD 'secret'");
        Some((server, address))
    }

    fn start(programs: PathBuf) -> Self {
        let server = Self::made(programs);
        server.restart();
        server
    }

    /// One that does not run yet.
    fn made(programs: PathBuf) -> Self {
        let dir = tempfile::Builder::new().prefix("fdfs-pg-").tempdir().expect("a directory can be made");
        if let Some((user, group)) = user() {
            chown(dir.path(), Some(user), Some(group)).expect("root may give a directory away");
        }
        let server = Self {
            running: Mutex::new(None),
            programs,
            schemas: AtomicU32::new(0),
            settings: Vec::new(),
            dir,
        };
        let made = server
            .command("initdb")
            .args(["--no-sync", "--auth=trust", "--username=fdfs", "--encoding=UTF8", "--locale=C", "-D"])
            .arg(server.data())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let rules = server.data().join("pg_hba.conf");
        let all = fs::read_to_string(&rules).expect("initdb writes rules");
        // One user needs a password.
        fs::write(&rules, format!("local all locked scram-sha-256\n{all}")).expect("rules can be written");
        server
    }

    /// Kills the server and all its processes, as a crash does.
    pub fn kill(&self) {
        let Some(mut child) = self.running().take() else { return };
        let children = children_of(child.id());
        let _ = child.kill();
        for pid in children.into_iter().filter_map(Pid::from_raw) {
            let _ = kill_process(pid, Signal::KILL);
        }
        let _ = child.wait();
    }

    /// Starts the server, if it does not run, and waits until it answers.
    pub fn restart(&self) {
        let mut running = self.running();
        let deadline = Instant::now() + START_LIMIT;
        loop {
            match running.as_mut().map(Child::try_wait) {
                Some(Ok(None)) if self.answers() => return,
                Some(Ok(None)) => {}
                // One that was killed may leave processes that have to end first.
                _ => *running = Some(self.spawn()),
            }
            assert!(Instant::now() < deadline, "no database within {START_LIMIT:?}: {}", self.log());
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The URL of a store that nobody has used yet.
    pub fn new_store(&self) -> String {
        let schema = format!("store{}", self.schemas.fetch_add(1, Ordering::Relaxed));
        self.run(&format!("CREATE SCHEMA {schema}"));
        format!("{}?options=-c%20search_path%3D{schema}", self.url())
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_for("fdfs", "postgres")
    }

    /// The URL of a database for a user (and password).
    pub fn url_for(&self, user: &str, database: &str) -> String {
        let socket = self.dir.path().display().to_string().replace('/', "%2F");
        format!("postgres://{user}@{socket}/{database}")
    }

    /// Runs SQL.
    pub fn run(&self, sql: &str) -> String {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "fdfs", "-d", "postgres", "-h"])
            .arg(self.dir.path())
            .args(["-c", sql])
            .output()
            .expect("psql runs");
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answers(&self) -> bool {
        let asked =
            Command::new(self.programs.join("pg_isready")).args(["-q", "-h"]).arg(self.dir.path()).status();
        asked.is_ok_and(|status| status.success())
    }

    fn spawn(&self) -> Child {
        let log =
            fs::File::options().create(true).append(true).open(self.dir.path().join("log")).expect("a log");
        let mut command = self.command("postgres");
        command
            .arg("-D")
            .arg(self.data())
            .arg("-k")
            .arg(self.dir.path())
            // A killed process loses nothing that it wrote, so that nothing need reach the disk here.
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"])
            // What it shares between processes lies in its directory and goes with it, even after kill -9.
            .args(["-c", "dynamic_shared_memory_type=mmap"])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .process_group(0);
        // It is told when the thread that started it ends, so that one has to live as long as this process.
        let (started, child) = mpsc::channel();
        std::thread::spawn(move || {
            let spawned = command.spawn();
            let _ = started.send(spawned);
            loop {
                std::thread::park();
            }
        });
        child.recv().expect("the thread answers").expect("postgres starts")
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = Command::new("setpriv");
        // Should this process be killed, the server ends as well.
        command.args(["--pdeathsig", "QUIT"]);
        if let Some((user, group)) = user() {
            // It refuses to run as root.
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        }
        command.arg(program);
        command.stdin(Stdio::null()).current_dir("/").env("LC_ALL", "C");
        command
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // At once, and without leaving shared memory behind.
        let pid = self.running().as_ref().and_then(|child| Pid::from_raw(child.id().try_into().ok()?));
        if pid.is_some_and(|pid| kill_process(pid, Signal::QUIT).is_ok()) {
            let deadline = Instant::now() + STOP_LIMIT;
            while matches!(self.running().as_mut().map(Child::try_wait), Some(Ok(None)))
                && Instant::now() < deadline
            {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
    }
}

/// Where the newest installed version has its programs.
fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|programs| programs.join("postgres").exists())
        .collect();
    let number = |programs: &PathBuf| -> u32 {
        let version = programs.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse().ok()).unwrap_or_default()
    };
    versions.sort_by_key(number);
    versions.pop()
}

/// Under whom it runs, where the tests run as root: whom the package made for it.
fn user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |line: &str| {
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    let found = users.lines().find(|line| line.starts_with("postgres:")).and_then(ids);
    Some(found.unwrap_or((65_534, 65_534)))
}

fn children_of(parent: u32) -> Vec<i32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let is_child = |pid: &i32| {
        let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name, in parentheses, may hold spaces.
        let after = status.rsplit(')').next().unwrap_or_default();
        after.split_whitespace().nth(1) == Some(parent.to_string().as_str())
    };
    pids.filter(is_child).collect()
}

const STOP_LIMIT: Duration = Duration::from_secs(10);
const START_LIMIT: Duration = Duration::from_secs(60);
