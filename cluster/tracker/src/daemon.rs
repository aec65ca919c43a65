//! Starting and stopping a tracker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fdfs_conf::{AddressFamily, AllowHosts, ConfError, TrackerConfig};
use fdfs_net::{Limits, Server, SharedSecret, listen};
use fdfs_ops::{SecretFileError, read_secret};
use fdfs_proto::{Header, ours::ClusterSecret};
use fdfs_rules::StorageIds;
use thiserror::Error;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::core::Core;
use crate::service::TrackerService;

/// A tracker that runs.
///
/// Dropping it cuts everything off, as `kill -9` would; [`Tracker::shutdown`] ends it in order.
#[derive(Debug)]
pub struct Tracker {
    core: Arc<Core>,
    server: Server,
    ticks: JoinHandle<()>,
}

/// Why a tracker does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The table of storage ids cannot be used.
    #[error(transparent)]
    StorageIds(#[from] ConfError),
    /// The secret of the cluster cannot be used.
    #[error("cluster_secret_file: {0}")]
    Secret(#[from] SecretFileError),
    /// The data directory cannot be used.
    #[error("data directory {} cannot be used", path.display())]
    Data {
        /// The base path.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A port cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The threads cannot be started.
    #[error("server threads cannot be started")]
    Threads(#[source] io::Error),
}

impl StartError {
    /// The exit code with which the original answers this error.
    pub fn errno(&self) -> i32 {
        match self {
            Self::StorageIds(error) => error.errno(),
            Self::Secret(error) => error.errno(),
            Self::Data { source, .. } | Self::Listen { source, .. } | Self::Threads(source) => {
                source.raw_os_error().unwrap_or(1)
            }
        }
    }
}

impl Tracker {
    /// Starts a tracker: reads what a former run has left, and serves. When this returns the port is
    /// open.
    pub async fn bind(config: TrackerConfig) -> Result<Self, StartError> {
        // Reading files and resolving names block.
        let opened = tokio::task::spawn_blocking(move || open(&config)).await;
        let (core, limits, listeners) = opened.map_err(|error| StartError::Threads(error.into()))??;
        let service = Arc::new(TrackerService { core: Arc::clone(&core) });
        let server = Server::start(limits, listeners, service).map_err(StartError::Threads)?;
        let _ = core.counts.set(Box::new(server.connections_view()));
        let _ = core.runtime.set(server.handle().clone());
        let ticks = server.handle().spawn(Arc::clone(&core).tick());
        Ok(Self { core, server, ticks })
    }

    /// Runs until `stop` is ready, then ends in order.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        stop.await;
        self.shutdown(GRACE).await;
    }

    /// Ends in order: requests in progress may finish for `grace`, then everything is saved.
    pub async fn shutdown(self, grace: Duration) {
        let Self { core, server, ticks } = self;
        ticks.abort();
        server.shutdown(grace).await;
        let saved = tokio::task::spawn_blocking(move || core.save_all()).await;
        if saved.is_err() {
            warn!("data files were not saved");
        }
        info!("tracker has ended");
    }

    /// Where clients and storages are served.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Whether the tracker can do its work: what it knows is in its files.
    pub fn check(&self) -> impl Fn() -> Result<(), String> + Send + Sync + 'static {
        let core = Arc::clone(&self.core);
        move || match core.unsaved.lock().first_key_value() {
            None => Ok(()),
            Some((file, error)) => Err(format!("{file:?} cannot be saved: {error}")),
        }
    }

    /// Whether this tracker leads its cluster.
    pub fn is_leading(&self) -> bool {
        self.core.state.lock().leadership.is_leading()
    }
}

/// Reads what a former run has left and takes the ports.
fn open(config: &TrackerConfig) -> Result<(Arc<Core>, Limits, Vec<TcpListener>), StartError> {
    let ids = config.storage_ids_file.as_ref().map(read_ids).transpose()?;
    let secret = config.cluster_secret_file.as_deref().map(|path| read_secret(path, ClusterSecret::new));
    let secret = secret.transpose()?.map(SharedSecret::new);
    let listeners = open_listeners(config)?;
    let port = listeners.first().and_then(|first| first.local_addr().ok()).map_or(0, |a| a.port());
    let core = Core::load(config, ids, port, secret.clone())
        .map_err(|source| StartError::Data { path: config.base_path.clone(), source })?;
    let allow = resolve_hosts(config.allow_hosts.clone());
    let limits = Limits {
        threads: config.work_threads as usize,
        max_connections: config.max_connections as usize,
        network_timeout: config.network_timeout,
        max_body: config.max_packet_size.saturating_sub(Header::LEN as u64),
        allow: Arc::new(move |peer| allow.allows(peer)),
        secret,
        ..Limits::new("tracker")
    };
    Ok((core, limits, listeners))
}

fn read_ids(path: &PathBuf) -> Result<StorageIds, StartError> {
    let text = std::fs::read(path).map_err(|source| ConfError::Unreadable {
        path: path.clone(),
        included_at: None,
        source,
    })?;
    let mut resolve = |name: &str| {
        let found = (name, 0).to_socket_addrs()?.next().map(|address| address.ip());
        found.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    Ok(StorageIds::from(&fdfs_conf::StorageIds::parse(path, &text, &mut resolve)?))
}

/// Names among the hosts that may connect are looked up once.
fn resolve_hosts(mut hosts: AllowHosts) -> AllowHosts {
    for name in hosts.names().to_vec() {
        match (name.as_str(), 0).to_socket_addrs() {
            Ok(addresses) => addresses.for_each(|address| hosts.add(address.ip())),
            Err(error) => warn!(name, %error, "a host of allow_hosts is unknown"),
        }
    }
    hosts
}

fn open_listeners(config: &TrackerConfig) -> Result<Vec<TcpListener>, StartError> {
    let mut listeners = Vec::new();
    for listener in &config.listeners {
        let everywhere = match config.address_family {
            AddressFamily::Ipv6 | AddressFamily::Both => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            AddressFamily::Auto | AddressFamily::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        };
        let addresses =
            if listener.addresses.is_empty() { vec![everywhere] } else { listener.addresses.clone() };
        for ip in addresses {
            let address = SocketAddr::new(ip, listener.port);
            let dual = config.address_family == AddressFamily::Both;
            let opened = listen(address, dual).map_err(|source| StartError::Listen { address, source })?;
            listeners.push(opened);
        }
    }
    Ok(listeners)
}

/// How long requests in progress may take after the order to stop.
const GRACE: Duration = Duration::from_secs(30);
