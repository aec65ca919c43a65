//! What `fdfs tracker` and `fdfs storage` have in common: configuration, logs, pid file, metrics,
//! signals, and a clean end.

mod privileges;
mod storage;
mod tracker;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use fdfs_conf::{Configuration, LogLevel, LogSettings, ServiceAddress};
use fdfs_ops::{Health, LogOptions, OpsServer, PidFile, Signals};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::storage::StorageDaemon;
pub use self::tracker::TrackerDaemon;

/// Which configuration a daemon runs with.
#[derive(Args)]
pub struct DaemonArgs {
    /// The configuration file, in FastDFS's format.
    #[arg(short, long)]
    config: PathBuf,
}

/// A daemon of the cluster.
pub trait Daemon: Sized {
    /// Its program name with FastDFS; the pid file has it too.
    const PROGRAM: &'static str;
    /// Its log file below the base path.
    const LOG: &'static str;
    /// Whether it makes its base path where only the last level of it is missing.
    const MAKES_BASE: bool;
    /// Its settings.
    type Config: Configuration;

    /// The settings that every daemon has.
    fn common(config: &Self::Config) -> Common<'_>;

    /// Opens everything that clients need; when it returns, they are served.
    async fn start(config: Self::Config, path: &Path, health: &Health) -> anyhow::Result<Self>;

    /// Runs until `stop` is cancelled, then ends in order.
    async fn run(self, stop: CancellationToken) -> anyhow::Result<()>;

    /// Goes on in new log files of its own.
    fn reopen_logs(&self) -> impl Fn() + Send + 'static {
        || {}
    }
}

/// Settings that every daemon has.
pub struct Common<'a> {
    pub base_path: &'a Path,
    pub log_level: LogLevel,
    pub error_log: &'a LogSettings,
    pub metrics_listen: Option<ServiceAddress>,
    pub run_by_group: Option<&'a str>,
    pub run_by_user: Option<&'a str>,
}

impl DaemonArgs {
    /// Runs a daemon in the foreground until a signal ends it.
    pub fn run<D: Daemon>(&self) -> anyhow::Result<()> {
        run_foreground::<D>(&self.config, || {})
    }
}

/// Runs a daemon in this process; `ready` is called when it serves.
pub fn run_foreground<D: Daemon>(path: &Path, ready: impl FnOnce()) -> anyhow::Result<()> {
    let loaded = D::Config::read(path, &mut |path| fs::read(path))?;
    let common = D::common(&loaded.config);
    privileges::drop_to(common.run_by_group, common.run_by_user)?;
    let base = common.base_path.to_owned();
    if D::MAKES_BASE && !base.exists() {
        // As the original: the last level only, so that a mount that is missing is seen.
        fs::create_dir(&base).with_context(|| format!("base_path: cannot make {}", base.display()))?;
    }
    let found = fs::metadata(&base).with_context(|| {
        format!("base_path: cannot use {}: make it, or mount what belongs there", base.display())
    })?;
    anyhow::ensure!(found.is_dir(), "base_path: {} is no directory", base.display());
    for directory in ["data", "logs"] {
        let directory = base.join(directory);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let pid_file = PidFile::create(&pid_path::<D>(&base))?;
    let log = LogOptions {
        level: common.log_level,
        file: Some((base.join(D::LOG), common.error_log.clone())),
        stderr: true,
    };
    log.install()?;
    info!(version = env!("CARGO_PKG_VERSION"), config = %path.display(), "{} starts", D::PROGRAM);
    for warning in &loaded.warnings {
        if warning.is_harmless() { info!("{warning}") } else { warn!("{warning}") }
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(SIDE_THREADS).enable_all().build()?;
    let result = runtime.block_on(serve::<D>(loaded.config, path, ready));
    fdfs_ops::flush_logs();
    drop(pid_file);
    result
}

async fn serve<D: Daemon>(config: D::Config, path: &Path, ready: impl FnOnce()) -> anyhow::Result<()> {
    let health = Health::new();
    let stop = CancellationToken::new();
    let signals = Signals::install().context("cannot take over signals")?;
    let metrics = OpsServer::start_as_configured(D::common(&config).metrics_listen, health.clone()).await?;
    let starting = D::start(config, path, &health);
    let daemon = tokio::select! {
        daemon = starting => daemon?,
        // A storage waits for its trackers while it starts; it must not outlive a wish to stop.
        () = wait_for_end() => return Ok(()),
    };
    let reopen = daemon.reopen_logs();
    let watching = tokio::spawn(signals.watch(stop.clone(), move || {
        fdfs_ops::rotate_logs();
        reopen();
    }));
    ready();
    let result = daemon.run(stop.clone()).await;
    stop.cancel();
    watching.await.context("the task that watches signals failed")?;
    if let Some(metrics) = metrics {
        metrics.shutdown().await;
    }
    result
}

/// TERM or INT before the daemon serves. They stay handled afterwards, by [`Signals`].
async fn wait_for_end() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// Where a daemon's pid file lies.
pub fn pid_path<D: Daemon>(base: &Path) -> PathBuf {
    base.join("data").join(format!("{}.pid", D::PROGRAM))
}

/// Threads beside those of the native protocol: reports, metrics, HTTP.
const SIDE_THREADS: usize = 2;
