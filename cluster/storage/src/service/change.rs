//! Changes of files: truncate, delete, metadata, and turning an appender file into a normal one.

use std::net::IpAddr;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Empty, Header,
    storage::{DeleteRequest, MetadataMode, RegenerateRequest, SetMetadataRequest, TruncateRequest},
};
use fdfs_store::MetadataFlag;
use fdfs_types::{GroupName, RemoteFilename};

use super::{
    Served, StorageService,
    handle::{Handle, LARGE, SMALL},
};
use crate::{error::Refusal, shared::Shared};

/// Cuts or extends an appender file.
impl Handle for TruncateRequest {
    type Answer = Empty;

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.filename)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        shared.store.truncate(&self.filename, self.size)?;
        Ok(Empty)
    }
}

/// Removes a file and its metadata.
impl Handle for DeleteRequest {
    type Answer = Empty;

    fn group(&self) -> Option<GroupName> {
        Some(self.file_id.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.file_id.filename)
    }

    /// Freeing a large file takes its time.
    fn may_wait(&self, is_durable: bool) -> bool {
        let size = self.file_id.filename.fields().ok().and_then(|fields| fields.size.size());
        is_durable || size.is_none_or(|size| size > QUICK_DELETE)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        shared.store.delete(&self.file_id.filename)?;
        Ok(Empty)
    }
}

/// Replaces or merges the metadata of a file.
impl Handle for SetMetadataRequest {
    type Answer = Empty;

    const LIMIT: usize = LARGE;

    fn group(&self) -> Option<GroupName> {
        Some(self.file_id.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.file_id.filename)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        let flag = match self.mode {
            MetadataMode::Overwrite => MetadataFlag::Overwrite,
            MetadataMode::Merge => MetadataFlag::Merge,
        };
        shared.store.set_metadata(&self.file_id.filename, flag, self.metadata)?;
        Ok(Empty)
    }
}

impl StorageService {
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
        // The whole file is read, for its checksum.
        let served =
            match self.act(true, move |shared| Ok(shared.store.regenerate(&request.filename)?.file)).await {
                Ok(stored) => {
                    let renamed = self.name_for_log(Some(&stored.filename));
                    Served { renamed, ..self.answer_name(connection, stored.filename).await? }
                }
                Err(refusal) => self.refuse(connection, refusal).await?,
            };
        Ok(Served { filename, ..served })
    }
}

/// Size of a file up to which deleting it takes no time to speak of.
const QUICK_DELETE: u64 = 64 * 1024 * 1024;
