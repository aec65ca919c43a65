//! A cluster in memory: one group, and faults on demand.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use fdfs_client::{Client, ClientOptions};
use fdfs_net::{Connection, Limits, NetError, Server, Service, listen};
use fdfs_proto::ours::{Capabilities, Frame, Hello, HelloRequest, OwnerToken, Trailer, UploadFramedRequest};
use fdfs_proto::storage::{
    AppendRequest, DeleteRequest, DownloadRequest, FileInfoRequest, FileInfoResponse, GetMetadataRequest,
    GetMetadataResponse, MetadataMode, ModifyRequest, RegenerateRequest, SetMetadataRequest, TruncateRequest,
    UploadAppenderRequest, UploadRequest, UploadSlaveRequest,
};
use fdfs_proto::tracker::{
    GroupRecord, ListAllGroupsResponse, ListStoragesResponse, QueryFetchAllRequest, QueryFetchAllResponse,
    QueryFetchOneResponse, QueryStoreAllResponse, QueryStoreOneResponse, QueryUpdateRequest, StorageRecord,
};
use fdfs_proto::{
    Command, Decode, Empty, Header, IpWidth, Request, ServerAddress, Status, StorageStat, Streamed,
};
use fdfs_types::{
    FileId, GroupName, Metadata, NameFields, RemoteFilename, RwMode, SizeField, Source, StorageStatus,
    Subdir, Timestamp, slave_name,
};
use parking_lot::Mutex;

/// What goes wrong at a server.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Fault {
    #[default]
    None,
    /// Takes the request and never answers.
    Frozen,
    /// Closes when a request has come, before it is carried out.
    CloseBefore,
    /// Closes after a request was carried out, without an answer.
    CloseAfter,
    /// Sends so many bytes of content, then closes.
    BreakAfter(usize),
    /// Refuses every request so.
    Refuse(Status),
}

pub(crate) struct Storage {
    pub(crate) address: SocketAddr,
    pub(crate) files: Mutex<BTreeMap<RemoteFilename, Vec<u8>>>,
    pub(crate) owners: Mutex<BTreeMap<RemoteFilename, OwnerToken>>,
    pub(crate) metadata: Mutex<BTreeMap<RemoteFilename, Metadata>>,
    /// Commands that came, in order.
    pub(crate) seen: Mutex<Vec<Command>>,
    pub(crate) fault: Mutex<Fault>,
    /// Answers hello.
    pub(crate) is_ours: AtomicBool,
    pub(crate) status: Mutex<StorageStatus>,
    counter: AtomicU32,
    server: Mutex<Option<Server>>,
}

pub(crate) struct Tracker {
    pub(crate) fault: Mutex<Fault>,
    storages: Vec<Arc<Storage>>,
    turn: AtomicUsize,
    pub(crate) asked: AtomicUsize,
}

pub(crate) struct Cluster {
    pub(crate) storages: Vec<Arc<Storage>>,
    pub(crate) trackers: Vec<Arc<Tracker>>,
    pub(crate) options: ClientOptions,
    servers: Vec<Server>,
}

struct StorageService(Arc<Storage>);
struct TrackerService(Arc<Tracker>);

pub(crate) fn group() -> GroupName {
    "group1".parse().unwrap()
}

pub(crate) fn owner() -> OwnerToken {
    OwnerToken { session: NonZeroU64::new(7).unwrap(), sequence: 9 }
}

fn start<S: Service>(ip: IpAddr, service: S) -> Server {
    let listener = listen(SocketAddr::new(ip, 0), false).unwrap();
    Server::start(Limits { threads: 1, ..Limits::new("fake") }, vec![listener], Arc::new(service)).unwrap()
}

impl Cluster {
    /// A cluster with so many storages of ours and one tracker.
    pub(crate) fn start(storages: u8) -> Self {
        Self::with_trackers(storages, 1)
    }

    pub(crate) fn with_trackers(storages: u8, trackers: u8) -> Self {
        let storages: Vec<Arc<Storage>> = (0..storages).map(|index| Storage::start(index + 11)).collect();
        let mut cluster = Self {
            storages,
            trackers: Vec::new(),
            options: ClientOptions::new(Vec::new()),
            servers: Vec::new(),
        };
        for index in 0..trackers {
            let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2 + index));
            let tracker = Arc::new(Tracker {
                fault: Mutex::default(),
                storages: cluster.storages.clone(),
                turn: AtomicUsize::new(0),
                asked: AtomicUsize::new(0),
            });
            let server = start(ip, TrackerService(Arc::clone(&tracker)));
            let port = server.addresses()[0].port();
            cluster.options.trackers.push(ServerAddress { ips: vec![ip], port });
            cluster.trackers.push(tracker);
            cluster.servers.push(server);
        }
        cluster.options.answer_timeout = Duration::from_secs(2);
        cluster.options.deadline = Duration::from_secs(30);
        cluster.options.backoff = Duration::from_millis(5);
        cluster.options.rounds = 2;
        cluster.options.topology_max_age = Duration::ZERO;
        cluster
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.options.clone())
    }

    /// Puts the same file at some storages, as if the first of them had taken the upload.
    pub(crate) fn put(&self, at: &[usize], content: &[u8]) -> FileId {
        let filename = self.storages[at[0]].name(SizeField::normal(content.len() as u64, 1), content, ".dat");
        for index in at {
            self.storages[*index].files.lock().insert(filename.clone(), content.to_vec());
        }
        FileId { group: group(), filename }
    }

    pub(crate) fn put_appender(&self, at: &[usize], content: &[u8]) -> FileId {
        let filename = self.storages[at[0]].name(SizeField::appender(1), content, ".log");
        for index in at {
            self.storages[*index].files.lock().insert(filename.clone(), content.to_vec());
        }
        FileId { group: group(), filename }
    }
}

impl Storage {
    fn start(last: u8) -> Arc<Self> {
        let ip = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
        // The port is known only when the server runs, so a listener holds it meanwhile.
        let listener = listen(SocketAddr::new(ip, 0), false).unwrap();
        let storage = Arc::new(Self {
            address: listener.local_addr().unwrap(),
            files: Mutex::default(),
            owners: Mutex::default(),
            metadata: Mutex::default(),
            seen: Mutex::default(),
            fault: Mutex::default(),
            is_ours: AtomicBool::new(true),
            status: Mutex::new(StorageStatus::Active),
            counter: AtomicU32::new(0),
            server: Mutex::default(),
        });
        let limits = Limits { threads: 1, ..Limits::new("fake") };
        let service = Arc::new(StorageService(Arc::clone(&storage)));
        *storage.server.lock() = Some(Server::start(limits, vec![listener], service).unwrap());
        storage
    }

    /// Nobody listens any more, and all connections end.
    pub(crate) async fn stop(&self) {
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.shutdown(Duration::ZERO).await;
        }
    }

    pub(crate) fn set_fault(&self, fault: Fault) {
        *self.fault.lock() = fault;
    }

    pub(crate) fn content(&self, file_id: &FileId) -> Option<Vec<u8>> {
        self.files.lock().get(&file_id.filename).cloned()
    }

    pub(crate) fn count(&self, command: Command) -> usize {
        self.seen.lock().iter().filter(|seen| **seen == command).count()
    }

    fn name(&self, size: SizeField, content: &[u8], dotted: &str) -> RemoteFilename {
        let IpAddr::V4(ip) = self.address.ip() else { panic!("storages have IPv4 addresses") };
        let created = 1_795_000_000 + self.counter.fetch_add(1, Ordering::Relaxed);
        let crc32 = crc32fast::hash(content);
        let fields = NameFields { source: Source::Ip(ip), created, size, crc32 };
        let tail = format!("{dotted:0>7}");
        RemoteFilename::compose(0, Subdir { high: 0, low: 0 }, &fields, None, &tail).unwrap()
    }

    fn store(&self, size: SizeField, content: Vec<u8>, extension: &str) -> FileId {
        let dotted = if extension.is_empty() { String::new() } else { format!(".{extension}") };
        let filename = self.name(size, &content, &dotted);
        self.files.lock().insert(filename.clone(), content);
        FileId { group: group(), filename }
    }

    fn with_file<T>(&self, name: &RemoteFilename, work: impl FnOnce(&mut Vec<u8>) -> T) -> Result<T, Status> {
        self.files.lock().get_mut(name).map(work).ok_or(Status::ENOENT)
    }
}

impl Service for StorageService {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        while let Ok(Some(header)) = connection.next_request().await {
            let storage = &self.0;
            storage.seen.lock().push(header.command);
            let fault = *storage.fault.lock();
            match fault {
                Fault::Frozen => std::future::pending().await,
                Fault::CloseBefore => return,
                Fault::Refuse(status) => {
                    let _ = connection.respond_status(status).await;
                    break;
                }
                _ => {}
            }
            match storage.handle(&mut connection, &header, fault).await {
                Ok(Ok(())) => {}
                Ok(Err(status)) => {
                    if connection.respond_status(status).await.is_err() || status == Status::EINVAL {
                        break;
                    }
                }
                Err(_) => return,
            }
        }
        connection.close().await;
    }
}

type Handled = Result<Result<(), Status>, NetError>;

impl Storage {
    async fn handle(&self, connection: &mut Connection, header: &Header, fault: Fault) -> Handled {
        match header.command {
            Command::UPLOAD_FILE => {
                let (request, content) = read_streamed::<UploadRequest>(connection, header).await?;
                let size = SizeField::normal(content.len() as u64, 1);
                let file_id = self.store(size, content, request.extension.as_str());
                answer(connection, fault, &file_id).await
            }
            Command::UPLOAD_APPENDER_FILE => {
                let (request, content) = read_streamed::<UploadAppenderRequest>(connection, header).await?;
                let file_id = self.store(SizeField::appender(1), content, request.0.extension.as_str());
                answer(connection, fault, &file_id).await
            }
            Command::UPLOAD_SLAVE_FILE => {
                let (request, content) = read_streamed::<UploadSlaveRequest>(connection, header).await?;
                let extension = request.extension.as_str();
                let name = slave_name(request.master.local_path(), request.prefix.as_str(), Some(extension));
                let filename: RemoteFilename = format!("M00/{}", name.unwrap()).parse().unwrap();
                self.files.lock().insert(filename.clone(), content);
                answer(connection, fault, &FileId { group: group(), filename }).await
            }
            Command::UPLOAD_FRAMED if self.is_ours.load(Ordering::Relaxed) => {
                let head: UploadFramedRequest = read(connection, header).await?;
                let Some(content) = read_frames(connection).await? else { return Ok(Err(Status::EINVAL)) };
                let size = SizeField::normal(content.len() as u64, 1);
                let file_id = self.store(size, content, head.extension.as_str());
                if let Some(owner) = head.owner {
                    self.owners.lock().insert(file_id.filename.clone(), owner);
                }
                answer(connection, fault, &file_id).await
            }
            Command::HELLO if self.is_ours.load(Ordering::Relaxed) => {
                let _: HelloRequest = read(connection, header).await?;
                let capabilities = Capabilities::UPLOAD_FRAMED | Capabilities::OWNERS;
                let hello = Hello { version: 1, capabilities, software: "fake".to_owned() };
                answer(connection, fault, &hello).await
            }
            Command::DOWNLOAD_FILE => self.download(connection, header, fault).await,
            Command::DELETE_FILE => {
                let request: DeleteRequest = read(connection, header).await?;
                let removed = self.files.lock().remove(&request.file_id.filename);
                done(connection, fault, removed.map(drop).ok_or(Status::ENOENT)).await
            }
            Command::APPEND_FILE => {
                let (request, content) = read_streamed::<AppendRequest>(connection, header).await?;
                let result = self.with_file(&request.filename, |file| file.extend(content));
                done(connection, fault, result).await
            }
            Command::MODIFY_FILE => {
                let (request, content) = read_streamed::<ModifyRequest>(connection, header).await?;
                let at = request.offset as usize;
                let result = self.with_file(&request.filename, |file| {
                    file.resize(file.len().max(at + content.len()), 0);
                    file[at..at + content.len()].copy_from_slice(&content);
                });
                done(connection, fault, result).await
            }
            Command::TRUNCATE_FILE => {
                let request: TruncateRequest = read(connection, header).await?;
                let result = self.with_file(&request.filename, |file| file.resize(request.size as usize, 0));
                done(connection, fault, result).await
            }
            Command::REGENERATE_APPENDER_FILENAME => {
                let request: RegenerateRequest = read(connection, header).await?;
                let Some(content) = self.files.lock().remove(&request.filename) else {
                    return Ok(Err(Status::ENOENT));
                };
                let size = SizeField::normal(content.len() as u64, 1);
                answer(connection, fault, &self.store(size, content, "log")).await
            }
            Command::SET_METADATA => {
                let request: SetMetadataRequest = read(connection, header).await?;
                self.set_metadata(request);
                done(connection, fault, Ok(())).await
            }
            Command::GET_METADATA => {
                let request: GetMetadataRequest = read(connection, header).await?;
                let metadata = self.metadata.lock().get(&request.file_id.filename).cloned();
                match metadata {
                    Some(metadata) => answer(connection, fault, &GetMetadataResponse { metadata }).await,
                    None => Ok(Err(Status::ENOENT)),
                }
            }
            Command::QUERY_FILE_INFO => {
                let request: FileInfoRequest = read(connection, header).await?;
                let info = self.with_file(&request.file_id.filename, |file| FileInfoResponse {
                    ip_width: IpWidth::Ipv4,
                    size: file.len() as u64,
                    modified: Timestamp(1_795_000_000),
                    crc32: crc32fast::hash(file),
                    source: Some(self.address.ip()),
                });
                match info {
                    Ok(info) => answer(connection, fault, &info).await,
                    Err(status) => Ok(Err(status)),
                }
            }
            Command::ACTIVE_TEST => answer(connection, fault, &Empty).await,
            _ => Ok(Err(Status::EINVAL)),
        }
    }

    fn set_metadata(&self, request: SetMetadataRequest) {
        let mut all = self.metadata.lock();
        let kept = all.entry(request.file_id.filename).or_default();
        match request.mode {
            MetadataMode::Overwrite => *kept = request.metadata,
            MetadataMode::Merge => kept.merge(request.metadata),
        }
    }

    async fn download(&self, connection: &mut Connection, header: &Header, fault: Fault) -> Handled {
        let request: DownloadRequest = read(connection, header).await?;
        let content = match self.with_file(&request.file_id.filename, |file| file.clone()) {
            Ok(content) => content,
            Err(status) => return Ok(Err(status)),
        };
        // As the original does, for empty files too.
        let Some(rest) = content.get(request.offset as usize..).filter(|rest| !rest.is_empty()) else {
            return Ok(Err(Status::EINVAL));
        };
        let length = if request.length == 0 { rest.len() } else { rest.len().min(request.length as usize) };
        let rest = &rest[..length];
        match fault {
            Fault::BreakAfter(count) if count < rest.len() => {
                connection.respond_raw(Header::response(length as u64), &rest[..count]).await?;
                Err(NetError::Closed)
            }
            _ => connection.respond(rest).await.map(Ok),
        }
    }
}

impl Service for TrackerService {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let tracker = &self.0;
        while let Ok(Some(header)) = connection.next_request().await {
            tracker.asked.fetch_add(1, Ordering::Relaxed);
            let fault = *tracker.fault.lock();
            match fault {
                Fault::Frozen => std::future::pending().await,
                Fault::CloseBefore => return,
                Fault::Refuse(status) => {
                    if connection.respond_status(status).await.is_err() {
                        return;
                    }
                    continue;
                }
                _ => {}
            }
            match tracker.handle(&mut connection, &header).await {
                Ok(Ok(())) => {}
                Ok(Err(status)) if connection.respond_status(status).await.is_ok() => {}
                _ => return,
            }
        }
    }
}

impl Tracker {
    async fn handle(&self, connection: &mut Connection, header: &Header) -> Handled {
        let none = Fault::None;
        let active: Vec<&Arc<Storage>> =
            self.storages.iter().filter(|storage| *storage.status.lock() == StorageStatus::Active).collect();
        let ip_width = IpWidth::Ipv4;
        match header.command {
            Command::QUERY_STORE_ONE | Command::QUERY_STORE_IN_GROUP_ONE => {
                let body = connection.read_body(16).await?;
                if !body.is_empty() && !body.starts_with(b"group1\0") {
                    return Ok(Err(Status::ENOENT));
                }
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let Some(storage) = active.get(turn % active.len().max(1)) else {
                    return Ok(Err(Status::ENOENT));
                };
                let response = QueryStoreOneResponse {
                    ip_width,
                    group: group(),
                    storage: storage.address,
                    store_path: 0,
                };
                answer(connection, none, &response).await
            }
            Command::QUERY_STORE_ALL | Command::QUERY_STORE_IN_GROUP_ALL => {
                connection.read_body(16).await?;
                let storages = active.iter().map(|storage| storage.address).collect();
                let response = QueryStoreAllResponse { ip_width, group: group(), storages, store_path: 0 };
                answer(connection, none, &response).await
            }
            Command::QUERY_FETCH_ALL => {
                let request: QueryFetchAllRequest = read(connection, header).await?;
                if request.file_id.group != group() || active.is_empty() {
                    return Ok(Err(Status::ENOENT));
                }
                // Only the second storage, whether it has the file or not, so that the client has to look on.
                let first = active.get(1).or_else(|| active.first()).expect("one is there").address;
                let response = QueryFetchAllResponse { ip_width, group: group(), storages: vec![first] };
                answer(connection, none, &response).await
            }
            Command::QUERY_UPDATE => {
                let request: QueryUpdateRequest = read(connection, header).await?;
                let has =
                    |storage: &&&Arc<Storage>| storage.files.lock().contains_key(&request.file_id.filename);
                let Some(storage) = active.iter().find(has).or_else(|| active.first()) else {
                    return Ok(Err(Status::ENOENT));
                };
                let response = QueryFetchOneResponse { ip_width, group: group(), storage: storage.address };
                answer(connection, none, &response).await
            }
            Command::LIST_ALL_GROUPS => {
                let groups = vec![self.group_record()];
                answer(connection, none, &ListAllGroupsResponse { groups }).await
            }
            Command::LIST_STORAGES => {
                connection.read_body(32).await?;
                let storages = self.storages.iter().map(|storage| storage.record()).collect();
                answer(connection, none, &ListStoragesResponse { ip_width, storages }).await
            }
            _ => Ok(Err(Status::EINVAL)),
        }
    }

    fn group_record(&self) -> GroupRecord {
        let count = self.storages.len() as u64;
        GroupRecord {
            group: group(),
            total_mb: 1000,
            free_mb: 500,
            reserved_mb: 10,
            trunk_free_mb: 0,
            storage_count: count,
            port: None,
            readable_count: count,
            writable_count: count,
            write_server: 0,
            store_path_count: 1,
            subdir_count: 256,
            trunk_file_id: None,
        }
    }
}

impl Storage {
    fn record(&self) -> StorageRecord {
        StorageRecord {
            status: *self.status.lock(),
            rw_mode: RwMode::Both,
            id: self.address.ip().to_string().parse().unwrap(),
            ip: Some(self.address.ip()),
            sync_source: None,
            version: "6.16.1".to_owned(),
            joined: Timestamp(1),
            started: Timestamp(1),
            total_mb: 1000,
            free_mb: 500,
            reserved_mb: 10,
            upload_priority: 10,
            store_path_count: 1,
            subdir_count: 256,
            write_path: 0,
            port: self.address.port(),
            stat: StorageStat::default(),
            is_trunk_server: false,
        }
    }
}

async fn read<R: Request>(connection: &mut Connection, header: &Header) -> Result<R, NetError> {
    Ok(connection.read_request::<R>(header, 1 << 20).await?.expect("the client sends what is right"))
}

async fn read_streamed<R: Streamed>(
    connection: &mut Connection,
    header: &Header,
) -> Result<(R, Vec<u8>), NetError> {
    let head = connection.read_head::<R>(header).await?.expect("the client sends what is right");
    let mut content = Vec::new();
    while let Some(chunk) = connection.next_chunk().await? {
        content.extend_from_slice(chunk);
    }
    Ok((head, content))
}

/// The content of a framed upload, or none if it is not what the trailer says.
async fn read_frames(connection: &mut Connection) -> Result<Option<Vec<u8>>, NetError> {
    let mut content = Vec::new();
    loop {
        connection.extend_body(Frame::LEN as u64);
        match Frame::decode(connection.read_prefix(Frame::LEN).await?)
            .expect("the client sends what is right")
        {
            Frame::Data(length) => {
                connection.extend_body(length.into());
                while let Some(chunk) = connection.next_chunk().await? {
                    content.extend_from_slice(chunk);
                }
            }
            Frame::End => {
                connection.extend_body(Trailer::LEN as u64);
                let trailer = Trailer::decode(connection.read_prefix(Trailer::LEN).await?);
                let expected = Trailer { length: content.len() as u64, crc32: crc32fast::hash(&content) };
                return Ok((trailer == Ok(expected)).then_some(content));
            }
        }
    }
}

async fn answer(connection: &mut Connection, fault: Fault, message: &impl fdfs_proto::Encode) -> Handled {
    match fault {
        Fault::CloseAfter => Err(NetError::Closed),
        _ => connection.respond_message(message).await.map(Ok),
    }
}

async fn done(connection: &mut Connection, fault: Fault, result: Result<(), Status>) -> Handled {
    match result {
        Ok(()) => answer(connection, fault, &Empty).await,
        Err(status) => Ok(Err(status)),
    }
}
