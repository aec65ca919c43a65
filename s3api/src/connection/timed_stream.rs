//! A socket that gives up on a peer that takes nothing any more.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use fdfs_net::Outgoing;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep};

use super::stream::Stream;

/// A socket whose writes fail when none succeeds for a while. Reads have their own deadlines above.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: TokioIo<Stream>,
    write_timeout: Duration,
    /// Pieces of files that are to be sent unread.
    outgoing: Outgoing,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    /// Wraps a socket.
    pub(super) fn new(stream: Stream, write_timeout: Duration) -> Self {
        // Who has the address that it came to, or one of the loopback, is on this machine.
        let ends =
            stream.plain().and_then(|socket| Some((socket.peer_addr().ok()?, socket.local_addr().ok()?)));
        let is_near = ends
            .is_some_and(|(peer, local)| peer.ip() == local.ip() || peer.ip().to_canonical().is_loopback());
        let outgoing = if is_near { Outgoing::to_this_machine() } else { Outgoing::default() };
        let stream = TokioIo::new(stream);
        Self { stream, write_timeout, outgoing, stalled: None }
    }

    /// Where to put pieces of files that are to be sent unread; none where what is sent has to be encrypted.
    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        self.stream.inner().plain().map(|_| self.outgoing.clone())
    }

    /// The socket.
    pub(super) fn into_inner(self) -> Stream {
        self.stream.into_inner()
    }

    fn timed<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut TokioIo<Stream>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if let Poll::Ready(result) = write(Pin::new(&mut self.stream), cx) {
            self.stalled = None;
            return Poll::Ready(result);
        }
        let write_timeout = self.write_timeout;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(write_timeout)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => {
                metrics::counter!("fdfs_connections_timed_out_total", "server" => "s3").increment(1);
                stalled.as_mut().reset(Instant::now() + write_timeout);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Read for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl Write for TimedStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if !Outgoing::has_stand_in(slices) {
            return self.timed(cx, |stream, cx| stream.poll_write_vectored(cx, slices));
        }
        let outgoing = self.outgoing.clone();
        self.timed(cx, |stream, cx| match stream.inner().plain() {
            Some(socket) => outgoing.poll_send(socket, cx, slices),
            None => Poll::Ready(Err(io::Error::other("a piece of a file on an encrypted connection"))),
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, Write::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.timed(cx, Write::poll_shutdown)
    }
}
