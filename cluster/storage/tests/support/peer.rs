//! A member of the group that takes changes as the original does, and remembers what it was sent.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use fdfs_conf::StorageConfig;
use fdfs_net::{Connection, Limits, NetError, Server, Service, listen};
use fdfs_proto::{
    Command, Header, IpWidth, Status, Streamed,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse},
    sync::{
        SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest, SyncDeleteRequest, SyncModifyRequest,
        SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest,
    },
};
use fdfs_types::Timestamp;
use parking_lot::Mutex;
use tokio::sync::watch;

/// A command that came, what it was about, and whether the connection had said who sends it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Heard {
    pub(crate) command: Command,
    pub(crate) name: String,
    pub(crate) identified: bool,
    pub(crate) status: Status,
}

/// What the peer answers instead of doing something.
type Script = Box<dyn Fn(&Heard) -> Option<Status> + Send + Sync>;

/// The peer.
pub(crate) struct FakePeer {
    pub(crate) ip: IpAddr,
    server: Server,
    state: Arc<State>,
}

struct State {
    files: Mutex<HashMap<String, Vec<u8>>>,
    heard: watch::Sender<Vec<Heard>>,
    script: Mutex<Script>,
}

impl FakePeer {
    pub(crate) fn start(ip: IpAddr) -> Self {
        Self::start_with(ip, HashMap::new())
    }

    fn start_with(ip: IpAddr, files: HashMap<String, Vec<u8>>) -> Self {
        let state = Arc::new(State {
            files: Mutex::new(files),
            heard: watch::Sender::new(Vec::new()),
            script: Mutex::new(Box::new(|_| None)),
        });
        let listener = listen(SocketAddr::new(ip, StorageConfig::DEFAULT_PORT), false).expect("listen");
        let limits = Limits { threads: 1, ..Limits::new("peer") };
        let server = Server::start(limits, vec![listener], Arc::clone(&state)).expect("start");
        Self { ip, server, state }
    }

    /// Answers by `script` where that has an answer.
    pub(crate) fn answer(&self, script: impl Fn(&Heard) -> Option<Status> + Send + Sync + 'static) {
        *self.state.script.lock() = Box::new(script);
    }

    /// Ends, and starts again with the same files, and with those that `while_down` puts there.
    pub(crate) async fn restart(self, while_down: impl AsyncFnOnce(&mut HashMap<String, Vec<u8>>)) -> Self {
        self.server.shutdown(Duration::ZERO).await;
        let mut files = std::mem::take(&mut *self.state.files.lock());
        while_down(&mut files).await;
        Self::start_with(self.ip, files)
    }

    pub(crate) fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state.files.lock().get(name).cloned()
    }

    pub(crate) fn put(&self, name: &str, content: &[u8]) {
        self.state.files.lock().insert(name.to_owned(), content.to_vec());
    }

    pub(crate) fn remove(&self, name: &str) {
        self.state.files.lock().remove(name);
    }

    /// Connections there are now.
    pub(crate) fn connections(&self) -> u32 {
        self.server.connections().current
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.state.heard.borrow().clone()
    }

    /// Waits until what was heard is as wanted.
    pub(crate) async fn wait(&self, wanted: impl FnMut(&Vec<Heard>) -> bool) -> Vec<Heard> {
        let mut heard = self.state.heard.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(20), heard.wait_for(wanted)).await;
        match waited {
            Ok(heard) => heard.expect("the sender is there").clone(),
            Err(_elapsed) => panic!("the peer heard only {:#?}", self.heard()),
        }
    }

    /// Waits until an answer to this command about this file was given.
    pub(crate) async fn wait_for(&self, command: Command, name: &str, status: Status) {
        let is_it = |heard: &Heard| (heard.command, &*heard.name, heard.status) == (command, name, status);
        self.wait(|heard| heard.iter().any(is_it)).await;
    }
}

impl Service for State {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        let _ = self.talk(&mut connection).await;
    }
}

impl State {
    async fn talk(&self, connection: &mut Connection) -> Result<(), NetError> {
        let mut identified = false;
        while let Some(header) = connection.next_request().await? {
            let mut answer = None;
            let (name, status) = match header.command {
                Command::REPORT_SERVER_ID => {
                    connection.read_body(16).await?;
                    identified = true;
                    (String::new(), Status::OK)
                }
                Command::ACTIVE_TEST => (String::new(), Status::OK),
                Command::SYNC_CREATE_FILE => {
                    let (request, content) = read::<SyncCreateRequest>(connection, &header).await?;
                    let known = request.is_known;
                    let file = request.file;
                    let name = file.file_id.filename.as_str().to_owned();
                    let apply = |files: &mut HashMap<String, Vec<u8>>| match files.get(&name) {
                        _ if known => Status::EEXIST,
                        Some(old) if old.len() as u64 == file.size => Status::EEXIST,
                        _ => {
                            files.insert(name.clone(), content);
                            Status::OK
                        }
                    };
                    self.act(&header, name.clone(), identified, apply)
                }
                Command::SYNC_UPDATE_FILE => {
                    let (request, content) = read::<SyncUpdateRequest>(connection, &header).await?;
                    let name = request.file.file_id.filename.as_str().to_owned();
                    self.act(&header, name.clone(), identified, |files| {
                        files.insert(name.clone(), content);
                        Status::OK
                    })
                }
                Command::SYNC_APPEND_FILE => {
                    let (request, content) = read::<SyncAppendRequest>(connection, &header).await?;
                    let name = request.range.file_id.filename.as_str().to_owned();
                    self.act(&header, name.clone(), identified, |files| match files.get_mut(&name) {
                        Some(old) if old.len() as u64 == request.range.offset => {
                            old.extend_from_slice(&content);
                            Status::OK
                        }
                        Some(old) if old.len() as u64 >= request.range.offset + request.range.length => {
                            Status::EEXIST
                        }
                        _ => Status::ENOENT,
                    })
                }
                Command::SYNC_MODIFY_FILE => {
                    let (request, content) = read::<SyncModifyRequest>(connection, &header).await?;
                    let name = request.range.file_id.filename.as_str().to_owned();
                    let from = request.range.offset as usize;
                    self.act(&header, name.clone(), identified, |files| match files.get_mut(&name) {
                        Some(old) if old.len() >= from => {
                            let length = old.len().max(from + content.len());
                            old.resize(length, 0);
                            old[from..from + content.len()].copy_from_slice(&content);
                            Status::OK
                        }
                        _ => Status::ENOENT,
                    })
                }
                Command::SYNC_TRUNCATE_FILE => {
                    let request = small::<SyncTruncateRequest>(connection, &header).await?;
                    let name = request.file_id.filename.as_str().to_owned();
                    self.act(&header, name.clone(), identified, |files| match files.get_mut(&name) {
                        Some(old) if old.len() as u64 == request.old_size => {
                            old.resize(request.new_size as usize, 0);
                            Status::OK
                        }
                        Some(_) => Status::EEXIST,
                        None => Status::ENOENT,
                    })
                }
                Command::SYNC_DELETE_FILE => {
                    let request = small::<SyncDeleteRequest>(connection, &header).await?;
                    let name = request.file_id.filename.as_str().to_owned();
                    self.act(&header, name.clone(), identified, |files| match files.remove(&name) {
                        Some(_) => Status::OK,
                        None => Status::ENOENT,
                    })
                }
                Command::SYNC_CREATE_LINK => {
                    let request = small::<SyncCreateLinkRequest>(connection, &header).await?;
                    let (name, source) =
                        (request.link.as_str().to_owned(), request.source.as_str().to_owned());
                    self.act(&header, name.clone(), identified, |files| {
                        if let Some(content) = files.get(&source).cloned() {
                            files.entry(name.clone()).or_insert(content);
                        }
                        Status::OK
                    })
                }
                Command::SYNC_RENAME_FILE => {
                    let request = small::<SyncRenameRequest>(connection, &header).await?;
                    let (name, old_name) =
                        (request.new_name.as_str().to_owned(), request.old_name.as_str().to_owned());
                    // The original answers with as many stale bytes as the request has.
                    answer = Some(vec![7; header.length as usize]);
                    self.act(&header, name.clone(), identified, |files| {
                        if files.contains_key(&name) {
                            return Status::EEXIST;
                        }
                        match files.remove(&old_name) {
                            Some(content) => {
                                files.insert(name.clone(), content);
                                Status::OK
                            }
                            None => Status::ENOENT,
                        }
                    })
                }
                Command::QUERY_FILE_INFO => {
                    let request = small::<FileInfoRequest>(connection, &header).await?;
                    let name = request.file_id.filename.as_str().to_owned();
                    let (mut size, mut crc32) = (0, 0);
                    let (name, status) =
                        self.act(&header, name.clone(), identified, |files| match files.get(&name) {
                            Some(content) => {
                                size = content.len() as u64;
                                crc32 = crc32fast::hash(content);
                                Status::OK
                            }
                            None => Status::ENOENT,
                        });
                    let info = FileInfoResponse {
                        ip_width: IpWidth::Ipv4,
                        size,
                        modified: Timestamp(1),
                        crc32,
                        source: None,
                    };
                    answer = Some(fdfs_proto::Encode::encode(&info));
                    (name, status)
                }
                Command::DOWNLOAD_FILE => {
                    let request = small::<DownloadRequest>(connection, &header).await?;
                    let name = request.file_id.filename.as_str().to_owned();
                    let content = self.files.lock().get(&name).cloned();
                    let status = if content.is_some() { Status::OK } else { Status::ENOENT };
                    answer = content;
                    (name, status)
                }
                // It is an original.
                Command::HELLO => {
                    connection.read_body(256).await?;
                    (String::new(), Status::EINVAL)
                }
                command => panic!("{command:?}"),
            };
            let body = answer.filter(|_| status.is_ok()).unwrap_or_default();
            let answer = Header { length: body.len() as u64, ..Header::answer(status) };
            connection.respond_raw(answer, &body).await?;
            let heard = Heard { command: header.command, name, identified, status };
            self.heard.send_modify(|all| all.push(heard));
            if status == Status::EINVAL {
                break;
            }
        }
        Ok(())
    }

    fn act(
        &self,
        header: &Header,
        name: String,
        identified: bool,
        apply: impl FnOnce(&mut HashMap<String, Vec<u8>>) -> Status,
    ) -> (String, Status) {
        let heard = Heard { command: header.command, name, identified, status: Status::OK };
        let scripted = (self.script.lock())(&heard);
        let status = scripted.unwrap_or_else(|| apply(&mut self.files.lock()));
        (heard.name, status)
    }
}

async fn small<R: fdfs_proto::Request>(connection: &mut Connection, header: &Header) -> Result<R, NetError> {
    Ok(connection.read_request(header, 4096).await?.expect("a request that can be read"))
}

async fn read<R: Streamed>(connection: &mut Connection, header: &Header) -> Result<(R, Vec<u8>), NetError> {
    let request = connection.read_head::<R>(header).await?.expect("a request that can be read");
    let mut content = Vec::new();
    while let Some(chunk) = connection.next_chunk().await? {
        content.extend_from_slice(chunk);
    }
    Ok((request, content))
}
