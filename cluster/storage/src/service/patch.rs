//! Content that changes an appender file: append and modify.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Header, Streamed,
    storage::{AppendRequest, ModifyRequest},
};
use fdfs_store::{Patch, Store, StoreError};
use fdfs_types::RemoteFilename;

use super::{Served, StorageService};
use crate::error::Refusal;

/// A request whose content changes an appender file.
pub(super) trait BeginPatch: Streamed {
    /// The file.
    fn filename(&self) -> &RemoteFilename;

    /// Begins the change.
    fn begin(&self, store: &Store) -> Result<Patch, StoreError>;
}

impl BeginPatch for AppendRequest {
    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.append(&self.filename, Some(self.size))
    }
}

impl BeginPatch for ModifyRequest {
    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.modify(&self.filename, self.offset, Some(self.size))
    }
}

impl StorageService {
    /// Puts the content of a request into an appender file.
    pub(super) async fn patch<R: BeginPatch>(
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

    async fn receive_patch<R: BeginPatch>(
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
        let may_wait = self.shared.waits_for_disk || patch.size() > QUICK_COPY;
        Ok(self.act(may_wait, move |_| Ok(patch.finish().map(drop)?)).await)
    }
}

/// A change of more bytes is copied into place where that blocks nobody.
const QUICK_COPY: u64 = 1024 * 1024;
