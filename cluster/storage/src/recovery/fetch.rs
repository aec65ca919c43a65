//! Getting one file from whichever member has it.

use std::sync::Arc;

use fdfs_net::{CallError, Lease, Pool};
use fdfs_proto::{
    Status,
    storage::{DownloadRequest, FileInfoRequest, GetMetadataRequest},
};
use fdfs_store::{Change, Record, StoreError};
use fdfs_types::{FileId, FileKind, RemoteFilename, Timestamp};

use super::members::Member;
use crate::shared::Shared;

/// Gets files from other members.
#[derive(Clone, Debug)]
pub(super) struct Fetcher {
    pub(super) shared: Arc<Shared>,
    pub(super) pool: Arc<Pool>,
}

/// What became of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Fetched {
    /// It is here now.
    Restored,
    /// It was here already.
    Present,
    /// No member has it any more.
    Gone,
    /// It cannot be had, and trying again at once would not help: why.
    Parked(String),
}

/// Why a file has to be tried again.
#[derive(Debug)]
pub(super) enum FetchError {
    /// A member that may have it cannot be reached.
    Unreachable(CallError),
    /// This storage cannot take it.
    Local(StoreError),
}

/// Why one member does not give a file.
pub(super) enum NotGiven {
    Missing,
    Unusable(String),
    Unreachable(CallError),
    Local(StoreError),
}

impl Fetcher {
    /// Gets what a record tells of, unless it is here, from the first of `members` that has it.
    pub(super) async fn fetch(&self, record: &Record, members: &[Member]) -> Result<Fetched, FetchError> {
        let time = Timestamp(record.timestamp);
        let store = &self.shared.store;
        let Ok(name) = record.change.name().parse::<RemoteFilename>() else {
            return Ok(Fetched::Parked(String::from("its name is not one of a file")));
        };
        if !store.lacks(&name).map_err(FetchError::Local)? {
            return Ok(Fetched::Present);
        }
        if let Change::Link { source, .. } = &record.change {
            let Some(Ok(source)) = source.as_deref().map(str::parse::<RemoteFilename>) else {
                return Ok(Fetched::Parked(String::from("a link that does not tell where it leads")));
            };
            store.replicate_link(&name, &source, time).map_err(FetchError::Local)?;
            return Ok(Fetched::Restored);
        }
        let (mut unusable, mut unreachable) = (None, None);
        for member in members {
            match self.from(member, &name, time).await {
                Ok(()) => return Ok(Fetched::Restored),
                Err(NotGiven::Missing) => {}
                Err(NotGiven::Unusable(why)) => unusable = Some(format!("{}: {why}", member.id)),
                Err(NotGiven::Unreachable(error)) => unreachable = Some(error),
                Err(NotGiven::Local(error)) => return Err(FetchError::Local(error)),
            }
        }
        match (unreachable, unusable) {
            (Some(error), _) => Err(FetchError::Unreachable(error)),
            (None, Some(why)) => Ok(Fetched::Parked(why)),
            (None, None) => Ok(Fetched::Gone),
        }
    }

    /// Whether a member says that it does not have a file.
    pub(super) async fn is_missing_at(&self, member: &Member, name: &RemoteFilename) -> bool {
        let request = FileInfoRequest { file_id: self.file_id(name), skip_crc32: true, is_silent: true };
        let answer = self.pool.ask(member.address, &request, MAX_SMALL).await;
        matches!(answer, Err(CallError::Status(Status::ENOENT)))
    }

    async fn from(&self, member: &Member, name: &RemoteFilename, time: Timestamp) -> Result<(), NotGiven> {
        match name.as_str().strip_suffix(SIDECAR).map(str::parse::<RemoteFilename>) {
            Some(Ok(owner)) => self.metadata(member, &owner, name, time).await,
            _ => self.content(member, name, time).await,
        }
    }

    /// Metadata is asked for as such: a storage of this kind does not give it out as a file.
    async fn metadata(
        &self,
        member: &Member,
        owner: &RemoteFilename,
        name: &RemoteFilename,
        time: Timestamp,
    ) -> Result<(), NotGiven> {
        let request = GetMetadataRequest { file_id: self.file_id(owner) };
        let mut lease = self.pool.lease(member.address).await.map_err(NotGiven::from)?;
        lease.send_request(&request).await?;
        lease.receive().await?;
        let bytes = lease.read_body(MAX_METADATA).await?;
        self.keep(name, time, &bytes).await
    }

    async fn content(&self, member: &Member, name: &RemoteFilename, time: Timestamp) -> Result<(), NotGiven> {
        let Some((mut lease, length)) = self.download(member, name).await? else {
            return self.keep(name, time, b"").await;
        };
        let mut replica = self.shared.store.receive_create(name, length, time).map_err(NotGiven::Local)?;
        let mut crc32 = crc32fast::Hasher::new();
        while let Some(chunk) = lease.next_chunk().await? {
            crc32.update(chunk);
            replica.write(chunk).map_err(NotGiven::Local)?;
        }
        if let (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields)) = (name.kind(), name.fields()) {
            let is_whole = fields.size.size().is_none_or(|size| size == length);
            if !is_whole || fields.crc32 != crc32.finalize() {
                metrics::counter!("fdfs_storage_recovery_damaged_total").increment(1);
                return Err(NotGiven::Unusable(String::from("what it has is not what the name says")));
            }
        }
        finish(replica).await
    }

    /// Asks a member for a file: its length, and where the bytes come from; nothing where it is empty there.
    pub(super) async fn download(
        &self,
        member: &Member,
        name: &RemoteFilename,
    ) -> Result<Option<(Lease, u64)>, NotGiven> {
        let mut lease = self.pool.lease(member.address).await.map_err(NotGiven::from)?;
        let request = DownloadRequest { offset: 0, length: 0, file_id: self.file_id(name) };
        lease.send_request(&request).await?;
        match lease.receive().await {
            // The original cannot send an empty file.
            Err(CallError::Status(Status::EINVAL)) => match self.is_empty_at(member, name).await? {
                true => Ok(None),
                false => Err(NotGiven::Unusable(String::from("the member refuses to send it"))),
            },
            header => {
                let length = header?.length;
                Ok(Some((lease, length)))
            }
        }
    }

    async fn is_empty_at(&self, member: &Member, name: &RemoteFilename) -> Result<bool, NotGiven> {
        if let (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields)) = (name.kind(), name.fields()) {
            return Ok(fields.size.size() == Some(0));
        }
        let request = FileInfoRequest { file_id: self.file_id(name), skip_crc32: true, is_silent: true };
        Ok(self.pool.ask(member.address, &request, MAX_SMALL).await?.size == 0)
    }

    /// Puts small content in place.
    async fn keep(&self, name: &RemoteFilename, time: Timestamp, bytes: &[u8]) -> Result<(), NotGiven> {
        let mut replica =
            self.shared.store.receive_create(name, bytes.len() as u64, time).map_err(NotGiven::Local)?;
        replica.write(bytes).map_err(NotGiven::Local)?;
        finish(replica).await
    }

    fn file_id(&self, name: &RemoteFilename) -> FileId {
        FileId { group: self.shared.group(), filename: name.clone() }
    }
}

/// Puts a file in place where waiting for the disk blocks nobody.
async fn finish(replica: fdfs_store::Replica) -> Result<(), NotGiven> {
    match tokio::task::spawn_blocking(move || replica.finish()).await {
        Ok(result) => result.map(drop).map_err(NotGiven::Local),
        Err(error) => Err(NotGiven::Unusable(format!("work on the disk did not end: {error}"))),
    }
}

impl From<CallError> for NotGiven {
    fn from(error: CallError) -> Self {
        match error {
            // A member that asks others for what it lacks may say that nobody could tell: each is asked here.
            CallError::Status(Status::ENOENT | Status::EAGAIN) => Self::Missing,
            CallError::Status(status) => Self::Unusable(format!("the member answers {status:?}")),
            error => Self::Unreachable(error),
        }
    }
}

pub(super) const SIDECAR: &str = "-m";
const MAX_SMALL: usize = 1024;
const MAX_METADATA: usize = 1024 * 1024;
