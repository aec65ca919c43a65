//! A file of another member as content for native HTTP.

use std::{
    io,
    ops::Range,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use fdfs_http::{Content, Reader};
use fdfs_net::CallError;
use fdfs_proto::{
    Decode,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse},
};
use fdfs_types::FileId;
use tokio::sync::mpsc;

use super::{Manner, Place};
use crate::{error::Refusal, shared::Shared};

/// A file that is not here, read from a member that has it.
#[derive(Debug)]
pub(crate) struct RelayedContent {
    shared: Arc<Shared>,
    place: Place,
    file_id: FileId,
    range: Range<u64>,
    blocks: Option<mpsc::Receiver<io::Result<Bytes>>>,
}

impl RelayedContent {
    /// Asks every other member of a group for a file, until one has it.
    pub(crate) async fn open(
        shared: &Arc<Shared>,
        place: Place,
        file_id: &FileId,
    ) -> Result<Content, Refusal> {
        let request = FileInfoRequest { file_id: file_id.clone(), skip_crc32: true, is_silent: true };
        let mut given =
            shared.relay.seek(shared, &place, &file_id.filename, &request, Manner::Thorough).await?;
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = given.line.next_chunk().await {
            if body.len() + chunk.len() > MAX_INFO {
                return Err(Refusal::Unreachable);
            }
            body.extend_from_slice(chunk);
        }
        let Ok(info) = FileInfoResponse::decode(&body) else { return Err(Refusal::Unreachable) };
        let holder = Some(given.holder);
        shared.relay.keep(given.line);
        let shared = Arc::clone(shared);
        let reader = Box::new(Self { shared, place, file_id: file_id.clone(), range: 0..0, blocks: None });
        Ok(Content { size: info.size, modified: info.modified, holder, reader })
    }

    fn fetch(&self) -> mpsc::Receiver<io::Result<Bytes>> {
        // As many blocks wait as keep the member busy while one is on its way to the client.
        let (sender, blocks) = mpsc::channel(2);
        let (shared, place, range) = (Arc::clone(&self.shared), self.place.clone(), self.range.clone());
        let mut request = DownloadRequest {
            offset: range.start,
            length: range.end - range.start,
            file_id: self.file_id.clone(),
        };
        tokio::spawn(async move {
            let mut attempts = if fdfs_http::is_immutable(&request.file_id.filename) { ATTEMPTS } else { 1 };
            while let Err(error) = copy(&shared, &place, &mut request, &sender).await {
                attempts -= 1;
                if attempts == 0 {
                    // A reader that has gone needs no error.
                    let _ = sender.send(Err(error)).await;
                    return;
                }
                metrics::counter!("fdfs_relay_resumes_total").increment(1);
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

/// Passes on what is left of a request; that becomes less as it comes.
async fn copy(
    shared: &Shared,
    place: &Place,
    request: &mut DownloadRequest,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let name = request.file_id.filename.clone();
    let given = shared.relay.seek(shared, place, &name, &*request, Manner::Thorough).await;
    let mut given = given.map_err(io::Error::other)?;
    if given.length != request.length {
        return Err(io::Error::other("the member has another version of the file"));
    }
    while let Some(chunk) = given.line.next_chunk().await.map_err(broken)? {
        let length = chunk.len() as u64;
        if sender.send(Ok(Bytes::copy_from_slice(chunk))).await.is_err() {
            return Ok(());
        }
        request.offset += length;
        request.length -= length;
    }
    shared.relay.keep(given.line);
    Ok(())
}

fn broken(error: CallError) -> io::Error {
    io::Error::other(error)
}

const MAX_INFO: usize = 1024;
/// A file that cannot change is read on elsewhere when a member breaks off, so many times in all.
const ATTEMPTS: u32 = 3;
