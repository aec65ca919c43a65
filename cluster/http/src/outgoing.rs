//! File pieces on their way to a plain TCP connection.
//!
//! An HTTP library moves slices of memory. Bytes of a file that are to be sent without being read travel through it as
//! a stand-in: a slice of [`STAND_IN`], which is never looked into, while the piece itself waits in the connection's
//! [`Outgoing`]. The connection tells stand-ins by their address, and sends the piece instead. Both keep one order, so the
//! next stand-in belongs to the first piece.

use std::collections::VecDeque;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use rustix::fs::sendfile;
use rustix::net::{SendFlags, send};

use crate::FilePiece;

/// Pieces that a connection is to send.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing(Arc<Mutex<VecDeque<FilePiece>>>);

impl Outgoing {
    /// Longest piece.
    pub(crate) const MOST: usize = 2 * 1024 * 1024;

    /// Takes a piece over; its stand-in is to be written to the connection next.
    pub(crate) fn push(&self, piece: FilePiece) -> Bytes {
        let stand_in = Bytes::from_static(&STAND_IN[..piece.length.min(Self::MOST)]);
        self.0.lock().push_back(piece);
        stand_in
    }

    /// Sends what `slices` stand for, as far as the socket takes it.
    pub(crate) fn send(&self, socket: impl AsFd, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
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

    fn send_piece(&self, socket: impl AsFd, stand_in: &[u8]) -> io::Result<usize> {
        let mut pieces = self.0.lock();
        let piece = pieces.front().ok_or_else(|| io::Error::other("a stand-in without a piece"))?;
        // What is left of the stand-in is what is left of the piece.
        let done = piece.length.checked_sub(stand_in.len()).ok_or(io::ErrorKind::InvalidData)?;
        let mut offset = piece.offset + done as u64;
        match sendfile(socket, &piece.file, Some(&mut offset), stand_in.len())? {
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

/// Whether any slice stands for a piece of a file.
pub(crate) fn has_stand_in(slices: &[io::IoSlice<'_>]) -> bool {
    slices.iter().any(|slice| is_stand_in(slice))
}

fn is_stand_in(slice: &[u8]) -> bool {
    STAND_IN.as_ptr_range().contains(&slice.as_ptr())
}

/// Memory that nobody writes and nobody reads: it takes addresses and no pages.
static STAND_IN: [u8; Outgoing::MOST] = [0; Outgoing::MOST];
