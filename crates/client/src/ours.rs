//! What only storages of ours can do.

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::time::Duration;

use fdfs_proto::Request;
use fdfs_proto::ours::{
    Capabilities, DeadLettersRequest, DeadLettersResponse, ForgetOwnedRequest, JoinFilesRequest,
    ListOwnedRequest, ListOwnedResponse, ListRawRequest, ListRawResponse, ScrubAction, ScrubRequest,
    ScrubResponse,
};
use fdfs_types::{FileId, GroupName, RemoteFilename};

use crate::error::is_local_fault;
use crate::topology::Group;
use crate::{Client, ClientError};

impl Client {
    /// What a storage can do beyond the original protocol.
    pub async fn capabilities(&self, storage: SocketAddr) -> Result<Capabilities, ClientError> {
        let inner = self.inner();
        let answer = inner.capabilities.get(&inner.servers, storage).await;
        answer.map_err(|error| ClientError::from_call(storage, fdfs_proto::Command::HELLO, error))
    }

    /// Whether this client proves the secret of the cluster: else it is not given private files.
    pub fn is_member(&self) -> bool {
        self.options().pool.secret.is_some()
    }

    /// Makes one file of several that one storage has, at that storage. The parts stay.
    pub async fn join_files(
        &self,
        storage: SocketAddr,
        request: &JoinFilesRequest,
    ) -> Result<FileId, ClientError> {
        self.ask_ours(storage, request, Capabilities::JOIN_FILES, JOIN_PATIENCE).await
    }

    /// Files of a store path by name, behind `after`, from any storage of the group that can list them.
    pub async fn list_raw(
        &self,
        group: GroupName,
        store_path: u8,
        after: Option<RemoteFilename>,
        limit: u32,
    ) -> Result<ListRawResponse, ClientError> {
        let request = ListRawRequest { group, store_path, limit, after };
        let topology = self.topology().await?;
        let record = topology.groups.get(&group).ok_or(ClientError::NotFound)?;
        let mut last = ClientError::unavailable("no storage of the group is active", None);
        for storage in record.active().filter_map(Group::address) {
            match self.ask_ours(storage, &request, Capabilities::LIST_RAW_FILES, PATIENCE).await {
                Err(error @ (ClientError::Unavailable { .. } | ClientError::Unsupported { .. })) => {
                    last = error;
                }
                other => return other,
            }
        }
        Err(last)
    }

    /// Files at a storage that carry tokens of a session, behind a sequence.
    pub async fn list_owned(
        &self,
        storage: SocketAddr,
        group: GroupName,
        session: NonZeroU64,
        after: u64,
        limit: u32,
    ) -> Result<ListOwnedResponse, ClientError> {
        let request = ListOwnedRequest { group, session, after, limit };
        self.ask_ours(storage, &request, Capabilities::OWNERS, PATIENCE).await
    }

    /// The changes of a storage that other members of its group did not take; tried again now, if so wanted.
    pub async fn dead_letters(
        &self,
        storage: SocketAddr,
        group: GroupName,
        try_again: bool,
    ) -> Result<DeadLettersResponse, ClientError> {
        let request = DeadLettersRequest { group, member: None, try_again };
        self.ask_ours(storage, &request, Capabilities::DEAD_LETTERS, PATIENCE).await
    }

    /// How a storage's search for damaged files goes, and what it could not heal.
    pub async fn scrub(
        &self,
        storage: SocketAddr,
        group: GroupName,
        action: ScrubAction,
    ) -> Result<ScrubResponse, ClientError> {
        self.ask_ours(storage, &ScrubRequest { group, action }, Capabilities::SCRUB, PATIENCE).await
    }

    /// Tells a storage that the tokens of a session are not needed any more.
    pub async fn forget_owned(
        &self,
        storage: SocketAddr,
        request: &ForgetOwnedRequest,
    ) -> Result<(), ClientError> {
        self.ask_ours(storage, request, Capabilities::OWNERS, PATIENCE).await.map(drop)
    }

    async fn ask_ours<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
        needed: Capabilities,
        patience: Duration,
    ) -> Result<R::Response, ClientError> {
        if !self.capabilities(address).await?.contains(needed) {
            return Err(ClientError::Unsupported { address, command: R::COMMAND });
        }
        let inner = self.inner();
        inner.servers.ask_slow(address, request, patience).await.map_err(|error| {
            if is_local_fault(&error) {
                inner.capabilities.forget(address);
            }
            ClientError::from_call(address, R::COMMAND, error)
        })
    }
}

/// Time for a storage to look through a directory or its tokens.
const PATIENCE: Duration = Duration::from_secs(30);

/// Time for a storage to copy all parts into one file.
const JOIN_PATIENCE: Duration = Duration::from_secs(300);
