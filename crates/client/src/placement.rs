//! Where a file would be stored, and where it is sought.

use std::net::SocketAddr;

use fdfs_proto::tracker::{
    QueryFetchAllRequest, QueryFetchOneRequest, QueryStoreAllRequest, QueryStoreInGroupOneRequest,
    QueryStoreOneRequest, QueryUpdateRequest,
};
use fdfs_types::{FileId, GroupName};

use crate::{Client, ClientError};

/// A storage and a store path that the trackers chose for an upload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Placement {
    /// The group.
    pub group: GroupName,
    /// The storage.
    pub storage: SocketAddr,
    /// The store path there; its choice if absent.
    pub store_path: Option<u8>,
}

impl Client {
    /// Where the trackers want a file now, in this group or in one of their choice: for files that have to lie beside
    /// each other.
    pub async fn place(&self, group: Option<GroupName>) -> Result<Placement, ClientError> {
        let trackers = &self.inner().trackers;
        let answer = match group {
            Some(group) => trackers.ask(&QueryStoreInGroupOneRequest { group }).await?,
            None => trackers.ask(&QueryStoreOneRequest).await?,
        };
        let store_path = Some(answer.store_path).filter(|index| *index < 0x80);
        Ok(Placement { group: answer.group, storage: answer.storage, store_path })
    }

    /// All storages of the group where the trackers want a file now.
    pub async fn stores(&self) -> Result<Vec<SocketAddr>, ClientError> {
        Ok(self.inner().trackers.ask(&QueryStoreAllRequest).await?.storages)
    }

    /// The storage that the trackers name for reading a file. It may fail, and the file may lie elsewhere: reading
    /// with this client needs no such answer.
    pub async fn storage_to_read(&self, file_id: &FileId) -> Result<SocketAddr, ClientError> {
        let request = QueryFetchOneRequest { file_id: file_id.clone() };
        Ok(self.inner().trackers.ask(&request).await?.storage)
    }

    /// All storages that the trackers name for reading a file.
    pub async fn storages_to_read(&self, file_id: &FileId) -> Result<Vec<SocketAddr>, ClientError> {
        let request = QueryFetchAllRequest { file_id: file_id.clone() };
        Ok(self.inner().trackers.ask(&request).await?.storages)
    }

    /// The storage that the trackers name for changing a file.
    pub async fn storage_to_change(&self, file_id: &FileId) -> Result<SocketAddr, ClientError> {
        let request = QueryUpdateRequest { file_id: file_id.clone() };
        Ok(self.inner().trackers.ask(&request).await?.storage)
    }
}
