//! The listener: HTTP/1.1 connections in front of a [`Source`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fdfs_types::GroupName;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument as _, debug, info_span, warn};

use crate::{Source, respond};

/// What a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Time for the head of a request, also the longest idle time of a kept connection.
    pub head_timeout: Duration,
    /// Time for requests that run when the server is told to stop.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 10_000, head_timeout: Duration::from_secs(60), grace: Duration::from_secs(10) }
    }
}

/// A bound listener for native paths.
pub struct HttpServer<S> {
    listener: TcpListener,
    source: Arc<S>,
    own_group: Option<GroupName>,
    limits: Limits,
}

impl<S: Source> HttpServer<S> {
    /// Listens on `address`. `own_group` is the group of paths without a group, as on a storage.
    pub async fn bind(
        address: SocketAddr,
        source: Arc<S>,
        own_group: Option<GroupName>,
        limits: Limits,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        Ok(Self { listener, source, own_group, limits })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true or its sender is gone, then lets running requests finish
    /// within the grace time.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let mut connections = tokio::task::JoinSet::new();
        loop {
            let stopped = stopped(&mut stop);
            let accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (place, self.listener.accept().await)
            };
            let (place, accepted) = tokio::select! {
                () = stopped => break,
                accepted = accepted => accepted,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection =
                        serve(stream, Arc::clone(&self.source), self.own_group, self.limits, stop.clone());
                    let task = async move {
                        connection.await;
                        drop(place);
                    };
                    connections.spawn(task.instrument(info_span!("http", %peer)));
                }
                Err(error) => {
                    // Most likely no file descriptors are left; they come back as connections end.
                    warn!(%error, "connection not accepted");
                    metrics::counter!("fdfs_http_accept_errors_total").increment(1);
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
        let finished = async { while connections.join_next().await.is_some() {} };
        if tokio::time::timeout(self.limits.grace, finished).await.is_err() {
            warn!("requests still running at the end of the grace time are cut off");
        }
    }
}

async fn serve<S: Source>(
    stream: TcpStream,
    source: Arc<S>,
    own_group: Option<GroupName>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "no TCP_NODELAY");
    }
    let service = service_fn(move |request| {
        let source = Arc::clone(&source);
        async move { Ok::<_, Infallible>(respond(&*source, own_group, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MAX_HEAD)
        // The original's HTTP module puts two blanks before the version when it forwards.
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// Waits for `stop` to turn true, or for its sender to be gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// Largest request head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);
