//! The front for native paths: put together, and what runs beside it.

mod kept_topology;
mod named;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fdfs_client::Client;
use fdfs_conf::LogSettings;
use fdfs_http::front::{CachedFiles, Cluster, Front, Readiness};
use fdfs_http::{ClientLimits, HttpServer, Limits, Settings};
use fdfs_net::Tls;
use fdfs_ops::LogFile;
use fdfs_s3::PublicObjects;
use fdfs_types::Network;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::kept_topology::KeptTopology;
use self::named::NamedObjects;
use super::config::{FrontConfig, GatewayConfig, cluster_secret};

/// A front that listens.
pub(super) type FrontServer = HttpServer<Front<Cluster>>;

/// Changes how a front answers while it serves.
#[derive(Clone)]
pub(super) struct FrontControl {
    front: Arc<Front<Cluster>>,
    files: CachedFiles<Cluster>,
    clients: Arc<ClientLimits>,
}

impl FrontControl {
    /// Takes over what can change while a front serves.
    pub(super) fn set(&self, config: &FrontConfig, native: Settings, trusted_proxies: &[Network]) {
        self.front.reconfigure(Arc::new(native), config.settings(trusted_proxies.to_vec()));
        self.files.set_times(&config.cache());
        self.clients.set(config.clients(trusted_proxies.to_vec()));
    }
}

/// Opens the cache and listens. What runs beside it is added to `servers`.
pub(super) async fn bind(
    config: &GatewayConfig,
    objects: PublicObjects,
    readiness: &Readiness,
    servers: &mut JoinSet<()>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<(FrontServer, FrontControl)> {
    let mut options = config.front.client(config.trackers.clone());
    options.pool.secret = cluster_secret(config.cluster_secret_file.as_deref())?;
    let client = Client::new(options);
    let files = CachedFiles::new(Cluster::new(client.clone()), config.front.cache())
        .context("the front cannot cache")?;
    let native = Arc::new(config.front.native()?);
    let mut settings = config.front.settings(config.trusted_proxies.clone());
    if let Some(path) = &config.front.access_log {
        let file = LogFile::open(path, &LogSettings::default(), false);
        settings.access_log = Some(file.with_context(|| format!("front.access_log = {}", path.display()))?);
    }
    if config.front.named_paths {
        let tls = config.front.tls_cert.is_some();
        settings.named = Some(Arc::new(NamedObjects { objects, tls }));
    }
    let tls = config.front.tls()?.map(|files| Tls::read(files, &FrontServer::PROTOCOLS)).transpose()?;
    let clients = Arc::clone(&settings.clients);
    let front = Arc::new(Front::new(files.clone(), native, settings, readiness.clone()));
    let tls = tls.map(Arc::new);
    let listen = async |address: SocketAddr, limits: Limits| {
        let server = HttpServer::bind(address, Arc::clone(&front), limits).await;
        let server = server.with_context(|| format!("cannot listen on {address} for native HTTP"))?;
        let proxies = config.front.proxy_protocol_from.clone();
        anyhow::Ok(server.encrypted(tls.clone()).behind(proxies).limited(Arc::clone(&clients)))
    };
    let server = listen(config.front_listen, config.front.limits()).await?;
    for address in &config.front.listen_also {
        // Threads of its own would be as many again.
        let other = listen(*address, Limits { threads: 0, ..config.front.limits() }).await?;
        servers.spawn(other.run(stopped.clone()));
    }
    let interval = Duration::from_secs(config.front.probe_interval.max(1));
    let kept = config.front.topology().map(|path| KeptTopology::restore(path, &client));
    if kept.as_ref().is_some_and(|(_, is_known)| *is_known) {
        readiness.set_cluster_known();
    }
    let kept = kept.map(|(kept, _)| kept);
    let control = FrontControl { front, files: files.clone(), clients };
    servers.spawn(look(client, files, kept, readiness.clone(), interval, stopped.clone()));
    Ok((server, control))
}

/// Keeps groups and storages known, and looks which storages answer, until told to stop.
async fn look(
    client: Client,
    files: CachedFiles<Cluster>,
    mut kept: Option<KeptTopology>,
    readiness: Readiness,
    interval: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let looking = async {
        loop {
            if let Ok(topology) = client.topology().await {
                readiness.set_cluster_known();
                if let Some(kept) = &mut kept {
                    // A few hundred bytes, seldom.
                    kept.keep(&topology);
                }
            }
            if let Some(age) = client.topology_age() {
                metrics::gauge!("fdfs_front_topology_age_seconds").set(age.as_secs_f64());
            }
            let (bytes, objects) = files.usage();
            metrics::gauge!("fdfs_cache_bytes").set(bytes as f64);
            metrics::gauge!("fdfs_cache_objects").set(objects as f64);
            client.probe_storages(PROBE_LIMIT).await;
            tokio::time::sleep(interval).await;
        }
    };
    tokio::select! {
        () = looking => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// For so long a storage may take to say that it is there.
const PROBE_LIMIT: Duration = Duration::from_secs(1);
