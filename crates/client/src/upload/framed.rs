//! An upload without a length: frames, and at the end what they should add up to.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use fdfs_net::{CallError, Lease, NetError};
use fdfs_proto::ours::{Frame, Trailer, UploadFramedRequest};
use fdfs_proto::{Encode, Header, Writer};

use super::target::Target;
use super::{PIECE, Uploaded, read_answer};

/// A framed upload that is being sent.
#[derive(Debug)]
pub(super) struct FramedSender {
    lease: Lease,
    checksum: crc32fast::Hasher,
    length: u64,
    has_owner: bool,
    /// One frame that is being filled, its length in front.
    frame: Vec<u8>,
}

impl FramedSender {
    pub(super) async fn begin(mut lease: Lease, head: &UploadFramedRequest) -> Result<Self, CallError> {
        lease.send_request(head).await?;
        let frame = Vec::new();
        let has_owner = head.owner.is_some();
        Ok(Self { lease, checksum: crc32fast::Hasher::new(), length: 0, has_owner, frame })
    }

    /// Sends content that is at hand in one write, and waits for the answer: each write is a packet and somebody to be woken up.
    pub(super) async fn send_whole(
        mut lease: Lease,
        head: &UploadFramedRequest,
        content: &[u8],
        target: Target,
    ) -> Result<Uploaded, CallError> {
        let mut frames = Vec::with_capacity(content.len() + 3 * Frame::LEN + Header::LEN);
        for piece in content.chunks(Frame::MAX as usize) {
            frames.extend_from_slice(&Frame::Data(piece.len() as u32).encode());
            frames.extend_from_slice(piece);
        }
        let length = content.len() as u64;
        end(&mut frames, Trailer { length, crc32: crc32fast::hash(content) });
        lease.send_request_and(head, &frames).await?;
        let file_id = read_answer(&mut lease).await?;
        Ok(Uploaded { file_id, size: length, storage: target.address, has_owner: head.owner.is_some() })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), CallError> {
        self.checksum.update(bytes);
        self.length += bytes.len() as u64;
        if bytes.len() >= GATHERED {
            self.flush().await?;
            for piece in bytes.chunks(Frame::MAX as usize) {
                let head = Frame::Data(piece.len() as u32).encode();
                self.lease.send_uncounted_both(&head, piece).await?;
            }
            return Ok(());
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.frame.is_empty() {
                self.frame.extend_from_slice(&Frame::End.encode());
            }
            let room = Frame::LEN + GATHERED - self.frame.len();
            let (now, later) = rest.split_at(rest.len().min(room));
            self.frame.extend_from_slice(now);
            rest = later;
            if self.frame.len() == Frame::LEN + GATHERED {
                self.flush().await?;
            }
        }
        Ok(())
    }

    /// Sends the first `size` bytes of a file.
    pub(super) async fn write_file(&mut self, file: &Arc<File>, size: u64) -> Result<(), CallError> {
        let mut offset = 0;
        while offset < size {
            let length = (size - offset).min(PIECE as u64) as usize;
            let file = Arc::clone(file);
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = vec![0; length];
                file.read_exact_at(&mut piece, offset).map(|()| piece)
            });
            let piece = read.await.unwrap_or_else(|ended| Err(std::io::Error::other(ended)));
            let piece = piece.map_err(NetError::File)?;
            self.write(&piece).await?;
            offset += piece.len() as u64;
        }
        Ok(())
    }

    /// Says that this was all, and waits for the answer.
    pub(super) async fn finish(mut self, target: Target) -> Result<Uploaded, CallError> {
        self.flush().await?;
        let mut last = Vec::new();
        end(&mut last, Trailer { length: self.length, crc32: self.checksum.clone().finalize() });
        self.lease.send_uncounted(&last).await?;
        let file_id = read_answer(&mut self.lease).await?;
        let (size, has_owner) = (self.length, self.has_owner);
        Ok(Uploaded { file_id, size, storage: target.address, has_owner })
    }

    async fn flush(&mut self) -> Result<(), CallError> {
        let length = self.frame.len().saturating_sub(Frame::LEN);
        if length > 0 {
            if let Some(place) = self.frame.first_chunk_mut() {
                *place = Frame::Data(length as u32).encode();
            }
            self.lease.send_uncounted(&self.frame).await?;
        }
        self.frame.clear();
        Ok(())
    }
}

/// The frame that says that this was all.
fn end(frames: &mut Vec<u8>, trailer: Trailer) {
    frames.extend_from_slice(&Frame::End.encode());
    trailer.write(&mut Writer::new(frames));
}

/// Pieces shorter than this are gathered to frames of this length; longer ones are sent as they are.
const GATHERED: usize = 32 * 1024;
