//! Framed uploads: content whose length its end tells.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Decode, Header,
    ours::{Frame, Trailer, UploadFramedRequest},
};
use fdfs_store::{NewFile, Store, StoreError, StorePathChoice, StoredFile, Upload};

use super::{Served, StorageService, handle::SMALL};
use crate::error::Refusal;

impl StorageService {
    /// Stores content whose length its end tells.
    pub(super) async fn upload_framed(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request: UploadFramedRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let served = match self.receive_frames(connection, &request).await? {
            Ok((stored, content)) => {
                let filename = self.name_for_log(Some(&stored.filename));
                let served = self.answer_name(connection, stored.filename).await?;
                Served { filename, content, ..served }
            }
            // What is left of the frames cannot be told from the next request.
            Err(refusal) => Served { must_close: true, ..self.refuse(connection, refusal).await? },
        };
        Ok(served)
    }

    async fn receive_frames(
        &self,
        connection: &mut Connection,
        request: &UploadFramedRequest,
    ) -> Result<Result<(StoredFile, u64), Refusal>, NetError> {
        let begun = self
            .check_terms(request.write_concern, request.private)
            .and_then(|()| Ok(begin(&self.shared.store, request)?));
        let mut upload = match begun {
            Ok(upload) => upload,
            Err(refusal) => return Ok(Err(refusal)),
        };
        loop {
            connection.expect_more(Frame::LEN as u64);
            let length = match Frame::decode(connection.read_prefix(Frame::LEN).await?) {
                Ok(Frame::Data(length)) => length,
                Ok(Frame::End) => break,
                Err(error) => return Ok(Err(Refusal::Request(error.into()))),
            };
            connection.expect_more(length.into());
            while let Some(chunk) = connection.next_chunk().await? {
                if let Err(error) = upload.write(chunk) {
                    return Ok(Err(error.into()));
                }
            }
        }
        connection.expect_more(Trailer::LEN as u64);
        let trailer = match Trailer::decode(connection.read_prefix(Trailer::LEN).await?) {
            Ok(trailer) => trailer,
            Err(error) => return Ok(Err(Refusal::Request(error.into()))),
        };
        let came = Trailer { length: upload.size(), crc32: upload.crc32() };
        if came != trailer {
            return Ok(Err(Refusal::Damaged { announced: trailer, came }));
        }
        let finished = self.keep(upload).await;
        let secured = self.secure_file(request.write_concern, finished).await;
        Ok(secured.map(|stored| (stored, trailer.length)))
    }
}

fn begin(store: &Store, request: &UploadFramedRequest) -> Result<Upload, StoreError> {
    let mut upload = store.create(&NewFile {
        store_path: request.store_path.map_or(StorePathChoice::Any, StorePathChoice::Index),
        size: None,
        extension: request.extension,
        appender: false,
        private: request.private,
    })?;
    if let Some(owner) = request.owner {
        upload.set_owner(owner);
    }
    Ok(upload)
}
