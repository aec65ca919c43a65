//! The listener: connections in front of a [`Handler`].

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut as _, Bytes, BytesMut};
use fdfs_net::Tls;
use fdfs_types::Network;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument as _, debug, debug_span, warn};

use crate::socket::Socket;
use crate::{Body, ClientLimits};
use workers::Workers;

mod encrypted;
mod proxy_header;
mod workers;

/// What is done with a request.
pub trait Handler: Send + Sync + 'static {
    /// Answers a request.
    fn answer(
        &self,
        request: Request<Incoming>,
        connection: &Connection,
    ) -> impl Future<Output = Response<Body>> + Send;
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub peer: SocketAddr,
}

/// What a peer may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at once; further ones wait to be accepted.
    pub connections: usize,
    /// Time for the head of a request, also the longest idle time of a kept connection.
    pub head_timeout: Duration,
    /// A connection is given up when its peer has taken nothing for this time.
    pub write_timeout: Duration,
    /// Time for requests that run when the server is told to stop.
    pub grace: Duration,
    /// Threads of its own, among which connections are dealt in turn; 0 for the runtime of who runs it.
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            head_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            grace: Duration::from_secs(10),
            threads: 0,
        }
    }
}

/// A bound listener.
pub struct HttpServer<H> {
    listener: TcpListener,
    handler: Arc<H>,
    limits: Limits,
    tls: Option<Arc<Tls>>,
    proxies: Arc<[Network]>,
    clients: Arc<ClientLimits>,
}

impl<H: Handler> HttpServer<H> {
    /// What clients of an encrypted connection may choose among.
    pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

    /// Listens on `address`.
    pub async fn bind(address: SocketAddr, handler: Arc<H>, limits: Limits) -> io::Result<Self> {
        let listener = fdfs_net::listen_here(address)?;
        let (proxies, clients) = (Arc::new([]), Arc::default());
        Ok(Self { listener, handler, limits, tls: None, proxies, clients })
    }

    /// Encrypts connections; over those HTTP/2 is spoken, too.
    pub fn encrypted(mut self, tls: Option<Arc<Tls>>) -> Self {
        self.tls = tls;
        self
    }

    /// Connections from `proxies` begin with a header of the PROXY protocol, which tells for whom they are; others do not.
    pub fn behind(mut self, proxies: Vec<Network>) -> Self {
        self.proxies = proxies.into();
        self
    }

    /// A client has no more connections than `clients` says; further ones are ended before their first request.
    pub fn limited(mut self, clients: Arc<ClientLimits>) -> Self {
        self.clients = clients;
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop` turns true or its sender is gone, then lets running requests finish
    /// within the grace time.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let workers = match Workers::start(self.limits.threads) {
            Ok(workers) => workers,
            Err(error) => {
                warn!(%error, "no threads for HTTP: the runtime that is there serves");
                Workers::none()
            }
        };
        let mut connections = JoinSet::new();
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
            let given = accepted.and_then(|(stream, peer)| Ok((stream.into_std()?, peer)));
            match given {
                Ok((stream, peer)) => {
                    let (handler, limits, stop) = (Arc::clone(&self.handler), self.limits, stop.clone());
                    let (tls, proxies) = (self.tls.clone(), Arc::clone(&self.proxies));
                    let clients = Arc::clone(&self.clients);
                    let task = async move {
                        match opened(stream, peer, &proxies).await {
                            Ok((stream, connection)) => {
                                let client = clients.connect(connection.peer.ip());
                                match (client.is_some(), tls) {
                                    (false, _) => {
                                        debug!("connection ended: its client has as many as it may");
                                    }
                                    (true, None) => serve(stream, connection, handler, limits, stop).await,
                                    (true, Some(tls)) => {
                                        encrypted::serve(stream, connection, handler, limits, &tls, stop)
                                            .await;
                                    }
                                }
                                drop(client);
                            }
                            Err(error) => debug!(%error, "connection ended before it began"),
                        }
                        drop(place);
                    };
                    let task = task.instrument(debug_span!("http", %peer));
                    match workers.next() {
                        Some(handle) => connections.spawn_on(task, handle),
                        None => connections.spawn(task),
                    };
                }
                Err(error) => {
                    // Most likely no file descriptors are left; they come back as connections end.
                    warn!(%error, "connection not accepted");
                    metrics::counter!("fdfs_http_accept_errors_total").increment(1);
                    tokio::time::sleep(ACCEPT_BACK_OFF).await;
                }
            }
        }
        drop(self.listener);
        let finished = async { while connections.join_next().await.is_some() {} };
        if timeout(self.limits.grace, finished).await.is_err() {
            warn!("requests still running at the end of the grace time are cut off");
        }
        connections.shutdown().await;
        workers.end().await;
    }
}

/// Takes a connection over. One from a proxy is first asked for whom it is.
async fn opened(
    stream: std::net::TcpStream,
    peer: SocketAddr,
    proxies: &[Network],
) -> io::Result<(TcpStream, Connection)> {
    let mut stream = TcpStream::from_std(stream)?;
    fdfs_net::prepare(&stream)?;
    let mut connection = Connection { local: stream.local_addr()?, peer };
    if proxies.iter().any(|network| network.contains(peer.ip().to_canonical())) {
        let header = timeout(OPENING, proxy_header::read(&mut stream)).await;
        let client = header.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).inspect_err(|_| {
            metrics::counter!("fdfs_http_refusals_total", "reason" => "proxy-header").increment(1);
        })?;
        connection.peer = client.unwrap_or(peer);
    }
    Ok((stream, connection))
}

/// Reads as many bytes as tell whether the client speaks HTTP/2 without having been asked, and gives them back.
async fn first_bytes(stream: &mut TcpStream) -> io::Result<Bytes> {
    let mut first = BytesMut::with_capacity(HTTP_2.len());
    while first.len() < HTTP_2.len() && HTTP_2.starts_with(&first) {
        let missing = HTTP_2.len() - first.len();
        let mut room = (&mut first).limit(missing);
        if stream.read_buf(&mut room).await? == 0 {
            break;
        }
    }
    Ok(first.freeze())
}

async fn serve<H: Handler>(
    mut stream: TcpStream,
    connection: Connection,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let first = tokio::select! {
        biased;
        first = timeout(limits.head_timeout, first_bytes(&mut stream)) => first,
        () = stopped(&mut stop) => return,
    };
    let first = match first.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(first) if first.is_empty() => return,
        Ok(first) => first,
        Err(error) => return debug!(%error, "connection ended before its first request"),
    };
    let is_http_2 = first == HTTP_2;
    let (socket, outgoing) = Socket::new(stream, first, limits.write_timeout);
    if is_http_2 {
        return encrypted::serve_http2(socket, connection, handler, limits, stop).await;
    }
    let service = service_fn(move |request| {
        let (handler, outgoing) = (Arc::clone(&handler), outgoing.clone());
        async move {
            let mut response = handler.answer(request, &connection).await;
            response.body_mut().send_files_through(outgoing);
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MAX_HEAD)
        // The original's HTTP module puts two blanks before the version when it forwards.
        .allow_multiple_spaces_in_request_line_delimiters(true)
        .serve_connection(socket, service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        if error.is_parse() {
            metrics::counter!("fdfs_http_refusals_total", "reason" => "head").increment(1);
        }
        debug!(%error, "connection ended");
    }
}

/// Waits for `stop` to turn true, or for its sender to be gone.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// What HTTP/2 begins with.
const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long a proxy may take to say for whom it connects.
const OPENING: Duration = Duration::from_secs(10);
/// Largest request head, in bytes.
const MAX_HEAD: usize = 16 * 1024;
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(50);
