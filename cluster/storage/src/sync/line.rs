//! One connection to a peer.

use std::{fs::File, net::SocketAddr};

use fdfs_net::{CallError, PoolConfig};
use fdfs_proto::{
    Request, Status,
    storage::{FileInfoRequest, FileInfoResponse},
    sync::ReportServerIdRequest,
};
use fdfs_types::{FileId, StorageId};

/// One connection to a peer, over which one request after the other is made.
#[derive(Debug)]
pub(crate) struct Line {
    peer: fdfs_net::Peer,
    is_good: bool,
}

impl Line {
    /// Connects to the first address that answers.
    pub(crate) async fn connect(addresses: &[SocketAddr], pool: &PoolConfig) -> Result<Self, CallError> {
        let mut last = CallError::Connect(std::io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            match fdfs_net::Peer::connect(*address, pool).await {
                Ok(peer) => return Ok(Self { peer, is_good: true }),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Connects, and says who sends what follows.
    pub(crate) async fn connect_as(
        me: StorageId,
        addresses: &[SocketAddr],
        pool: &PoolConfig,
    ) -> Result<Self, CallError> {
        let mut line = Self::connect(addresses, pool).await?;
        line.identify(me).await?;
        Ok(line)
    }

    async fn identify(&mut self, storage_id: StorageId) -> Result<(), CallError> {
        match self.ask(&ReportServerIdRequest { storage_id }).await? {
            Status::OK => Ok(()),
            status => Err(CallError::Status(status)),
        }
    }

    /// Makes a request without content.
    pub(crate) async fn ask<R: Request>(&mut self, request: &R) -> Result<Status, CallError> {
        self.peer.send_request(request).await?;
        self.status().await
    }

    /// Makes a request whose content stands in `file` from `offset` on.
    pub(crate) async fn send<R: Request>(
        &mut self,
        request: &R,
        file: &File,
        offset: u64,
    ) -> Result<Status, CallError> {
        match self.peer.send_request_file(request, file, offset).await {
            Ok(()) => self.status().await,
            // Refused before all of it was sent: an answer, but what was not sent is still awaited.
            Err(CallError::Status(status)) => {
                self.is_good = false;
                Ok(status)
            }
            Err(error) => Err(error),
        }
    }

    /// The size of a file there; the status says why there is none.
    pub(crate) async fn size(&mut self, file_id: FileId) -> Result<Result<u64, Status>, CallError> {
        let request = FileInfoRequest { file_id, skip_crc32: true, is_silent: true };
        self.peer.send_request(&request).await?;
        match self.peer.receive().await {
            Ok(_) => {
                let body = self.peer.read_body(MAX_INFO).await?;
                let info: FileInfoResponse = fdfs_proto::Decode::decode(&body)?;
                Ok(Ok(info.size))
            }
            Err(CallError::Status(status)) => {
                self.is_good &= status != Status::EINVAL;
                Ok(Err(status))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether nothing has come that nobody asked for, such as its end.
    pub(crate) fn is_quiet(&self) -> bool {
        self.peer.is_quiet()
    }

    /// Whether another request may follow.
    pub(crate) fn is_good(&self) -> bool {
        self.is_good
    }

    async fn status(&mut self) -> Result<Status, CallError> {
        let status = self.peer.receive_status().await?;
        // A storage closes after this answer.
        self.is_good &= status != Status::EINVAL;
        Ok(status)
    }
}

const MAX_INFO: usize = 1024;
