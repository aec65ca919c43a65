//! One connection: requests after requests, then a close that loses no answer.

mod go_ahead;
mod stream;
mod timed_stream;

use std::future::poll_fn;
use std::net::{SocketAddr, TcpStream};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::debug;

use crate::peer::Peer;
use crate::service::S3Service;
pub(crate) use go_ahead::GoAhead;
use stream::Stream;
use timed_stream::TimedStream;

/// Serves a connection until one side ends it, or until `stop` says so and the request in progress is answered.
pub(crate) async fn serve(
    socket: TcpStream,
    peer: SocketAddr,
    service: Arc<S3Service>,
    mut stop: watch::Receiver<bool>,
) {
    let (idle, transfer) = (service.config().idle_timeout, service.config().transfer_timeout);
    let stream = match open(socket, &service).await {
        Ok(stream) => TimedStream::new(stream, transfer),
        Err(error) => {
            debug!(%peer, %error, "connection was lost at once");
            return;
        }
    };
    let from = Arc::new(Peer {
        address: peer,
        tls: service.tls().is_some(),
        outgoing: stream.outgoing(),
        go_ahead: stream.go_ahead(),
        trusted: service.trusted_proxies(),
    });
    let answer = service_fn(move |request| {
        let (service, from) = (Arc::clone(&service), Arc::clone(&from));
        // Boxed, because the connection can only be taken apart again if this can move.
        Box::pin(async move { Ok::<_, std::convert::Infallible>(service.answer(request, &from).await) })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MAX_BUFFER)
        .serve_connection(stream, answer);

    let mut stopping = pin!(async move { stop.wait_for(|stop| *stop).await.is_ok() });
    let mut stopped = false;
    let ended = poll_fn(|cx| {
        if !stopped && stopping.as_mut().poll(cx).is_ready() {
            stopped = true;
            Pin::new(&mut connection).graceful_shutdown();
        }
        connection.poll_without_shutdown(cx)
    })
    .await;
    match ended {
        Ok(()) => linger(connection.into_parts().io.into_inner()).await,
        Err(error) => debug!(%peer, %error, "connection failed"),
    }
}

async fn open(socket: TcpStream, service: &S3Service) -> std::io::Result<Stream> {
    socket.set_nonblocking(true)?;
    fdfs_net::prepare(&socket)?;
    let stream = tokio::net::TcpStream::from_std(socket)?;
    let Some(tls) = service.tls() else { return Ok(Stream::Plain(stream)) };
    let accepted = timeout(service.config().idle_timeout.min(HANDSHAKE), tls.accept(stream)).await;
    let accepted = accepted.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    accepted.map(|stream| Stream::Tls(Box::new(stream))).inspect_err(|_| {
        metrics::counter!("fdfs_s3_tls_handshakes_failed_total").increment(1);
    })
}

/// Closes so that the last answer arrives: a close over unread bytes would be a reset, which
/// throws away at the client what it has not read yet.
async fn linger(mut stream: Stream) {
    let linger = async {
        stream.shutdown().await?;
        let mut unread = [0; 4096];
        let mut dropped = 0;
        while dropped < LINGER_BYTES {
            match stream.read(&mut unread).await? {
                0 => break,
                length => dropped += length,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    let _ = timeout(LINGER, linger).await;
}

/// Limits a request's head, and what is read ahead of a body.
const MAX_BUFFER: usize = 128 * 1024;
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 16 * 1024 * 1024;
