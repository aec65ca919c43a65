//! File pieces on their way to a plain TCP connection.
//!
//! An HTTP library moves slices of memory. Bytes of a file that are to be sent without being read travel through it as
//! a stand-in: a slice of [`STAND_IN`], which is never looked into, while the piece itself waits in the connection's
//! [`Outgoing`]. The connection tells stand-ins by their address, and sends the piece instead. Both keep one order, so the
//! next stand-in belongs to the first piece.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::sendfile;
use rustix::net::{SendFlags, send};
use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::FilePiece;

/// Pieces that a connection is to send.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pieces: Arc<Mutex<VecDeque<FilePiece>>>,
    copies: bool,
}

impl Outgoing {
    /// Longest piece.
    pub const MOST: usize = 2 * 1024 * 1024;

    /// The pieces of a connection to a peer of this machine. They are copied through a small buffer: no network card spares that
    /// copy here, and `sendfile` hands pages on one by one, which costs both sides more (`tests/benches/BENCHMARKS.md`).
    pub fn to_this_machine() -> Self {
        Self { copies: true, ..Self::default() }
    }

    /// Takes a piece over; its stand-in is to be written to the connection next.
    pub fn push(&self, piece: FilePiece) -> Bytes {
        let stand_in = Bytes::from_static(&STAND_IN[..piece.length.min(Self::MOST)]);
        self.pieces.lock().push_back(piece);
        stand_in
    }

    /// Sends what `slices` stand for, as far as the socket takes it, when it takes something.
    pub fn poll_send(
        &self,
        stream: &TcpStream,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(stream.poll_write_ready(cx))?;
            match stream.try_io(Interest::WRITABLE, || self.send(stream, slices)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }

    fn send(&self, socket: impl AsFd, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        let mut sent = 0;
        for (index, slice) in slices.iter().enumerate().filter(|(_, slice)| !slice.is_empty()) {
            let result = if is_stand_in(slice) {
                self.send_piece(&socket, slice)
            } else {
                let more = slices[index + 1..].iter().any(|next| !next.is_empty());
                let flags = if more { SendFlags::MORE } else { SendFlags::empty() };
                send(&socket, slice, flags | SendFlags::NOSIGNAL).map_err(io::Error::from)
            };
            match result {
                Ok(length) => {
                    sent += length;
                    if length < slice.len() {
                        return Ok(sent);
                    }
                }
                // What was sent is told first; the error comes again.
                Err(_) if sent > 0 => return Ok(sent),
                Err(error) => return Err(error),
            }
        }
        Ok(sent)
    }

    /// Whether any slice stands for a piece of a file.
    pub fn has_stand_in(slices: &[io::IoSlice<'_>]) -> bool {
        slices.iter().any(|slice| is_stand_in(slice))
    }

    fn send_piece(&self, socket: impl AsFd, stand_in: &[u8]) -> io::Result<usize> {
        let mut pieces = self.pieces.lock();
        let piece = pieces.front().ok_or_else(|| io::Error::other("a stand-in without a piece"))?;
        // What is left of the stand-in is what is left of the piece.
        let done = piece.length.checked_sub(stand_in.len()).ok_or(io::ErrorKind::InvalidData)?;
        let mut offset = piece.offset + done as u64;
        let sent = match self.copies {
            true => copy(&socket, &piece.file, offset, stand_in.len())?,
            false => sendfile(&socket, &piece.file, Some(&mut offset), stand_in.len())?,
        };
        match sent {
            0 => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file became shorter while it was sent"))
            }
            length => {
                if length == stand_in.len() {
                    pieces.pop_front();
                }
                Ok(length)
            }
        }
    }
}

/// Sends a range of a file through a buffer, as far as the socket takes it.
fn copy(socket: impl AsFd, file: &File, offset: u64, length: usize) -> io::Result<usize> {
    BUFFER.with_borrow_mut(|buffer| {
        buffer.resize(BLOCK, 0);
        let mut sent = 0;
        while sent < length.min(STREAK) {
            let wanted = (length - sent).min(BLOCK);
            let read = file.read_at(&mut buffer[..wanted], offset + sent as u64)?;
            let more = if sent + read < length { SendFlags::MORE } else { SendFlags::empty() };
            let result = send(&socket, &buffer[..read], more | SendFlags::NOSIGNAL);
            match result {
                Ok(taken) => {
                    sent += taken;
                    if taken < wanted {
                        break;
                    }
                }
                // What was sent is told first; the error comes again.
                Err(_) if sent > 0 => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    })
}

fn is_stand_in(slice: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&slice.as_ptr())
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that are copied at once: they stay in the cache of the core.
const BLOCK: usize = 64 * 1024;
/// Bytes that one connection sends before others have their turn.
const STREAK: usize = 512 * 1024;

/// Memory that nobody writes and nobody reads: it takes addresses and no pages.
static STAND_IN: [u8; Outgoing::MOST] = [0; Outgoing::MOST];

#[cfg(test)]
mod tests {
    use std::io::{IoSlice, Write as _};

    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;

    use super::*;

    /// What arrives of a head, a piece of a file and an end.
    async fn arrives(outgoing: Outgoing, content: &[u8]) -> Vec<u8> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"before").unwrap();
        file.write_all(content).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (far, _) = listener.accept().await.unwrap();
        let length = content.len();
        let sending = tokio::spawn(async move {
            let stand_in = outgoing.push(FilePiece { file: Arc::new(file), offset: 6, length });
            let parts = [b"head", &stand_in[..], b"end"];
            let total: usize = parts.iter().map(|part| part.len()).sum();
            let mut sent = 0;
            while sent < total {
                let mut skipped = sent;
                let left = parts.map(|part| {
                    let skip = skipped.min(part.len());
                    skipped -= skip;
                    IoSlice::new(&part[skip..])
                });
                sent += std::future::poll_fn(|cx| outgoing.poll_send(&far, cx, &left)).await.unwrap();
            }
        });
        let mut read = Vec::new();
        near.read_to_end(&mut read).await.unwrap();
        sending.await.unwrap();
        read
    }

    #[tokio::test]
    async fn a_piece_arrives_between_what_stands_before_and_behind_it() {
        for length in [1, 65_536, 65_537, Outgoing::MOST] {
            let content: Vec<u8> = (0..length).map(|at| (at * 31 + at / 256) as u8).collect();
            let whole = [b"head", &content[..], b"end"].concat();
            assert!(arrives(Outgoing::default(), &content).await == whole, "{length} bytes by sendfile");
            assert!(arrives(Outgoing::to_this_machine(), &content).await == whole, "{length} bytes by copy");
        }
    }
}
