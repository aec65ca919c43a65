//! What is known about a file.

use std::net::{IpAddr, SocketAddr};

use fdfs_net::CallError;
use fdfs_proto::storage::{FileInfoRequest, FileInfoResponse};
use fdfs_types::{FileId, FileKind, NameFields, Source, Timestamp};

use crate::search::{Purpose, Search};
use crate::topology::Group;
use crate::{Client, ClientError};

/// What is known about a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileInfo {
    /// Length of its content.
    pub size: u64,
    /// When it was uploaded, or last changed.
    pub created: Timestamp,
    /// Checksum of its content.
    pub crc32: u32,
    /// Address of the storage that took the upload, where it is known.
    pub source: Option<IpAddr>,
    /// Whether all of this comes from the name, and nobody was asked whether the file exists.
    pub is_from_name: bool,
}

impl From<FileInfoResponse> for FileInfo {
    fn from(info: FileInfoResponse) -> Self {
        Self {
            size: info.size,
            created: info.modified,
            crc32: info.crc32,
            source: info.source,
            is_from_name: false,
        }
    }
}

impl Client {
    /// What is known about a file. The name of a normal file tells all, and nobody is asked whether it exists;
    /// the storages tell about appender and slave files.
    pub async fn file_info(&self, file_id: &FileId) -> Result<FileInfo, ClientError> {
        let kind = file_id.filename.kind();
        if let (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields)) = (kind, file_id.filename.fields())
            && let Some(size) = fields.size.size()
        {
            let source = self.source_ip(file_id, &fields).await;
            let (created, crc32) = (fields.created(), fields.crc32);
            return Ok(FileInfo { size, created, crc32, source, is_from_name: true });
        }
        self.stat(file_id).await
    }

    /// What a storage that has the file tells about it.
    pub async fn stat(&self, file_id: &FileId) -> Result<FileInfo, ClientError> {
        let request = request(file_id);
        Search::ask(self.inner(), file_id, Purpose::Read, &request).await.map(FileInfo::from)
    }

    pub(crate) async fn file_info_at(
        &self,
        address: SocketAddr,
        file_id: &FileId,
    ) -> Result<FileInfo, CallError> {
        self.inner().servers.ask(address, &request(file_id)).await.map(FileInfo::from)
    }

    /// The address of the storage that the name tells; a missing one is no reason to fail.
    async fn source_ip(&self, file_id: &FileId, fields: &NameFields) -> Option<IpAddr> {
        match fields.source {
            Source::Ip(ip) => Some(ip.into()),
            Source::Id(_) => {
                let topology = self.topology().await.ok()?;
                let group = topology.groups.get(&file_id.group)?;
                group.source(file_id).and_then(Group::address).map(|address| address.ip())
            }
        }
    }
}

fn request(file_id: &FileId) -> FileInfoRequest {
    FileInfoRequest { file_id: file_id.clone(), skip_crc32: false, is_silent: true }
}
