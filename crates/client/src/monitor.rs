//! Looking at a cluster, and the few things an administrator changes.

use std::net::SocketAddr;

use fdfs_net::CallError;
use fdfs_proto::ours::{Capabilities, ExplainRequest, Explanation};
use fdfs_proto::tracker::{
    DeleteGroupRequest, DeleteStorageRequest, FetchStorageIdsRequest, GetLeaderRequest, GroupRecord,
    ListAllGroupsRequest, ListOneGroupRequest, ListStoragesRequest, SetTrunkServerRequest, StorageIdEntry,
    StorageRecord,
};
use fdfs_proto::{ActiveTestRequest, Request, ServerAddress, Status};
use fdfs_types::{GroupName, StorageId};

use crate::{Client, ClientError};

impl Client {
    /// All groups.
    pub async fn list_groups(&self) -> Result<Vec<GroupRecord>, ClientError> {
        Ok(self.inner().trackers.ask(&ListAllGroupsRequest).await?.groups)
    }

    /// One group.
    pub async fn group(&self, group: GroupName) -> Result<GroupRecord, ClientError> {
        self.inner().trackers.ask(&ListOneGroupRequest { group }).await
    }

    /// The storages of a group, or one of them.
    pub async fn list_storages(
        &self,
        group: GroupName,
        storage_id: Option<StorageId>,
    ) -> Result<Vec<StorageRecord>, ClientError> {
        let request = ListStoragesRequest { group, storage_id };
        Ok(self.inner().trackers.ask(&request).await?.storages)
    }

    /// Why the storages of a group are in their states, as far as a tracker of ours can be asked.
    pub async fn explain_storages(&self, group: GroupName) -> Result<Vec<Explanation>, ClientError> {
        let inner = self.inner();
        for address in inner.trackers.all().iter().flat_map(ServerAddress::sockets) {
            let known = inner.capabilities.get(&inner.servers, address).await;
            if known.is_ok_and(|known| known.contains(Capabilities::EXPLAIN_STORAGES))
                && let Ok(answer) = inner.servers.ask(address, &ExplainRequest { group }).await
            {
                return Ok(answer.storages);
            }
        }
        Err(ClientError::unavailable("no tracker explains the states of storages", None))
    }

    /// The tracker that leads.
    pub async fn leader(&self) -> Result<SocketAddr, ClientError> {
        self.inner().trackers.ask(&GetLeaderRequest).await
    }

    /// The table of storage IDs; empty where the cluster has none.
    pub async fn storage_ids(&self) -> Result<Vec<StorageIdEntry>, ClientError> {
        let mut entries = Vec::new();
        loop {
            let start = u32::try_from(entries.len()).unwrap_or(u32::MAX);
            let request = FetchStorageIdsRequest { start, allow_empty: true };
            let piece = self.inner().trackers.ask(&request).await?;
            let is_last = piece.entries.is_empty();
            entries.extend(piece.entries);
            if is_last || entries.len() as u64 >= u64::from(piece.total) {
                return Ok(entries);
            }
        }
    }

    /// Whether a tracker or storage answers.
    pub async fn active_test(&self, address: SocketAddr) -> Result<(), ClientError> {
        let answer = self.inner().servers.ask(address, &ActiveTestRequest).await;
        answer.map(drop).map_err(|error| at(address, &ActiveTestRequest, error))
    }

    /// Chooses the trunk server of a group, or lets the leading tracker choose.
    pub async fn set_trunk_server(
        &self,
        group: GroupName,
        storage_id: Option<StorageId>,
    ) -> Result<StorageId, ClientError> {
        let request = SetTrunkServerRequest { group, storage_id };
        Ok(self.inner().trackers.ask(&request).await?.storage_id)
    }

    /// Removes a storage that is not connected, at every tracker.
    pub async fn delete_storage(&self, group: GroupName, storage_id: StorageId) -> Result<(), ClientError> {
        self.tell_all(&DeleteStorageRequest { group, storage_id }).await
    }

    /// Removes a group without storages, at every tracker.
    pub async fn delete_group(&self, group: GroupName) -> Result<(), ClientError> {
        self.tell_all(&DeleteGroupRequest { group }).await
    }

    /// Each tracker changes only itself: all must be told. One that does not know the group or storage, or has done it
    /// already, is fine, if another one does know.
    async fn tell_all<R: Request>(&self, request: &R) -> Result<(), ClientError> {
        let inner = self.inner();
        let mut is_done = false;
        for tracker in inner.trackers.all() {
            let mut answer = Err(ClientError::unavailable("the tracker has no address", None));
            for address in tracker.sockets() {
                answer = match inner.servers.ask(address, request).await {
                    Ok(_) | Err(CallError::Status(Status::EALREADY)) => Ok(true),
                    Err(CallError::Status(Status::ENOENT)) => Ok(false),
                    Err(error) => Err(at(address, request, error)),
                };
                if !matches!(answer, Err(ClientError::Unavailable { .. })) {
                    break;
                }
            }
            is_done |= answer?;
        }
        if is_done { Ok(()) } else { Err(ClientError::NotFound) }
    }
}

fn at<R: Request>(address: SocketAddr, _request: &R, error: CallError) -> ClientError {
    ClientError::from_call(address, R::COMMAND, error)
}
