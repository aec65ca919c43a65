//! One connection to a server.

use std::{fs::File, future::poll_fn, io, net::SocketAddr, time::Duration};

use fdfs_proto::{Decode as _, Header, Request, Status};

use super::PoolConfig;
use crate::{
    CallError, NetError, near,
    wire::{FileSent, Wire},
};

/// One connection to a server: requests go out, one answer comes in for each.
///
/// ```text
/// send, send_body … ─► receive ─► read_body | next_chunk …
/// ```
#[derive(Debug)]
pub struct Peer {
    wire: Wire,
    state: State,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    /// The last answer was read to its end.
    Idle,
    /// This many bytes of the request are still to be sent.
    Sending(u64),
    /// The answer's body is being read.
    Receiving,
    /// Nothing more can be said on this connection.
    Broken,
}

impl Peer {
    /// Connects to a server. Where members share a secret, both sides have proved it then.
    pub async fn connect(address: SocketAddr, config: &PoolConfig) -> Result<Self, CallError> {
        let mut peer = Self::open(address, config).await?;
        if let Some(secret) = &config.secret {
            secret.introduce(&mut peer, address, config.connect_timeout).await?;
        }
        Ok(peer)
    }

    async fn open(address: SocketAddr, config: &PoolConfig) -> Result<Self, CallError> {
        let connecting = near::connect(address, config.bind);
        match tokio::time::timeout(config.connect_timeout, connecting).await {
            Ok(Ok(stream)) => {
                Ok(Self { wire: Wire::new(stream, config.network_timeout), state: State::Idle })
            }
            Ok(Err(error)) => Err(CallError::Connect(error)),
            Err(_elapsed) => Err(CallError::Connect(io::ErrorKind::TimedOut.into())),
        }
    }

    /// Sends a request without content and reads its answer, whose body may have `limit` bytes.
    pub async fn ask<R: Request>(&mut self, request: &R, limit: usize) -> Result<R::Response, CallError> {
        self.send_request(request).await?;
        self.receive().await?;
        let body = self.read_body(limit).await?;
        Ok(R::Response::decode(&body)?)
    }

    /// Sends a request's header with the first bytes of its body, in one write.
    pub async fn send(&mut self, header: Header, body: &[u8]) -> Result<(), CallError> {
        let mut packet = Vec::with_capacity(Header::LEN + body.len());
        packet.extend_from_slice(&header.encode());
        packet.extend_from_slice(body);
        self.send_packet(&packet, header.length.saturating_sub(body.len() as u64)).await
    }

    /// Sends a request in one write, save for its content, which follows by [`Peer::send_body`].
    pub async fn send_request<R: Request>(&mut self, request: &R) -> Result<(), CallError> {
        self.send_packet(&request.frame(), request.content_length()).await
    }

    /// The same, and bytes behind it that its header does not count, in one write.
    pub async fn send_request_and<R: Request>(&mut self, request: &R, bytes: &[u8]) -> Result<(), CallError> {
        let mut packet = request.frame();
        packet.extend_from_slice(bytes);
        self.send_packet(&packet, request.content_length()).await
    }

    async fn send_packet(&mut self, packet: &[u8], rest: u64) -> Result<(), CallError> {
        self.state = State::Broken;
        if let Err(error) = self.wire.send(packet).await {
            return Err(self.early_answer(error).await);
        }
        self.state = State::Sending(rest);
        Ok(())
    }

    /// Sends more of the request's body.
    pub async fn send_body(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        let rest = self.rest_to_send(bytes.len() as u64)?;
        if self.wire.is_readable() {
            return Err(self.early_answer(NetError::Closed).await);
        }
        if let Err(error) = self.wire.send(bytes).await {
            return Err(self.early_answer(error).await);
        }
        self.state = State::Sending(rest);
        Ok(())
    }

    /// Sends bytes behind the body that the request's header does not count: the frames of an upload whose length is not
    /// known when it begins.
    pub async fn send_uncounted(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.send_uncounted_both(&[], bytes).await
    }

    /// The same of two pieces.
    pub async fn send_uncounted_both(&mut self, head: &[u8], bytes: &[u8]) -> Result<(), CallError> {
        let rest = self.rest_to_send(0)?;
        debug_assert_eq!(rest, 0, "the body that is counted comes first");
        if self.wire.is_readable() {
            return Err(self.early_answer(NetError::Closed).await);
        }
        let sent = match self.wire.send_more(head).await {
            Ok(()) => self.wire.send(bytes).await,
            failed => failed,
        };
        if let Err(error) = sent {
            return Err(self.early_answer(error).await);
        }
        self.state = State::Sending(0);
        Ok(())
    }

    /// Sends `length` bytes of `file` from `offset` on as the body, or the next part of it.
    pub async fn send_file(&mut self, file: &File, offset: u64, length: u64) -> Result<(), CallError> {
        let rest = self.rest_to_send(length)?;
        match self.wire.send_file(&[], file, offset, length).await {
            Ok(FileSent::All) => {}
            Ok(FileSent::Nothing(error)) => return Err(NetError::File(error).into()),
            Err(NetError::File(error)) => return Err(NetError::File(error).into()),
            Err(error) => return Err(self.early_answer(error).await),
        }
        self.state = State::Sending(rest);
        Ok(())
    }

    /// Sends a request with its content, that many bytes of `file` from `offset` on: small ones in one write.
    ///
    /// After an error the connection is of no more use.
    pub async fn send_request_file<R: Request>(
        &mut self,
        request: &R,
        file: &File,
        offset: u64,
    ) -> Result<(), CallError> {
        self.state = State::Broken;
        match self.wire.send_file(&request.frame(), file, offset, request.content_length()).await {
            Ok(FileSent::All) => {}
            Ok(FileSent::Nothing(error)) | Err(NetError::File(error)) => {
                return Err(NetError::File(error).into());
            }
            Err(error) => return Err(self.early_answer(error).await),
        }
        self.state = State::Sending(0);
        Ok(())
    }

    /// Waits for an answer of which only the status counts; a body is dropped.
    pub async fn receive_status(&mut self) -> Result<Status, CallError> {
        let header = self.receive_header().await?;
        while self.wire.chunk().await?.is_some() {}
        self.state = State::Idle;
        Ok(header.status)
    }

    /// Waits for the answer's header. An answer that is not a success is [`CallError::Status`].
    pub async fn receive(&mut self) -> Result<Header, CallError> {
        let header = self.receive_header().await?;
        if header.status == Status::OK {
            self.state = if header.length == 0 { State::Idle } else { State::Receiving };
            Ok(header)
        } else {
            Err(CallError::Status(header.status))
        }
    }

    /// Waits until the server ends the connection, or says something that nobody asked for, between two calls.
    pub async fn ended(&mut self) -> NetError {
        match poll_fn(|context| self.wire.poll_receive(context, false)).await {
            Ok(_) => NetError::Closed,
            Err(error) => error.into(),
        }
    }

    /// The whole body of the answer, if it has at most `limit` bytes.
    pub async fn read_body(&mut self, limit: usize) -> Result<Vec<u8>, CallError> {
        self.state = State::Broken;
        let body = self.wire.body(limit).await?.to_vec();
        self.state = State::Idle;
        Ok(body)
    }

    /// The next piece of the answer's body, as it arrives; `None` at its end.
    pub async fn next_chunk(&mut self) -> Result<Option<&[u8]>, CallError> {
        if self.wire.body_left() == 0 {
            self.state = State::Idle;
            return Ok(None);
        }
        self.state = State::Receiving;
        Ok(self.wire.chunk().await?)
    }

    /// Number of bytes of the answer's body that were not read yet.
    pub fn body_left(&self) -> u64 {
        self.wire.body_left()
    }

    /// Sets the time without progress after which the server is given up.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.wire.set_timeout(timeout);
    }

    /// Our address on this connection.
    pub fn local(&self) -> io::Result<SocketAddr> {
        self.wire.local()
    }

    /// The server's address on this connection.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        self.wire.peer()
    }

    pub(super) fn is_between_calls(&self) -> bool {
        matches!(self.state, State::Idle | State::Receiving) && self.wire.body_left() == 0
    }

    /// Whether nothing has come that nobody asked for; in particular, not the connection's end.
    pub fn is_quiet(&self) -> bool {
        !self.wire.is_readable()
    }

    fn rest_to_send(&mut self, length: u64) -> Result<u64, CallError> {
        let State::Sending(left) = self.state else { return Err(NetError::Closed.into()) };
        self.state = State::Broken;
        left.checked_sub(length).ok_or(NetError::TooLong { length, limit: left }.into())
    }

    /// The server answers before it has the whole request only to refuse it: that answer is worth more than the broken pipe.
    async fn early_answer(&mut self, error: NetError) -> CallError {
        self.state = State::Broken;
        match self.receive_header().await {
            Ok(header) if header.status != Status::OK => CallError::Status(header.status),
            _ => error.into(),
        }
    }

    async fn receive_header(&mut self) -> Result<Header, CallError> {
        self.state = State::Broken;
        loop {
            if let Some(header) = self.wire.take_header()? {
                return Ok(header.expect_response().map_err(NetError::from)?);
            }
            self.wire.receive(false).await?;
        }
    }
}
