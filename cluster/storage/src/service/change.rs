//! Changes of files: truncate, delete, metadata, and turning an appender file into a normal one.

use std::net::IpAddr;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Empty, Header,
    storage::{DeleteRequest, MetadataMode, RegenerateRequest, SetMetadataRequest, TruncateRequest},
};
use fdfs_store::{MetadataFlag, Regenerated, StoredFile};
use fdfs_types::{GroupName, RemoteFilename};

use super::{
    Served, Session, StorageService,
    concern::{Changed, Placed},
    handle::{Handle, LARGE, SMALL},
};
use crate::{error::Refusal, relay::ChangePlace, shared::Shared};

/// Cuts or extends an appender file.
impl Handle for TruncateRequest {
    type Answer = Changed<Empty>;

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.filename)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Changed<Empty>, Refusal> {
        let record = shared.store.truncate(&self.filename, self.size)?;
        Ok(Changed::new(Empty, record))
    }
}

impl Placed for TruncateRequest {
    fn place(&self, shared: &Shared) -> ChangePlace {
        shared.place_of_changes(&self.filename)
    }
}

/// Removes a file and its metadata.
impl Handle for DeleteRequest {
    type Answer = Changed<Empty>;

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

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Changed<Empty>, Refusal> {
        let slot = shared.store.lies_in(&self.file_id.filename);
        let records = shared.store.delete(&self.file_id.filename)?;
        if let Some(slot) = slot {
            shared.slot_was_freed(slot);
        }
        Ok(Changed::new(Empty, records))
    }
}

impl Placed for DeleteRequest {
    fn place(&self, shared: &Shared) -> ChangePlace {
        shared.place_of_file(&self.file_id)
    }
}

/// Replaces or merges the metadata of a file.
impl Handle for SetMetadataRequest {
    type Answer = Changed<Empty>;

    const LIMIT: usize = LARGE;

    fn group(&self) -> Option<GroupName> {
        Some(self.file_id.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.file_id.filename)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Changed<Empty>, Refusal> {
        let flag = match self.mode {
            MetadataMode::Overwrite => MetadataFlag::Overwrite,
            MetadataMode::Merge => MetadataFlag::Merge,
        };
        let record = shared.store.set_metadata(&self.file_id.filename, flag, self.metadata)?;
        Ok(Changed::new(Empty, record))
    }
}

impl Placed for SetMetadataRequest {
    fn place(&self, shared: &Shared) -> ChangePlace {
        shared.place_of_file(&self.file_id)
    }
}

impl StorageService {
    /// Turns an appender file into a normal one, under a new name.
    pub(super) async fn regenerate(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError> {
        let request: RegenerateRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(Some(&request.filename));
        if let Some(served) = self.elsewhere(connection, &request.filename, &request, session).await? {
            return Ok(Served { filename, ..served });
        }
        let served = match self.regenerated(request.filename).await {
            Ok(stored) => {
                let renamed = self.name_for_log(Some(&stored.filename));
                Served { renamed, ..self.answer_name(connection, stored.filename).await? }
            }
            Err(refusal) => self.refuse(connection, refusal).await?,
        };
        Ok(Served { filename, ..served })
    }

    async fn regenerated(&self, name: RemoteFilename) -> Result<StoredFile, Refusal> {
        let turn = self.turn(Some(&name)).await?;
        // The whole file is read, for its checksum.
        let Regenerated { file, records } =
            self.act(true, move |shared| Ok(shared.store.regenerate(&name)?)).await?;
        self.secure_change(turn, &records).await?;
        Ok(file)
    }
}

/// Size of a file up to which deleting it takes no time to speak of.
const QUICK_DELETE: u64 = 64 * 1024 * 1024;
