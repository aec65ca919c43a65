//! Encrypted connections, HTTP/1.1 or HTTP/2 as the client chooses.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fdfs_net::Tls;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracing::debug;

use super::{Connection, Handler, Limits, MAX_HEAD, stopped};
use crate::patience::Watched;

/// Agrees on keys and a protocol, and serves the connection.
pub(super) async fn serve<H: Handler>(
    stream: TcpStream,
    connection: Connection,
    handler: Arc<H>,
    limits: Limits,
    tls: &Tls,
    stop: watch::Receiver<bool>,
) {
    let stream = Watched::new(stream, limits.write_timeout);
    let opened = timeout(HANDSHAKE, tls.accept(stream)).await;
    let stream = match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => {
            metrics::counter!("fdfs_http_tls_handshakes_failed_total").increment(1);
            return debug!(%error, "no keys were agreed on");
        }
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        serve_http2(TokioIo::new(stream), connection, handler, limits, stop).await;
    } else {
        serve_http1(stream, connection, handler, limits, stop).await;
    }
}

async fn serve_http1<H: Handler>(
    stream: TlsStream<Watched<TcpStream>>,
    connection: Connection,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.answer(request, &connection).await) }
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// Serves HTTP/2 on a connection whose ends have agreed on it.
pub(super) async fn serve_http2<H: Handler>(
    stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    connection: Connection,
    handler: Arc<H>,
    limits: Limits,
    mut stop: watch::Receiver<bool>,
) {
    let service = service_fn(move |request| {
        let handler = Arc::clone(&handler);
        async move { Ok::<_, Infallible>(handler.answer(request, &connection).await) }
    });
    let serving = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        // A client that is gone is noticed, and its streams end.
        .keep_alive_interval(limits.head_timeout)
        .keep_alive_timeout(limits.write_timeout)
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(MAX_HEADERS)
        .serve_connection(stream, service);
    let mut serving = std::pin::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = stopped(&mut stop) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Requests at one time on one connection.
const MAX_STREAMS: u32 = 128;
/// Bytes of the headers of one request.
const MAX_HEADERS: u32 = 16 * 1024;
