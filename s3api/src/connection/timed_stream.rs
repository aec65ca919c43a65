//! A socket that gives up on a peer that takes nothing any more.

use std::future::Future as _;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fdfs_net::Outgoing;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep, sleep};

use super::go_ahead::GoAhead;
use super::stream::Stream;

/// A socket whose writes fail when none succeeds for a while. Reads have their own deadlines above.
#[derive(Debug)]
pub(super) struct TimedStream {
    stream: TokioIo<Stream>,
    write_timeout: Duration,
    /// Pieces of files that are to be sent unread.
    outgoing: Outgoing,
    /// What is sent before an answer.
    go_ahead: GoAhead,
    /// What of that is still to be sent.
    interim: &'static [u8],
    /// Whether the last write was not taken as a whole.
    is_within: bool,
    /// Runs while a write waits.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl TimedStream {
    /// Wraps a socket.
    pub(super) fn new(stream: Stream, write_timeout: Duration) -> Self {
        let is_near = stream.plain().is_some_and(fdfs_net::is_near);
        let outgoing = if is_near { Outgoing::to_this_machine() } else { Outgoing::default() };
        let stream = TokioIo::new(stream);
        let go_ahead = GoAhead::default();
        Self { stream, write_timeout, outgoing, go_ahead, interim: b"", is_within: false, stalled: None }
    }

    /// Where to say that a client is to be told to go on.
    pub(super) fn go_ahead(&self) -> GoAhead {
        self.go_ahead.clone()
    }

    /// Where to put pieces of files that are to be sent unread; none where what is sent has to be encrypted.
    pub(super) fn outgoing(&self) -> Option<Outgoing> {
        self.stream.inner().plain().map(|_| self.outgoing.clone())
    }

    /// The socket.
    pub(super) fn into_inner(self) -> Stream {
        self.stream.into_inner()
    }

    fn write(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        if !Outgoing::has_stand_in(slices) {
            return self.timed(cx, |stream, cx| stream.poll_write_vectored(cx, slices));
        }
        let outgoing = self.outgoing.clone();
        self.timed(cx, |stream, cx| match stream.inner().plain() {
            Some(socket) => outgoing.poll_send(socket, cx, slices),
            None => Poll::Ready(Err(io::Error::other("a piece of a file on an encrypted connection"))),
        })
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
        if self.interim.is_empty() {
            self.interim = self.go_ahead.before(slices, self.is_within);
        }
        while !self.interim.is_empty() {
            let interim = self.interim;
            let sent = ready!(self.timed(cx, |stream, cx| stream.poll_write(cx, interim)))?;
            self.interim = interim.get(sent..).filter(|_| sent > 0).ok_or(io::ErrorKind::WriteZero)?;
        }
        let written = self.write(cx, slices);
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        self.is_within = !matches!(written, Poll::Ready(Ok(taken)) if taken == offered);
        written
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
