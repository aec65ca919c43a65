//! The front for native paths: put together, and what runs beside it.

mod kept_topology;
mod named;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use fdfs_client::Client;
use fdfs_conf::LogSettings;
use fdfs_http::HttpServer;
use fdfs_http::front::{CachedFiles, Cluster, Front, Readiness};
use fdfs_net::Tls;
use fdfs_ops::LogFile;
use fdfs_s3::PublicObjects;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::kept_topology::KeptTopology;
use self::named::NamedObjects;
use super::config::{GatewayConfig, cluster_secret};

/// A front that listens.
pub(super) type FrontServer = HttpServer<Front<Cluster>>;

/// Opens the cache and listens. What runs beside it is added to `servers`.
pub(super) async fn bind(
    config: &GatewayConfig,
    objects: PublicObjects,
    readiness: &Readiness,
    servers: &mut JoinSet<()>,
    stopped: &watch::Receiver<bool>,
) -> anyhow::Result<FrontServer> {
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
    let front = Arc::new(Front::new(files, native, settings, readiness.clone()));
    let server = HttpServer::bind(config.front_listen, front, config.front.limits())
        .await
        .with_context(|| format!("cannot listen on {} for native HTTP", config.front_listen))?;
    let interval = Duration::from_secs(config.front.probe_interval.max(1));
    let kept = config.front.topology().map(|path| KeptTopology::restore(path, &client));
    if kept.as_ref().is_some_and(|(_, is_known)| *is_known) {
        readiness.set_cluster_known();
    }
    let kept = kept.map(|(kept, _)| kept);
    servers.spawn(look(client, kept, readiness.clone(), interval, stopped.clone()));
    Ok(server.encrypted(tls).behind(config.front.proxy_protocol_from.clone()))
}

/// Keeps groups and storages known, and looks which storages answer, until told to stop.
async fn look(
    client: Client,
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
