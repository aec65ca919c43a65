//! Access to files: topology, choice of replica, retry, upload, download.
//!
//! [`Client`] speaks with the trackers and storages of one cluster, original ones and ours. Every wait has a
//! limit and every retry a bound ([`ClientOptions`]); what fails in the end is a [`ClientError`], on which the
//! caller decides. Content streams: memory does not grow with files.

mod capabilities;
mod change;
mod download;
mod error;
mod file_info;
mod hedging;
mod lent_files;
mod local_storages;
mod metadata;
mod meters;
mod monitor;
mod options;
mod ours;
mod patience;
mod pieces;
mod placement;
mod search;
mod servers;
mod slow_storages;
mod topology;
mod trackers;
mod trail;
mod upload;

use std::sync::Arc;
use std::time::Duration;

pub use fdfs_net::FilePiece;

pub use crate::download::{ByteRange, Download};
pub use crate::error::ClientError;
pub use crate::file_info::FileInfo;
pub use crate::options::ClientOptions;
pub use crate::pieces::{Piece, Pieces};
pub use crate::placement::Placement;
pub use crate::topology::{Group, Topology};
pub use crate::trail::Trail;
pub use crate::upload::{Upload, UploadKind, UploadSpec, Uploaded};

use crate::capabilities::CapabilityCache;
use crate::hedging::Hedging;
use crate::lent_files::LentFiles;
use crate::local_storages::LocalStorages;
use crate::servers::Servers;
use crate::topology::TopologyCache;
use crate::trackers::Trackers;
use crate::upload::RecentTargets;

/// A client of one cluster. Copies share connections and what is known about the cluster.
#[derive(Clone, Debug)]
pub struct Client(Arc<ClientInner>);

#[derive(Debug)]
pub(crate) struct ClientInner {
    options: Arc<ClientOptions>,
    servers: Arc<Servers>,
    trackers: Trackers,
    topology: TopologyCache,
    capabilities: CapabilityCache,
    hedging: Hedging,
    local: LocalStorages,
    lent: LentFiles,
    recent_targets: RecentTargets,
}

impl Client {
    /// A client. Nothing is asked before it is used.
    pub fn new(options: ClientOptions) -> Self {
        let options = Arc::new(options);
        let servers = Arc::new(Servers::new(&options));
        let trackers = Trackers::new(Arc::clone(&servers), Arc::clone(&options));
        let (topology, capabilities, recent_targets) = Default::default();
        let (hedging, local, lent) = Default::default();
        let inner = ClientInner {
            options,
            servers,
            trackers,
            topology,
            capabilities,
            hedging,
            local,
            lent,
            recent_targets,
        };
        Self(Arc::new(inner))
    }

    /// What the client was told.
    pub fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    /// Groups and storages, as the trackers told not longer ago than the options allow.
    pub async fn topology(&self) -> Result<Arc<Topology>, ClientError> {
        self.0.topology().await
    }

    /// Groups and storages, as the trackers tell now: for what the known ones do not explain.
    pub async fn fresh_topology(&self) -> Result<Arc<Topology>, ClientError> {
        self.0.new_topology().await
    }

    /// Groups and storages as they were last told, however long ago.
    pub fn last_topology(&self) -> Option<Arc<Topology>> {
        self.0.topology.last_known()
    }

    /// How long ago a tracker last told groups and storages; `None` where none has.
    pub fn topology_age(&self) -> Option<Duration> {
        self.0.topology.age()
    }

    /// Takes over groups and storages as they were told before, until a tracker tells them. Where one has told already,
    /// that stays.
    pub fn restore_topology(&self, topology: Topology) {
        self.0.topology.restore(topology);
    }

    /// Looks at every storage that is known to serve, each for `limit` at most: one that does not answer is asked last from
    /// then on, one that answers again is asked like others at once.
    pub async fn probe_storages(&self, limit: Duration) {
        let Some(topology) = self.0.topology.last_known() else { return };
        let members = topology.groups.values().flat_map(Group::active).filter_map(Group::address);
        let probes = members.map(|address| self.0.servers.probe(address, limit));
        futures_util::future::join_all(probes).await;
    }

    pub(crate) fn inner(&self) -> &ClientInner {
        &self.0
    }
}

impl ClientInner {
    pub(crate) async fn topology(&self) -> Result<Arc<Topology>, ClientError> {
        self.topology.get(&self.trackers, self.options.topology_max_age).await
    }

    /// The topology, asked for now.
    pub(crate) async fn new_topology(&self) -> Result<Arc<Topology>, ClientError> {
        self.topology.get(&self.trackers, Duration::ZERO).await
    }
}
