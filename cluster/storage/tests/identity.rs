//! Who a storage is, and where: ids, several addresses, addresses that change, and those that were not meant.

#[expect(dead_code, reason = "each test file uses its part of the support")]
mod support;

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use fdfs_conf::{Listener, StorageConfig};
use fdfs_net::{Connection, Limits, NetError, Server, Service, listen};
use fdfs_proto::{
    Command, Decode, ServerAddress, Status,
    cluster::{JoinRequest, JoinResponse, Notification, ReportIpChangedRequest, SyncSourceResponse},
    tracker::{
        FetchStorageIdsResponse, GetMyIpResponse, GetServerIdRequest, GetServerIdResponse,
        ParametersResponse, StorageIdEntry,
    },
};
use fdfs_storage::Storage;
use fdfs_types::{RwMode, StorageStatus};
use support::unused_ip;
use tokio::sync::mpsc;

/// A tracker with a table of ids, or without.
struct Tracker {
    parameters: &'static str,
    ids: Vec<StorageIdEntry>,
    /// What it says it sees; otherwise what it sees.
    seen: Option<IpAddr>,
    heard: mpsc::UnboundedSender<(Command, Vec<u8>)>,
}

struct Running {
    address: SocketAddr,
    heard: mpsc::UnboundedReceiver<(Command, Vec<u8>)>,
    _server: Server,
}

impl Tracker {
    fn start(
        address: SocketAddr,
        parameters: &'static str,
        ids: Vec<StorageIdEntry>,
        seen: Option<IpAddr>,
    ) -> Running {
        let (sender, heard) = mpsc::unbounded_channel();
        let listener = listen(address, false).expect("listen");
        let address = listener.local_addr().expect("address");
        let limits = Limits { threads: 1, ..Limits::new("tracker") };
        let tracker = Arc::new(Self { parameters, ids, seen, heard: sender });
        Running { address, heard, _server: Server::start(limits, vec![listener], tracker).expect("start") }
    }

    async fn talk(&self, connection: &mut Connection) -> Result<(), NetError> {
        while let Some(header) = connection.next_request().await? {
            let body = connection.read_body(1 << 20).await?.to_vec();
            let seen = self.seen.unwrap_or(connection.peer_ip());
            // The test may have ended.
            let _ = self.heard.send((header.command, body.clone()));
            match header.command {
                Command::STORAGE_GET_MY_IP => {
                    connection.respond_message(&GetMyIpResponse { ips: vec![seen] }).await?;
                }
                Command::GET_SERVER_ID => {
                    let asked = GetServerIdRequest::decode(&body).expect("request").address;
                    let is_it = |entry: &&StorageIdEntry| {
                        entry.address.port == asked.port() && entry.address.ips.contains(&asked.ip())
                    };
                    let storage_id = match self.ids.iter().find(is_it) {
                        Some(entry) => entry.id,
                        None if self.ids.is_empty() => asked.ip().to_string().parse().expect("id"),
                        None => {
                            connection.respond_status(Status::ENOENT).await?;
                            continue;
                        }
                    };
                    connection.respond_message(&GetServerIdResponse { storage_id }).await?;
                }
                Command::FETCH_STORAGE_IDS => {
                    let total = self.ids.len() as u32;
                    let ids = FetchStorageIdsResponse { total, entries: self.ids.clone() };
                    connection.respond_message(&ids).await?;
                }
                Command::PARAMETER_REQ => {
                    let text = format!("reserved_storage_space=0MB\n{}", self.parameters);
                    connection.respond_message(&ParametersResponse { text: text.into() }).await?;
                }
                Command::JOIN => {
                    let joined = JoinResponse { status: StorageStatus::Online, sync_source: None };
                    connection.respond_message(&joined).await?;
                }
                Command::SYNC_DEST_REQ => {
                    connection.respond_message(&SyncSourceResponse { source: None }).await?;
                }
                Command::BEAT | Command::REPORT_DISK_USAGE => {
                    connection.respond_message(&Notification::default()).await?;
                }
                _ => connection.respond(&[]).await?,
            }
        }
        Ok(())
    }
}

impl Service for Tracker {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let _ = self.talk(&mut connection).await;
    }
}

impl Running {
    async fn next(&mut self, command: Command) -> Vec<u8> {
        let wait = async {
            loop {
                let (heard, body) = self.heard.recv().await.expect("the tracker lives");
                if heard == command {
                    return body;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_secs(20), wait).await.expect("in time")
    }

    fn config(&self, disk: &tempfile::TempDir, ip: IpAddr, port: u16) -> StorageConfig {
        support::config(ip, disk.path(), |config| {
            config.trackers = vec![self.address.to_string().parse().expect("tracker")];
            config.listeners = vec![Listener { addresses: vec![ip], port }];
            config.http_listen = None;
        })
    }
}

fn entry(id: &str, ips: &[IpAddr], port: u16) -> StorageIdEntry {
    StorageIdEntry {
        id: id.parse().expect("id"),
        group: "group1".parse().expect("group"),
        address: ServerAddress { ips: ips.to_vec(), port },
        rw_mode: RwMode::Both,
    }
}

const BY_ID: &str = "use_storage_id=1\nid_type_in_filename=id\ntrust_storage_server_id=1\n";

#[tokio::test]
async fn several_storages_of_one_address_are_told_apart_by_their_ports() {
    let ip = unused_ip();
    let ids = vec![entry("100001", &[ip], 23000), entry("100002", &[ip], 23001)];
    let mut tracker = Tracker::start(SocketAddr::new(ip, 22122), BY_ID, ids, None);
    for (port, id) in [(23000, "100001"), (23001, "100002")] {
        let disk = tempfile::tempdir().expect("directory");
        let storage = Storage::bind(tracker.config(&disk, ip, port)).await.expect("storage");
        let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
        assert_eq!((join.storage_id, join.port), (id.parse().ok(), port));
        assert_eq!(storage.id().to_string(), id);
    }
}

#[tokio::test]
async fn a_storage_behind_nat_is_who_its_server_id_says() {
    let (ip, nat) = (unused_ip(), IpAddr::from([203, 0, 113, 5]));
    let ids = vec![entry("100001", &[[192, 168, 0, 2].into(), nat], 23000), entry("100002", &[ip], 23000)];
    let mut tracker = Tracker::start(SocketAddr::new(ip, 22122), BY_ID, ids, Some([172, 17, 0, 1].into()));
    let disk = tempfile::tempdir().expect("directory");
    let mut config = tracker.config(&disk, ip, 23000);
    config.server_id = "100001".parse().ok();
    config.advertise = vec![nat];
    let storage = Storage::bind(config).await.expect("storage");
    let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
    assert_eq!(join.storage_id, "100001".parse().ok());
    let flag = std::fs::read_to_string(disk.path().join("data/.data_init_flag")).expect("flag");
    assert!(flag.contains("last_ip_addr=192.168.0.2,203.0.113.5\n"), "{flag}");
    drop(storage);
}

#[tokio::test]
async fn a_server_id_that_the_trackers_do_not_trust_is_not_claimed() {
    let ip = unused_ip();
    let ids = vec![entry("100001", &[[10, 9, 9, 9].into()], 23000), entry("100002", &[ip], 23000)];
    let untrusting = "use_storage_id=1\nid_type_in_filename=id\ntrust_storage_server_id=0\n";
    let tracker = Tracker::start(SocketAddr::new(ip, 22122), untrusting, ids, None);
    let disk = tempfile::tempdir().expect("directory");
    let mut config = tracker.config(&disk, ip, 23000);
    config.server_id = "100001".parse().ok();
    let storage = Storage::bind(config).await.expect("storage");
    assert_eq!(storage.id().to_string(), "100002");
}

#[tokio::test]
async fn an_id_that_is_not_in_the_table_is_refused() {
    let ip = unused_ip();
    let ids = vec![entry("100002", &[ip], 23000)];
    let tracker = Tracker::start(SocketAddr::new(ip, 22122), BY_ID, ids, None);
    let disk = tempfile::tempdir().expect("directory");
    let mut config = tracker.config(&disk, ip, 23000);
    config.server_id = "100009".parse().ok();
    let error = Storage::bind(config).await.expect_err("refused").to_string();
    assert!(error.contains("100009") && error.contains("storage_ids.conf"), "{error}");
}

#[tokio::test]
async fn a_storage_that_trackers_see_elsewhere_than_it_advertises_does_not_start() {
    let ip = unused_ip();
    let tracker = Tracker::start(SocketAddr::new(ip, 22122), "", Vec::new(), Some([172, 17, 0, 3].into()));
    let disk = tempfile::tempdir().expect("directory");
    let mut config = tracker.config(&disk, ip, 23000);
    config.advertise = vec![[203, 0, 113, 5].into()];
    let error = Storage::bind(config).await.expect_err("refused").to_string();
    assert!(error.contains("172.17.0.3") && error.contains("advertise_addr is 203.0.113.5"), "{error}");
    assert!(!disk.path().join("data/.data_init_flag").exists());
}

#[tokio::test]
async fn connections_to_trackers_leave_from_the_advertised_address_if_the_machine_has_it() {
    let (tracker_ip, advertised) = (unused_ip(), unused_ip());
    let mut tracker = Tracker::start(SocketAddr::new(tracker_ip, 22122), "", Vec::new(), None);
    let disk = tempfile::tempdir().expect("directory");
    let mut config = tracker.config(&disk, advertised, 23000);
    config.client_bind = false;
    config.advertise = vec![advertised];
    let storage = Storage::bind(config).await.expect("storage");
    assert_eq!(storage.id().to_string(), advertised.to_string());
    tracker.next(Command::JOIN).await;
}

#[tokio::test]
async fn a_storage_speaks_ipv6_alone_where_file_names_carry_ids() {
    let ip = IpAddr::from(Ipv6Addr::LOCALHOST);
    // The port of the storage belongs to this test while the tracker's is taken.
    let tracker_port = SocketAddr::new(ip, 0);
    let free = listen(SocketAddr::new(ip, 0), false).expect("listen");
    let port = free.local_addr().expect("address").port();
    drop(free);
    let mut tracker = Tracker::start(tracker_port, BY_ID, vec![entry("100001", &[ip], port)], None);
    let disk = tempfile::tempdir().expect("directory");
    let storage = Storage::bind(tracker.config(&disk, ip, port)).await.expect("storage");
    let join = JoinRequest::decode(&tracker.next(Command::JOIN).await).expect("join");
    assert_eq!((join.storage_id, join.tracker_ip), ("100001".parse().ok(), Some(ip)));
    assert_eq!(storage.addresses(), [SocketAddr::new(ip, port)]);
}

#[tokio::test]
async fn ipv6_alone_without_ids_in_file_names_is_refused() {
    let ip = IpAddr::from(Ipv6Addr::LOCALHOST);
    let tracker = Tracker::start(SocketAddr::new(ip, 0), "", Vec::new(), None);
    let disk = tempfile::tempdir().expect("directory");
    let error = Storage::bind(tracker.config(&disk, ip, 23000)).await.expect_err("refused").to_string();
    assert!(error.contains("id_type_in_filename"), "{error}");
}

#[tokio::test]
async fn a_new_address_is_told_to_the_trackers_once() {
    let (tracker_ip, old, new) = (unused_ip(), unused_ip(), unused_ip());
    let mut tracker = Tracker::start(SocketAddr::new(tracker_ip, 22122), "", Vec::new(), None);
    let disk = tempfile::tempdir().expect("directory");
    for (ip, is_new) in [(old, false), (new, true), (new, false)] {
        let storage = Storage::bind(tracker.config(&disk, ip, 23000)).await.expect("storage");
        let mut told = None;
        loop {
            let (command, body) = tracker.heard.recv().await.expect("request");
            match command {
                Command::REPORT_IP_CHANGED => told = ReportIpChangedRequest::decode(&body).ok(),
                Command::JOIN => break,
                _ => {}
            }
        }
        assert_eq!(told.map(|told| (told.old_ip, told.new_ip)), is_new.then_some((old, new)));
        storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
        let flag = std::fs::read_to_string(disk.path().join("data/.data_init_flag")).expect("flag");
        assert!(flag.contains(&format!("last_ip_addr={ip}\n")), "{flag}");
    }
}

#[tokio::test]
async fn marks_of_peers_follow_a_new_port_where_they_carry_it() {
    let ip = unused_ip();
    let tracker = Tracker::start(SocketAddr::new(ip, 22122), "", Vec::new(), None);
    let disk = tempfile::tempdir().expect("directory");
    let storage = Storage::bind(tracker.config(&disk, ip, 23000)).await.expect("storage");
    storage.shutdown(std::time::Duration::from_secs(5)).await.expect("shutdown");
    let sync = disk.path().join("data/sync");
    for name in ["10.0.0.1_23000.mark", "10.0.0.2_23000.mark", "10.0.0.2_24000.mark", "10.0.0.1_23000.failed"]
    {
        std::fs::write(sync.join(name), name).expect("mark");
    }
    let _storage = Storage::bind(tracker.config(&disk, ip, 24000)).await.expect("storage");
    let read = |name: &str| std::fs::read_to_string(sync.join(name)).ok();
    assert_eq!(read("10.0.0.1_24000.mark").as_deref(), Some("10.0.0.1_23000.mark"));
    assert_eq!(read("10.0.0.1_24000.failed").as_deref(), Some("10.0.0.1_23000.failed"));
    assert_eq!(read("10.0.0.1_23000.mark"), None);
    // What is there is newer.
    assert_eq!(read("10.0.0.2_24000.mark").as_deref(), Some("10.0.0.2_24000.mark"));
}
