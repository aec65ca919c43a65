//! A storage with a tracker that plays its part, and a client that speaks in bytes.

pub(crate) mod group;
pub(crate) mod peer;

use std::{
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpStream},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use fdfs_conf::{Listener, StorageConfig};
use fdfs_net::{Connection, Limits, NetError, Server, Service, listen};
use fdfs_proto::{
    Brief, Command, Decode, Header, Request, Status,
    cluster::{JoinRequest, JoinResponse, Notification, SyncSource, SyncSourceResponse},
    tracker::{GetMyIpResponse, GetServerIdResponse, ParametersResponse},
};
use fdfs_storage::Storage;
use fdfs_types::{StorageStatus, Timestamp};
use tokio::sync::mpsc;

/// Another member of the group, and its state.
pub(crate) type Other = (IpAddr, StorageStatus);

/// A tracker that accepts one storage and tells it that it is active.
pub(crate) struct FakeTracker {
    pub(crate) server: Server,
    pub(crate) other: Option<Other>,
    /// Every request of the storage, in the order of their arrival.
    pub(crate) heard: mpsc::UnboundedReceiver<(Command, Vec<u8>)>,
}

/// What a tracker is to a storage that comes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Role {
    /// It leads, and tells who is in the group.
    #[default]
    Leads,
    /// The same, but it answers the first JOIN late.
    LeadsLate,
    /// The same, and it lists the storage as one that it does not hear.
    ListsAsOffline,
    /// It follows, tells nothing, and takes the storage for one in INIT.
    Follows,
    /// It follows, and does not know the storage: one that is not new has to say its state.
    HasForgotten,
    /// It follows, answers the first JOIN late, and every one with INIT, whatever it is told.
    IsStubborn,
    /// It leads, and takes each first connection that has joined for one that was given up.
    MistakesTheFirst,
}

struct Script {
    role: Role,
    joins: AtomicU16,
    heard: mpsc::UnboundedSender<(Command, Vec<u8>)>,
    ip: IpAddr,
    port: u16,
    /// Another member of the group.
    other: Option<Other>,
}

impl Service for Script {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let _ = self.talk(&mut connection).await;
    }
}

impl Script {
    /// Notes a JOIN; whether it is refused.
    fn forgets(&self, body: &[u8]) -> bool {
        self.joins.fetch_add(1, Ordering::Relaxed);
        let join = JoinRequest::decode(body).expect("join");
        self.role == Role::HasForgotten && !join.is_initial && join.status.is_none()
    }

    async fn talk(&self, connection: &mut Connection) -> Result<(), NetError> {
        let mut told = false;
        while let Some(header) = connection.next_request().await? {
            let body = connection.read_body(1 << 20).await?.to_vec();
            // The test may have ended and dropped the receiver.
            let _ = self.heard.send((header.command, body.clone()));
            let id = self.ip.to_string().parse().expect("id");
            let status = match self.role {
                Role::ListsAsOffline => StorageStatus::Offline,
                _ => StorageStatus::Active,
            };
            let me = Brief { status, port: self.port, id: Some(id), ip: Some(self.ip) };
            match header.command {
                Command::STORAGE_GET_MY_IP => {
                    connection.respond_message(&GetMyIpResponse { ips: vec![self.ip] }).await?;
                }
                Command::GET_SERVER_ID => {
                    connection.respond_message(&GetServerIdResponse { storage_id: id }).await?;
                }
                Command::PARAMETER_REQ => connection.respond_message(&parameters()).await?,
                Command::JOIN if self.forgets(&body) => connection.respond_status(Status::EFAULT).await?,
                Command::JOIN => {
                    let is_late =
                        matches!(self.role, Role::IsStubborn | Role::LeadsLate | Role::ListsAsOffline);
                    if is_late && self.joins.load(Ordering::Relaxed) == 1 {
                        // What the other tracker says is there by then, on a busy machine as well.
                        tokio::time::sleep(Duration::from_secs(2)).await;
                    }
                    let joined = JoinResponse { status: StorageStatus::Init, sync_source: None };
                    connection.respond_message(&joined).await?;
                }
                Command::SYNC_SRC_REQ => {
                    let waits = self.other.is_some_and(|(_, status)| status == StorageStatus::WaitSync);
                    let source = waits.then_some(SyncSource { id, until: Timestamp(1_795_324_899) });
                    connection.respond_message(&SyncSourceResponse { source }).await?;
                }
                Command::SYNC_NOTIFY
                    if self.role == Role::MistakesTheFirst && self.joins.load(Ordering::Relaxed) == 1 =>
                {
                    connection.respond_status(Status::EACCES).await?;
                }
                Command::SYNC_DEST_REQ => {
                    connection.respond_message(&SyncSourceResponse { source: None }).await?;
                }
                Command::BEAT | Command::REPORT_DISK_USAGE
                    if !told && !matches!(self.role, Role::Follows | Role::IsStubborn) =>
                {
                    told = true;
                    let brief = |(ip, status): Other| Brief {
                        status,
                        id: ip.to_string().parse().ok(),
                        ip: Some(ip),
                        ..me.clone()
                    };
                    let members = std::iter::once(me.clone()).chain(self.other.map(brief)).collect();
                    let leader = Brief { port: 22122, ..me };
                    let news = Notification {
                        leader: Some(leader),
                        members: Some(members),
                        ..Notification::default()
                    };
                    connection.respond_message(&news).await?;
                }
                Command::BEAT | Command::REPORT_DISK_USAGE => connection.respond(&[0]).await?,
                Command::STORAGE_GET_STATUS => {
                    connection.respond_message(&Brief { status: StorageStatus::Init, ..me }).await?;
                }
                _ => connection.respond(&[]).await?,
            }
        }
        Ok(())
    }
}

/// Default parameters, without a reserve: a test machine may have little space.
pub(crate) fn parameters() -> ParametersResponse {
    ParametersResponse { text: "reserved_storage_space=0MB\nresponse_ip_addr_size=16\n".into() }
}

impl FakeTracker {
    pub(crate) fn start(ip: IpAddr, other: Option<Other>) -> Self {
        Self::start_as(Role::Leads, ip, ip, other)
    }

    /// A tracker that plays a role before the storage at `storage`.
    pub(crate) fn start_as(role: Role, ip: IpAddr, storage: IpAddr, other: Option<Other>) -> Self {
        let (sender, heard) = mpsc::unbounded_channel();
        let port = StorageConfig::DEFAULT_PORT;
        let script =
            Arc::new(Script { role, joins: AtomicU16::new(0), heard: sender, ip: storage, port, other });
        let listener = listen(SocketAddr::new(ip, 22122), false).expect("listen");
        let limits = Limits { threads: 1, ..Limits::new("tracker") };
        Self { server: Server::start(limits, vec![listener], script).expect("start"), other, heard }
    }

    /// Ends, and starts again at the same address.
    pub(crate) async fn restart(self, ip: IpAddr) -> Self {
        self.restart_beside(ip, None).await
    }

    /// Ends, and starts again at the same address with another member in its list.
    pub(crate) async fn restart_beside(self, ip: IpAddr, other: Option<Other>) -> Self {
        self.server.shutdown(Duration::ZERO).await;
        Self::start(ip, other)
    }

    /// The next request of this kind.
    pub(crate) async fn next(&mut self, command: Command) -> Vec<u8> {
        let wait = async {
            loop {
                match self.heard.recv().await {
                    Some((heard, body)) if heard == command => return body,
                    Some(_) => {}
                    None => panic!("the tracker ended before {command}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the storage asks in time")
    }
}

/// A storage, its tracker and its disk.
pub(crate) struct Cluster {
    pub(crate) tracker: FakeTracker,
    pub(crate) storage: Storage,
    pub(crate) address: SocketAddr,
    pub(crate) disk: tempfile::TempDir,
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut StorageConfig)) -> Self {
        Self::start_beside(None, change).await
    }

    /// With another member.
    pub(crate) async fn start_beside(other: Option<Other>, change: impl FnOnce(&mut StorageConfig)) -> Self {
        let ip = unused_ip();
        let tracker = FakeTracker::start(ip, other);
        let disk = tempfile::tempdir().expect("directory");
        let storage = Storage::bind(config(ip, disk.path(), change)).await.expect("storage");
        let address = storage.addresses()[0];
        Self { tracker, storage, address, disk }
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// The file of a logic name on the disk.
    pub(crate) fn path(&self, filename: &str) -> std::path::PathBuf {
        self.disk.path().join("data").join(&filename[4..])
    }

    /// Waits until nothing is under way below the store path.
    pub(crate) fn until_no_temporary_files(&self) {
        let begun = std::time::Instant::now();
        let is_empty =
            || std::fs::read_dir(self.disk.path().join("data/.tmp")).expect("directory").next().is_none();
        while !is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(60), "temporary files stay");
            std::thread::yield_now();
        }
    }

    pub(crate) fn binlog(&self) -> String {
        std::fs::read_to_string(self.disk.path().join("data/sync/binlog.000")).expect("binlog")
    }
}

pub(crate) fn config(ip: IpAddr, base: &Path, change: impl FnOnce(&mut StorageConfig)) -> StorageConfig {
    let group = "group1".parse().expect("group");
    let mut config = StorageConfig::new(group, base, vec![format!("{ip}:22122").parse().expect("tracker")]);
    config.listeners = vec![Listener { addresses: vec![ip], port: StorageConfig::DEFAULT_PORT }];
    config.subdir_count_per_path = 2;
    config.work_threads = 2;
    config.metrics_listen = None;
    config.heart_beat_interval = Duration::from_millis(200);
    change(&mut config);
    config
}

/// A loopback address that no other test uses.
pub(crate) fn unused_ip() -> IpAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let process = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed) + 2;
    let [_, _, high, low] = process.to_be_bytes();
    [127, 64 | (high & 63), low, u8::try_from(number).expect("few tests")].into()
}

/// A client that speaks in bytes.
pub(crate) struct Client(TcpStream);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("connect");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        Self(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("send");
    }

    /// Sends a request with content behind its body, and reads the answer.
    pub(crate) fn ask<R: Request>(&mut self, request: &R, content: &[u8]) -> Result<Vec<u8>, Status> {
        self.send(&[&request.frame()[..], content].concat());
        self.answer()
    }

    /// Sends a request and decodes the answer.
    pub(crate) fn get<R: Request>(&mut self, request: &R) -> Result<R::Response, Status> {
        Ok(R::Response::decode(&self.ask(request, b"")?).expect("answer"))
    }

    /// Sends a body that may be malformed.
    pub(crate) fn raw(&mut self, command: Command, body: &[u8]) -> Result<Vec<u8>, Status> {
        self.send(&[&Header::request(command, body.len() as u64).encode(), body].concat());
        self.answer()
    }

    pub(crate) fn answer(&mut self) -> Result<Vec<u8>, Status> {
        let mut head = [0; Header::LEN];
        self.0.read_exact(&mut head).expect("header");
        let header = Header::decode(&head).expect("header").expect_response().expect("response");
        let mut body = vec![0; header.length as usize];
        self.0.read_exact(&mut body).expect("body");
        if header.status.is_ok() { Ok(body) } else { Err(header.status) }
    }

    /// Whether the storage closes in a moment, rather than wait for the next request.
    pub(crate) fn peek_closed(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(30))).expect("timeout");
        let closed = matches!(self.0.read(&mut [0; 1]), Ok(0));
        self.0.set_read_timeout(Some(Duration::from_secs(20))).expect("timeout");
        closed
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        match self.0.read(&mut [0; 1]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }
}
