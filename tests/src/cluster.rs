//! Trackers and storages, configured as an operator would, that come, go, crash and freeze.

mod config;
mod listing;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use self::config::{ClusterConfig, StorageConfig};
use self::listing::{active_test, leads, storage_status};
use crate::{Daemon, Deadline, fdfs_binary};

/// A running cluster in a directory of its own, which stays behind where `$FDFS_KEEP_CLUSTER` is set.
#[derive(Debug)]
pub struct Cluster {
    config: ClusterConfig,
    // Ended before the directory goes.
    storages: Vec<Option<Daemon>>,
    trackers: Vec<Option<Daemon>>,
    dir: TempDir,
}

impl Cluster {
    /// Starts the trackers alone and waits until they answer.
    ///
    /// # Errors
    ///
    /// When one does not.
    pub fn start_trackers(config: ClusterConfig) -> Result<Self> {
        let is_kept = env::var_os("FDFS_KEEP_CLUSTER").is_some();
        let dir = tempfile::Builder::new().prefix("fdfs-test-").disable_cleanup(is_kept).tempdir()?;
        let storages = config.storages.iter().map(|_| None).collect();
        let trackers = config.trackers.iter().map(|_| None).collect();
        let mut cluster = Self { config, storages, trackers, dir };
        for index in 0..cluster.trackers.len() {
            cluster.start_tracker(index)?;
        }
        Ok(cluster)
    }

    /// Starts the trackers and every storage and waits until all are ACTIVE.
    ///
    /// # Errors
    ///
    /// When one is not.
    pub fn start(config: ClusterConfig) -> Result<Self> {
        let mut cluster = Self::start_trackers(config)?;
        for index in 0..cluster.storages.len() {
            cluster.start_storage(index)?;
        }
        Ok(cluster)
    }

    /// Starts tracker number `index` and waits until it answers.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub fn start_tracker(&mut self, index: usize) -> Result<()> {
        self.launch_tracker(index)?;
        let address = self.config.trackers[index];
        let daemon = self.trackers[index].as_mut().context("the tracker is not running")?;
        daemon.wait_until(Deadline::after(START_LIMIT), "answer of the tracker", || active_test(address))
    }

    /// Kills tracker number `index`, and starts it again without waiting until it answers.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn crash_tracker(&mut self, index: usize) -> Result<()> {
        self.kill_tracker(index)?;
        self.launch_tracker(index)
    }

    fn launch_tracker(&mut self, index: usize) -> Result<()> {
        let address = self.config.trackers[index];
        let name = format!("tracker{index}");
        let base = self.make_dir(&name)?;
        let mut text =
            format!("bind_addr={}\nport={}\nbase_path={}\n", address.ip(), address.port(), base.display());
        if let Some(ids) = &self.config.storage_ids {
            let file = base.join("storage_ids.conf");
            fs::write(&file, ids)?;
            write!(text, "use_storage_id=true\nstorage_ids_filename={}\n", file.display())?;
        }
        text.push_str(&self.config.tracker_lines);
        self.trackers[index] =
            Some(self.start_daemon(&self.config.tracker_wrapper, "tracker", &name, &text)?);
        Ok(())
    }

    /// Starts storage number `index` and waits until every running tracker lists it as ACTIVE.
    ///
    /// # Errors
    ///
    /// When it does not become ACTIVE.
    pub fn start_storage(&mut self, index: usize) -> Result<()> {
        self.launch_storage(index)?;
        self.wait_until_active(index)
    }

    /// Waits until every running tracker lists storage number `index` as ACTIVE.
    ///
    /// # Errors
    ///
    /// When it does not become ACTIVE, or ends.
    pub fn wait_until_active(&mut self, index: usize) -> Result<()> {
        let mut daemon = self.storages[index].take().context("the storage is not running")?;
        let waited =
            daemon.wait_until(Deadline::after(START_LIMIT), "listing of the storage as ACTIVE", || {
                self.has_status(index, ACTIVE)
            });
        self.storages[index] = Some(daemon);
        waited
    }

    /// Kills storage number `index`, and starts it again without waiting until it serves.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn crash_storage(&mut self, index: usize) -> Result<()> {
        self.kill_storage(index)?;
        self.launch_storage(index)
    }

    /// Starts storage number `index` without waiting until it serves.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    pub fn launch_storage(&mut self, index: usize) -> Result<()> {
        let StorageConfig { address, group, store_paths, lines, wrapper } =
            self.config.storages[index].clone();
        let name = format!("storage{index}");
        let base = self.make_dir(&name)?;
        let mut text = format!(
            "group_name={group}\nbind_addr={}\nport={}\nbase_path={}\n\
             heart_beat_interval=1\nstat_report_interval=1\nthread_stack_size=512KB\nstore_path_count={store_paths}\n",
            address.ip(),
            address.port(),
            base.display(),
        );
        for tracker in &self.config.trackers {
            writeln!(text, "tracker_server={tracker}")?;
        }
        for path in 0..store_paths {
            let path_dir = self.make_dir(&format!("{name}/path{path}"))?;
            writeln!(text, "store_path{path}={}", path_dir.display())?;
        }
        text.push_str(&lines);
        self.storages[index] = Some(self.start_daemon(&wrapper, "storage", &name, &text)?);
        Ok(())
    }

    /// Adds a storage to the running cluster and waits until it is ACTIVE; returns its number.
    ///
    /// # Errors
    ///
    /// When it does not become ACTIVE.
    pub fn add_storage(&mut self, storage: StorageConfig) -> Result<usize> {
        let index = self.push_storage(storage);
        self.start_storage(index)?;
        Ok(index)
    }

    /// Adds a storage without starting it; returns its number.
    pub fn push_storage(&mut self, storage: StorageConfig) -> usize {
        self.config.storages.push(storage);
        self.storages.push(None);
        self.storages.len() - 1
    }

    /// Gives storage number `index`, which does not run, another address.
    pub fn move_storage(&mut self, index: usize, address: SocketAddr) {
        self.config.storages[index].address = address;
    }

    /// Waits until every running tracker lists the storage that is or was at `ip` with this status.
    ///
    /// # Errors
    ///
    /// When one does not.
    pub fn wait_for_status(&self, group: &str, ip: IpAddr, wanted: u8) -> Result<()> {
        Deadline::after(OFFLINE_LIMIT).wait_for("listing of the storage", || {
            for (tracker, _) in
                self.config.trackers.iter().zip(&self.trackers).filter(|(_, one)| one.is_some())
            {
                let status = storage_status(*tracker, group, ip)?;
                ensure!(status == wanted, "status {status} at {tracker}");
            }
            Ok(())
        })
    }

    /// Stops storage number `index` and waits until the trackers list it as OFFLINE.
    ///
    /// # Errors
    ///
    /// When either does not happen.
    pub fn stop_storage(&mut self, index: usize) -> Result<()> {
        self.storages[index].take().context("the storage is not running")?.stop()?;
        Deadline::after(OFFLINE_LIMIT)
            .wait_for("listing of the storage as OFFLINE", || self.has_status(index, OFFLINE))
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

    /// Kills tracker number `index` as a crash would.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn kill_tracker(&mut self, index: usize) -> Result<()> {
        self.trackers[index].take().context("the tracker is not running")?.kill()?;
        Ok(())
    }

    /// Stops a storage in its tracks (SIGSTOP): its connections stay open and nothing answers.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn freeze_storage(&self, index: usize) -> Result<()> {
        freeze(self.storages[index].as_ref().context("the storage is not running")?.pid()?)
    }

    /// Lets a frozen storage go on.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn thaw_storage(&self, index: usize) -> Result<()> {
        signal(self.storages[index].as_ref(), Signal::CONT)
    }

    /// The process ID of a storage.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn storage_pid(&self, index: usize) -> Result<Pid> {
        self.storages[index].as_ref().context("the storage is not running")?.pid()
    }

    /// Stops a tracker in its tracks (SIGSTOP).
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn freeze_tracker(&self, index: usize) -> Result<()> {
        freeze(self.trackers[index].as_ref().context("the tracker is not running")?.pid()?)
    }

    /// Lets a frozen tracker go on.
    ///
    /// # Errors
    ///
    /// When it is not running.
    pub fn thaw_tracker(&self, index: usize) -> Result<()> {
        signal(self.trackers[index].as_ref(), Signal::CONT)
    }

    /// Waits until exactly one of `trackers` says that it leads, and returns its number.
    ///
    /// # Errors
    ///
    /// When none does within `limit`.
    pub fn leader_among(&self, trackers: &[usize], limit: Duration) -> Result<usize> {
        Deadline::after(limit).wait_for("leader", || {
            let mut leaders = Vec::new();
            for &index in trackers {
                if leads(self.config.trackers[index])? {
                    leaders.push(index);
                }
            }
            match leaders[..] {
                [leader] => Ok(leader),
                _ => bail!("leaders: {leaders:?}"),
            }
        })
    }

    /// What the cluster was set up with, and what was added.
    pub fn config(&self) -> &ClusterConfig {
        &self.config
    }

    /// The directory that holds every file of the cluster.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Store path number `path` of storage number `index`.
    pub fn store_path(&self, index: usize, path: usize) -> PathBuf {
        self.dir().join(format!("storage{index}/path{path}"))
    }

    fn has_status(&self, index: usize, wanted: u8) -> Result<()> {
        let storage = &self.config.storages[index];
        for (tracker, daemon) in self.config.trackers.iter().zip(&self.trackers) {
            if daemon.is_none() {
                continue;
            }
            match storage_status(*tracker, &storage.group, storage.address.ip())? {
                status if status == wanted => {}
                status => bail!("status {status} at {tracker}"),
            }
        }
        Ok(())
    }

    fn make_dir(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    fn start_daemon(&self, wrapper: &[String], kind: &str, name: &str, text: &str) -> Result<Daemon> {
        let conf = self.dir.path().join(format!("{name}.conf"));
        fs::write(&conf, text)?;
        let output = self.dir.path().join(format!("{name}.out"));
        let binary = fdfs_binary()?;
        let mut command = match wrapper.split_first() {
            // It replaces itself by the daemon, whose process ID is its own.
            Some((program, words)) => {
                let mut command = Command::new(program);
                command.args(words).arg(binary);
                command
            }
            None => Command::new(binary),
        };
        Daemon::start(command.arg(kind).arg("-c").arg(&conf), &output)
    }
}

/// Stops a process in its tracks (SIGSTOP), and waits until all of its threads stand still: until then they may answer.
///
/// # Errors
///
/// When it is not running, or does not stop.
pub fn freeze(pid: Pid) -> Result<()> {
    kill_process(pid, Signal::STOP)?;
    Deadline::after(FREEZE_LIMIT).wait_for("a process that stands still", || {
        for thread in fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero()))? {
            // A thread may have ended meanwhile.
            let Ok(stat) = fs::read_to_string(thread?.path().join("stat")) else { continue };
            let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
            ensure!(matches!(state, Some('T' | 't' | 'Z' | 'X')), "a thread runs");
        }
        Ok(())
    })
}

fn signal(daemon: Option<&Daemon>, signal: Signal) -> Result<()> {
    Ok(kill_process(daemon.context("the daemon is not running")?.pid()?, signal)?)
}

/// How long threads may take to stand still.
const FREEZE_LIMIT: Duration = Duration::from_secs(60);
/// How long a daemon may take until it serves. The original's second storage of a group needs some beats.
const START_LIMIT: Duration = Duration::from_secs(60);
/// How long a tracker may take to see that a storage has gone.
const OFFLINE_LIMIT: Duration = Duration::from_secs(30);
const OFFLINE: u8 = 5;
const ACTIVE: u8 = 7;
