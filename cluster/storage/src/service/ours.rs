//! Commands of ours: framed uploads, lists of files, joining files, owners.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Decode, Empty, Header,
    ours::{
        Capabilities, ForgetOwnedRequest, Frame, Hello, HelloRequest, JoinFilesRequest, ListOwnedRequest,
        ListOwnedResponse, ListRawRequest, ListRawResponse, RawFile, Trailer, UploadFramedRequest,
        WriteConcern,
    },
};
use fdfs_store::{ListedFile, NewFile, Store, StoreError, StorePathChoice, StoredFile, Upload};
use fdfs_types::FileId;

use super::{SMALL, Served, StorageService, Wait};
use crate::{error::Refusal, shared::Shared};

/// What this storage can do.
pub(super) fn hello(_request: &HelloRequest) -> Hello {
    let capabilities = Capabilities::UPLOAD_FRAMED
        | Capabilities::LIST_RAW_FILES
        | Capabilities::JOIN_FILES
        | Capabilities::OWNERS;
    Hello { version: Hello::VERSION, capabilities, software: SOFTWARE.to_owned() }
}

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
        let begun =
            check_concern(request.write_concern).and_then(|()| Ok(begin(&self.shared.store, request)?));
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
        let finished = self.act(Wait::IfDurable, move |_| Ok(upload.finish()?)).await;
        Ok(finished.map(|stored| (stored, trailer.length)))
    }
}

fn begin(store: &Store, request: &UploadFramedRequest) -> Result<Upload, StoreError> {
    let mut upload = store.create(&NewFile {
        store_path: request.store_path.map_or(StorePathChoice::Any, StorePathChoice::Index),
        size: None,
        extension: request.extension,
        appender: false,
    })?;
    if let Some(owner) = request.owner {
        upload.set_owner(owner);
    }
    Ok(upload)
}

/// Makes one file of several.
pub(super) fn join(shared: &Shared, request: &JoinFilesRequest) -> Result<FileId, Refusal> {
    check_concern(request.write_concern)?;
    let new = NewFile {
        store_path: StorePathChoice::Any,
        size: None,
        extension: request.extension,
        appender: false,
    };
    let stored = shared.store.join(&request.parts, &new, request.owner)?;
    Ok(FileId { group: shared.group(), filename: stored.filename })
}

/// The files of a store path behind a name.
pub(super) fn list_raw(shared: &Shared, request: &ListRawRequest) -> Result<ListRawResponse, Refusal> {
    let limit = (request.limit as usize).clamp(1, MAX_LISTED);
    let listing = shared.store.list(request.store_path, request.after.as_ref(), limit)?;
    let raw =
        |file: ListedFile| RawFile { filename: file.filename, size: file.size, modified: file.modified };
    Ok(ListRawResponse { has_more: listing.has_more, files: listing.files.into_iter().map(raw).collect() })
}

/// The files with tokens of a session.
pub(super) fn list_owned(shared: &Shared, request: &ListOwnedRequest) -> ListOwnedResponse {
    let limit = (request.limit as usize).clamp(1, MAX_LISTED);
    let (files, has_more) = shared.store.owned_files(request.session, request.after, limit);
    ListOwnedResponse { has_more, files }
}

/// Forgets tokens.
pub(super) fn forget_owned(shared: &Shared, request: &ForgetOwnedRequest) -> Result<Empty, Refusal> {
    shared.store.forget_owned_files(request.session, &request.sequences)?;
    Ok(Empty)
}

/// A second member cannot be asked for yet.
fn check_concern(concern: WriteConcern) -> Result<(), Refusal> {
    match concern {
        WriteConcern::Storage | WriteConcern::Local => Ok(()),
        WriteConcern::Replicated => Err(Refusal::Unsupported),
    }
}

/// Most files of one list.
const MAX_LISTED: usize = 1000;

const SOFTWARE: &str = concat!("fdfs ", env!("CARGO_PKG_VERSION"));
