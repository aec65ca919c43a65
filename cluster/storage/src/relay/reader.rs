//! A file of another member as content for native HTTP.

use std::{
    io,
    ops::Range,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use fdfs_http::Reader;
use fdfs_net::CallError;
use fdfs_proto::{
    Decode,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse},
};
use fdfs_types::{FileId, Timestamp};
use tokio::sync::mpsc;

use crate::{error::Refusal, shared::Shared};

/// A file that is not here, read from a member that has it.
#[derive(Debug)]
pub(crate) struct RelayedContent {
    shared: Arc<Shared>,
    file_id: FileId,
    range: Range<u64>,
    blocks: Option<mpsc::Receiver<io::Result<Bytes>>>,
}

impl RelayedContent {
    /// Asks the others for a file: its size, when it last changed, and what reads it.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        file_id: &FileId,
    ) -> Result<(u64, Timestamp, Self), Refusal> {
        let request = FileInfoRequest { file_id: file_id.clone(), skip_crc32: true, is_silent: true };
        let mut given = shared.relay.ask(shared, &file_id.filename, &request).await?;
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = given.line.next_chunk().await {
            if body.len() + chunk.len() > MAX_INFO {
                return Err(Refusal::Unreachable);
            }
            body.extend_from_slice(chunk);
        }
        let Ok(info) = FileInfoResponse::decode(&body) else { return Err(Refusal::Unreachable) };
        shared.relay.keep(given.line);
        let shared = Arc::clone(shared);
        let content = Self { shared, file_id: file_id.clone(), range: 0..0, blocks: None };
        Ok((info.size, info.modified, content))
    }

    fn fetch(&self) -> mpsc::Receiver<io::Result<Bytes>> {
        // As many blocks wait as keep the member busy while one is on its way to the client.
        let (sender, blocks) = mpsc::channel(2);
        let (shared, range) = (Arc::clone(&self.shared), self.range.clone());
        let request = DownloadRequest {
            offset: range.start,
            length: range.end - range.start,
            file_id: self.file_id.clone(),
        };
        tokio::spawn(async move {
            if let Err(error) = copy(&shared, &request, &sender).await {
                // A reader that has gone needs no error.
                let _ = sender.send(Err(error)).await;
            }
        });
        blocks
    }
}

impl Reader for RelayedContent {
    fn seek(&mut self, range: Range<u64>) {
        self.range = range;
        self.blocks = None;
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        if self.range.is_empty() {
            return Poll::Ready(Ok(Bytes::new()));
        }
        if self.blocks.is_none() {
            self.blocks = Some(self.fetch());
        }
        let Some(blocks) = &mut self.blocks else { return Poll::Ready(Ok(Bytes::new())) };
        blocks.poll_recv(cx).map(|block| match block {
            Some(Ok(block)) => {
                self.range.start += block.len() as u64;
                Ok(block)
            }
            Some(Err(error)) => Err(error),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        })
    }
}

async fn copy(
    shared: &Shared,
    request: &DownloadRequest,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let given = shared.relay.ask(shared, &request.file_id.filename, request).await;
    let mut given = given.map_err(io::Error::other)?;
    if given.length != request.length {
        return Err(io::Error::other("the member has another version of the file"));
    }
    while let Some(chunk) = given.line.next_chunk().await.map_err(broken)? {
        if sender.send(Ok(Bytes::copy_from_slice(chunk))).await.is_err() {
            return Ok(());
        }
    }
    shared.relay.keep(given.line);
    Ok(())
}

fn broken(error: CallError) -> io::Error {
    io::Error::other(error)
}

const MAX_INFO: usize = 1024;
