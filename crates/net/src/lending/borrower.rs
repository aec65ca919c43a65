//! The side that borrows.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::unix::net;
use std::time::Duration;

use fdfs_proto::ours::{LendFileRequest, LendFileResponse};
use fdfs_proto::{Decode as _, Header, Request as _};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;

use super::{is_trusted, name_of};
use crate::{CallError, NetError};

/// A connection to the storage of an address, if it is on this machine.
#[derive(Debug)]
pub struct Borrower {
    stream: UnixStream,
}

/// A file that a storage of this machine has lent.
#[derive(Debug)]
pub struct Lent {
    /// What it has opened.
    pub file: File,
    /// Where the content lies in it.
    pub place: LendFileResponse,
}

impl Borrower {
    /// Connects; an error where no storage of this machine has that address and lends to this user.
    pub fn connect(address: SocketAddr) -> io::Result<Self> {
        // Such a connection stands at once or never: nothing waits here.
        let stream = net::UnixStream::connect_addr(&name_of(address)?)?;
        stream.set_nonblocking(true)?;
        let stream = UnixStream::from_std(stream)?;
        if !is_trusted(stream.peer_cred()?.uid()) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Ok(Self { stream })
    }

    /// Borrows a file. After [`CallError::Status`] the connection is as good as before.
    pub async fn borrow(&mut self, request: &LendFileRequest, limit: Duration) -> Result<Lent, CallError> {
        match tokio::time::timeout(limit, self.ask(request)).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(NetError::Timeout.into()),
        }
    }

    async fn ask(&mut self, request: &LendFileRequest) -> Result<Lent, CallError> {
        self.stream.write_all(&request.frame()).await.map_err(NetError::Io)?;
        let mut answer = [0; Header::LEN + LendFileResponse::LEN];
        let (mut filled, mut descriptor) = (0, None);
        loop {
            if let Some(head) = answer.first_chunk::<{ Header::LEN }>().filter(|_| filled >= Header::LEN) {
                let header = Header::decode(head).map_err(NetError::from)?;
                if !header.status.is_ok() {
                    return Err(CallError::Status(header.status));
                }
                if header.length != LendFileResponse::LEN as u64 {
                    let limit = LendFileResponse::LEN as u64;
                    return Err(NetError::TooLong { length: header.length, limit }.into());
                }
            }
            if filled == answer.len() {
                break;
            }
            filled +=
                match self.receive(&mut answer[filled..], &mut descriptor).await.map_err(NetError::Io)? {
                    0 => return Err(NetError::Closed.into()),
                    read => read,
                };
        }
        let place = LendFileResponse::decode(&answer[Header::LEN..])?;
        let file = descriptor.map(File::from).ok_or(NetError::Closed)?;
        Ok(Lent { file, place })
    }

    async fn receive(&self, room: &mut [u8], descriptor: &mut Option<OwnedFd>) -> io::Result<usize> {
        let receive = || {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut beside = RecvAncillaryBuffer::new(&mut space);
            let mut rooms = [IoSliceMut::new(room)];
            let read = recvmsg(&self.stream, &mut rooms, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
            for message in beside.drain() {
                if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                    *descriptor = descriptors.last();
                }
            }
            Ok(read.bytes)
        };
        self.stream.async_io(Interest::READABLE, receive).await
    }
}
