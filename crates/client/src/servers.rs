//! Asking one server, within time limits.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_net::{CallError, Lease, NetError, Pool};
use fdfs_proto::{Header, Request};

use crate::ClientOptions;

/// Connections to all servers, and the patience with each.
#[derive(Debug)]
pub(crate) struct Servers {
    pool: Arc<Pool>,
    answer_timeout: Duration,
}

impl Servers {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        Self { pool: Pool::new(options.pool.clone()), answer_timeout: options.answer_timeout }
    }

    /// Asks a question that may be asked twice, and reads the answer.
    pub(crate) async fn ask<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.in_time(self.pool.ask(address, request, ANSWER_LIMIT)).await
    }

    /// Asks a question that must not be asked twice and may take its time: only the limits of the connection hold.
    pub(crate) async fn ask_slow<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.lease(address).await?.ask(request, ANSWER_LIMIT).await
    }

    /// Asks a question that must not be asked twice: a connection that was kept is used only if it seems alive.
    pub(crate) async fn ask_once<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let mut lease = self.pool.lease(address).await?;
        self.in_time(lease.ask(request, ANSWER_LIMIT)).await
    }

    /// Asks a question that may be asked twice, on a connection of its own, and reads the header of the answer.
    pub(crate) async fn open<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<(Lease, Header), CallError> {
        let lease = self.lease(address).await?;
        match self.begin(lease, request).await {
            // A connection that was kept may have ended meanwhile.
            Err(CallError::Net(NetError::Closed | NetError::Io(_))) => {
                let lease = self.in_time(self.pool.lease_new(address)).await?;
                self.begin(lease, request).await
            }
            other => other,
        }
    }

    /// A connection to a server.
    pub(crate) async fn lease(&self, address: SocketAddr) -> Result<Lease, CallError> {
        self.in_time(self.pool.lease(address)).await
    }

    /// Limits the time for an answer to begin.
    pub(crate) async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        match tokio::time::timeout(self.answer_timeout, answer).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(NetError::Timeout.into()),
        }
    }

    async fn begin<R: Request>(&self, mut lease: Lease, request: &R) -> Result<(Lease, Header), CallError> {
        let header = self
            .in_time(async {
                lease.send_request(request).await?;
                lease.receive().await
            })
            .await?;
        Ok((lease, header))
    }
}

/// Longest answer that is not content.
const ANSWER_LIMIT: usize = 4 << 20;
