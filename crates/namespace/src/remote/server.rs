//! The service's socket: who may reach it, and its end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tracing::{info, warn};

use super::service::RowService;
use super::wire::rows_server::RowsServer;
use super::{MAX_MESSAGE, Secret};
use crate::engine::Engine;
use crate::namespace::Namespace;
use crate::settings::Announcer;

/// The namespace service, bound.
pub struct RowServer {
    incoming: TcpIncoming,
    address: SocketAddr,
    engine: Arc<dyn Engine>,
    announce: Announcer,
    secret: Option<Secret>,
}

/// Why the service cannot be offered.
#[derive(Debug, Error)]
pub enum ServeError {
    /// Others than this machine could reach rows that nothing guards.
    #[error(
        "the namespace service listens on {0} only with a secret: set namespace_secret, or listen on 127.0.0.1"
    )]
    NoSecret(SocketAddr),
    /// The socket cannot be had.
    #[error("cannot listen on {address} for the namespace service: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl RowServer {
    /// Listens, for the rows of `namespace`. Without a secret only on a loopback address.
    pub async fn bind(
        address: SocketAddr,
        namespace: &Namespace,
        secret: Option<Secret>,
    ) -> Result<Self, ServeError> {
        let (engine, announce) = namespace.engine_and_announcements();
        Self::bind_engine(address, engine, announce, secret).await
    }

    /// As [`RowServer::bind`], for rows of whatever kind.
    pub(crate) async fn bind_engine(
        address: SocketAddr,
        engine: Arc<dyn Engine>,
        announce: Announcer,
        secret: Option<Secret>,
    ) -> Result<Self, ServeError> {
        if secret.is_none() && !address.ip().to_canonical().is_loopback() {
            return Err(ServeError::NoSecret(address));
        }
        let failed = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        Ok(Self { incoming, address, engine, announce, secret })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` turns true; calls under way may finish.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let Self { incoming, address, engine, announce, secret } = self;
        let service = RowService { engine, announce, secret, stopped: stop.clone() };
        let service = RowsServer::new(service)
            .max_decoding_message_size(MAX_MESSAGE)
            .max_encoding_message_size(MAX_MESSAGE);
        info!(%address, "the namespace service listens");
        let mut stopped = stop.clone();
        let serving = Server::builder()
            .concurrency_limit_per_connection(CALLS)
            .max_concurrent_streams(STREAMS)
            .http2_keepalive_interval(Some(KEEP_ALIVE))
            .http2_keepalive_timeout(Some(KEEP_ALIVE))
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, async move {
                let _ = stopped.wait_for(|stop| *stop).await;
            });
        let graceful = async {
            let _ = stop.wait_for(|stop| *stop).await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            result = serving => if let Err(error) = result {
                warn!(%error, "the namespace service ended");
            },
            () = graceful => warn!("the namespace service ends with calls under way"),
        }
    }
}

/// Calls of one connection that are worked on at once.
const CALLS: usize = 64;
/// Calls of one connection that may wait.
const STREAMS: u32 = 256;
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long calls under way may take when the service ends.
const GRACE: Duration = Duration::from_secs(5);
