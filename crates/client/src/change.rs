//! Changing and removing files.

use std::fs::File;
use std::net::SocketAddr;

use fdfs_net::CallError;
use fdfs_proto::storage::{AppendRequest, DeleteRequest, ModifyRequest, RegenerateRequest, TruncateRequest};
use fdfs_proto::{Command, Header, Request, Status, Streamed};
use fdfs_types::FileId;
use tokio::time::timeout_at;

use crate::error::is_untouched;
use crate::patience::Patience;
use crate::search::{Purpose, Search};
use crate::servers::Servers;
use crate::{Client, ClientError};

/// Content of a change.
enum Content<'a> {
    Bytes(&'a [u8]),
    File(&'a File, u64),
}

/// How the answer to a change is sought.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    /// Doing it twice is as good as doing it once.
    Freely,
    /// It must be done once: after an unclear failure nobody else is asked.
    Never,
    /// When an earlier try may have done it, "no such file" is success.
    UntilGone,
}

impl Client {
    /// Removes a file. One that is gone already is [`ClientError::NotFound`].
    pub async fn delete(&self, file_id: &FileId) -> Result<(), ClientError> {
        let request = &DeleteRequest { file_id: file_id.clone() };
        let repeat = Repeat::UntilGone;
        self.try_change(file_id, repeat, &Plain { request, repeat }).await.map(drop)
    }

    /// Writes at the end of an appender file. After [`ClientError::Unavailable`] or [`ClientError::Timeout`] it
    /// may have been done or not: [`Client::stat`] tells.
    pub async fn append(&self, file_id: &FileId, content: &[u8]) -> Result<(), ClientError> {
        let (filename, size) = (file_id.filename.clone(), content.len() as u64);
        let request = AppendRequest { filename, size };
        self.send(file_id, &request, Content::Bytes(content), Repeat::Never).await
    }

    /// Writes the first `size` bytes of a local file at the end of an appender file.
    pub async fn append_file(&self, file_id: &FileId, file: &File, size: u64) -> Result<(), ClientError> {
        let request = AppendRequest { filename: file_id.filename.clone(), size };
        self.send(file_id, &request, Content::File(file, size), Repeat::Never).await
    }

    /// Overwrites bytes of an appender file from `offset` on.
    pub async fn modify(&self, file_id: &FileId, offset: u64, content: &[u8]) -> Result<(), ClientError> {
        let (filename, size) = (file_id.filename.clone(), content.len() as u64);
        let request = ModifyRequest { filename, offset, size };
        self.send(file_id, &request, Content::Bytes(content), Repeat::Freely).await
    }

    /// Overwrites bytes of an appender file from `offset` on with the first `size` bytes of a local file.
    pub async fn modify_file(
        &self,
        file_id: &FileId,
        offset: u64,
        file: &File,
        size: u64,
    ) -> Result<(), ClientError> {
        let request = ModifyRequest { filename: file_id.filename.clone(), offset, size };
        self.send(file_id, &request, Content::File(file, size), Repeat::Freely).await
    }

    /// Sets the size of an appender file.
    pub async fn truncate(&self, file_id: &FileId, size: u64) -> Result<(), ClientError> {
        let request = TruncateRequest { filename: file_id.filename.clone(), size };
        self.change(file_id, &request, Repeat::Freely).await.map(drop)
    }

    /// Turns an appender file into a normal one; its ID is a new one.
    pub async fn regenerate(&self, file_id: &FileId) -> Result<FileId, ClientError> {
        let request = RegenerateRequest { filename: file_id.filename.clone() };
        self.change(file_id, &request, Repeat::Never).await
    }

    /// Asks for a change without content.
    pub(crate) async fn change<R>(
        &self,
        file_id: &FileId,
        request: &R,
        repeat: Repeat,
    ) -> Result<R::Response, ClientError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let change = Plain { request, repeat };
        self.try_change(file_id, repeat, &change).await?.ok_or(ClientError::NotFound)
    }

    async fn send<R: Streamed + Sync>(
        &self,
        file_id: &FileId,
        request: &R,
        content: Content<'_>,
        repeat: Repeat,
    ) -> Result<(), ClientError> {
        self.try_change(file_id, repeat, &WithContent { request, content }).await.map(drop)
    }

    /// Makes a change at the storage that should make it, or at another one. `None` when an earlier try did it.
    async fn try_change<C: Change>(
        &self,
        file_id: &FileId,
        repeat: Repeat,
        change: &C,
    ) -> Result<Option<C::Answer>, ClientError> {
        let mut patience = Patience::new(self.options());
        let mut is_unclear = false;
        loop {
            let round = async {
                let mut search = Search::new(self.inner(), file_id, Purpose::Change, C::COMMAND);
                while let Some(address) = search.next().await? {
                    match change.make(&self.inner().servers, address).await {
                        Ok(answer) => return Ok(Some(answer)),
                        Err(CallError::Status(Status::ENOENT)) if is_unclear => return Ok(None),
                        Err(error) if repeat == Repeat::Never && !is_untouched(&error) => {
                            return Err(ClientError::from_call(address, C::COMMAND, error));
                        }
                        Err(error) => {
                            is_unclear |= repeat == Repeat::UntilGone && !is_untouched(&error);
                            search.failed(address, error).await?;
                        }
                    }
                }
                Err(search.verdict().await)
            };
            match timeout_at(patience.deadline(), round).await.unwrap_or(Err(ClientError::Timeout)) {
                Err(error @ ClientError::Unavailable { .. }) if repeat != Repeat::Never => {
                    if !patience.next_round("change").await {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// A change that can be asked of one storage.
trait Change: Sync {
    const COMMAND: Command;
    type Answer: Send;

    fn make(
        &self,
        servers: &Servers,
        address: SocketAddr,
    ) -> impl Future<Output = Result<Self::Answer, CallError>> + Send;
}

struct Plain<'a, R> {
    request: &'a R,
    repeat: Repeat,
}

impl<R> Change for Plain<'_, R>
where
    R: Request + Sync,
    R::Response: Send,
{
    const COMMAND: Command = R::COMMAND;
    type Answer = R::Response;

    async fn make(&self, servers: &Servers, address: SocketAddr) -> Result<R::Response, CallError> {
        match self.repeat {
            Repeat::Freely => servers.ask(address, self.request).await,
            Repeat::Never | Repeat::UntilGone => servers.ask_once(address, self.request).await,
        }
    }
}

struct WithContent<'a, R> {
    request: &'a R,
    content: Content<'a>,
}

impl<R: Streamed + Sync> Change for WithContent<'_, R> {
    const COMMAND: Command = R::COMMAND;
    type Answer = ();

    async fn make(&self, servers: &Servers, address: SocketAddr) -> Result<(), CallError> {
        let mut lease = servers.lease(address).await?;
        let mut packet = self.request.encode();
        let header = Header::request(R::COMMAND, packet.len() as u64 + self.request.content_length());
        match self.content {
            Content::Bytes(bytes) if bytes.len() <= ONE_PACKET => {
                packet.extend_from_slice(bytes);
                lease.send(header, &packet).await?;
            }
            Content::Bytes(bytes) => {
                lease.send(header, &packet).await?;
                for piece in bytes.chunks(ONE_PACKET) {
                    lease.send_body(piece).await?;
                }
            }
            Content::File(file, size) => {
                lease.send(header, &packet).await?;
                lease.send_file(file, 0, size).await?;
            }
        }
        lease.receive().await?;
        lease.read_body(MAX_ECHO).await.map(drop)
    }
}

/// Content up to this length leaves together with its head.
const ONE_PACKET: usize = 256 * 1024;

/// The original echoes the request where nothing changes.
const MAX_ECHO: usize = 4096;
