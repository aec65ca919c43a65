//! Sending a piece of a file.
//!
//! Small pieces are read into a buffer and leave with their head by one `send`; large ones leave by `sendfile`. Pages that
//! are not in memory are fetched on the blocking pool, so that a cold disk never stops the thread's other connections.

use std::{
    fs::File,
    io::{self, IoSliceMut},
    os::unix::fs::FileExt,
    pin::Pin,
};

use rustix::io::{Errno, ReadWriteFlags};
use tokio::io::{AsyncWrite, Interest};

use super::{STREAK, Wire, within};
use crate::{
    NetError,
    buffer::{Buffer, SMALL},
};

impl Wire {
    /// Sends `head`, then `length` bytes of `file` from `offset` on.
    ///
    /// [`NetError::File`] before anything was sent means that the connection is still good; [`FileSent`] tells.
    pub(crate) async fn send_file(
        &mut self,
        head: &[u8],
        file: &File,
        offset: u64,
        length: u64,
    ) -> Result<FileSent, NetError> {
        let mut done = 0;
        if length.saturating_add(head.len() as u64) <= SMALL as u64 {
            let total = head.len() + length as usize;
            let mut buffer = Buffer::small();
            buffer[..head.len()].copy_from_slice(head);
            match read_resident(file, &mut buffer[head.len()..total], offset) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    buffer = match read_on_pool(file, buffer, head.len()..total, offset).await {
                        Ok(buffer) => buffer,
                        Err(error) => return Ok(FileSent::Nothing(error)),
                    };
                }
                Err(error) => return Ok(FileSent::Nothing(error)),
            }
            let sent = within(
                self.timeout,
                std::future::poll_fn(|context| {
                    Pin::new(&mut self.stream).poll_write(context, &buffer[..total])
                }),
            )
            .await?;
            drop(buffer);
            if sent < head.len() {
                self.send_more(&head[sent..]).await?;
            }
            done = sent.saturating_sub(head.len()) as u64;
        } else {
            self.send_more(head).await?;
        }
        self.send_file_bytes(file, offset + done, length - done).await?;
        Ok(FileSent::All)
    }

    async fn send_file_bytes(&mut self, file: &File, mut offset: u64, length: u64) -> Result<(), NetError> {
        let end = offset + length;
        let mut resident_to = offset;
        let mut streak = 0;
        while offset < end {
            if offset >= resident_to {
                resident_to = (offset + PIECE).min(end);
                make_resident(file, offset, resident_to).await.map_err(NetError::File)?;
            }
            let attempt = self.stream.try_io(Interest::WRITABLE, || {
                let mut position = offset;
                let count = (resident_to - offset) as usize;
                Ok(rustix::fs::sendfile(&self.stream, file, Some(&mut position), count)?)
            });
            match attempt {
                Ok(0) => return Err(NetError::File(io::ErrorKind::UnexpectedEof.into())),
                Ok(sent) => {
                    offset += sent as u64;
                    streak += sent;
                    if streak >= STREAK {
                        streak = 0;
                        tokio::task::yield_now().await;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    streak = 0;
                    self.writable().await?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What became of a file that was to be sent.
#[derive(Debug)]
pub(crate) enum FileSent {
    /// Head and content are on their way.
    All,
    /// The file could not be read, and not a byte was sent.
    Nothing(io::Error),
}

/// Fills `room` from the page cache; `WouldBlock` when the disk would have to be asked.
fn read_resident(file: &File, room: &mut [u8], mut offset: u64) -> io::Result<()> {
    let mut filled = 0;
    while filled < room.len() {
        let mut slices = [IoSliceMut::new(&mut room[filled..])];
        match rustix::io::preadv2(file, &mut slices, offset, ReadWriteFlags::NOWAIT) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                filled += read;
                offset += read as u64;
            }
            Err(Errno::INTR) => {}
            // A file system in memory may not know the flag.
            Err(Errno::OPNOTSUPP) => return file.read_exact_at(&mut room[filled..], offset),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

async fn read_on_pool(
    file: &File,
    mut buffer: Buffer,
    range: std::ops::Range<usize>,
    offset: u64,
) -> io::Result<Buffer> {
    let file = file.try_clone()?;
    let read = tokio::task::spawn_blocking(move || {
        file.read_exact_at(&mut buffer[range], offset)?;
        Ok(buffer)
    });
    read.await.map_err(io::Error::other)?
}

/// Brings the pages from `from` to `to` into memory. Looks at the first and the last byte only; the disk's own
/// read-ahead makes a hole between two resident ends rare, and then costs a wait, not an error.
async fn make_resident(file: &File, from: u64, to: u64) -> io::Result<()> {
    let is_missing = |at| {
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        // A file system that does not know the flag is one in memory: `sendfile` never waits for it.
        rustix::io::preadv2(file, &mut slices, at, ReadWriteFlags::NOWAIT) == Err(Errno::AGAIN)
    };
    if !is_missing(from) && !is_missing(to - 1) {
        return Ok(());
    }
    let file = file.try_clone()?;
    let fetch = tokio::task::spawn_blocking(move || {
        let mut buffer = Buffer::large();
        let mut at = from;
        while at < to {
            let want = buffer.len().min((to - at) as usize);
            match file.read_at(&mut buffer[..want], at)? {
                0 => break,
                read => at += read as u64,
            }
        }
        Ok(())
    });
    fetch.await.map_err(io::Error::other)?
}

const PIECE: u64 = 1024 * 1024;
