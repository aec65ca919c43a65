//! The files of a real cluster: [`Files`] over [`Client`].

use std::net::SocketAddr;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use fdfs_client::{Client, ClientError, Group, Topology, Upload, UploadSpec};
use fdfs_proto::Status;
use fdfs_proto::ours::{
    Capabilities, ForgetOwnedRequest, JoinFilesRequest, OwnerToken as WireToken, WriteConcern,
};
use fdfs_proto::storage::MetadataMode;
use fdfs_proto::tracker::{GroupRecord, StorageRecord};
use fdfs_types::{Extension, FileId, GroupName, Metadata, RemoteFilename};
use futures_util::stream::try_unfold;

use crate::files::{
    FileStat, FileStream, FileUpload, Files, FilesError, GroupSpace, NewUpload, OwnerToken, PieceStream,
    RawFile, RawFiles, Replica, TokenKeeper, UploadTarget,
};

#[async_trait]
impl Files for Client {
    async fn place(&self, groups: &[GroupName]) -> Result<UploadTarget, FilesError> {
        let group = self.first_known(groups).await?;
        let placement = Client::place(self, group).await?;
        let id = |topology: &Topology| {
            let mut storages = topology.groups.get(&placement.group).into_iter().flat_map(Group::members);
            storages
                .find(|storage| Group::address(storage) == Some(placement.storage))
                .map(|storage| storage.id)
        };
        let storage = look_up(self, id).await?;
        let unknown = || FilesError::Unavailable(format!("storage {} is not known yet", placement.storage));
        let storage = storage.ok_or_else(unknown)?;
        Ok(UploadTarget { group: placement.group, storage, path: placement.store_path.unwrap_or(0) })
    }

    async fn upload(&self, new: NewUpload) -> Result<Box<dyn FileUpload>, FilesError> {
        let mut spec = UploadSpec::new(new.extension);
        spec.size = new.length;
        spec.owner = new.owner.and_then(wire_token);
        spec.write_concern = new.write_concern;
        spec.private = new.private;
        match &new.target {
            Some(target) => {
                let address = look_up(self, |topology| address_of(topology, target)).await?;
                let away = || {
                    FilesError::Unavailable(format!("storage {} of {} is away", target.storage, target.group))
                };
                spec.group = Some(target.group);
                spec.storage = Some(address.ok_or_else(away)?);
                spec.store_path = Some(target.path);
            }
            None => spec.group = self.first_known(&new.groups).await?,
        }
        Ok(Box::new(self.begin_upload(spec)))
    }

    async fn read(&self, file: &FileId, offset: u64, length: u64) -> Result<FileStream, FilesError> {
        let pieces = Client::read_pieces(self, file, offset, length).await?;
        Ok(Box::pin(try_unfold(pieces, async |mut pieces| {
            Ok(pieces.next_bytes().await?.map(|bytes| (bytes, pieces)))
        })))
    }

    async fn read_pieces(&self, file: &FileId, offset: u64, length: u64) -> Result<PieceStream, FilesError> {
        let pieces = Client::read_pieces(self, file, offset, length).await?;
        Ok(Box::pin(try_unfold(pieces, async |mut pieces| {
            Ok(pieces.next_piece().await?.map(|piece| (piece, pieces)))
        })))
    }

    async fn delete(&self, file: &FileId) -> Result<(), FilesError> {
        Ok(Client::delete(self, file).await?)
    }

    async fn stat(&self, file: &FileId) -> Result<FileStat, FilesError> {
        let info = Client::stat(self, file).await?;
        Ok(FileStat { size: info.size, created: info.created.0, crc32: info.crc32, source: info.source })
    }

    async fn replicas(&self, file: &FileId) -> Result<Vec<Replica>, FilesError> {
        let topology = self.topology().await?;
        let group = topology.groups.get(&file.group).ok_or(FilesError::NotFound)?;
        let replica = |storage: &StorageRecord| Replica {
            storage: storage.id,
            address: storage.ip,
            status: storage.status,
        };
        Ok(group.replicas(file, SystemTime::now().into()).into_iter().map(replica).collect())
    }

    async fn metadata(&self, file: &FileId) -> Result<Metadata, FilesError> {
        match Client::metadata(self, file).await {
            // A file without metadata and no file are answered alike; stat tells them apart.
            Err(ClientError::NotFound) => {
                Client::stat(self, file).await.map(|_| Metadata::new()).map_err(Into::into)
            }
            found => Ok(found?),
        }
    }

    async fn set_metadata(&self, file: &FileId, metadata: &Metadata) -> Result<(), FilesError> {
        Ok(Client::set_metadata(self, file, MetadataMode::Overwrite, metadata.clone()).await?)
    }

    async fn join(
        &self,
        parts: &[FileId],
        extension: &Extension,
        owner: OwnerToken,
        write_concern: WriteConcern,
    ) -> Result<FileId, FilesError> {
        let first = parts.first().ok_or_else(|| FilesError::Refused("nothing to join".to_owned()))?;
        let topology = self.topology().await?;
        let group = topology.groups.get(&first.group).ok_or(FilesError::Unsupported)?;
        let source = group.source(first).and_then(Group::address);
        let storage =
            source.ok_or_else(|| FilesError::Unavailable(format!("the storage that has {first} is gone")))?;
        // A storage that knows nothing of second members does what it is set to.
        let is_honoured = self.capabilities(storage).await?.contains(Capabilities::WRITE_CONCERN);
        let write_concern = if is_honoured { write_concern } else { WriteConcern::Storage };
        let request = JoinFilesRequest {
            group: first.group,
            extension: *extension,
            owner: wire_token(owner),
            write_concern,
            private: parts.iter().any(|part| part.filename.is_private()),
            parts: parts.iter().map(|part| part.filename.clone()).collect(),
        };
        Ok(self.join_files(storage, &request).await?)
    }

    async fn list(
        &self,
        group: &GroupName,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<RawFiles, FilesError> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let listed = self.list_raw(*group, store_path, after.cloned(), limit).await?;
        let file = |file: fdfs_proto::ours::RawFile| RawFile { filename: file.filename, size: file.size };
        Ok(RawFiles { more: listed.has_more, files: listed.files.into_iter().map(file).collect() })
    }

    async fn groups(&self) -> Result<Vec<GroupSpace>, FilesError> {
        let topology = self.fresh_topology().await?;
        Ok(topology.groups.values().map(|group| space_of(&group.record)).collect())
    }

    async fn keepers(&self) -> Result<Vec<TokenKeeper>, FilesError> {
        let topology = self.fresh_topology().await?;
        let keepers = topology.groups.values().flat_map(|group| {
            group.members().filter_map(|storage| {
                let address = Group::address(storage)?;
                Some(TokenKeeper { group: group.record.group, storage: storage.id, address })
            })
        });
        Ok(keepers.collect())
    }

    async fn keeps_private(&self, groups: &[GroupName]) -> Result<bool, FilesError> {
        if !self.is_member() {
            return Ok(false);
        }
        let topology = self.fresh_topology().await?;
        let is_meant = |name: &&GroupName| groups.is_empty() || groups.contains(name);
        for name in topology.groups.keys().filter(is_meant) {
            for storage in topology.groups.get(name).into_iter().flat_map(Group::members) {
                let away = || FilesError::Unavailable(format!("storage {} has no address", storage.id));
                let address = Group::address(storage).ok_or_else(away)?;
                if !self.capabilities(address).await?.contains(Capabilities::PRIVATE) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn owned(
        &self,
        keeper: &TokenKeeper,
        owner: u64,
        after: u64,
        limit: usize,
    ) -> Result<(Vec<(u64, FileId)>, bool), FilesError> {
        let owner = NonZeroU64::new(owner).ok_or(FilesError::Unsupported)?;
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        let listed = self.list_owned(keeper.address, keeper.group, owner, after, limit).await?;
        let id = |filename| FileId { group: keeper.group, filename };
        let files = listed.files.into_iter().map(|file| (file.sequence, id(file.filename)));
        Ok((files.collect(), listed.has_more))
    }

    async fn forget(&self, keeper: &TokenKeeper, owner: u64, sequences: Vec<u64>) -> Result<(), FilesError> {
        let session = NonZeroU64::new(owner).ok_or(FilesError::Unsupported)?;
        let request = ForgetOwnedRequest { group: keeper.group, session, sequences };
        Ok(self.forget_owned(keeper.address, &request).await?)
    }

    fn unowned_uploads(&self) -> u64 {
        UNOWNED.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl FileUpload for Upload {
    async fn write(&mut self, bytes: Bytes) -> Result<(), FilesError> {
        Ok(Upload::write(self, &bytes).await?)
    }

    async fn finish(self: Box<Self>) -> Result<FileId, FilesError> {
        let uploaded = Upload::finish(*self).await?;
        if !uploaded.has_owner {
            metrics::counter!("fdfs_objects_uploads_without_owner_total").increment(1);
            UNOWNED.fetch_add(1, Ordering::Relaxed);
        }
        Ok(uploaded.file_id)
    }
}

/// A choice among groups.
trait FirstKnown {
    /// The first of the wanted groups that takes uploads; none is the trackers' choice.
    async fn first_known(&self, wanted: &[GroupName]) -> Result<Option<GroupName>, FilesError>;
}

impl FirstKnown for Client {
    async fn first_known(&self, wanted: &[GroupName]) -> Result<Option<GroupName>, FilesError> {
        if wanted.len() < 2 {
            return Ok(wanted.first().copied());
        }
        let topology = self.topology().await?;
        let takes = |name: &&GroupName| {
            let record = topology.groups.get(*name).map(|group| &group.record);
            record.is_some_and(|record| record.writable_count > 0 && record.free_mb > record.reserved_mb)
        };
        Ok(wanted.iter().find(takes).or(wanted.first()).copied())
    }
}

/// Finds something in the topology as it is known, and if it is not there, as the trackers tell it now: a storage may have
/// joined since.
async fn look_up<T>(client: &Client, find: impl Fn(&Topology) -> Option<T>) -> Result<Option<T>, FilesError> {
    match find(&*client.topology().await?) {
        Some(found) => Ok(Some(found)),
        None => Ok(find(&*client.fresh_topology().await?)),
    }
}

fn address_of(topology: &Topology, target: &UploadTarget) -> Option<SocketAddr> {
    let mut storages = topology.groups.get(&target.group)?.members();
    storages.find(|storage| storage.id == target.storage).and_then(Group::address)
}

fn wire_token(token: OwnerToken) -> Option<WireToken> {
    Some(WireToken { session: NonZeroU64::new(token.session)?, sequence: token.sequence })
}

fn space_of(record: &GroupRecord) -> GroupSpace {
    GroupSpace {
        name: record.group,
        total: record.total_mb << 20,
        free: record.free_mb << 20,
        store_paths: u32::try_from(record.store_path_count).unwrap_or(u32::MAX),
        subdirs: u32::try_from(record.subdir_count).unwrap_or(u32::MAX),
    }
}

impl From<ClientError> for FilesError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::NotFound => Self::NotFound,
            ClientError::NoSpace => Self::NoSpace,
            ClientError::Unsupported { .. }
            | ClientError::SpoolFull { .. }
            | ClientError::Refused { status: Status::EOPNOTSUPP, .. } => Self::Unsupported,
            ClientError::Refused { status: Status::EACCES, .. } => Self::NoSecret,
            // A storage that cannot take content at present among them: one that finds no second member for it.
            error if error.is_transient() => Self::Unavailable(error.to_string()),
            error => Self::Refused(error.to_string()),
        }
    }
}

/// Files that this process gave to storages which keep no owners.
static UNOWNED: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use fdfs_proto::Command;

    use super::*;

    #[test]
    fn what_may_succeed_later_is_unavailable_and_nothing_else() {
        let refused = |status| {
            let address = SocketAddr::from(([127, 0, 0, 2], 23_000));
            FilesError::from(ClientError::Refused { address, command: Command::UPLOAD_FRAMED, status })
        };
        assert!(matches!(refused(Status::EAGAIN), FilesError::Unavailable(_)));
        assert!(matches!(refused(Status::EINVAL), FilesError::Refused(_)));
        assert!(matches!(refused(Status::EACCES), FilesError::NoSecret));
        assert!(matches!(FilesError::from(ClientError::Timeout), FilesError::Unavailable(_)));
    }
}
