//! Storing files.
//!
//! ```text
//!  Upload::write ─► held back, up to 128 KiB ─► one request, tried at several storages
//!                                          └─► length known: streamed to one storage
//!                                          └─► not known: framed, to a storage of ours
//!                                                         spooled on the local disk, for original ones
//! ```

mod framed;
mod recent;
mod spool;
mod target;

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use fdfs_net::{CallError, Lease, NetError};
use fdfs_proto::ours::{Capabilities, OwnerToken, UploadFramedRequest, WriteConcern};
use fdfs_proto::storage::{UploadAppenderRequest, UploadRequest, UploadSlaveRequest};
use fdfs_proto::{Command, Decode, Encode, Header, Status};
use fdfs_types::{Extension, FileId, GroupName, SlavePrefix};
use futures_util::{Stream, StreamExt};
use tokio::time::timeout_at;
use tracing::info;

use crate::error::is_local_fault;
use crate::patience::Patience;
use crate::{Client, ClientError};
use framed::FramedSender;
pub(crate) use recent::RecentTargets;
use spool::Spool;
use target::{Target, Targets};

/// What is stored, and where.
#[derive(Clone, Debug)]
pub struct UploadSpec {
    /// What kind of file it becomes.
    pub kind: UploadKind,
    /// The group; the tracker's choice if absent. A slave lies in its master's group.
    pub group: Option<GroupName>,
    /// This storage and no other.
    pub storage: Option<SocketAddr>,
    /// The store path there; its choice if absent.
    pub store_path: Option<u8>,
    /// Extension of the name.
    pub extension: Extension,
    /// Length of the content, if it is known.
    pub size: Option<u64>,
    /// Whom the file is for; storages of ours write it down.
    pub owner: Option<OwnerToken>,
    /// What must be true before the upload counts as done; storages of ours honour it.
    pub write_concern: WriteConcern,
    /// Whether members alone may read it. Storages that cannot keep it so do not get it.
    pub private: bool,
}

/// What kind of file an upload becomes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum UploadKind {
    /// A file that does not change.
    #[default]
    Normal,
    /// A file that can be appended to and modified.
    Appender,
    /// A file whose name derives from another's.
    Slave {
        /// The other file.
        master: FileId,
        /// What the name has in addition.
        prefix: SlavePrefix,
    },
}

/// A file that was stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Uploaded {
    /// Its ID.
    pub file_id: FileId,
    /// Length of its content.
    pub size: u64,
    /// The storage that took it.
    pub storage: SocketAddr,
    /// Whether that storage keeps the owner's token.
    pub has_owner: bool,
}

/// A file that is being stored. Dropping it before [`Upload::finish`] leaves nothing in the cluster.
#[derive(Debug)]
pub struct Upload {
    client: Client,
    spec: UploadSpec,
    written: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Not sent yet: may be sent more than once.
    Held(Vec<u8>),
    /// Sent as it comes, in a request that has its length.
    Sending(Target, Box<Lease>),
    /// Sent as it comes, without a length.
    Framed(Target, Box<FramedSender>),
    /// On the local disk until its length is known.
    Spooled(Spool),
    /// Nothing more can be done.
    Failed,
}

/// Content that can be sent again from its beginning.
enum Content<'a> {
    Bytes(&'a [u8]),
    File(&'a Arc<File>, u64),
}

impl UploadSpec {
    /// A normal file, in a group and at a storage of the tracker's choice, of unknown length.
    pub fn new(extension: Extension) -> Self {
        Self {
            kind: UploadKind::Normal,
            group: None,
            storage: None,
            store_path: None,
            extension,
            size: None,
            owner: None,
            write_concern: WriteConcern::Storage,
            private: false,
        }
    }

    /// The same in this group.
    pub fn in_group(self, group: GroupName) -> Self {
        Self { group: Some(group), ..self }
    }

    /// The same of this kind.
    pub fn of_kind(self, kind: UploadKind) -> Self {
        Self { kind, ..self }
    }

    /// The same with content of this length.
    pub fn of_size(self, size: u64) -> Self {
        Self { size: Some(size), ..self }
    }

    /// The same for this owner.
    pub fn for_owner(self, owner: OwnerToken) -> Self {
        Self { owner: Some(owner), ..self }
    }

    fn command(&self) -> Command {
        match self.kind {
            UploadKind::Normal => Command::UPLOAD_FILE,
            UploadKind::Appender => Command::UPLOAD_APPENDER_FILE,
            UploadKind::Slave { .. } => Command::UPLOAD_SLAVE_FILE,
        }
    }

    /// The body of the request up to its content.
    fn head(&self, store_path: Option<u8>, size: u64) -> Vec<u8> {
        let plain = UploadRequest { store_path, size, extension: self.extension };
        match &self.kind {
            UploadKind::Normal => plain.encode(),
            UploadKind::Appender => UploadAppenderRequest(plain).encode(),
            UploadKind::Slave { master, prefix } => UploadSlaveRequest {
                master: master.filename.clone(),
                size,
                prefix: *prefix,
                extension: self.extension,
            }
            .encode(),
        }
    }

    /// The head of a framed upload, if a storage with these abilities takes one and it says more than a plain
    /// upload does; `None` for a plain one.
    fn framed(
        &self,
        capabilities: Capabilities,
        store_path: Option<u8>,
        size: Option<u64>,
    ) -> Option<UploadFramedRequest> {
        if self.kind != UploadKind::Normal || !capabilities.contains(Capabilities::UPLOAD_FRAMED) {
            return None;
        }
        let owner = self.owner.filter(|_| capabilities.contains(Capabilities::OWNERS));
        let write_concern = match capabilities.contains(Capabilities::WRITE_CONCERN) {
            true => self.write_concern,
            false => WriteConcern::Storage,
        };
        let says_more =
            size.is_none() || owner.is_some() || write_concern != WriteConcern::Storage || self.private;
        says_more.then_some(UploadFramedRequest {
            store_path,
            expected_size: size,
            extension: self.extension,
            owner,
            write_concern,
            private: self.private,
        })
    }

    /// Whether it matters what the storage can do.
    fn asks_for_more(&self, size: Option<u64>) -> bool {
        let says_more = size.is_none() || self.owner.is_some() || self.write_concern != WriteConcern::Storage;
        self.private || (self.kind == UploadKind::Normal && says_more)
    }
}

impl Client {
    /// Begins to store a file. Nothing is sent before content comes.
    pub fn begin_upload(&self, spec: UploadSpec) -> Upload {
        Upload { client: self.clone(), spec, written: 0, state: State::Held(Vec::new()) }
    }

    /// Stores content that is in memory.
    ///
    /// When a storage fails before it has answered, another one gets the content. Should the first have stored
    /// it nevertheless, that file has no name anywhere; only its owner's token tells.
    pub async fn upload(&self, spec: UploadSpec, content: &[u8]) -> Result<Uploaded, ClientError> {
        check_size(&spec, content.len() as u64)?;
        self.upload_content(&spec, &Content::Bytes(content)).await
    }

    /// Stores the first `size` bytes of a local file.
    pub async fn upload_file(
        &self,
        spec: UploadSpec,
        file: File,
        size: u64,
    ) -> Result<Uploaded, ClientError> {
        check_size(&spec, size)?;
        self.upload_content(&spec, &Content::File(&Arc::new(file), size)).await
    }

    /// Stores content as it comes.
    pub async fn upload_stream(
        &self,
        spec: UploadSpec,
        content: impl Stream<Item = io::Result<Bytes>>,
    ) -> Result<Uploaded, ClientError> {
        let mut upload = self.begin_upload(spec);
        let mut content = std::pin::pin!(content);
        while let Some(chunk) = content.next().await {
            upload.write(&chunk.map_err(ClientError::Content)?).await?;
        }
        upload.finish().await
    }

    /// Sends content that can be sent again, to one storage after another.
    async fn upload_content(
        &self,
        spec: &UploadSpec,
        content: &Content<'_>,
    ) -> Result<Uploaded, ClientError> {
        let mut patience = Patience::new(self.options());
        let mut targets = Targets::new(self, spec);
        loop {
            let target = match timeout_at(patience.deadline(), targets.next()).await {
                Ok(Ok(target)) => target,
                Ok(Err(error @ ClientError::Unavailable { .. })) => {
                    if !patience.next_round("upload").await {
                        return Err(error);
                    }
                    targets.again();
                    continue;
                }
                Ok(Err(error)) => return Err(error),
                Err(_elapsed) => return Err(ClientError::Timeout),
            };
            let sending = self.send_content(spec, target, content);
            let sent = match content {
                Content::Bytes(bytes) if bytes.len() <= HELD_BACK => {
                    let sent = timeout_at(patience.deadline(), sending).await;
                    sent.unwrap_or(Err(NetError::Timeout.into()))
                }
                // Content of any length has the time it needs; every wait for the network has its own limit.
                _ => sending.await,
            };
            let error = match sent {
                Ok(uploaded) => return Ok(uploaded),
                Err(error) => error,
            };
            if !is_local_fault(&error) && !is_full(&error) {
                return Err(self.upload_failed(target, spec.command(), error));
            }
            info!(address = %target.address, %error, "upload goes on at another storage");
            self.inner().capabilities.forget(target.address);
            targets.failed(target, error);
        }
    }

    async fn send_content(
        &self,
        spec: &UploadSpec,
        target: Target,
        content: &Content<'_>,
    ) -> Result<Uploaded, CallError> {
        let inner = self.inner();
        let size = content.len();
        if let Some(head) = self.framed_head(spec, target, Some(size)).await? {
            let lease = inner.servers.lease(target.address).await?;
            if let Content::Bytes(bytes) = content
                && bytes.len() <= ONE_PACKET
            {
                let sending = FramedSender::send_whole(lease, &head, bytes, target);
                return inner.servers.stored(target.address, size, sending).await;
            }
            let mut sender = FramedSender::begin(lease, &head).await?;
            match content {
                Content::Bytes(bytes) => sender.write(bytes).await?,
                Content::File(file, size) => sender.write_file(file, *size).await?,
            }
            return inner.servers.stored(target.address, size, sender.finish(target)).await;
        }
        let mut lease = inner.servers.lease(target.address).await?;
        let mut packet = spec.head(target.store_path, size);
        let header = Header::request(spec.command(), packet.len() as u64 + size);
        match content {
            Content::Bytes(bytes) if bytes.len() <= ONE_PACKET => {
                packet.extend_from_slice(bytes);
                lease.send(header, &packet).await?;
            }
            Content::Bytes(bytes) => {
                lease.send(header, &packet).await?;
                for piece in bytes.chunks(PIECE) {
                    lease.send_body(piece).await?;
                }
            }
            Content::File(file, _) => {
                lease.send(header, &packet).await?;
                lease.send_file(file, 0, size).await?;
            }
        }
        let file_id = inner.servers.stored(target.address, size, read_answer(&mut lease)).await?;
        Ok(Uploaded { file_id, size, storage: target.address, has_owner: false })
    }

    /// Finds a storage that a connection can be made to and, where that matters, that says what it can do; with the head of a
    /// framed upload if it takes one.
    async fn open_target(
        &self,
        spec: &UploadSpec,
    ) -> Result<(Target, Lease, Option<UploadFramedRequest>), ClientError> {
        let mut patience = Patience::new(self.options());
        let mut targets = Targets::new(self, spec);
        loop {
            let attempt = async {
                let target = targets.next().await?;
                let opened = async {
                    let framed = self.framed_head(spec, target, spec.size).await?;
                    Ok((self.inner().servers.lease(target.address).await?, framed))
                };
                Ok((target, opened.await))
            };
            match timeout_at(patience.deadline(), attempt).await.unwrap_or(Err(ClientError::Timeout)) {
                Ok((target, Ok((lease, framed)))) => return Ok((target, lease, framed)),
                Ok((target, Err(error))) if is_local_fault(&error) => targets.failed(target, error),
                Ok((target, Err(error))) => return Err(self.upload_failed(target, Command::HELLO, error)),
                Err(error @ ClientError::Unavailable { .. }) => {
                    if !patience.next_round("upload").await {
                        return Err(error);
                    }
                    targets.again();
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes note that an upload failed for good: what the storage can do is asked anew next time.
    fn upload_failed(&self, target: Target, command: Command, error: CallError) -> ClientError {
        let inner = self.inner();
        inner.capabilities.forget(target.address);
        inner.servers.failed(target.address, &error);
        ClientError::from_call(target.address, command, error)
    }

    /// The head of a framed upload, where the storage takes one and a plain one would say less.
    async fn framed_head(
        &self,
        spec: &UploadSpec,
        target: Target,
        size: Option<u64>,
    ) -> Result<Option<UploadFramedRequest>, CallError> {
        if !spec.asks_for_more(size) {
            return Ok(None);
        }
        let inner = self.inner();
        let capabilities = inner.capabilities.get(&inner.servers, target.address).await?;
        if spec.write_concern != WriteConcern::Storage && !capabilities.contains(Capabilities::WRITE_CONCERN)
        {
            metrics::counter!("fdfs_client_write_concern_ignored_total").increment(1);
        }
        let framed = spec.framed(capabilities, target.store_path, size);
        let keeps_private =
            framed.is_some() && self.is_member() && capabilities.contains(Capabilities::PRIVATE);
        if spec.private && !keeps_private {
            return Err(CallError::Status(Status::EOPNOTSUPP));
        }
        Ok(framed)
    }
}

impl Upload {
    /// Takes the next bytes of the content.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.written += bytes.len() as u64;
        if let Some(announced) = self.spec.size
            && self.written > announced
        {
            self.state = State::Failed;
            return Err(ClientError::WrongLength { announced, actual: announced + 1 });
        }
        let state = std::mem::replace(&mut self.state, State::Failed);
        self.state = self.write_in(state, bytes).await?;
        Ok(())
    }

    /// Ends the content and waits until the file is stored.
    pub async fn finish(mut self) -> Result<Uploaded, ClientError> {
        check_size(&self.spec, self.written)?;
        let client = self.client.clone();
        let command = self.spec.command();
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Held(content) => client.upload_content(&self.spec, &Content::Bytes(&content)).await,
            State::Spooled(spool) => {
                let (file, size) = spool.finish().await.map_err(ClientError::Content)?;
                client.upload_content(&self.spec, &Content::File(&file, size)).await
            }
            State::Sending(target, mut lease) => {
                let answer = read_answer(&mut lease);
                let file_id = client
                    .inner()
                    .servers
                    .stored(target.address, self.written, answer)
                    .await
                    .map_err(|error| client.upload_failed(target, command, error))?;
                Ok(Uploaded { file_id, size: self.written, storage: target.address, has_owner: false })
            }
            State::Framed(target, sender) => client
                .inner()
                .servers
                .stored(target.address, self.written, sender.finish(target))
                .await
                .map_err(|error| client.upload_failed(target, Command::UPLOAD_FRAMED, error)),
            State::Failed => Err(ClientError::unavailable("the upload has failed before", None)),
        }
    }

    /// Number of bytes taken so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    async fn write_in(&self, state: State, bytes: &[u8]) -> Result<State, ClientError> {
        match state {
            State::Held(mut held) => {
                if held.len() + bytes.len() <= HELD_BACK {
                    held.extend_from_slice(bytes);
                    return Ok(State::Held(held));
                }
                let opened = self.leave_memory().await?;
                let opened = Box::pin(self.write_in(opened, &held)).await?;
                Box::pin(self.write_in(opened, bytes)).await
            }
            State::Sending(target, mut lease) => {
                for piece in bytes.chunks(PIECE) {
                    lease
                        .send_body(piece)
                        .await
                        .map_err(|error| self.client.upload_failed(target, self.spec.command(), error))?;
                }
                Ok(State::Sending(target, lease))
            }
            State::Framed(target, mut sender) => {
                sender
                    .write(bytes)
                    .await
                    .map_err(|error| self.client.upload_failed(target, Command::UPLOAD_FRAMED, error))?;
                Ok(State::Framed(target, sender))
            }
            State::Spooled(mut spool) => {
                let limit = self.client.options().spool_limit;
                if self.written > limit {
                    return Err(ClientError::SpoolFull { limit });
                }
                spool.write(bytes).await.map_err(ClientError::Content)?;
                Ok(State::Spooled(spool))
            }
            State::Failed => Err(ClientError::unavailable("the upload has failed before", None)),
        }
    }

    /// Decides where content goes that is too much to be held back.
    async fn leave_memory(&self) -> Result<State, ClientError> {
        let (client, spec) = (&self.client, &self.spec);
        if spec.kind == UploadKind::Normal || spec.size.is_some() {
            let (target, mut lease, framed) = client.open_target(spec).await?;
            let failed = |error| client.upload_failed(target, spec.command(), error);
            if let Some(head) = framed {
                let sender = FramedSender::begin(lease, &head).await.map_err(failed)?;
                return Ok(State::Framed(target, Box::new(sender)));
            }
            if let Some(size) = spec.size {
                let head = spec.head(target.store_path, size);
                let header = Header::request(spec.command(), head.len() as u64 + size);
                lease.send(header, &head).await.map_err(failed)?;
                return Ok(State::Sending(target, Box::new(lease)));
            }
        }
        metrics::counter!("fdfs_client_spooled_uploads_total").increment(1);
        let spool = Spool::create(client.options().spool_dir.as_deref()).await;
        Ok(State::Spooled(spool.map_err(ClientError::Content)?))
    }
}

impl Content<'_> {
    fn len(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File(_, size) => *size,
        }
    }
}

fn check_size(spec: &UploadSpec, actual: u64) -> Result<(), ClientError> {
    match spec.size {
        Some(announced) if announced != actual => Err(ClientError::WrongLength { announced, actual }),
        _ => Ok(()),
    }
}

/// Whether the storage has no space; another one may have some.
fn is_full(error: &CallError) -> bool {
    matches!(error, CallError::Status(Status::ENOSPC))
}

async fn read_answer(lease: &mut Lease) -> Result<FileId, CallError> {
    lease.receive().await?;
    let body = lease.read_body(MAX_ANSWER).await?;
    Ok(FileId::decode(&body)?)
}

/// Content up to this length waits in memory, so that it can be sent to another storage when one fails.
const HELD_BACK: usize = 128 * 1024;

/// Content up to this length leaves together with its head.
const ONE_PACKET: usize = HELD_BACK;

/// Content is sent in pieces of this length; between them a storage's refusal is seen.
const PIECE: usize = 256 * 1024;

/// Longest answer to an upload: group and name.
const MAX_ANSWER: usize = 256;
