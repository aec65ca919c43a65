//! What all connections of a tracker share.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::SystemTime;

use fdfs_conf::{IpFieldWidth, TrackerConfig};
use fdfs_net::{ConnectionCounts, Pool, PoolConfig, SharedSecret};
use fdfs_proto::{Connections, IpWidth};
use fdfs_rules::{Cluster, DataFile, Leadership, Settings, StorageIds};
use fdfs_types::{GroupName, Timestamp};
use parking_lot::Mutex;
use tokio::runtime::Handle;

use crate::Requests;
use crate::disk::{self, Disk};
use crate::following::Link;
use crate::sys_files::Admission;

/// What all connections of a tracker share.
pub(crate) struct Core {
    pub(crate) myself: Weak<Self>,
    pub(crate) state: Mutex<State>,
    pub(crate) disk: Disk,
    /// Files that could not be written the last time, and why.
    pub(crate) unsaved: Mutex<BTreeMap<DataFile, String>>,
    pub(crate) ip_width: IpWidth,
    /// The answer to command 75.
    pub(crate) parameters: Vec<u8>,
    /// A storage with a new address may take its record along.
    pub(crate) adjusts_changed_ips: bool,
    pub(crate) max_connections: u32,
    pub(crate) started: Timestamp,
    pub(crate) port: u16,
    /// Connections to other trackers and to storages.
    pub(crate) pool: Arc<Pool>,
    /// The connection to the leader, while this tracker follows.
    pub(crate) link: tokio::sync::Mutex<Option<Link>>,
    /// Whether storages are admitted yet.
    pub(crate) admission: tokio::sync::Mutex<Admission>,
    pub(crate) requests: Requests,
    pub(crate) counts: OnceLock<Box<dyn Fn() -> ConnectionCounts + Send + Sync>>,
    pub(crate) runtime: OnceLock<Handle>,
}

/// What changes.
pub(crate) struct State {
    pub(crate) cluster: Cluster,
    pub(crate) leadership: Leadership,
    /// Groups whose trunk server is being elected.
    pub(crate) elections: HashSet<GroupName>,
}

impl Core {
    /// The version of the protocol that trackers and storages tell each other.
    pub(crate) const VERSION: &str = "6.16.1";

    /// Loads what a former run has left.
    pub(crate) fn load(
        config: &TrackerConfig,
        ids: Option<StorageIds>,
        port: u16,
        secret: Option<SharedSecret>,
    ) -> std::io::Result<Arc<Self>> {
        let now = now();
        let disk = Disk::open(&config.base_path)?;
        let has_ipv6 = ids.as_ref().is_some_and(StorageIds::has_ipv6);
        let ip_width = match config.cluster.ip_field_width {
            IpFieldWidth::Narrow => IpWidth::Ipv4,
            IpFieldWidth::Wide => IpWidth::Ipv6,
            IpFieldWidth::Auto if has_ipv6 => IpWidth::Ipv6,
            IpFieldWidth::Auto => IpWidth::Ipv4,
        };
        let settings = Settings::new(config, ids);
        let loaded = disk.load(&settings)?;
        let mut cluster = Cluster::new(settings, now);
        loaded.groups.into_iter().for_each(|group| cluster.restore(group));
        if loaded.was_old {
            for file in disk::FILES {
                disk.save(file, || disk::render(file, &cluster))?;
            }
            disk.remove_old()?;
        }
        let last_seen = disk.tracker_status().last_check_time;
        let away = if last_seen > Timestamp::ZERO { now.since(last_seen) } else { std::time::Duration::ZERO };
        let state =
            State { cluster, leadership: Leadership::new(port, now, away), elections: HashSet::new() };
        let pool = PoolConfig {
            connect_timeout: config.connect_timeout,
            network_timeout: config.network_timeout,
            bind: config.listeners.first().and_then(|listener| listener.addresses.first().copied()),
            secret,
            ..PoolConfig::default()
        };
        Ok(Arc::new_cyclic(|myself| Self {
            myself: Weak::clone(myself),
            state: Mutex::new(state),
            disk,
            unsaved: Mutex::default(),
            ip_width,
            parameters: config.cluster.to_reply(ip_width.terminated()).into_bytes(),
            adjusts_changed_ips: config.cluster.storage_ip_changed_auto_adjust,
            max_connections: config.max_connections,
            started: now,
            port,
            pool: Pool::new(pool),
            link: tokio::sync::Mutex::default(),
            admission: tokio::sync::Mutex::default(),
            requests: Requests::default(),
            counts: OnceLock::new(),
            runtime: OnceLock::new(),
        }))
    }

    /// This tracker's connections.
    pub(crate) fn connections(&self) -> Connections {
        let counts = self.counts.get().map(|counts| counts()).unwrap_or_default();
        let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Connections {
            allocated: number(self.max_connections),
            current: number(counts.current),
            max: number(counts.max),
        }
    }
}

impl State {
    /// Whether a request from this address can come from a member of the cluster.
    pub(crate) fn knows_peer(&self, peer: IpAddr) -> bool {
        self.cluster.knows_peer(peer) || self.leadership.knows_peer(peer)
    }
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("port", &self.port).finish_non_exhaustive()
    }
}

/// The present time.
pub(crate) fn now() -> Timestamp {
    SystemTime::now().into()
}
