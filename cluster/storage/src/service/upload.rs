//! Uploads: bytes go to the disk as they arrive, and are shown when they are whole.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Header, Streamed,
    ours::WriteConcern,
    storage::{UploadAppenderRequest, UploadRequest, UploadSlaveRequest},
};
use fdfs_store::{NewFile, Store, StoreError, StorePathChoice, Upload};
use fdfs_types::{FileId, GroupName, RemoteFilename};

use super::{Served, StorageService, check_private};

/// A request whose content becomes a new file.
pub(super) trait Begin: Streamed {
    /// Begins the file.
    fn begin(&self, store: &Store) -> Result<Upload, StoreError>;

    /// Whether its name comes from a private file's.
    fn is_private(&self) -> bool {
        false
    }
}

impl Begin for UploadRequest {
    fn begin(&self, store: &Store) -> Result<Upload, StoreError> {
        store.create(&new_file(self, false))
    }
}

impl Begin for UploadAppenderRequest {
    fn begin(&self, store: &Store) -> Result<Upload, StoreError> {
        store.create(&new_file(&self.0, true))
    }
}

impl Begin for UploadSlaveRequest {
    fn begin(&self, store: &Store) -> Result<Upload, StoreError> {
        store.create_slave(&self.master, &self.prefix, &self.extension, Some(self.size))
    }

    fn is_private(&self) -> bool {
        self.master.is_private()
    }
}

fn new_file(request: &UploadRequest, appender: bool) -> NewFile {
    NewFile {
        store_path: request.store_path.map_or(StorePathChoice::Any, StorePathChoice::Index),
        size: Some(request.size),
        extension: request.extension,
        appender,
        private: false,
    }
}

impl StorageService {
    /// Stores the content of an upload and answers its name.
    pub(super) async fn upload<R: Begin>(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request = match connection.read_head::<R>(header).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let content = request.content_length();
        let begun = check_private(connection, request.is_private())
            .and_then(|()| self.check_concern(CONCERN))
            .and_then(|()| Ok(request.begin(&self.shared.store)?));
        let mut upload = match begun {
            Ok(upload) => upload,
            Err(refusal) => return self.refuse(connection, refusal).await,
        };
        // A client that leaves drops the upload, and with it what was written.
        while let Some(chunk) = connection.next_chunk().await? {
            if let Err(error) = upload.write(chunk) {
                drop(upload);
                return Ok(Served { content, ..self.refuse(connection, error.into()).await? });
            }
        }
        let stored = self.keep(upload).await;
        match self.secure_file(CONCERN, stored).await {
            Ok(stored) => {
                let filename = self.name_for_log(Some(&stored.filename));
                let served = self.answer_name(connection, stored.filename).await?;
                Ok(Served { filename, content, ..served })
            }
            Err(refusal) => Ok(Served { content, ..self.refuse(connection, refusal).await? }),
        }
    }

    /// Answers with the name of a new file.
    pub(super) async fn answer_name(
        &self,
        connection: &mut Connection,
        filename: RemoteFilename,
    ) -> Result<Served, NetError> {
        let sent = (GroupName::MAX_LEN + filename.as_str().len()) as u64;
        connection.respond_message(&FileId { group: self.shared.group(), filename }).await?;
        Ok(Served::with(Ok(()), sent))
    }
}

/// Requests of the original ask for nothing.
const CONCERN: WriteConcern = WriteConcern::Storage;
