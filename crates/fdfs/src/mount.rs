//! `fdfs mount`: the files of a cluster as directories of this machine.

mod options;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use fdfs_client::{Client, ClientOptions};
use fdfs_conf::TrackerAddress;
use fdfs_mount::Mount;
use fdfs_namespace::remote::{DEFAULT_PORT, RemoteEngine, Secret};
use fdfs_namespace::{Defaults, Namespace, NamespaceError, StoreUrl};
use fdfs_objects::{JoinMultipart, Objects, Settings};
use fdfs_ops::{LogOptions, Signals};
use fdfs_proto::ServerAddress;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::options::MountOptions;
use crate::gateway::cluster_secret;

/// What to mount where.
#[derive(Args)]
pub struct MountArgs {
    /// The trackers, HOST:PORT, separated by commas.
    #[arg(value_delimiter = ',', required = true)]
    trackers: Vec<String>,
    /// The directory to mount on.
    directory: PathBuf,
    /// The gateway's namespace service, HOST:PORT; by default port 23100 of the first tracker's host. Or the database that the gateways use,
    /// postgres://USER@HOST/DATABASE, with its password in the environment (PGPASSWORD).
    #[arg(long, value_name = "HOST:PORT|URL")]
    namespace: Option<String>,
    /// A file that holds the secret of the namespace service; its owner alone may read it.
    #[arg(long, value_name = "FILE")]
    namespace_secret_file: Option<PathBuf>,
    /// Options as mount(8) takes them, separated by commas: ro, allow_other, raw_delete, write_concern=storage|local|replicated, cluster_secret_file=FILE, cache=SECONDS, spool=DIR, fsname=NAME.
    #[arg(short, value_name = "OPTIONS", value_delimiter = ',')]
    options: Vec<String>,
    /// Stay in the foreground until a signal or an unmount ends it; there is no other way yet.
    #[arg(short, long)]
    foreground: bool,
}

impl MountArgs {
    /// Mounts, and serves until a signal or an unmount ends it.
    pub fn run(&self) -> anyhow::Result<()> {
        let options = MountOptions::parse(&self.options)?;
        let trackers = self.trackers()?;
        let secret = self.secret()?;
        LogOptions { stderr: true, ..LogOptions::default() }.install()?;
        let runtime = tokio::runtime::Runtime::new()?;
        let result = runtime.block_on(self.serve(options, trackers, secret));
        // A call that still waits for a peer must not keep the process.
        runtime.shutdown_timeout(LAST_CALLS);
        fdfs_ops::flush_logs();
        result
    }

    async fn serve(
        &self,
        options: MountOptions,
        trackers: Vec<ServerAddress>,
        secret: Option<Secret>,
    ) -> anyhow::Result<()> {
        let signals = Signals::install().context("cannot take over signals")?;
        let stop = CancellationToken::new();
        let watching = tokio::spawn(signals.watch(stop.clone(), fdfs_ops::rotate_logs));
        let start = async {
            let objects = self.connect(&options, trackers, secret).await?;
            let config = options.config(&self.directory);
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
        let (objects, mount) = tokio::select! {
            started = start => started?,
            () = stop.cancelled() => return Ok(()),
        };
        println!("{} is mounted", self.directory.display());
        tokio::select! {
            () = stop.cancelled() => {}
            () = mount.ended() => info!("unmounted by somebody else"),
        }
        stop.cancel();
        let unmounted = mount.unmount().await;
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
        let store = match self.namespace.as_deref().map(str::parse) {
            Some(Ok(store @ StoreUrl::Postgres(_))) => Some(store),
            _ => None,
        };
        let service = if store.is_some() { None } else { Some(self.service(&trackers)?) };
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

    fn service(&self, trackers: &[ServerAddress]) -> anyhow::Result<SocketAddr> {
        let named = self.namespace.as_deref().map(|text| {
            let address = ServerAddress::parse(text, DEFAULT_PORT)
                .with_context(|| format!("--namespace {text:?} is not HOST:PORT"))?;
            anyhow::Ok(address.sockets().next())
        });
        let beside = trackers.first().and_then(|tracker| tracker.ips.first());
        let service = named.unwrap_or_else(|| Ok(beside.map(|ip| SocketAddr::new(*ip, DEFAULT_PORT))))?;
        service.context("the namespace service has no address: say --namespace HOST:PORT")
    }

    fn secret(&self) -> anyhow::Result<Option<Secret>> {
        let parse = |content: &[u8]| Secret::new(str::from_utf8(content).unwrap_or_default().trim_end());
        Ok(self
            .namespace_secret_file
            .as_deref()
            .map(|path| fdfs_ops::read_secret(path, parse))
            .transpose()?)
    }
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
/// How long calls that nobody waits for may hold up the end.
const LAST_CALLS: Duration = Duration::from_secs(2);
