//! What the scripts have in common.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_conf::{Listener, TrackerConfig};
use fdfs_net::{CallError, Lease, Pool, PoolConfig};
use fdfs_proto::cluster::{
    BeatRequest, DiskUsageRequest, JoinRequest, JoinResponse, Notification, PathUsage, SyncDestRequest,
    SyncNotifyRequest,
};
use fdfs_proto::{Request, ServerAddress, Status, StorageStat};
use fdfs_tracker::Tracker;
use fdfs_types::{GroupName, StorageId, Timestamp};
use tempfile::TempDir;

/// No wait of a test is longer.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const LIMIT: usize = 1024 * 1024;

/// A tracker in a directory of its own.
pub(crate) struct World {
    pub(crate) tracker: Tracker,
    pub(crate) address: SocketAddr,
    pub(crate) dir: TempDir,
}

impl World {
    /// A tracker at this address with default settings.
    pub(crate) async fn start(ip: &str) -> Self {
        Self::start_with(ip, |_| {}).await
    }

    /// A tracker at this address with other settings.
    pub(crate) async fn start_with(ip: &str, change: impl FnOnce(&mut TrackerConfig)) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (tracker, address) = start_in(dir.path(), SocketAddr::new(self::ip(ip), 0), change).await;
        Self { tracker, address, dir }
    }

    /// A tracker at this address and port.
    pub(crate) async fn start_at(address: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let address = address.parse().expect("a literal address");
        let (tracker, address) = start_in(dir.path(), address, |_| {}).await;
        Self { tracker, address, dir }
    }

    /// A tracker with settings and files that are made for its directory.
    pub(crate) async fn start_prepared(prepare: impl FnOnce(&Path) -> TrackerConfig) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let prepared = prepare(dir.path());
        let (tracker, address) =
            start_in(dir.path(), (Ipv4Addr::LOCALHOST, 0).into(), |config| *config = prepared).await;
        Self { tracker, address, dir }
    }

    /// Stops the tracker and starts it again on the same files.
    pub(crate) async fn restart(self) -> Self {
        let Self { tracker, address, dir } = self;
        tracker.shutdown(Duration::from_secs(5)).await;
        let (tracker, address) = start_in(dir.path(), address, |_| {}).await;
        Self { tracker, address, dir }
    }

    /// A client from this address.
    pub(crate) async fn client(&self, from: &str) -> Client {
        Client::connect(self.address, from).await
    }

    /// A client from the tracker's own address.
    pub(crate) async fn client_like_server(&self) -> Client {
        Client::connect(self.address, &self.address.ip().to_string()).await
    }

    /// A data file.
    pub(crate) fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.path().join("data").join(name)).expect("a file of the tracker")
    }
}

pub(crate) async fn start_in(
    base: &Path,
    address: SocketAddr,
    change: impl FnOnce(&mut TrackerConfig),
) -> (Tracker, SocketAddr) {
    let _recorder = fdfs_ops::Metrics::install();
    let mut config = TrackerConfig::new(base);
    config.listeners = vec![Listener { addresses: vec![address.ip()], port: address.port() }];
    config.work_threads = 2;
    change(&mut config);
    let tracker = Tracker::bind(config).await.expect("a free port and an empty directory");
    let address = tracker.addresses()[0];
    (tracker, address)
}

/// A connection from an address of our choice.
pub(crate) struct Client {
    lease: Lease,
}

impl Client {
    pub(crate) async fn connect(to: SocketAddr, from: &str) -> Self {
        Self::connect_with(to, from, PoolConfig::default()).await
    }

    pub(crate) async fn connect_with(to: SocketAddr, from: &str, config: PoolConfig) -> Self {
        let pool: Arc<Pool> = Pool::new(PoolConfig { bind: Some(ip(from)), ..config });
        Self { lease: pool.lease_new(to).await.expect("the tracker listens") }
    }

    /// Asks and takes the answer.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> R::Response {
        self.try_ask(request).await.expect("the request succeeds")
    }

    /// Asks and takes the answer or the status.
    pub(crate) async fn try_ask<R: Request>(&mut self, request: &R) -> Result<R::Response, Status> {
        tokio::time::timeout(DEADLINE, self.lease.ask(request, LIMIT))
            .await
            .expect("an answer")
            .map_err(status)
    }

    /// The status of the answer to any bytes.
    pub(crate) async fn status_of(&mut self, command: fdfs_proto::Command, body: &[u8]) -> Status {
        let call = tokio::time::timeout(DEADLINE, self.lease.call(command, body, LIMIT));
        call.await.expect("an answer").map_or_else(status, |_| Status::OK)
    }
}

fn status(error: CallError) -> Status {
    match error {
        CallError::Status(status) => status,
        other => panic!("no answer: {other}"),
    }
}

/// A storage that follows the script.
pub(crate) struct Storage {
    pub(crate) client: Client,
    pub(crate) request: JoinRequest,
}

impl Storage {
    /// A new storage of `group1` at this address.
    pub(crate) async fn connect(world: &World, from: &str) -> Self {
        Self { client: world.client(from).await, request: join_request(&[world.address]) }
    }

    pub(crate) async fn join(&mut self) -> JoinResponse {
        self.client.ask(&self.request).await
    }

    pub(crate) async fn beat(&mut self) -> Notification {
        self.client.ask(&BeatRequest::default()).await
    }

    pub(crate) async fn beat_with(&mut self, stat: StorageStat) -> Notification {
        self.client.ask(&BeatRequest { stat: Some(Box::new(stat)) }).await
    }

    pub(crate) async fn disk_usage(&mut self, total_mb: u64, free_mb: u64) -> Notification {
        let store_paths = vec![PathUsage { total_mb, free_mb }; self.request.store_path_count.into()];
        self.client.ask(&DiskUsageRequest { store_paths }).await
    }

    /// From nothing to ACTIVE, without old files from anybody.
    pub(crate) async fn bring_up(world: &World, from: &str) -> Self {
        let mut storage = Self::connect(world, from).await;
        storage.join().await;
        if storage.client.try_ask(&SyncDestRequest).await.is_ok_and(|answer| answer.source.is_some()) {
            let nobody = SyncNotifyRequest { source: None, until: Timestamp(0) };
            storage.client.ask(&nobody).await;
        }
        storage.beat_with(StorageStat::default()).await;
        storage.disk_usage(100_000, 50_000).await;
        storage
    }
}

pub(crate) fn join_request(trackers: &[SocketAddr]) -> JoinRequest {
    let tracker = |address: &SocketAddr| ServerAddress { ips: vec![address.ip()], port: address.port() };
    JoinRequest {
        group: group("group1"),
        port: 23000,
        store_path_count: 2,
        subdir_count: 4,
        upload_priority: 10,
        joined: Timestamp(1_700_000_000),
        started: Timestamp(1_700_000_001),
        version: "6.16.1".into(),
        is_initial: true,
        status: None,
        storage_id: None,
        tracker_ip: trackers.first().map(SocketAddr::ip),
        trackers: trackers.iter().map(tracker).collect(),
    }
}

/// Tries again until it succeeds or the deadline is over.
pub(crate) async fn eventually<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(result) = attempt().await {
            return result;
        }
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("a literal address")
}

pub(crate) fn group(text: &str) -> GroupName {
    text.parse().expect("a literal name")
}

pub(crate) fn id(text: &str) -> StorageId {
    text.parse().expect("a literal id")
}
