//! The parts of one machine's cluster, started and ended in order.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use fdfs_client::Client;
use fdfs_conf::{Listener, ReservedSpace, ServiceAddress, StorageConfig, TrackerAddress, TrackerConfig};
use fdfs_mount::Mount;
use fdfs_namespace::StoreUrl;
use fdfs_ops::{Health, Metrics};
use fdfs_proto::ServerAddress;
use fdfs_storage::Storage;
use fdfs_tracker::Tracker;
use tracing::{info, warn};

use super::UpArgs;
use crate::gateway::{
    Concern, FrontConfig, Gateway, GatewayConfig, Patience, lifecycle_interval, lifecycle_rate,
};
use crate::mount::MountOptions;

/// Everything that runs.
pub struct Site {
    tracker: Tracker,
    storage: Storage,
    gateway: Gateway,
    mount: Result<Mount, String>,
}

impl Site {
    /// Starts all parts; when it returns, every port answers and a file can be stored.
    pub async fn start(args: &UpArgs) -> anyhow::Result<Self> {
        // Before the first part counts anything.
        let _recorder = Metrics::install();
        let health = Health::new();
        let tracker = Tracker::bind(tracker_config(args)?).await.context("the tracker does not start")?;
        health.register("tracker", tracker.check());
        let storage = Storage::bind(storage_config(args)?).await.context("the storage does not start")?;
        storage.register_health(&health);
        let gateway =
            Gateway::start(gateway_config(args), &health).await.context("the gateway does not start")?;
        wait_until_writable(gateway.client()).await?;
        gateway.objects().refresh_groups().await.context("the groups have no buckets")?;
        let mount = mount(args, &gateway);
        Ok(Self { tracker, storage, gateway, mount })
    }

    /// Says where everything is and what to try.
    pub fn describe(&self, args: &UpArgs) {
        let dir = args.dir.display();
        let tracker = SocketAddr::new(args.bind, args.tracker_port);
        let group = self.storage.group();
        println!("tracker     {tracker}");
        println!(
            "storage     {}  {group}, files in {dir}/storage",
            SocketAddr::new(args.bind, args.storage_port)
        );
        if let Some(http) = self.storage.http_address() {
            println!("HTTP paths  http://{http}/{group}/M00/...");
        }
        println!("front       http://{}/{group}/M00/...  cached in {dir}/front-cache", self.gateway.front());
        let scheme = if args.s3_tls_cert.is_some() { "https" } else { "http" };
        println!("S3          {scheme}://{}  keys in {dir}/credentials", self.gateway.s3());
        println!("console     http://{}/", self.gateway.console());
        println!("namespace   {}  for `fdfs mount {tracker} DIR`", self.gateway.namespace());
        match &self.mount {
            Ok(_) => println!("mount       {}", mountpoint(args).display()),
            Err(reason) => println!("mount       none: {reason}"),
        }
        println!("\nTry:");
        println!("  export AWS_SHARED_CREDENTIALS_FILE={dir}/credentials");
        println!(
            "  aws --endpoint-url {scheme}://{} s3 cp README.md s3://{group}/hello/README.md",
            self.gateway.s3()
        );
        if self.mount.is_ok() {
            let path = mountpoint(args).join(group.as_str()).join("hello/README.md");
            println!("  cat {}", path.display());
            println!("  getfattr -n user.fdfs.file_id {}", path.display());
        }
        println!("  curl http://{}/FILE_ID\n", self.gateway.front());
    }

    /// Ends all parts, one after the other, also when one of them fails to end in order.
    pub async fn shutdown(self) -> anyhow::Result<()> {
        let unmounted = match self.mount {
            Ok(mount) => mount.unmount().await.map(|how| info!(?how, "unmounted")),
            Err(_) => Ok(()),
        };
        self.gateway.shutdown().await;
        let stored = self.storage.shutdown(GRACE).await;
        self.tracker.shutdown(GRACE).await;
        unmounted.context("the mount did not end in order")?;
        stored.context("the storage did not end in order")
    }
}

fn tracker_config(args: &UpArgs) -> anyhow::Result<TrackerConfig> {
    let mut config = TrackerConfig::new(make(args.dir.join("tracker"))?);
    config.listeners = vec![Listener { addresses: vec![args.bind], port: args.tracker_port }];
    config.cluster.reserved_space = RESERVED;
    config.metrics_listen = None;
    Ok(config)
}

fn storage_config(args: &UpArgs) -> anyhow::Result<StorageConfig> {
    let tracker = TrackerAddress { hosts: vec![args.bind.to_string()], port: args.tracker_port };
    let group = "group1".parse().context("group1 is a group name")?;
    let mut config = StorageConfig::new(group, make(args.dir.join("storage"))?, vec![tracker]);
    config.listeners = vec![Listener { addresses: vec![args.bind], port: args.storage_port }];
    config.subdir_count_per_path = SUBDIRS;
    config.heart_beat_interval = Duration::from_secs(5);
    config.stat_report_interval = Duration::from_secs(10);
    config.max_connections = MAX_CONNECTIONS;
    config.http_listen =
        Some(ServiceAddress { address: Some(args.bind), port: args.http_port, is_explicit: true });
    config.metrics_listen = None;
    Ok(config)
}

fn gateway_config(args: &UpArgs) -> GatewayConfig {
    let at = |port| SocketAddr::new(args.bind, port);
    GatewayConfig {
        trackers: vec![ServerAddress { ips: vec![args.bind], port: args.tracker_port }],
        namespace: StoreUrl::Lmdb(args.dir.join("namespace")),
        credentials: args.dir.join("credentials"),
        s3_listen: at(args.s3_port),
        front_listen: at(args.front_port),
        console_listen: at(args.console_port),
        namespace_listen: SocketAddr::new(namespace_address(args.bind), args.namespace_port),
        namespace_secret: None,
        region: "us-east-1".to_owned(),
        s3_tls_cert: args.s3_tls_cert.clone(),
        s3_tls_key: args.s3_tls_key.clone(),
        virtual_host_suffix: None,
        website_suffix: None,
        trusted_proxies: Vec::new(),
        free_after: args.free_after,
        abandoned_uploads_after: ABANDONED_UPLOADS_AFTER,
        fence_after: FENCE_AFTER,
        cluster_secret_file: None,
        lifecycle_rate: lifecycle_rate(),
        lifecycle_interval: lifecycle_interval(),
        // The storage stands alone.
        write_concern: Concern::Storage,
        write_concern_of: BTreeMap::new(),
        local_reads: true,
        patience: Patience::default(),
        front: FrontConfig { cache: Some(args.dir.join("front-cache")), ..FrontConfig::default() },
    }
}

/// There is no secret, so the namespace service is for this machine alone.
fn namespace_address(bind: IpAddr) -> IpAddr {
    if bind.is_loopback() { bind } else { Ipv4Addr::LOCALHOST.into() }
}

/// Mounts where that is wanted and possible; else why there is no mount.
fn mount(args: &UpArgs, gateway: &Gateway) -> Result<Mount, String> {
    if args.no_mount {
        return Err("not wanted".to_owned());
    }
    let config = || -> anyhow::Result<fdfs_mount::Config> {
        let options = MountOptions::parse(&args.mount_options)?;
        let mut config = options.config(&make_mountpoint(&mountpoint(args))?);
        if !options.has_spool() {
            config.spool = make(args.dir.join("spool"))?;
        }
        Ok(config)
    };
    let runtime = tokio::runtime::Handle::current();
    let mounted =
        config().and_then(|config| Ok(Mount::start(&config, Arc::clone(gateway.objects()), &runtime)?));
    mounted.map_err(|error| {
        warn!(%error, "not mounted");
        format!("{error:#}")
    })
}

fn mountpoint(args: &UpArgs) -> PathBuf {
    args.mount.clone().unwrap_or_else(|| args.dir.join("mnt"))
}

/// A mountpoint that a killed process left behind cannot be looked at; mounting anew repairs it.
fn make_mountpoint(path: &Path) -> anyhow::Result<PathBuf> {
    match std::fs::create_dir_all(path) {
        Err(error)
            if error.raw_os_error() != Some(ENOTCONN)
                && error.kind() != std::io::ErrorKind::AlreadyExists =>
        {
            Err(error).with_context(|| format!("cannot make {}", path.display()))
        }
        _ => Ok(path.to_owned()),
    }
}

fn make(path: PathBuf) -> anyhow::Result<PathBuf> {
    std::fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(path)
}

/// Waits until the tracker offers the storage: it has joined, beaten and told its space.
async fn wait_until_writable(client: &Client) -> anyhow::Result<()> {
    let deadline = tokio::time::Instant::now() + START_TIMEOUT;
    let mut poll = tokio::time::interval(Duration::from_millis(50));
    loop {
        poll.tick().await;
        let groups = client.list_groups().await;
        let writable =
            |record: &fdfs_proto::tracker::GroupRecord| record.writable_count > 0 && record.total_mb > 0;
        match groups {
            Ok(groups) if groups.iter().any(writable) => return Ok(()),
            groups => ensure!(
                tokio::time::Instant::now() < deadline,
                "the storage does not become ACTIVE within {} s: {groups:?}",
                START_TIMEOUT.as_secs()
            ),
        }
    }
}

/// A newcomer's disk may be small: all but a hundredth of it may be used.
const RESERVED: ReservedSpace = ReservedSpace::Millionths(10_000);
/// 1,024 directories are made in an instant and hold millions of files.
const SUBDIRS: u16 = 32;
const MAX_CONNECTIONS: u32 = 4096;
/// Seconds for which content stays that no name uses any more.
pub(super) const FREE_AFTER: u64 = 3600;
const ABANDONED_UPLOADS_AFTER: u64 = 7 * 24 * 3600;
const FENCE_AFTER: u64 = 300;
const START_TIMEOUT: Duration = Duration::from_secs(60);
const GRACE: Duration = Duration::from_secs(10);
const ENOTCONN: i32 = 107;
