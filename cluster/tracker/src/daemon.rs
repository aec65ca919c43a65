//! Starting and stopping a tracker.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fdfs_conf::{AddressFamily, AllowHosts, ConfError, TrackerConfig};
use fdfs_net::{Limits, Server, listen};
use fdfs_proto::Header;
use fdfs_rules::StorageIds;
use thiserror::Error;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::core::Core;
use crate::service::TrackerService;

/// A tracker that has its ports and has read its files, but does not answer yet.
#[derive(Debug)]
pub struct Tracker {
    core: Arc<Core>,
    limits: Limits,
    listeners: Vec<TcpListener>,
}

/// A tracker that runs. Dropping it ends it at once; [`RunningTracker::shutdown`] ends it in order.
#[derive(Debug)]
pub struct RunningTracker {
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
            Self::Data { source, .. } | Self::Listen { source, .. } | Self::Threads(source) => {
                source.raw_os_error().unwrap_or(1)
            }
        }
    }
}

impl Tracker {
    /// Reads what a former run has left and takes the ports. This touches disk and resolver; call it
    /// before there is anything to wait for.
    pub fn bind(config: &TrackerConfig) -> Result<Self, StartError> {
        let ids = config.storage_ids_file.as_ref().map(read_ids).transpose()?;
        let listeners = open_listeners(config)?;
        let port = listeners.first().and_then(|first| first.local_addr().ok()).map_or(0, |a| a.port());
        let core = Core::load(config, ids, port)
            .map_err(|source| StartError::Data { path: config.base_path.clone(), source })?;
        let allow = resolve_hosts(config.allow_hosts.clone());
        let limits = Limits {
            threads: config.work_threads as usize,
            max_connections: config.max_connections as usize,
            network_timeout: config.network_timeout,
            max_body: config.max_packet_size.saturating_sub(Header::LEN as u64),
            allow: Arc::new(move |peer| allow.allows(peer)),
            ..Limits::new("tracker")
        };
        Ok(Self { core, limits, listeners })
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Begins to answer, on threads of its own.
    pub fn run(self) -> Result<RunningTracker, StartError> {
        let Self { core, limits, listeners } = self;
        let service = Arc::new(TrackerService { core: Arc::clone(&core) });
        let server = Server::start(limits, listeners, service).map_err(StartError::Threads)?;
        let _ = core.counts.set(Box::new(server.connections_view()));
        let _ = core.runtime.set(server.handle().clone());
        let ticks = server.handle().spawn(Arc::clone(&core).tick());
        info!(addresses = ?server.addresses(), "tracker started");
        Ok(RunningTracker { core, server, ticks })
    }
}

impl RunningTracker {
    /// How long requests in progress may take after the order to stop.
    const GRACE: Duration = Duration::from_secs(30);

    /// The addresses that are listened on.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Stops: requests in progress are answered, then everything is saved.
    pub async fn shutdown(self) {
        let Self { core, server, ticks } = self;
        ticks.abort();
        server.shutdown(Self::GRACE).await;
        let saved = tokio::task::spawn_blocking(move || core.save_all()).await;
        if saved.is_err() {
            warn!("data files were not saved");
        }
        info!("tracker stopped");
    }
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
