//! Reading files in pieces, out of files of this machine where they lie here.

use std::future::poll_fn;

use bytes::Bytes;
use fdfs_net::{FileContent, FilePiece, Outgoing};
use fdfs_types::FileId;
use tracing::warn;

use crate::{ByteRange, Client, ClientError, Download};

/// A part of a content: bytes, or where on this machine they lie.
#[derive(Clone, Debug)]
pub enum Piece {
    /// Bytes.
    Bytes(Bytes),
    /// Bytes of a file of this machine, which the page cache had just now.
    File(FilePiece),
}

/// Content of a file that is being read, from this machine if it is here. Dropping it ends the reading.
///
/// When a disk of this machine cannot give it, the rest is asked of the cluster.
#[derive(Debug)]
pub struct Pieces {
    client: Client,
    file_id: FileId,
    source: Source,
    offset: u64,
    left: u64,
}

#[derive(Debug)]
enum Source {
    Here(FileContent),
    Away(Box<Download>),
}

impl Client {
    /// Begins to read `length` bytes of a file, all of which it has to have.
    pub async fn read_pieces(
        &self,
        file_id: &FileId,
        offset: u64,
        length: u64,
    ) -> Result<Pieces, ClientError> {
        let here = if length >= WORTH_IT { self.open_here(file_id, length).await } else { None };
        let is_within = |size: u64| offset.checked_add(length).is_some_and(|end| end <= size);
        let size = file_id.filename.fields().ok().and_then(|fields| fields.size.size());
        let source = match here.filter(|_| size.is_some_and(is_within)) {
            Some(mut content) => {
                metrics::counter!("fdfs_client_reads_total", "from" => "here").increment(1);
                content.seek(offset..offset + length);
                Source::Here(content)
            }
            None => Source::Away(self.away(file_id, offset, length).await?),
        };
        Ok(Pieces { client: self.clone(), file_id: file_id.clone(), source, offset, left: length })
    }

    async fn away(&self, file_id: &FileId, offset: u64, length: u64) -> Result<Box<Download>, ClientError> {
        metrics::counter!("fdfs_client_reads_total", "from" => "storage").increment(1);
        let download = self.download(file_id, ByteRange::of(offset, length)).await?;
        match download.length() {
            actual if actual == length => Ok(Box::new(download)),
            actual => Err(ClientError::WrongLength { announced: length, actual }),
        }
    }
}

impl Pieces {
    /// The next piece, if it lies in a file of at most [`Outgoing::MOST`] bytes; `None` at the end.
    pub async fn next_piece(&mut self) -> Result<Option<Piece>, ClientError> {
        self.next(async |content| {
            let piece = poll_fn(|cx| content.poll_piece(cx, Outgoing::MOST as u64)).await?;
            Ok((piece.length as u64, Piece::File(piece)))
        })
        .await
    }

    /// The next bytes; `None` at the end.
    pub async fn next_bytes(&mut self) -> Result<Option<Bytes>, ClientError> {
        let piece = self.next(async |content| {
            let bytes = poll_fn(|cx| content.poll_block(cx)).await?;
            Ok((bytes.len() as u64, Piece::Bytes(bytes)))
        });
        Ok(match piece.await? {
            Some(Piece::Bytes(bytes)) => Some(bytes),
            Some(Piece::File(_)) | None => None,
        })
    }

    /// Whether the bytes come from a file of this machine.
    pub fn is_here(&self) -> bool {
        matches!(self.source, Source::Here(_))
    }

    async fn next(
        &mut self,
        read: impl AsyncFn(&mut FileContent) -> std::io::Result<(u64, Piece)>,
    ) -> Result<Option<Piece>, ClientError> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Source::Here(content) = &mut self.source {
            match read(content).await {
                Ok((length, piece)) if length > 0 => {
                    self.offset += length;
                    self.left = self.left.saturating_sub(length);
                    return Ok(Some(piece));
                }
                ended => {
                    let error = ended.err().map(|error| error.to_string());
                    warn!(file_id = %self.file_id, error, "file of this machine cannot be read; the cluster is asked");
                    metrics::counter!("fdfs_client_local_reads_failed_total").increment(1);
                    self.source =
                        Source::Away(self.client.away(&self.file_id, self.offset, self.left).await?);
                }
            }
        }
        let Source::Away(download) = &mut self.source else { return Ok(None) };
        let chunk = download.next_chunk().await?;
        self.left = chunk.as_ref().map_or(0, |chunk| self.left.saturating_sub(chunk.len() as u64));
        Ok(chunk.map(Piece::Bytes))
    }
}

/// A file is borrowed for at least so many bytes: fewer are sent as quickly.
const WORTH_IT: u64 = 64 * 1024;
