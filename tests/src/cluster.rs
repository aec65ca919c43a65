//! A tracker and its storages, configured as an operator would.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::{Answer, Daemon, Deadline, Wire, fdfs_binary};

/// How a cluster is to be set up.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Address of the tracker.
    pub tracker: SocketAddr,
    /// Lines of tracker.conf beside addresses and paths.
    pub tracker_lines: String,
    /// Content of storage_ids.conf, if storages have ids.
    pub storage_ids: Option<String>,
    /// The storages, in the order of their start.
    pub storages: Vec<StorageConfig>,
}

/// How a storage is to be set up.
#[derive(Clone, Debug)]
pub struct StorageConfig {
    /// Address of the storage.
    pub address: SocketAddr,
    /// Its group.
    pub group: String,
    /// Number of store paths.
    pub store_paths: usize,
    /// Lines of storage.conf beside addresses and paths.
    pub lines: String,
}

/// A running cluster in a directory of its own.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    // Ended before the directory goes.
    storages: Vec<Option<Daemon>>,
    tracker: Option<Daemon>,
    dir: TempDir,
}

impl ClusterConfig {
    /// A tracker on `address`, no storage.
    pub fn new(address: SocketAddr) -> Self {
        Self { tracker: address, tracker_lines: String::new(), storage_ids: None, storages: Vec::new() }
    }
}

impl StorageConfig {
    /// A storage of `group` on `address` with `store_paths` paths.
    pub fn new(address: SocketAddr, group: &str, store_paths: usize) -> Self {
        Self { address, group: group.to_owned(), store_paths, lines: String::new() }
    }
}

impl Cluster {
    /// Starts the tracker alone and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start_tracker(config: ClusterConfig) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("fdfs-test-").tempdir()?;
        let storages = config.storages.iter().map(|_| None).collect();
        let mut cluster = Self { config, storages, tracker: None, dir };
        let address = cluster.config.tracker;
        let base = cluster.make_dir("tracker")?;
        let mut text =
            format!("bind_addr={}\nport={}\nbase_path={}\n", address.ip(), address.port(), base.display());
        if let Some(ids) = &cluster.config.storage_ids {
            let file = base.join("storage_ids.conf");
            fs::write(&file, ids)?;
            write!(text, "use_storage_id=true\nstorage_ids_filename={}\n", file.display())?;
        }
        text.push_str(&cluster.config.tracker_lines);
        let mut daemon = cluster.start_daemon("tracker", "tracker", &text)?;
        daemon.wait_until(Deadline::after(START_LIMIT), "answer of the tracker", || active_test(address))?;
        cluster.tracker = Some(daemon);
        Ok(cluster)
    }

    /// Starts the tracker and every storage and waits until all are ACTIVE.
    ///
    /// # Errors
    ///
    /// When one is not.
    pub fn start(config: ClusterConfig) -> Result<Self> {
        let mut cluster = Self::start_tracker(config)?;
        for index in 0..cluster.config.storages.len() {
            cluster.start_storage(index)?;
        }
        Ok(cluster)
    }

    /// Starts storage number `index` and waits until the tracker lists it as ACTIVE.
    ///
    /// # Errors
    ///
    /// When it does not become ACTIVE.
    pub fn start_storage(&mut self, index: usize) -> Result<()> {
        let storage = self.config.storages[index].clone();
        let tracker = self.config.tracker;
        let name = format!("storage{index}");
        let base = self.make_dir(&name)?;
        let StorageConfig { address, group, store_paths, lines } = &storage;
        let mut text = format!(
            "group_name={group}\nbind_addr={}\nport={}\nbase_path={}\ntracker_server={tracker}\n\
             heart_beat_interval=1\nstat_report_interval=1\nthread_stack_size=512KB\nstore_path_count={store_paths}\n",
            address.ip(),
            address.port(),
            base.display(),
        );
        for path in 0..*store_paths {
            let path_dir = self.make_dir(&format!("{name}/path{path}"))?;
            writeln!(text, "store_path{path}={}", path_dir.display())?;
        }
        text.push_str(lines);
        let mut daemon = self.start_daemon("storage", &name, &text)?;
        daemon.wait_until(Deadline::after(START_LIMIT), "listing of the storage as ACTIVE", || {
            match storage_status(tracker, group, address.ip())? {
                ACTIVE => Ok(()),
                status => bail!("status {status}"),
            }
        })?;
        self.storages[index] = Some(daemon);
        Ok(())
    }

    /// Stops storage number `index` and waits until the tracker lists it as OFFLINE.
    ///
    /// # Errors
    ///
    /// When either does not happen.
    pub fn stop_storage(&mut self, index: usize) -> Result<()> {
        let daemon = self.storages[index].take().context("the storage is not running")?;
        daemon.stop()?;
        let storage = &self.config.storages[index];
        Deadline::after(OFFLINE_LIMIT).wait_for("listing of the storage as OFFLINE", || match storage_status(
            self.config.tracker,
            &storage.group,
            storage.address.ip(),
        )? {
            OFFLINE => Ok(()),
            status => bail!("status {status}"),
        })
    }

    /// Kills storage number `index` as a crash would.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn kill_storage(&mut self, index: usize) -> Result<()> {
        self.storages[index].take().context("the storage is not running")?.kill()?;
        Ok(())
    }

    /// What the cluster was set up with.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// The directory that holds every file of the cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn start_daemon(&self, kind: &str, name: &str, text: &str) -> Result<Daemon> {
        let conf = self.dir.path().join(format!("{name}.conf"));
        fs::write(&conf, text)?;
        let output = self.dir.path().join(format!("{name}.out"));
        Daemon::start(Command::new(fdfs_binary()?).arg(kind).arg("-c").arg(&conf), &output)
    }
}

/// Asks a daemon whether it is there.
fn active_test(address: SocketAddr) -> Result<()> {
    match Wire::connect(address)?.call(ACTIVE_TEST, b"")? {
        Answer::Frame { status: 0, .. } => Ok(()),
        other => bail!("{other:?}"),
    }
}

/// The status byte of a storage in the tracker's list of its group.
fn storage_status(tracker: SocketAddr, group: &str, ip: IpAddr) -> Result<u8> {
    let mut body = group.as_bytes().to_vec();
    body.resize(GROUP_LEN, 0);
    let Answer::Frame { status: 0, body, .. } = Wire::connect(tracker)?.call(LIST_STORAGES, &body)? else {
        bail!("the group is not listed");
    };
    let record = if body.len().is_multiple_of(RECORD_LEN) { RECORD_LEN } else { WIDE_RECORD_LEN };
    let ip = ip.to_string();
    for storage in body.chunks_exact(record) {
        let field = storage.get(IP_OFFSET..IP_OFFSET + ip.len() + 1).context("a short record")?;
        if field.strip_suffix(b"\0") == Some(ip.as_bytes()) {
            return Ok(storage[0]);
        }
    }
    bail!("the storage is not listed")
}

/// How long a daemon may take until it serves. The original's second storage of a group needs some beats.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a tracker may take to see that a storage has gone.
const OFFLINE_LIMIT: Duration = Duration::from_secs(30);
const ACTIVE_TEST: u8 = 111;
const LIST_STORAGES: u8 = 92;
const GROUP_LEN: usize = 16;
/// Length of a storage record with an IP field of 16 bytes, and with one of 46.
const RECORD_LEN: usize = 487;
const WIDE_RECORD_LEN: usize = 517;
/// Place of the IP text in a storage record.
const IP_OFFSET: usize = 18;
const OFFLINE: u8 = 5;
const ACTIVE: u8 = 7;
