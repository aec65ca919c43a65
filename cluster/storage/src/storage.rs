//! The daemon's face: start, run, stop.

use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use fdfs_conf::StorageConfig;
use fdfs_net::{ConnectionCounts, Lender, Limits, Pool, Server, SharedSecret, listen};
use fdfs_ops::{AccessLog, Health, read_secret};
use fdfs_proto::ours::ClusterSecret;
use fdfs_store::Store;
use fdfs_types::{GroupName, StorageId};
use parking_lot::Mutex;
use tokio::task::JoinSet;
use tracing::{error, info};

use crate::{
    StorageError,
    concern::Concern,
    disk_health::DiskHealth,
    lending,
    maintenance::{self, Intervals},
    membership::Membership,
    native_http::NativeHttp,
    recovery::{Filling, Recovery, Verification},
    relay::Relay,
    scrub::{Scrub, Scrubber},
    service::StorageService,
    settings,
    shared::Shared,
    sync::{Replication, SyncSettings},
    synced_from::SyncedFrom,
    tracker::{self, Identity, ReportSettings, Reporter, Tracker, Trackers},
    traffic::Traffic,
    trunk::{Keeper, Trunk},
};

/// A storage that runs.
///
/// Dropping it cuts everything off, as `kill -9` would; [`Storage::shutdown`] ends it in order.
#[derive(Debug)]
pub struct Storage {
    shared: Arc<Shared>,
    server: Server,
    http: Option<NativeHttp>,
    disks: Arc<DiskHealth>,
    replication: Replication,
    /// Dropped when files are lent no more.
    lenders: Vec<Lender>,
    tasks: JoinSet<()>,
}

impl Storage {
    /// Starts a storage: learns from the trackers who it is, opens its disk, and serves clients.
    ///
    /// Waits for as long as no tracker answers. When this returns the port is open; the trackers hear of the storage
    /// right after, or when every store path that was wiped is filled from the other members: until then it serves
    /// what it has.
    pub async fn bind(config: StorageConfig) -> Result<Self, StorageError> {
        let started = SystemTime::now().into();
        let port = config.listeners.first().map_or(StorageConfig::DEFAULT_PORT, |listener| listener.port);
        let secret = config.cluster_secret_file.as_deref().map(|path| read_secret(path, ClusterSecret::new));
        let secret = secret.transpose()?.map(SharedSecret::new);
        let to_members = settings::pool_config(&config, secret.clone());
        let pool = Pool::new(to_members.clone());
        let trackers = Tracker::resolve_all(&config.trackers, &pool).await;
        let group = tracker::group(&config, port, &trackers).await?;
        let ips = tracker::my_ips(group, port, &trackers).await?;
        let identity = Identity::learn(group, ips, port, &config, &trackers).await?;
        let mut options = settings::store_options(&config, &identity.ips, port);
        // Known before the disk is opened: it tells files of ours from replicated ones found without a record.
        options.policy = settings::policy(&identity.parameters, identity.source);
        options.slaves_are_links = identity.parameters.store_slave_file_use_link;
        let store = on_disk(move || Ok(Store::open(&options)?)).await?;
        info!(report = ?store.report(), "store opened");
        identity.remember(&store, &trackers).await?;
        let access_log = config.base_path.join("logs/storage_access.log");
        let access_log = AccessLog::open(&access_log, config.access_log.as_ref())
            .map_err(|source| StorageError::Io { action: "opening the access log", source })?;
        let waits_for_disk = config.fsync_after_written_bytes.is_some();
        let membership = Membership::new(identity.id);
        let shared = Arc::new(Shared {
            concern: Concern::new(&config, &to_members, &store, &identity, membership.watch()),
            membership: Mutex::new(membership),
            relay: Relay::new(to_members.clone()),
            trunk: Trunk::new(&identity.parameters.trunk, to_members.clone(), config.trunk_reclaim_after),
            changes_anywhere: config.change_appenders_anywhere,
            own_commands: config.own_commands,
            has_secret: secret.is_some(),
            verification: Verification::open(store.own_directory()),
            filling: Filling::new(!store.recoveries().is_empty()),
            scrub: Scrub::open(store.own_directory())
                .map_err(|source| StorageError::Io { action: "reading which files are damaged", source })?,
            identity,
            store,
            traffic: Traffic::new(access_log),
            started,
            waits_for_disk,
            rebuilding: Mutex::default(),
            listed: Mutex::default(),
            replication_from: config.replication_from,
            trackers: Trackers::new(group, trackers),
            synced_from: SyncedFrom::default(),
            letters_to_try: Mutex::default(),
            joined: AtomicUsize::new(0),
        });
        let server = serve(&config, &shared, secret)?;
        let connections: Arc<dyn Fn() -> ConnectionCounts + Send + Sync> =
            Arc::new(server.connections_view());
        let settings = ReportSettings {
            heart_beat_interval: config.heart_beat_interval,
            stat_report_interval: config.stat_report_interval,
            subdir_count: config.subdir_count_per_path,
            upload_priority: config.upload_priority.into(),
        };
        let mut tasks = JoinSet::new();
        for reporter in Reporter::for_all(&shared, &settings, &connections) {
            tasks.spawn(reporter.run());
        }
        let recovery = Recovery::new(&shared, to_members.clone(), config.disk_recovery_threads);
        tasks.spawn(recovery.run());
        tasks.spawn(Scrubber::new(&shared, to_members.clone(), config.scrub).run());
        tasks.spawn(Keeper::new(&shared, to_members.clone()).run());
        let intervals = Intervals {
            sync_binlog: config.sync_binlog_buff_interval,
            save_stat: config.sync_stat_file_interval,
        };
        tasks.spawn(maintenance::run(Arc::clone(&shared), intervals));
        if let Some(at) = config.compress_binlog_at {
            tasks.spawn(maintenance::compress_daily(Arc::clone(&shared), at));
        }
        let disks = DiskHealth::new(&shared.store);
        tasks.spawn(Arc::clone(&disks).run(shared.store.clone()));
        let http = NativeHttp::start(&config, &shared, to_members.clone()).await?;
        let replication = Replication::start(&shared, SyncSettings::new(&config, to_members));
        let is_lent = config.own_commands && config.lend_files;
        let served = server.addresses().first().filter(|_| is_lent);
        let lenders = served.map_or_else(Vec::new, |served| lending::start(&shared, served.port()));
        Ok(Self { shared, server, http, disks, replication, lenders, tasks })
    }

    /// Runs until `stop` is ready, then ends in order.
    pub async fn run(mut self, stop: impl Future<Output = ()>) -> Result<(), StorageError> {
        tokio::select! {
            () = stop => {}
            // Upkeep and reporters end only by a fault of ours.
            ended = self.tasks.join_next() => error!(?ended, "a task of the storage ended"),
        }
        self.shutdown(GRACE).await
    }

    /// Ends in order: requests in progress may finish for `grace`, then everything is written.
    pub async fn shutdown(mut self, grace: Duration) -> Result<(), StorageError> {
        if let Some(http) = self.http {
            http.shutdown().await;
        }
        drop(self.lenders);
        self.tasks.shutdown().await;
        self.server.shutdown(grace).await;
        self.replication.shutdown().await;
        let shared = self.shared;
        on_disk(move || {
            shared.traffic.flush();
            Ok(shared.store.close()?)
        })
        .await?;
        info!("storage has ended");
        Ok(())
    }

    /// Where clients are served.
    pub fn addresses(&self) -> &[SocketAddr] {
        self.server.addresses()
    }

    /// Where native HTTP paths are served, if they are.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(NativeHttp::address)
    }

    /// Registers what this storage knows of its health.
    pub fn register_health(&self, health: &Health) {
        let shared = Arc::clone(&self.shared);
        health.register("binlog", move || shared.store.binlog().check().map_err(|error| error.to_string()));
        let shared = Arc::clone(&self.shared);
        health.register("trackers", move || match shared.joined.load(Ordering::Relaxed) {
            0 => Err(String::from("no tracker is connected")),
            _ => Ok(()),
        });
        let shared = Arc::clone(&self.shared);
        health.register("recovery", move || shared.filling.check());
        let shared = Arc::clone(&self.shared);
        health.register("group", move || shared.membership.lock().check());
        let shared = Arc::clone(&self.shared);
        health.register("damaged files", move || shared.scrub.health());
        self.disks.register(health);
    }

    /// The group.
    pub fn group(&self) -> GroupName {
        self.shared.group()
    }

    /// The ID by which trackers know this storage.
    pub fn id(&self) -> StorageId {
        self.shared.identity.id
    }

    /// The files, for what serves them in another way in the same process.
    pub fn store(&self) -> &Store {
        &self.shared.store
    }
}

fn serve(
    config: &StorageConfig,
    shared: &Arc<Shared>,
    secret: Option<SharedSecret>,
) -> Result<Server, StorageError> {
    let mut listeners = Vec::new();
    for (address, dual) in settings::listen_addresses(config) {
        listeners.push(open(address, dual)?);
    }
    let allow = config.allow_hosts.clone();
    let limits = Limits {
        threads: config.work_threads as usize,
        max_connections: config.max_connections as usize,
        network_timeout: config.network_timeout,
        skip_body: SKIP_BODY,
        allow: Arc::new(move |ip| allow.allows(ip)),
        secret,
        ..Limits::new("storage")
    };
    let service = Arc::new(StorageService::new(Arc::clone(shared)));
    Server::start(limits, listeners, service)
        .map_err(|source| StorageError::Io { action: "starting the server", source })
}

fn open(address: SocketAddr, dual: bool) -> Result<TcpListener, StorageError> {
    listen(address, dual).map_err(|source| StorageError::Listen { address, source })
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => {
            Err(StorageError::Io { action: "working on the disk", source: std::io::Error::other(error) })
        }
    }
}

/// Time that requests in progress have when the storage ends.
const GRACE: Duration = Duration::from_secs(30);

/// A refused upload of up to this size is read to its end, so that its client sees why.
const SKIP_BODY: u64 = 64 * 1024 * 1024;
