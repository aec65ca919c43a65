//! Changes of files: append, modify, truncate, delete, metadata, and turning an appender file into a normal one.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Empty, Header, Streamed,
    storage::{
        AppendRequest, DeleteRequest, MetadataMode, ModifyRequest, RegenerateRequest, SetMetadataRequest,
        TruncateRequest,
    },
};
use fdfs_store::{MetadataFlag, Patch, Store, StoreError};
use fdfs_types::RemoteFilename;

use super::{SMALL, Served, StorageService, Wait};
use crate::{error::Refusal, shared::Shared};

/// A request whose content changes an appender file.
pub(super) trait Change: Streamed {
    /// The file.
    fn filename(&self) -> &RemoteFilename;

    /// Begins the change.
    fn begin(&self, store: &Store) -> Result<Patch, StoreError>;
}

impl Change for AppendRequest {
    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.append(&self.filename, Some(self.size))
    }
}

impl Change for ModifyRequest {
    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.modify(&self.filename, self.offset, Some(self.size))
    }
}

impl StorageService {
    /// Puts the content of a request into an appender file.
    pub(super) async fn patch<R: Change>(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request = match connection.read_head::<R>(header).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let content = request.content_length();
        let filename = self.name_for_log(Some(request.filename()));
        let served = match self.receive_patch(connection, &request).await? {
            Ok(()) => {
                connection.respond(&[]).await?;
                Served::with(Ok(()), 0)
            }
            Err(refusal) => self.refuse(connection, refusal).await?,
        };
        Ok(Served { filename, content, ..served })
    }

    /// Turns an appender file into a normal one, under a new name.
    pub(super) async fn regenerate(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request: RegenerateRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(Some(&request.filename));
        // The whole file is read.
        match self.act(Wait::Always, move |shared| Ok(shared.store.regenerate(&request.filename)?)).await {
            Ok(stored) => {
                let renamed = self.name_for_log(Some(&stored.filename));
                let served = self.answer_name(connection, stored.filename).await?;
                Ok(Served { filename, renamed, ..served })
            }
            Err(refusal) => Ok(Served { filename, ..self.refuse(connection, refusal).await? }),
        }
    }

    async fn receive_patch<R: Change>(
        &self,
        connection: &mut Connection,
        request: &R,
    ) -> Result<Result<(), Refusal>, NetError> {
        let mut patch = match request.begin(&self.shared.store) {
            Ok(patch) => patch,
            Err(error) => return Ok(Err(error.into())),
        };
        while let Some(chunk) = connection.next_chunk().await? {
            if let Err(error) = patch.write(chunk) {
                return Ok(Err(error.into()));
            }
        }
        let wait = if patch.size() > QUICK_COPY { Wait::Always } else { Wait::IfDurable };
        Ok(self.act(wait, move |_| Ok(patch.finish().map(drop)?)).await)
    }
}

/// Cuts or extends an appender file.
pub(super) fn truncate(shared: &Shared, request: &TruncateRequest) -> Result<Empty, Refusal> {
    shared.store.truncate(&request.filename, request.size)?;
    Ok(Empty)
}

/// Removes a file and its metadata.
pub(super) fn delete(shared: &Shared, request: &DeleteRequest) -> Result<Empty, Refusal> {
    shared.store.delete(&request.file_id.filename)?;
    Ok(Empty)
}

/// Replaces or merges the metadata of a file.
pub(super) fn set_metadata(shared: &Shared, request: SetMetadataRequest) -> Result<Empty, Refusal> {
    let flag = match request.mode {
        MetadataMode::Overwrite => MetadataFlag::Overwrite,
        MetadataMode::Merge => MetadataFlag::Merge,
    };
    shared.store.set_metadata(&request.file_id.filename, flag, request.metadata)?;
    Ok(Empty)
}

/// A change of more bytes is copied into place where that blocks nobody.
const QUICK_COPY: u64 = 1024 * 1024;
