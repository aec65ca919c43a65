//! Reading: downloads, file info, metadata.

use fdfs_net::{Connection, FileError, NetError};
use fdfs_proto::{
    Header, Raw,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse, GetMetadataRequest},
};
use fdfs_store::Counter;

use super::{Named, SMALL, Served, StorageService, Wait};
use crate::{error::Refusal, shared::Shared};

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
        let filename = self.name_for_log(request.filename());
        let served = self.send_range(connection, &request).await?;
        Ok(Served { filename, ..served })
    }

    async fn send_range(
        &self,
        connection: &mut Connection,
        request: &DownloadRequest,
    ) -> Result<Served, NetError> {
        if let Err(refusal) = self.check_group(request.group()) {
            return self.refuse(connection, refusal).await;
        }
        let store = &self.shared.store;
        let opened = store.open_file(&request.file_id.filename).and_then(|open| {
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

    /// Tells size, time and checksum of a file. A checksum that the name does not have is computed aside.
    pub(super) async fn file_info(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let computes = header.status.0 & 1 == 0;
        let wait = if computes { Wait::IfUnnamed } else { Wait::Never };
        self.answer(connection, header, SMALL, wait, |shared, request: FileInfoRequest, peer| {
            let info = shared.store.info(&request.file_id.filename, !request.skip_crc32)?;
            Ok(FileInfoResponse {
                ip_width: shared.ip_width(),
                size: info.size,
                modified: info.modified,
                crc32: info.crc32.unwrap_or(0),
                source: shared.identity.address_of(info.source, peer),
            })
        })
        .await
    }
}

/// The metadata of a file, as it is kept.
pub(super) fn metadata(shared: &Shared, request: &GetMetadataRequest) -> Result<Raw, Refusal> {
    Ok(Raw(shared.store.metadata(&request.file_id.filename)?))
}
