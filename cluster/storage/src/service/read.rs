//! Reading: downloads, file info, metadata.

use std::net::IpAddr;

use fdfs_net::{Connection, FileError, NetError};
use fdfs_proto::{
    Header, Raw,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse, GetMetadataRequest},
};
use fdfs_store::{Counter, ForPeer, OpenFile, StoreError};
use fdfs_types::{FileKind, GroupName, RemoteFilename};

use super::{
    Served, StorageService,
    handle::{Handle, SMALL},
};
use crate::{error::Refusal, shared::Shared};

/// Tells the metadata of a file, in the bytes it is kept in.
impl Handle for GetMetadataRequest {
    type Answer = Raw;

    fn group(&self) -> Option<GroupName> {
        Some(self.file_id.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.file_id.filename)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        false
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Raw, Refusal> {
        Ok(Raw(shared.store.metadata(&self.file_id.filename)?))
    }
}

/// Tells size, time and checksum of a file.
impl Handle for FileInfoRequest {
    type Answer = FileInfoResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.file_id.group)
    }

    fn filename(&self) -> Option<&RemoteFilename> {
        Some(&self.file_id.filename)
    }

    /// A checksum that the name does not have is computed from the whole file.
    fn may_wait(&self, _is_durable: bool) -> bool {
        !self.skip_crc32 && self.file_id.filename.kind() != Ok(FileKind::Normal)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<FileInfoResponse, Refusal> {
        let info = shared.store.info(&self.file_id.filename, !self.skip_crc32)?;
        Ok(FileInfoResponse {
            ip_width: shared.ip_width(),
            size: info.size,
            modified: info.modified,
            crc32: info.crc32.unwrap_or(0),
            source: shared.identity.address_of(info.source, peer),
        })
    }
}

impl StorageService {
    /// Sends a file, or a range of it.
    pub(super) async fn download(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request: DownloadRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(Some(&request.file_id.filename));
        Ok(Served { filename, ..self.send_range(connection, &request).await? })
    }

    /// Opens a file. Members read files of metadata, too, to rebuild a store path.
    fn open(&self, filename: &RemoteFilename, peer: IpAddr) -> Result<OpenFile, StoreError> {
        let store = &self.shared.store;
        match store.open_file(filename) {
            Err(StoreError::NotFound)
                if filename.as_str().ends_with("-m") && self.shared.shows_metadata_files_to(peer) =>
            {
                match store.open_for_peer(filename)? {
                    ForPeer::File(open) => Ok(open),
                    ForPeer::Missing | ForPeer::Link(_) => Err(StoreError::NotFound),
                }
            }
            result => result,
        }
    }

    async fn send_range(
        &self,
        connection: &mut Connection,
        request: &DownloadRequest,
    ) -> Result<Served, NetError> {
        if let Err(refusal) = self.check_group(Some(request.file_id.group)) {
            return self.refuse(connection, refusal).await;
        }
        let store = &self.shared.store;
        let opened = self.open(&request.file_id.filename, connection.peer_ip()).and_then(|open| {
            let range = open.range(request.offset, request.length)?;
            Ok((open, range))
        });
        let (open, range) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let length = range.end - range.start;
        store.stat().add(Counter::TotalFileReadCount, 1);
        match connection.respond_file(&open.file, range.start, length).await {
            Ok(()) => {
                store.stat().add(Counter::SuccessFileReadCount, 1);
                Ok(Served { content: length, ..Served::with(Ok(()), length) })
            }
            Err(FileError::Unread(error)) => {
                Ok(Served { content: length, ..self.refuse(connection, Refusal::Read(error)).await? })
            }
            Err(FileError::Net(error)) => Err(error),
        }
    }
}
