//! Metadata of files.

use fdfs_proto::storage::{GetMetadataRequest, MetadataMode, SetMetadataRequest};
use fdfs_types::{FileId, Metadata};

use crate::change::Repeat;
use crate::search::{Purpose, Search};
use crate::{Client, ClientError};

impl Client {
    /// The metadata of a file. One that has none is [`ClientError::NotFound`], as one that does not exist.
    pub async fn metadata(&self, file_id: &FileId) -> Result<Metadata, ClientError> {
        let request = GetMetadataRequest { file_id: file_id.clone() };
        let response = Search::ask(self.inner(), file_id, Purpose::Change, &request).await?;
        Ok(response.metadata)
    }

    /// Replaces the metadata of a file, or merges new pairs into it.
    pub async fn set_metadata(
        &self,
        file_id: &FileId,
        mode: MetadataMode,
        metadata: Metadata,
    ) -> Result<(), ClientError> {
        let request = SetMetadataRequest { file_id: file_id.clone(), mode, metadata };
        self.change(file_id, &request, Repeat::Freely).await.map(drop)
    }
}
