//! A group that plays its part: a tracker, and members that have files.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use fdfs_conf::{StorageConfig, StorePathConfig};
use fdfs_net::{Connection, Limits, NetError, Server, Service, listen};
use fdfs_proto::{
    Brief, Command, Decode, Header, Raw, Status, StorageStat,
    cluster::{
        JoinResponse, Notification, ReportStatusRequest, SyncNotifyRequest, SyncSource, SyncSourceResponse,
    },
    ours::{Capabilities, Hello},
    storage::{
        DeleteRequest, DownloadRequest, FileInfoRequest, FileInfoResponse, GetMetadataRequest,
        SetMetadataRequest,
    },
    sync::PathBinlogRequest,
    tracker::{GetMyIpResponse, GetServerIdResponse, ListStoragesResponse, StorageRecord},
};
use fdfs_storage::Storage;
use fdfs_types::{
    FileId, FileKind, NameFields, RemoteFilename, RwMode, SizeField, Source, StorageStatus, Subdir, Timestamp,
};
use parking_lot::Mutex;
use tokio::sync::{mpsc, watch};

use super::{config, parameters, unused_ip};

/// A group in which one storage is real.
pub(crate) struct Group {
    pub(crate) me: IpAddr,
    pub(crate) tracker: Arc<Tracker>,
    pub(crate) members: Vec<Arc<Member>>,
    pub(crate) heard: mpsc::UnboundedReceiver<(Command, Vec<u8>)>,
    pub(crate) disk: tempfile::TempDir,
    servers: Vec<Server>,
}

/// What the tracker knows.
pub(crate) struct Tracker {
    me: IpAddr,
    /// The state of the real storage.
    pub(crate) status: Mutex<StorageStatus>,
    /// Every member and its state.
    pub(crate) others: Mutex<Vec<(IpAddr, StorageStatus)>>,
    /// From whom the real storage gets the old files, if it asks.
    pub(crate) source: Mutex<Option<IpAddr>>,
    /// So often it is told that nobody can be its source now.
    pub(crate) refusals: AtomicUsize,
    /// What is answered to its changelog request, once.
    pub(crate) changelog: Mutex<String>,
    /// It does not tell the real storage who is in the group.
    pub(crate) keeps_list: AtomicBool,
    heard: mpsc::UnboundedSender<(Command, Vec<u8>)>,
}

/// A member and its files.
pub(crate) struct Member {
    pub(crate) ip: IpAddr,
    pub(crate) files: Mutex<BTreeMap<String, Vec<u8>>>,
    /// The lines that it tells of store path 0.
    pub(crate) lines: Mutex<String>,
    /// Cuts the stream of lines short.
    pub(crate) breaks_off: AtomicBool,
    /// So many files are sent; then it waits until that is raised.
    pub(crate) open: watch::Sender<usize>,
    /// The next file that is sent breaks off after so many bytes.
    pub(crate) cut_at: AtomicUsize,
    /// It answers our hello.
    pub(crate) is_ours: AtomicBool,
    /// Changes that it was asked to make, and to which it answers with success.
    pub(crate) changes: Mutex<Vec<(Command, Vec<u8>)>>,
    /// Files asked for.
    pub(crate) asked: AtomicUsize,
    /// How often it was asked what it has.
    pub(crate) listed: AtomicUsize,
}

impl Group {
    /// A group of the real storage and `count` others, all of them active.
    pub(crate) fn of(count: usize) -> Self {
        let me = unused_ip();
        let (sender, heard) = mpsc::unbounded_channel();
        let members: Vec<_> = (0..count).map(|_| Arc::new(Member::new(unused_ip()))).collect();
        let tracker = Arc::new(Tracker {
            me,
            status: Mutex::new(StorageStatus::Init),
            others: Mutex::new(members.iter().map(|member| (member.ip, StorageStatus::Active)).collect()),
            source: Mutex::default(),
            refusals: AtomicUsize::new(0),
            changelog: Mutex::default(),
            keeps_list: AtomicBool::new(false),
            heard: sender,
        });
        let mut servers = vec![serve(me, 22122, Arc::clone(&tracker))];
        servers.extend(members.iter().map(|one| serve(one.ip, StorageConfig::DEFAULT_PORT, Arc::clone(one))));
        Self { me, tracker, members, heard, disk: tempfile::tempdir().expect("directory"), servers }
    }

    /// Starts the real storage, with store paths apart from its base path.
    pub(crate) async fn start(&self, store_paths: usize) -> Storage {
        self.start_with(store_paths, |_| {}).await
    }

    /// Starts the real storage, configured as `change` wants it.
    pub(crate) async fn start_with(
        &self,
        store_paths: usize,
        change: impl FnOnce(&mut StorageConfig),
    ) -> Storage {
        let store_paths = (0..store_paths).map(|index| {
            let path = self.disk.path().join(format!("path{index}"));
            std::fs::create_dir_all(&path).expect("store path");
            StorePathConfig { path, is_readonly: false }
        });
        let store_paths = store_paths.collect();
        let config = config(self.me, &self.disk.path().join("base"), |config| {
            config.store_paths = store_paths;
            config.disk_recovery_threads = 2;
            change(config);
        });
        Storage::bind(config).await.expect("storage")
    }

    /// A storage that has joined and served, whose store path 0 was then wiped.
    pub(crate) async fn wiped(count: usize) -> Self {
        let mut group = Self::of(count);
        let storage = group.start(1).await;
        group.next(Command::BEAT).await;
        storage.shutdown(Duration::from_secs(5)).await.expect("shutdown");
        group.wipe();
        group
    }

    /// Loses store path 0.
    pub(crate) fn wipe(&mut self) {
        std::fs::remove_dir_all(self.data()).expect("wipe");
        *self.tracker.status.lock() = StorageStatus::Offline;
        while self.heard.try_recv().is_ok() {}
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.disk.path().join("path0/data")
    }

    /// The content of a file of store path 0, if it is there.
    pub(crate) fn content(&self, name: &RemoteFilename) -> Option<Vec<u8>> {
        std::fs::read(self.data().join(name.local_path())).ok()
    }

    /// The next request of this kind to the tracker.
    pub(crate) async fn next(&mut self, command: Command) -> Vec<u8> {
        self.until(|heard, _| heard == command).await.1
    }

    /// The states that the storage reports of itself before it joins.
    pub(crate) async fn reported_before_join(&mut self) -> Vec<StorageStatus> {
        let mut reported = Vec::new();
        loop {
            let (command, body) =
                self.until(|heard, _| matches!(heard, Command::REPORT_STATUS | Command::JOIN)).await;
            if command == Command::JOIN {
                return reported;
            }
            reported.push(ReportStatusRequest::decode(&body).expect("report").storage.status);
        }
    }

    /// The next request to the tracker that is wanted.
    pub(crate) async fn until(&mut self, wanted: impl Fn(Command, &[u8]) -> bool) -> (Command, Vec<u8>) {
        let wait = async {
            loop {
                let (command, body) = self.heard.recv().await.expect("the tracker lives");
                if wanted(command, &body) {
                    return (command, body);
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect("the storage asks in time")
    }
}

impl Member {
    fn new(ip: IpAddr) -> Self {
        Self {
            ip,
            files: Mutex::default(),
            lines: Mutex::default(),
            breaks_off: AtomicBool::new(false),
            open: watch::Sender::new(usize::MAX),
            cut_at: AtomicUsize::new(usize::MAX),
            is_ours: AtomicBool::new(false),
            changes: Mutex::default(),
            asked: AtomicUsize::new(0),
            listed: AtomicUsize::new(0),
        }
    }

    /// Gives it a normal file that it accepted itself, and tells its name.
    pub(crate) fn has(&self, content: &[u8]) -> RemoteFilename {
        let name = file_name(self.ip, content);
        self.tells(&name, content);
        name
    }

    /// Gives it a file of this name.
    pub(crate) fn tells(&self, name: &RemoteFilename, content: &[u8]) {
        self.files.lock().insert(name.as_str().to_owned(), content.to_vec());
        self.lines.lock().push_str(&format!("{} C {name}\n", *TIME));
    }

    /// Whether a request is about a slave that this member was not given.
    fn lacks_slave(&self, command: Command, body: &[u8]) -> bool {
        let FileId { filename, .. } = match command {
            Command::DELETE_FILE => DeleteRequest::decode(body).expect("request").file_id,
            _ => SetMetadataRequest::decode(body).expect("request").file_id,
        };
        filename.kind() == Ok(FileKind::Slave) && !self.files.lock().contains_key(filename.as_str())
    }

    async fn talk(&self, connection: &mut Connection) -> Result<(), NetError> {
        while let Some(header) = connection.next_request().await? {
            let body = connection.read_body(1 << 16).await?.to_vec();
            match header.command {
                Command::FETCH_ONE_PATH_BINLOG => {
                    self.listed.fetch_add(1, Ordering::Relaxed);
                    let lines = match PathBinlogRequest::decode(&body).expect("request").store_path {
                        0 => self.lines.lock().clone(),
                        _ => String::new(),
                    };
                    let mut stream = lines.into_bytes();
                    stream.extend_from_slice(&(stream.len() as u64).to_be_bytes());
                    if self.breaks_off.load(Ordering::Relaxed) {
                        // In the middle of the last line.
                        stream.truncate(stream.len().saturating_sub(8 + 9));
                    }
                    let header = Header::response(PathBinlogRequest::ENDLESS);
                    return connection.respond_raw(header, &stream).await;
                }
                Command::DOWNLOAD_FILE => {
                    let request = DownloadRequest::decode(&body).expect("request");
                    let name = request.file_id.filename;
                    let number = self.asked.fetch_add(1, Ordering::Relaxed);
                    let mut open = self.open.subscribe();
                    // The test may have ended.
                    let _ = open.wait_for(|open| number < *open).await;
                    let content = self.files.lock().get(name.as_str()).cloned();
                    match content {
                        None => connection.respond_status(Status::ENOENT).await?,
                        // As the original.
                        Some(content) if content.is_empty() => {
                            return connection.respond_status(Status::EINVAL).await;
                        }
                        Some(content) => {
                            let from = usize::try_from(request.offset).expect("offset").min(content.len());
                            let part = &content[from..];
                            let cut = self.cut_at.swap(usize::MAX, Ordering::Relaxed);
                            let header = Header::response(part.len() as u64);
                            connection.respond_raw(header, &part[..part.len().min(cut)]).await?;
                            if cut < part.len() {
                                return Ok(());
                            }
                        }
                    }
                }
                Command::HELLO if self.is_ours.load(Ordering::Relaxed) => {
                    let hello = Hello {
                        version: Hello::VERSION,
                        capabilities: Capabilities::FOR_ANOTHER,
                        software: String::from("test"),
                    };
                    connection.respond_message(&hello).await?;
                }
                Command::DELETE_FILE | Command::SET_METADATA if self.lacks_slave(header.command, &body) => {
                    connection.respond_status(Status::ENOENT).await?;
                }
                Command::APPEND_FILE
                | Command::MODIFY_FILE
                | Command::TRUNCATE_FILE
                | Command::DELETE_FILE
                | Command::SET_METADATA => {
                    self.changes.lock().push((header.command, body));
                    connection.respond(&[]).await?;
                }
                Command::REGENERATE_APPENDER_FILENAME => {
                    let answer = [&b"group1\0\0\0\0\0\0\0\0\0\0"[..], &body].concat();
                    self.changes.lock().push((header.command, body));
                    connection.respond(&answer).await?;
                }
                Command::GET_METADATA => {
                    let name = GetMetadataRequest::decode(&body).expect("request").file_id.filename;
                    let content = self.files.lock().get(&format!("{name}-m")).cloned();
                    match content {
                        None => connection.respond_status(Status::ENOENT).await?,
                        Some(content) => connection.respond_message(&Raw(content)).await?,
                    }
                }
                Command::QUERY_FILE_INFO => {
                    let name = FileInfoRequest::decode(&body).expect("request").file_id.filename;
                    let size = self.files.lock().get(name.as_str()).map(|content| content.len() as u64);
                    match size {
                        None => connection.respond_status(Status::ENOENT).await?,
                        Some(size) => {
                            let info = FileInfoResponse {
                                ip_width: fdfs_proto::IpWidth::Ipv4,
                                size,
                                modified: Timestamp(*TIME),
                                crc32: 0,
                                source: Some(self.ip),
                            };
                            connection.respond_message(&info).await?;
                        }
                    }
                }
                _ => connection.respond_status(Status::EINVAL).await?,
            }
        }
        Ok(())
    }
}

impl Tracker {
    async fn talk(&self, connection: &mut Connection) -> Result<(), NetError> {
        let mut told = None;
        while let Some(header) = connection.next_request().await? {
            let body = connection.read_body(1 << 20).await?.to_vec();
            let id = |ip: IpAddr| ip.to_string().parse().expect("id");
            let answered = match header.command {
                Command::STORAGE_GET_MY_IP => {
                    connection.respond_message(&GetMyIpResponse { ips: vec![self.me] }).await
                }
                Command::GET_SERVER_ID => {
                    connection.respond_message(&GetServerIdResponse { storage_id: id(self.me) }).await
                }
                Command::PARAMETER_REQ => connection.respond_message(&parameters()).await,
                Command::LIST_STORAGES => connection.respond_message(&self.listing()).await,
                Command::STORAGE_GET_STATUS => {
                    let mine = self.briefs().swap_remove(0);
                    connection.respond_message(&mine).await
                }
                Command::REPORT_STATUS => {
                    let report = ReportStatusRequest::decode(&body).expect("report").storage;
                    if report.id == Some(id(self.me)) {
                        *self.status.lock() = report.status;
                    }
                    connection.respond(&[]).await
                }
                Command::JOIN => {
                    let status = {
                        let mut status = self.status.lock();
                        if matches!(*status, StorageStatus::Offline | StorageStatus::Recovery) {
                            *status = StorageStatus::Online;
                        }
                        *status
                    };
                    connection.respond_message(&JoinResponse { status, sync_source: None }).await
                }
                Command::SYNC_DEST_REQ if self.refusals.load(Ordering::Relaxed) > 0 => {
                    self.refusals.fetch_sub(1, Ordering::Relaxed);
                    connection.respond_status(Status::ENOENT).await
                }
                Command::SYNC_DEST_REQ => {
                    let source = *self.source.lock();
                    *self.status.lock() = match source {
                        Some(_) => StorageStatus::WaitSync,
                        None => StorageStatus::Online,
                    };
                    let source = source.map(|ip| SyncSource { id: id(ip), until: Timestamp(*TIME) });
                    connection.respond_message(&SyncSourceResponse { source }).await
                }
                Command::SYNC_DEST_QUERY | Command::SYNC_SRC_REQ => {
                    connection.respond_message(&SyncSourceResponse { source: None }).await
                }
                Command::SYNC_NOTIFY => {
                    let source = SyncNotifyRequest::decode(&body).expect("notify").source;
                    let is_known = |source| self.others.lock().iter().any(|(ip, _)| id(*ip) == source);
                    let status = match source {
                        Some(source) if !is_known(source) => Status::ENOENT,
                        _ => Status::OK,
                    };
                    connection.respond_status(status).await
                }
                Command::CHANGELOG_REQ => {
                    let lines = std::mem::take(&mut *self.changelog.lock());
                    connection.respond(lines.as_bytes()).await
                }
                Command::BEAT | Command::REPORT_DISK_USAGE => {
                    {
                        let mut status = self.status.lock();
                        if *status == StorageStatus::Online {
                            *status = StorageStatus::Active;
                        }
                    }
                    let briefs = self.briefs();
                    let is_told = told.as_ref() == Some(&briefs) || self.keeps_list.load(Ordering::Relaxed);
                    let news = (!is_told).then(|| briefs.clone());
                    told = news.clone().or(told);
                    let members = Notification { members: news, ..Notification::default() };
                    connection.respond_message(&members).await
                }
                _ => connection.respond(&[]).await,
            };
            // Heard when it was answered: what a test sees then is what the storage will see. The test may have ended.
            let _ = self.heard.send((header.command, body));
            answered?;
        }
        Ok(())
    }

    fn briefs(&self) -> Vec<Brief> {
        let brief = |ip: IpAddr, status| Brief {
            status,
            port: StorageConfig::DEFAULT_PORT,
            id: ip.to_string().parse().ok(),
            ip: Some(ip),
        };
        let others = self.others.lock().clone();
        let others = others.into_iter().map(|(ip, status)| brief(ip, status));
        std::iter::once(brief(self.me, *self.status.lock())).chain(others).collect()
    }

    fn listing(&self) -> ListStoragesResponse {
        let record = |brief: Brief| StorageRecord {
            status: brief.status,
            rw_mode: RwMode::Both,
            id: brief.id.expect("id"),
            ip: brief.ip,
            sync_source: None,
            version: String::from("6.16.1"),
            joined: Timestamp(1),
            started: Timestamp(1),
            total_mb: 1,
            free_mb: 1,
            reserved_mb: 0,
            upload_priority: 10,
            store_path_count: 2,
            subdir_count: 2,
            write_path: 0,
            port: brief.port,
            stat: StorageStat::default(),
            is_trunk_server: false,
        };
        ListStoragesResponse {
            ip_width: fdfs_proto::IpWidth::Ipv4,
            storages: self.briefs().into_iter().map(record).collect(),
        }
    }
}

impl Service for Tracker {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let _ = self.talk(&mut connection).await;
    }
}

impl Service for Member {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let _ = self.talk(&mut connection).await;
        connection.close().await;
    }
}

fn serve(ip: IpAddr, port: u16, service: Arc<impl Service>) -> Server {
    let listener = listen(SocketAddr::new(ip, port), false).expect("listen");
    let limits = Limits { threads: 1, ..Limits::new("group") };
    Server::start(limits, vec![listener], service).expect("start")
}

/// The name of a normal file that `source` accepted.
pub(crate) fn file_name(source: IpAddr, content: &[u8]) -> RemoteFilename {
    let IpAddr::V4(source) = source else { panic!("an IPv4 address") };
    let fields = NameFields {
        source: Source::Ip(source),
        created: *TIME as u32,
        size: SizeField::normal(content.len() as u64, fastrand()),
        crc32: crc32fast::hash(content),
    };
    RemoteFilename::compose(0, Subdir { high: 0, low: 1 }, &fields, None, "123.txt").expect("name")
}

/// The name of an appender file that `source` accepted.
pub(crate) fn appender_name(source: IpAddr) -> RemoteFilename {
    let IpAddr::V4(source) = source else { panic!("an IPv4 address") };
    let fields = NameFields {
        source: Source::Ip(source),
        created: *TIME as u32,
        size: SizeField::appender(fastrand()),
        crc32: 0,
    };
    RemoteFilename::compose(0, Subdir { high: 0, low: 1 }, &fields, None, "123.log").expect("name")
}

/// A number that no other call gives.
fn fastrand() -> u32 {
    static NEXT: AtomicUsize = AtomicUsize::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed) as u32
}

/// When all of the files were made: a moment ago, so that they may not have come to everybody yet.
pub(crate) static TIME: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::UNIX_EPOCH.elapsed().expect("a clock that is right").as_secs();
    now as i64 - 10
});
