//! Every file of the cluster as a source: what the front serves.

use std::net::IpAddr;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use fdfs_client::{ByteRange, Client, ClientError};
use fdfs_types::{FileId, StorageStatus};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};

use crate::{Content, Reader, Source, SourceError};

/// The files of all groups, read from whichever storage has them.
pub struct ClusterFiles {
    client: Client,
}

/// Reads one file; a range begins with the first block that is wanted of it.
struct ClusterReader {
    client: Client,
    id: FileId,
    range: Option<Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>>,
}

impl ClusterFiles {
    /// Reads through `client`.
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

impl Source for ClusterFiles {
    async fn members(&self, id: &FileId) -> Vec<IpAddr> {
        let Ok(topology) = self.client.topology().await else { return Vec::new() };
        let Some(group) = topology.groups.get(&id.group) else { return Vec::new() };
        let source = group.source(id).map(|source| source.id);
        let mut members: Vec<_> = group.members().collect();
        let is_serving = |status| status == StorageStatus::Active;
        members.sort_by_key(|member| (Some(member.id) != source, !is_serving(member.status)));
        members.into_iter().filter_map(|member| member.ip).collect()
    }

    async fn open(&self, id: &FileId) -> Result<Content, SourceError> {
        let info = self.client.stat(id).await.map_err(refusal)?;
        let reader = ClusterReader { client: self.client.clone(), id: id.clone(), range: None };
        Ok(Content { size: info.size, modified: info.created, holder: None, reader: Box::new(reader) })
    }
}

impl Reader for ClusterReader {
    fn seek(&mut self, range: Range<u64>) {
        let (client, id) = (self.client.clone(), self.id.clone());
        let part = ByteRange::of(range.start, range.end - range.start);
        let download = async move { Ok::<_, ClientError>(client.download(&id, part).await?.into_stream()) };
        let blocks = futures_util::stream::once(download).try_flatten();
        self.range = Some(Box::pin(blocks.map_err(std::io::Error::other)));
    }

    fn poll_block(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<Bytes>> {
        let Some(range) = &mut self.range else { return Poll::Ready(Ok(Bytes::new())) };
        Poll::Ready(ready!(range.poll_next_unpin(cx)).unwrap_or_else(|| Ok(Bytes::new())))
    }
}

fn refusal(error: ClientError) -> SourceError {
    match error {
        ClientError::NotFound => SourceError::NotFound,
        ClientError::Refused { .. } => SourceError::Foreign("the storages refuse this name"),
        error => {
            tracing::warn!(%error, "file cannot be opened");
            SourceError::Unavailable
        }
    }
}
