//! One client's connection, as a service sees it.

use std::{
    fs::File,
    future::poll_fn,
    net::{IpAddr, SocketAddr},
    pin::pin,
    task::Poll,
};

use fdfs_proto::{
    Command, DecodeError, Encode, Header, Request, Status, Streamed, Writer,
    ours::{Challenge, ChallengeRequest, ProofRequest},
};

use crate::{
    NetError, SharedSecret, secret,
    server::{Seat, Worker},
    wire::{FileSent, Wire, within},
};

/// A client's connection: requests come in, one answer goes out for each.
///
/// ```text
/// next_request ─► read_body | read_prefix, next_chunk … ─► respond | respond_file ─► next_request …
/// ```
///
/// A body that was not read is skipped before the next request if it is short; else the connection ends.
#[derive(Debug)]
pub struct Connection {
    wire: Wire,
    peer: SocketAddr,
    local: SocketAddr,
    seat: Seat,
    requests: u64,
    out: Vec<u8>,
    /// What the peer may prove the secret of the cluster with, once.
    challenge: Option<Challenge>,
    /// The peer has proved the secret of the cluster.
    is_member: bool,
}

impl Connection {
    pub(crate) fn new(wire: Wire, peer: SocketAddr, local: SocketAddr, seat: Seat) -> Self {
        Self { wire, peer, local, seat, requests: 0, out: Vec::new(), challenge: None, is_member: false }
    }

    /// Whether the peer has proved the secret of the cluster.
    pub fn is_member(&self) -> bool {
        self.is_member
    }

    /// Waits for the next request.
    ///
    /// `None` when the conversation is over in a regular way: the client closed or sent `QUIT`, or the server is stopping.
    /// Until the first request is whole, and inside every request, the client must make progress within the time limit;
    /// between requests it may be silent for ever.
    ///
    /// Where members share a secret, proofs of it are answered here, and a command of members from anybody else is refused
    /// and ends the conversation.
    pub async fn next_request(&mut self) -> Result<Option<Header>, NetError> {
        loop {
            let Some(header) = self.next_header().await? else { return Ok(None) };
            let Some(secret) = &self.seat.worker().limits.secret else { return Ok(Some(header)) };
            let goes_on = match header.command {
                Command::MEMBER_CHALLENGE => self.challenge(&header).await?,
                Command::MEMBER_PROOF => self.check_proof(&header, secret.clone()).await?,
                command if command.is_for_members() && !self.is_member => {
                    secret.refused(self.peer.ip(), command);
                    self.respond_status(Status::EACCES).await?;
                    false
                }
                _ => return Ok(Some(header)),
            };
            if !goes_on {
                return Ok(None);
            }
        }
    }

    /// Gives the peer something to prove the secret of the cluster with. Whether the conversation goes on.
    async fn challenge(&mut self, header: &Header) -> Result<bool, NetError> {
        if self.read_request::<ChallengeRequest>(header, secret::LIMIT).await?.is_err() {
            self.respond_status(Status::EINVAL).await?;
            return Ok(false);
        }
        let challenge = Challenge(secret::random()?);
        self.challenge = Some(challenge);
        self.respond_message(&challenge).await?;
        Ok(true)
    }

    /// Checks that the peer knows the secret of the cluster, and proves it in turn. Whether the conversation goes on.
    async fn check_proof(&mut self, header: &Header, secret: SharedSecret) -> Result<bool, NetError> {
        let Ok(proof) = self.read_request::<ProofRequest>(header, secret::LIMIT).await? else {
            self.respond_status(Status::EINVAL).await?;
            return Ok(false);
        };
        match self.challenge.take().map(|challenge| secret.secret().check(&challenge, &proof)) {
            Some(Ok(response)) => {
                self.is_member = true;
                self.respond_message(&response).await?;
                Ok(true)
            }
            Some(Err(_)) | None => {
                secret.refused(self.peer.ip(), header.command);
                self.respond_status(Status::EACCES).await?;
                Ok(false)
            }
        }
    }

    async fn next_header(&mut self) -> Result<Option<Header>, NetError> {
        let limits = &self.seat.worker().limits;
        if self.wire.body_left() > 0 && !self.wire.drain(limits.skip_body).await? {
            return Ok(None);
        }
        loop {
            if let Some(header) = self.wire.take_header()? {
                if header.command == Command::QUIT {
                    return Ok(None);
                }
                let limit = self.seat.worker().limits.max_body;
                if header.length > limit {
                    return Err(NetError::TooLong { length: header.length, limit });
                }
                self.requests += 1;
                return Ok(Some(header));
            }
            if !self.receive_header_bytes().await? {
                return if self.wire.has_received() { Err(NetError::Closed) } else { Ok(None) };
            }
        }
    }

    /// The rest of the body in one piece, if it has at most `limit` bytes.
    pub async fn read_body(&mut self, limit: usize) -> Result<&[u8], NetError> {
        self.wire.body(limit).await
    }

    /// The request whose header was just read, if its body has at most `limit` bytes.
    ///
    /// The outer result is the connection's fate, the inner one the request's: a body that is malformed or too long is an
    /// answer the caller owes, and what was not read of it is skipped later.
    pub async fn read_request<R: Request>(
        &mut self,
        header: &Header,
        limit: usize,
    ) -> Result<Result<R, RequestError>, NetError> {
        if header.length > limit as u64 {
            return Ok(Err(RequestError::TooLong { length: header.length, limit }));
        }
        let body = self.wire.body(limit).await?;
        Ok(R::decode_request(header, body).map_err(RequestError::from))
    }

    /// The head of a request whose content follows by [`Connection::next_chunk`]. Results as in
    /// [`Connection::read_request`].
    pub async fn read_head<R: Streamed>(
        &mut self,
        header: &Header,
    ) -> Result<Result<R, RequestError>, NetError> {
        if header.length < R::FIXED_LEN as u64 {
            return Ok(Err(RequestError::TooShort { length: header.length, least: R::FIXED_LEN }));
        }
        let length = match R::head_length(self.wire.peek(R::FIXED_LEN).await?) {
            Ok(length) if length as u64 <= header.length => length,
            Ok(length) => return Ok(Err(RequestError::TooShort { length: header.length, least: length })),
            Err(error) => return Ok(Err(error.into())),
        };
        let head = self.wire.prefix(length).await?;
        Ok(R::decode_head(header, head).map_err(RequestError::from))
    }

    /// The next `length` bytes of the body in one piece; for the fixed part in front of a streamed body. At most 16 KiB.
    pub async fn read_prefix(&mut self, length: usize) -> Result<&[u8], NetError> {
        self.wire.prefix(length).await
    }

    /// The next piece of the body, as it arrives; `None` at its end.
    ///
    /// Work on the piece before the next await: a connection holds no buffer while it waits.
    pub async fn next_chunk(&mut self) -> Result<Option<&[u8]>, NetError> {
        self.wire.chunk().await
    }

    /// Whether the peer has left without waiting for the answer to the request that was just read, as far as this machine has
    /// heard.
    pub fn has_peer_left(&self) -> bool {
        self.wire.has_left()
    }

    /// Counts `length` bytes more to the body: for content that the header's length leaves out.
    pub fn expect_more(&mut self, length: u64) {
        self.wire.expect_more(length);
    }

    /// Number of bytes of the present body that have come and were read, whatever its header promised.
    pub fn body_read(&self) -> u64 {
        self.wire.body_read()
    }

    /// Number of bytes of the body that were not read yet.
    pub fn body_left(&self) -> u64 {
        self.wire.body_left()
    }

    /// Counts `length` bytes more to the body than its header said: a frame of an upload whose length was not known when
    /// it began. They are read as the body is.
    pub fn extend_body(&mut self, length: u64) {
        self.wire.extend_body(length);
    }

    /// Answers with a status and no body.
    pub async fn respond_status(&mut self, status: Status) -> Result<(), NetError> {
        self.wire.send(&Header::answer(status).encode()).await
    }

    /// Answers with success and a message, in one write.
    pub async fn respond_message(&mut self, message: &impl Encode) -> Result<(), NetError> {
        self.respond_with(|out| message.write(&mut Writer::new(out))).await
    }

    /// Answers with success and `body`, in one write.
    pub async fn respond(&mut self, body: &[u8]) -> Result<(), NetError> {
        self.respond_with(|out| out.extend_from_slice(body)).await
    }

    /// Answers with success and the bytes that `write` appends, in one write.
    pub async fn respond_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), NetError> {
        self.out.clear();
        self.out.extend_from_slice(&[0; Header::LEN]);
        write(&mut self.out);
        let length = (self.out.len() - Header::LEN) as u64;
        self.out[..Header::LEN].copy_from_slice(&Header::response(length).encode());
        let sent = self.wire.send(&self.out).await;
        if self.out.capacity() > KEEP_OUT {
            self.out = Vec::new();
        }
        sent
    }

    /// Answers with `header` as it is, and `body`: for the few answers that are not plain.
    pub async fn respond_raw(&mut self, header: Header, body: &[u8]) -> Result<(), NetError> {
        self.out.clear();
        self.out.extend_from_slice(&header.encode());
        self.out.extend_from_slice(body);
        self.wire.send(&self.out).await
    }

    /// Sends more of a body that [`Connection::respond_raw`] has begun.
    pub async fn respond_more(&mut self, bytes: &[u8]) -> Result<(), NetError> {
        self.wire.send(bytes).await
    }

    /// Answers with success and `length` bytes of `file` from `offset` on: small answers by one write, large ones by `sendfile`.
    ///
    /// [`FileError::Unread`] means that the file could not be read and nothing was sent: the caller still owes an answer.
    pub async fn respond_file(&mut self, file: &File, offset: u64, length: u64) -> Result<(), FileError> {
        let head = Header::response(length).encode();
        match self.wire.send_file(&head, file, offset, length).await {
            Ok(FileSent::All) => Ok(()),
            Ok(FileSent::Nothing(error)) => Err(FileError::Unread(error)),
            Err(error) => Err(FileError::Net(error)),
        }
    }

    /// Ends the conversation so that the last answer reaches the client, and not a reset.
    pub async fn close(self) {
        self.wire.close().await;
    }

    /// Address of the client; an IPv4 client of an IPv6 socket has its IPv4 address.
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// IP address of the client.
    pub fn peer_ip(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Our address on this connection.
    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Number of requests that were read so far.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Receives more of a header. `false` when nothing more will come: the client closed, or the server is stopping.
    async fn receive_header_bytes(&mut self) -> Result<bool, NetError> {
        let Self { wire, seat, requests, .. } = self;
        let worker = seat.worker();
        if wire.has_received() || *requests == 0 {
            let receive = poll_fn(|context| wire.poll_receive(context, false));
            return match within(worker.limits.network_timeout, receive).await {
                Err(NetError::Timeout) => {
                    worker.counters.timed_out();
                    Err(NetError::Timeout)
                }
                other => other,
            };
        }
        let mut stopping = pin!(Worker::stopping(worker));
        poll_fn(|context| {
            if let Poll::Ready(received) = wire.poll_receive(context, false) {
                return Poll::Ready(received);
            }
            stopping.as_mut().poll(context).map(|()| Ok(false))
        })
        .await
        .map_err(NetError::from)
    }
}

/// Why a request is refused although the connection is well.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The body is not what this command needs.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The body is longer than this command allows.
    #[error("the body has {length} bytes, more than {limit}")]
    TooLong {
        /// Length of the body.
        length: u64,
        /// The longest allowed.
        limit: usize,
    },
    /// The body ends before its fixed part does.
    #[error("the body has {length} bytes, fewer than {least}")]
    TooShort {
        /// Length of the body.
        length: u64,
        /// The least that the request needs.
        least: usize,
    },
}

/// Why a file was not sent.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file could not be read, and nothing was sent.
    #[error("file could not be read")]
    Unread(#[source] std::io::Error),
    /// The connection is lost.
    #[error(transparent)]
    Net(#[from] NetError),
}

/// An answer buffer larger than this is not kept for the next answer.
const KEEP_OUT: usize = 4 * 1024;
