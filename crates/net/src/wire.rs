//! One socket with the bytes received ahead: what the server's and the client's side share.

mod file;

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    task::{Poll, ready},
    time::Duration,
};

use fdfs_proto::{Command, Header};
use rustix::{io::Errno, net::SendFlags};
use tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::TcpStream,
};

pub(crate) use file::FileSent;

use crate::{
    NetError,
    buffer::{Buffer, SMALL},
};

/// A socket, what was received and not used yet, and how much of the present body is still to come.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    buffer: Option<Buffer>,
    start: usize,
    end: usize,
    /// Bytes of the present body that were not handed out yet.
    body_left: u64,
    /// Bytes of the present body that were handed out or thrown away.
    body_read: u64,
    /// Time without progress after which the peer is given up.
    timeout: Duration,
    /// Bytes moved since this task last let others run.
    streak: usize,
    spill: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream, timeout: Duration) -> Self {
        let (start, end, body_left, body_read, streak) = (0, 0, 0, 0, 0);
        Self { stream, buffer: None, start, end, body_left, body_read, timeout, streak, spill: Vec::new() }
    }

    /// Sets the time without progress after which the peer is given up.
    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Takes the next header, if all of it was received.
    pub(crate) fn take_header(&mut self) -> Result<Option<Header>, NetError> {
        debug_assert_eq!(self.body_left, 0, "a header stands behind a body that was used up");
        let Some(bytes) = self.received().first_chunk::<{ Header::LEN }>() else { return Ok(None) };
        let header = Header::decode(bytes)?;
        self.consume(Header::LEN);
        self.body_left = header.length;
        self.body_read = 0;
        self.spill = Vec::new();
        Ok(Some(header))
    }

    /// Waits for bytes and receives them behind those already held. `false` means that the peer has closed.
    ///
    /// No buffer is held while nothing is there and nothing comes.
    pub(crate) fn poll_receive(
        &mut self,
        context: &mut std::task::Context<'_>,
        streaming: bool,
    ) -> Poll<io::Result<bool>> {
        if self.start == self.end {
            self.release();
            ready!(self.stream.poll_read_ready(context))?;
        }
        let most = if streaming { usize::try_from(self.body_left).unwrap_or(usize::MAX) } else { usize::MAX };
        let buffer = self
            .buffer
            .get_or_insert_with(|| if streaming && most > SMALL { Buffer::large() } else { Buffer::small() });
        if self.start > 0 && self.end == buffer.len() {
            buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let until = buffer.len().min(self.end.saturating_add(most));
        debug_assert!(until > self.end, "there is room to receive into");
        let mut room = ReadBuf::new(&mut buffer[self.end..until]);
        match Pin::new(&mut self.stream).poll_read(context, &mut room) {
            Poll::Ready(Ok(())) => {
                let received = room.filled().len();
                self.end += received;
                self.streak += received;
                Poll::Ready(Ok(received > 0))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.streak = 0;
                if self.start == self.end {
                    self.release();
                }
                Poll::Pending
            }
        }
    }

    /// Receives some bytes of a message that has begun.
    pub(crate) async fn receive(&mut self, streaming: bool) -> Result<(), NetError> {
        let limit = self.timeout;
        let mut is_acknowledged = self.body_left > LAST_BYTES;
        let receive = poll_fn(|context| {
            let polled = self.poll_receive(context, streaming);
            if polled.is_pending() && !is_acknowledged {
                is_acknowledged = true;
                self.acknowledge();
            }
            polled
        });
        match within(limit, receive).await? {
            true => Ok(()),
            false => Err(NetError::Closed),
        }
    }

    /// Acknowledges what has come at once. A peer that sends a message in two pieces and has not switched off Nagle's
    /// algorithm (storages of the original do so) holds back the second until then, which else takes 40 ms.
    fn acknowledge(&self) {
        if let Err(error) = rustix::net::sockopt::set_tcp_quickack(&self.stream, true) {
            tracing::trace!(%error, "the peer may wait for an acknowledgement");
        }
    }

    /// The next `length` bytes of the body in one piece, at most [`SMALL`] bytes; they stay where they are.
    pub(crate) async fn peek(&mut self, length: usize) -> Result<&[u8], NetError> {
        let limit = self.body_left.min(SMALL as u64);
        if length as u64 > limit {
            return Err(NetError::TooLong { length: length as u64, limit });
        }
        self.gather(length).await?;
        Ok(&self.received()[..length])
    }

    /// The next `length` bytes of the body in one piece; at most [`SMALL`] bytes.
    pub(crate) async fn prefix(&mut self, length: usize) -> Result<&[u8], NetError> {
        self.peek(length).await?;
        self.take_from_body(length as u64);
        let from = self.start;
        self.start += length;
        Ok(&self.buffer.as_deref().unwrap_or_default()[from..self.start])
    }

    /// The rest of the body in one piece, if it is not longer than `limit`.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<&[u8], NetError> {
        if self.body_left > limit as u64 {
            return Err(NetError::TooLong { length: self.body_left, limit: limit as u64 });
        }
        if self.body_left <= SMALL as u64 {
            return self.prefix(self.body_left as usize).await;
        }
        // The room grows with what has come, never with what was announced.
        let mut whole = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            whole.extend_from_slice(chunk);
        }
        self.spill = whole;
        Ok(&self.spill)
    }

    /// The next piece of the body; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Result<Option<&[u8]>, NetError> {
        if self.body_left == 0 {
            return Ok(None);
        }
        if self.start == self.end {
            self.let_others_run().await;
            self.receive(true).await?;
        }
        let length = (self.end - self.start).min(usize::try_from(self.body_left).unwrap_or(usize::MAX));
        self.take_from_body(length as u64);
        let from = self.start;
        self.start += length;
        Ok(Some(&self.buffer.as_deref().unwrap_or_default()[from..self.start]))
    }

    /// Throws away what is left of the body, if that is at most `limit` bytes. `false` if it is more.
    pub(crate) async fn drain(&mut self, limit: u64) -> Result<bool, NetError> {
        if self.body_left > limit {
            return Ok(false);
        }
        while self.chunk().await?.is_some() {}
        Ok(true)
    }

    /// Sends all of `bytes`.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent =
                within(self.timeout, poll_fn(|context| Pin::new(&mut self.stream).poll_write(context, rest)))
                    .await?;
            if sent == 0 {
                return Err(NetError::Closed);
            }
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends all of `bytes`, telling the system that more follows at once.
    pub(crate) async fn send_more(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let attempt = self.stream.try_io(Interest::WRITABLE, || {
                let flags = SendFlags::MORE | SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
                Ok(rustix::net::send(&self.stream, rest, flags)?)
            });
            match attempt {
                Ok(0) => return Err(NetError::Closed),
                Ok(sent) => rest = &rest[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable().await?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent, and waits shortly for the peer to see it.
    ///
    /// Closing a socket with unread bytes resets the connection, which can destroy an answer on its way.
    pub(crate) async fn close(mut self) {
        self.release();
        if rustix::net::shutdown(&self.stream, rustix::net::Shutdown::Write).is_err() {
            return;
        }
        let goodbye = async {
            let mut seen = 0;
            let mut buffer = Buffer::small();
            while seen < LINGER_BYTES {
                let more = poll_fn(|context| {
                    let mut room = ReadBuf::new(&mut buffer);
                    ready!(Pin::new(&mut self.stream).poll_read(context, &mut room))?;
                    Poll::Ready(io::Result::Ok(room.filled().len()))
                });
                match more.await {
                    Ok(0) | Err(_) => break,
                    Ok(received) => seen += received,
                }
            }
        };
        let _ = tokio::time::timeout(LINGER_TIME, goodbye).await;
    }

    /// Whether bytes, or the peer's end, wait to be received.
    pub(crate) fn is_readable(&self) -> bool {
        if self.start != self.end {
            return true;
        }
        let peek = self.stream.try_io(Interest::READABLE, || {
            let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
            Ok(rustix::net::recv(&self.stream, &mut [0_u8; 1], flags)?)
        });
        !matches!(peek, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Whether the peer has closed the connection, or says so in what has come behind the present message. The runtime may
    /// not have heard of it yet, so that the kernel is asked.
    pub(crate) fn has_left(&self) -> bool {
        let mut ahead = [0; Header::LEN];
        let received = self.received();
        let mut length = received.len().min(Header::LEN);
        ahead[..length].copy_from_slice(&received[..length]);
        if length < Header::LEN {
            let flags = rustix::net::RecvFlags::PEEK | rustix::net::RecvFlags::DONTWAIT;
            match rustix::net::recv(&self.stream, &mut ahead[length..], flags) {
                Ok((_, 0)) => return true,
                Ok((_, more)) => length += more,
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => return true,
            }
        }
        length == Header::LEN && Header::decode(&ahead).is_ok_and(|header| header.command == Command::QUIT)
    }

    /// Counts `length` bytes more to the present body.
    pub(crate) fn expect_more(&mut self, length: u64) {
        self.body_left = self.body_left.saturating_add(length);
    }

    pub(crate) fn body_left(&self) -> u64 {
        self.body_left
    }

    pub(crate) fn body_read(&self) -> u64 {
        self.body_read
    }

    fn take_from_body(&mut self, length: u64) {
        self.body_left -= length;
        self.body_read += length;
    }

    /// Counts `length` bytes more to the present body.
    pub(crate) fn extend_body(&mut self, length: u64) {
        self.body_left = self.body_left.saturating_add(length);
    }

    pub(crate) fn has_received(&self) -> bool {
        self.start != self.end
    }

    pub(crate) fn peer(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }

    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    async fn gather(&mut self, length: usize) -> Result<(), NetError> {
        while self.end - self.start < length {
            if self.start > 0 {
                let buffer = self.buffer.as_deref_mut().unwrap_or_default();
                buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            self.receive(false).await?;
        }
        Ok(())
    }

    async fn writable(&self) -> Result<(), NetError> {
        within(self.timeout, self.stream.writable()).await
    }

    async fn let_others_run(&mut self) {
        if self.streak >= STREAK {
            self.streak = 0;
            tokio::task::yield_now().await;
        }
    }

    fn received(&self) -> &[u8] {
        &self.buffer.as_deref().unwrap_or_default()[self.start..self.end]
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }

    /// Gives the buffer back if nothing is in it.
    fn release(&mut self) {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            self.buffer = None;
        }
    }
}

/// Waits for `future`; no timer is touched when it is ready at once.
pub(crate) async fn within<T>(
    limit: Duration,
    future: impl Future<Output = io::Result<T>>,
) -> Result<T, NetError> {
    let mut future = pin!(future);
    if let Poll::Ready(output) = poll_fn(|context| Poll::Ready(future.as_mut().poll(context))).await {
        return Ok(output?);
    }
    match tokio::time::timeout(limit, future).await {
        Ok(output) => Ok(output?),
        Err(_elapsed) => Err(NetError::Timeout),
    }
}

/// Bytes that one connection may move before others of its thread have their turn.
const STREAK: usize = 2 * 1024 * 1024;

/// The end of a body, which may be one segment that a peer holds back.
const LAST_BYTES: u64 = 64 * 1024;

const LINGER_BYTES: usize = 64 * 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);
