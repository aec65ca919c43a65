//! `fdfs up`: a tracker, a storage, the gateway and the mount in one process.

mod site;

use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use fdfs_conf::{StorageConfig, TrackerConfig};
use fdfs_ops::{LogOptions, PidFile, Signals};
use tokio_util::sync::CancellationToken;

use self::site::Site;
use crate::gateway::GatewayConfig;

/// Everything on one machine.
#[derive(Args, Clone, Debug)]
pub struct UpArgs {
    /// Where everything is kept; made when it is missing.
    #[arg(long, default_value = "fdfs-data")]
    dir: PathBuf,
    /// The address that everything listens on, and by which the storage is known.
    #[arg(long, default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Port of the tracker.
    #[arg(long, default_value_t = TrackerConfig::DEFAULT_PORT)]
    tracker_port: u16,
    /// Port of the storage.
    #[arg(long, default_value_t = StorageConfig::DEFAULT_PORT)]
    storage_port: u16,
    /// Port of the storage's native HTTP paths.
    #[arg(long, default_value_t = StorageConfig::DEFAULT_HTTP_PORT)]
    http_port: u16,
    /// Port of the front for native HTTP paths of all groups.
    #[arg(long, default_value_t = GatewayConfig::FRONT_PORT)]
    front_port: u16,
    /// Port of the S3 API.
    #[arg(long, default_value_t = GatewayConfig::S3_PORT)]
    s3_port: u16,
    /// Certificate of S3, PEM; then S3 is HTTPS.
    #[arg(long, value_name = "FILE", requires = "s3_tls_key")]
    s3_tls_cert: Option<PathBuf>,
    /// Private key of that certificate, PEM.
    #[arg(long, value_name = "FILE", requires = "s3_tls_cert")]
    s3_tls_key: Option<PathBuf>,
    /// Port of the console, metrics and health.
    #[arg(long, default_value_t = GatewayConfig::CONSOLE_PORT)]
    console_port: u16,
    /// Port of the namespace service, for further mounts; on an address of this machine alone.
    #[arg(long, default_value_t = GatewayConfig::NAMESPACE_PORT)]
    namespace_port: u16,
    /// For how many seconds content stays that no name uses any more: readers elsewhere may still have it open.
    #[arg(long, value_name = "SECONDS", default_value_t = site::FREE_AFTER)]
    free_after: u64,
    /// Where to mount; `DIR/mnt` by default.
    #[arg(long, conflicts_with = "no_mount")]
    mount: Option<PathBuf>,
    /// Options of the mount as mount(8) takes them, separated by commas.
    #[arg(long, value_name = "OPTIONS", value_delimiter = ',', conflicts_with = "no_mount")]
    mount_options: Vec<String>,
    /// Do not mount.
    #[arg(long)]
    no_mount: bool,
}

impl UpArgs {
    /// Runs until a signal ends it.
    pub fn run(&self) -> anyhow::Result<()> {
        std::fs::create_dir_all(self.dir.join("logs"))
            .with_context(|| format!("cannot make {}", self.dir.display()))?;
        let dir = self.dir.canonicalize().with_context(|| format!("cannot use {}", self.dir.display()))?;
        let args = Self { dir, ..self.clone() };
        let pid_file = PidFile::create(&args.dir.join("fdfs.pid"))?;
        let log = args.dir.join("logs/fdfs.log");
        LogOptions { file: Some((log, Default::default())), ..LogOptions::default() }.install()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(args.serve());
        fdfs_ops::flush_logs();
        drop(pid_file);
        result
    }

    async fn serve(&self) -> anyhow::Result<()> {
        let signals = Signals::install().context("cannot take over signals")?;
        let stop = CancellationToken::new();
        let watching = tokio::spawn(signals.watch(stop.clone(), fdfs_ops::rotate_logs));
        let site = tokio::select! {
            site = Site::start(self) => site?,
            () = stop.cancelled() => return Ok(()),
        };
        site.describe(self);
        println!("fdfs is ready");
        stop.cancelled().await;
        println!("fdfs is stopping");
        site.shutdown().await?;
        watching.await.context("the task that watches signals failed")
    }
}
