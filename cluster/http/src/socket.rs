//! A plain TCP connection that sends file pieces without reading them, and is given up when its peer takes nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fdfs_net::Outgoing;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::patience::Patience;

/// A plain TCP connection.
pub(crate) struct Socket {
    stream: TokioIo<TcpStream>,
    /// What was read of it before.
    first: Bytes,
    outgoing: Outgoing,
    patience: Patience,
}

impl Socket {
    /// A connection of which `first` was read, and where to put the pieces that it is to send. It fails when its peer has
    /// taken nothing for `patience`.
    pub(crate) fn new(stream: TcpStream, first: Bytes, patience: Duration) -> (Self, Outgoing) {
        let outgoing = Outgoing::default();
        let (given, stream) = (outgoing.clone(), TokioIo::new(stream));
        (Self { stream, first, outgoing, patience: Patience::new(patience) }, given)
    }

    fn poll_send(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.outgoing.poll_send(self.stream.inner(), cx, slices)
    }
}

impl hyper::rt::Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.first.is_empty() {
            let length = self.first.len().min(buf.remaining());
            buf.put_slice(&self.first.split_to(length));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl hyper::rt::Write for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = if Outgoing::has_stand_in(slices) {
            self.poll_send(cx, slices)
        } else {
            Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
        };
        self.patience.watch(cx, sent)
    }

    fn is_write_vectored(&self) -> bool {
        // Slices must not be copied: a stand-in is told by its address.
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
