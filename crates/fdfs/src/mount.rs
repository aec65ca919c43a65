//! `fdfs mount`: the files of a cluster as directories of this machine.

mod background;
pub mod helper;
mod keeper;
mod options;
mod status;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use fdfs_client::{Client, ClientOptions};
use fdfs_conf::TrackerAddress;
use fdfs_mount::Mount;
use fdfs_namespace::remote::{DEFAULT_PORT, RemoteEngine, Secret};
use fdfs_namespace::{Defaults, Namespace, NamespaceError, StoreUrl};
use fdfs_objects::{JoinMultipart, Objects, Settings};
use fdfs_ops::{Health, Metrics, OpsServer, Signals};
use fdfs_proto::ServerAddress;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::options::MountOptions;
use crate::gateway::cluster_secret;

/// What to mount where.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct MountArgs {
    #[command(subcommand)]
    command: Option<MountCommand>,
    /// The trackers, HOST:PORT, separated by commas.
    #[arg(value_delimiter = ',', required = true)]
    trackers: Vec<String>,
    /// The directory to mount on.
    #[arg(required = true)]
    directory: Option<PathBuf>,
    /// The gateway's namespace service, HOST:PORT; by default port 23100 of the first tracker's host. Or the database that the gateways use,
    /// postgres://USER@HOST/DATABASE, with its password in the environment (PGPASSWORD).
    #[arg(long, value_name = "HOST:PORT|URL")]
    namespace: Option<String>,
    /// A file that holds the secret of the namespace service; its owner alone may read it.
    #[arg(long, value_name = "FILE")]
    namespace_secret_file: Option<PathBuf>,
    /// Options as mount(8) takes them, separated by commas: ro, allow_other, raw_delete, write_concern=storage|local|replicated, cluster_secret_file=FILE, cache=SECONDS, spool=DIR, memory=SIZE, cache_dir=DIR, cache_size=SIZE, fsname=NAME,
    /// noexec, relatime; and namespace=, namespace_secret_file=, log=FILE, metrics=PORT (or ADDRESS:PORT), restart or norestart (whether another process follows one that crashed: else in the background alone), which also stand for themselves in fstab.
    #[arg(short, value_name = "OPTIONS", value_delimiter = ',')]
    options: Vec<String>,
    /// Stay in the foreground until a signal or an unmount ends it: what happens unless --daemon is said.
    #[arg(short, long, conflicts_with = "daemon")]
    foreground: bool,
    /// Go to the background once it is mounted.
    #[arg(short, long)]
    daemon: bool,
}

/// What else there is to do with mounts.
#[derive(Subcommand)]
enum MountCommand {
    /// Show what mounts of this machine do: open files, what is not committed, counters.
    Status {
        /// Where they are mounted; all of them by default.
        directories: Vec<PathBuf>,
    },
}

impl MountArgs {
    /// Mounts, and serves until a signal or an unmount ends it.
    pub fn run(&self) -> anyhow::Result<()> {
        if let Some(MountCommand::Status { directories }) = &self.command {
            return status::show(directories);
        }
        let options = MountOptions::parse(&self.options)?;
        let trackers = self.trackers()?;
        let secret = self.secret(&options)?;
        let directory = std::path::absolute(self.directory.as_deref().unwrap_or(Path::new(".")))?;
        if self.daemon {
            let said = std::env::args_os().skip(1).skip_while(|argument| argument != "mount").skip(1);
            let arguments: Vec<OsString> =
                said.filter(|argument| argument != "--daemon" && argument != "-d").collect();
            return background::start(&arguments, self.directory.as_deref().unwrap_or(&directory));
        }
        let in_background = background::is_here();
        if options.restarts(in_background) && !keeper::is_kept() {
            let named = self.directory.as_deref().unwrap_or(&directory);
            return keeper::run(&directory, named, options.logging(in_background));
        }
        options.logging(in_background).install()?;
        fdfs_mount::share_heap();
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(self.serve(options, &directory, trackers, secret));
        // A call that still waits for a peer must not keep the process.
        runtime.shutdown_timeout(LAST_CALLS);
        fdfs_ops::flush_logs();
        result
    }

    async fn serve(
        &self,
        options: MountOptions,
        directory: &Path,
        trackers: Vec<ServerAddress>,
        secret: Option<Secret>,
    ) -> anyhow::Result<()> {
        let signals = Signals::install().context("cannot take over signals")?;
        let stop = CancellationToken::new();
        let watching = tokio::spawn(signals.watch(stop.clone(), fdfs_ops::rotate_logs));
        let start = async {
            let objects = self.connect(&options, trackers, secret).await?;
            let config = options.config(directory);
            let mount = Mount::start(&config, Arc::clone(&objects), &tokio::runtime::Handle::current());
            let mount = match mount {
                Ok(mount) => mount,
                Err(error) => {
                    end(&objects).await;
                    // Its text names the cause already.
                    return Err(anyhow::Error::msg(error.to_string()));
                }
            };
            anyhow::Ok((objects, mount))
        };
        // Counts from here on, whether they are answered over HTTP or in `.stats` alone.
        let counters = Metrics::install();
        metrics::gauge!("fdfs_mount_restarts").set(keeper::restarts().unwrap_or_default() as f64);
        let metrics = OpsServer::start_as_configured(options.metrics, Health::new()).await?;
        let upkeep = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(UPKEEP);
            loop {
                ticks.tick().await;
                counters.upkeep();
            }
        });
        let (objects, mount) = tokio::select! {
            started = start => started?,
            () = stop.cancelled() => return Ok(()),
        };
        println!("{}", background::ready(self.directory.as_deref().unwrap_or(directory)));
        if background::is_here() {
            background::detach();
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = mount.ended() => info!("unmounted by somebody else"),
        }
        stop.cancel();
        upkeep.abort();
        let unmounted = mount.unmount().await;
        if let Some(metrics) = metrics {
            metrics.shutdown().await;
        }
        end(&objects).await;
        watching.await.context("the task that watches signals failed")?;
        unmounted.map(|how| info!(?how, "ended")).context("the mount did not end in order")
    }

    /// Reaches files and names.
    async fn connect(
        &self,
        options: &MountOptions,
        trackers: Vec<ServerAddress>,
        secret: Option<Secret>,
    ) -> anyhow::Result<Arc<Objects>> {
        let namespace = self.namespace.as_deref().or(options.namespace.as_deref());
        let store = match namespace.map(str::parse) {
            Some(Ok(store @ StoreUrl::Postgres(_))) => Some(store),
            _ => None,
        };
        let service = if store.is_some() { None } else { Some(service(namespace, &trackers)?) };
        let mut reach = ClientOptions::new(trackers);
        reach.pool.secret = cluster_secret(options.cluster_secret_file.as_deref())?;
        let client = Client::new(reach);
        let answered = tokio::time::timeout(START_TIMEOUT, client.list_groups()).await;
        let no_tracker = || format!("no tracker of {} answers", self.trackers.join(","));
        let groups = answered.with_context(no_tracker)?.with_context(no_tracker)?;
        ensure!(!groups.is_empty(), "the cluster has no group yet: start a storage");
        let shown = match (&store, service) {
            (Some(store), _) => format!("cannot use the namespace {store}"),
            (None, service) => format!(
                "cannot use the namespace service of the gateway at {} (--namespace HOST:PORT names another)",
                service.map(|service| service.to_string()).unwrap_or_default()
            ),
        };
        let open = move || match (store, service) {
            (Some(store), _) => store.open(Defaults::default()),
            (None, Some(service)) => {
                Namespace::open(Arc::new(RemoteEngine::new(service, secret)?), Defaults::default())
            }
            (None, None) => Err(NamespaceError::NotFound),
        };
        let names = tokio::task::spawn_blocking(open).await?.context(shown)?;
        let settings = Settings {
            // Freeing and joining are the gateway's work.
            free_after: Duration::MAX,
            join_multipart: JoinMultipart::Never,
            sweep_interval: None,
            raw_delete: options.raw_delete,
            write_concern: options.write_concern.into(),
            ..Settings::default()
        };
        let objects = Objects::new(names, Arc::new(client), settings);
        objects.start();
        objects.refresh_groups().await.context("the groups have no buckets")?;
        Ok(objects)
    }

    fn trackers(&self) -> anyhow::Result<Vec<ServerAddress>> {
        let parse = |text: &String| {
            ServerAddress::parse(text, TrackerAddress::DEFAULT_PORT)
                .with_context(|| format!("{text:?} is no tracker, HOST:PORT"))
        };
        self.trackers.iter().map(parse).collect()
    }

    fn secret(&self, options: &MountOptions) -> anyhow::Result<Option<Secret>> {
        let parse = |content: &[u8]| Secret::new(str::from_utf8(content).unwrap_or_default().trim_end());
        Ok(self
            .namespace_secret_file
            .as_deref()
            .or(options.namespace_secret_file.as_deref())
            .map(|path| fdfs_ops::read_secret(path, parse))
            .transpose()?)
    }
}

/// Where the namespace service is.
fn service(namespace: Option<&str>, trackers: &[ServerAddress]) -> anyhow::Result<SocketAddr> {
    let named = namespace.map(|text| {
        let address = ServerAddress::parse(text, DEFAULT_PORT)
            .with_context(|| format!("--namespace {text:?} is not HOST:PORT"))?;
        anyhow::Ok(address.sockets().next())
    });
    let beside = trackers.first().and_then(|tracker| tracker.ips.first());
    let service = named.unwrap_or_else(|| Ok(beside.map(|ip| SocketAddr::new(*ip, DEFAULT_PORT))))?;
    service.context("the namespace service has no address: say --namespace HOST:PORT")
}

/// Ends the work in the background and the session, so that what it held need not wait for its time to pass.
async fn end(objects: &Objects) {
    objects.stop().await;
    let ended = tokio::time::timeout(START_TIMEOUT, objects.namespace().end_session()).await;
    if let Err(error) = ended.map_err(anyhow::Error::from).and_then(|ended| Ok(ended?)) {
        warn!(%error, "the session ends by its time");
    }
}

/// How long a tracker may take to answer at all.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// How often samples are folded into what is counted.
const UPKEEP: Duration = Duration::from_secs(5);
/// How long calls that nobody waits for may hold up the end.
const LAST_CALLS: Duration = Duration::from_secs(2);
