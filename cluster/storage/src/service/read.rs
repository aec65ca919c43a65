//! Reading: downloads, file info, metadata.

use std::{net::IpAddr, sync::Arc};

use fdfs_net::{Connection, FileError, NetError};
use fdfs_proto::{
    Command, Header, Raw, Request, Status,
    storage::{DownloadRequest, FileInfoRequest, FileInfoResponse, GetMetadataRequest},
};
use fdfs_store::{Block, Counter, ForPeer, Mended, OpenFile, StoreError, TrunkFile};
use fdfs_types::{FileKind, GroupName, RemoteFilename};

use super::{
    Served, Session, StorageService, check_private,
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
        !self.skip_crc32 && !matches!(self.file_id.filename.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)))
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

/// A question about a file that another member may answer.
pub(super) trait LookUp: Handle + Clone {
    /// Whether a missing file is no news to who asks: members look in this way whether one has to be sent.
    fn is_silent(&self) -> bool {
        false
    }
}

impl LookUp for GetMetadataRequest {}

impl LookUp for FileInfoRequest {
    fn is_silent(&self) -> bool {
        self.is_silent
    }
}

impl StorageService {
    /// Answers a question about a file, with the answer of another member where the file is not here.
    pub(super) async fn look_up<R: LookUp>(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError> {
        let request = match connection.read_request::<R>(header, R::LIMIT).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(request.filename());
        if let Err(refusal) = check_private(connection, request.is_private()) {
            return Ok(Served { filename, ..self.refuse(connection, refusal).await? });
        }
        let may_wait = request.may_wait(self.shared.waits_for_disk);
        let peer = connection.peer_ip();
        let result = match self.check_group(request.group()) {
            Ok(()) => {
                let request = request.clone();
                self.act(may_wait, move |shared| request.handle(shared, peer)).await
            }
            Err(refusal) => Err(refusal),
        };
        match (&result, request.filename()) {
            (Err(Refusal::Store(StoreError::NotFound)), Some(name))
                if !(request.is_silent() && self.shared.is_member(peer)) =>
            {
                Ok(Served { filename, ..self.lacking(connection, name, &request, session).await? })
            }
            _ => self.respond(connection, filename, result).await,
        }
    }

    /// Answers a request for a file that is not here: with the answer of a member that has it.
    async fn lacking<R: Request>(
        &self,
        connection: &mut Connection,
        name: &RemoteFilename,
        request: &R,
        session: &Session,
    ) -> Result<Served, NetError> {
        let shared = &self.shared;
        let missing = || Refusal::Store(StoreError::NotFound);
        if session.is_for_another {
            let is_sure = shared.knows_all() || shared.store.was_deleted(name);
            return self.refuse(connection, if is_sure { missing() } else { Refusal::Unreachable }).await;
        }
        // Members that send changes, or fill a store path, ask each for itself.
        if session.sender.is_some() || name.as_str().ends_with("-m") {
            return self.refuse(connection, missing()).await;
        }
        let mut given = match Box::pin(shared.relay.ask(shared, name, request)).await {
            Ok(given) => given,
            Err(refusal) => return self.refuse(connection, refusal).await,
        };
        connection.respond_raw(Header::response(given.length), &[]).await?;
        // An answer that breaks off can only be ended by closing the connection.
        while let Some(chunk) = given.line.next_chunk().await.map_err(|_| NetError::Closed)? {
            connection.respond_more(chunk).await?;
        }
        shared.relay.keep(given.line);
        let content = if R::COMMAND == Command::DOWNLOAD_FILE { given.length } else { 0 };
        Ok(Served { content, ..Served::with(Ok(()), given.length) })
    }

    /// Sends a file, or a range of it.
    pub(super) async fn download(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError> {
        let request: DownloadRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(Some(&request.file_id.filename));
        Ok(Served { filename, ..self.send_range(connection, &request, session).await? })
    }

    fn shows_containers_to(&self, peer: IpAddr) -> bool {
        peer.is_loopback() || self.shared.shows_metadata_files_to(peer)
    }

    /// Opens a file. Members read files of metadata, too, to rebuild a store path.
    fn open(&self, filename: &RemoteFilename, peer: IpAddr) -> Result<OpenFile, StoreError> {
        let store = &self.shared.store;
        match store.open_file(filename) {
            // Members that rebuild a store path, or look after slots, read whole trunk files.
            Err(StoreError::NotFound)
                if let Some(file) = TrunkFile::of_container(filename)
                    && self.shows_containers_to(peer) =>
            {
                store.open_container(file)
            }
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

    fn open_range(
        &self,
        request: &DownloadRequest,
        peer: IpAddr,
    ) -> Result<(OpenFile, std::ops::Range<u64>), StoreError> {
        let open = self.open(&request.file_id.filename, peer)?;
        let range = open.range(request.offset, request.length)?;
        Ok((open, range))
    }

    /// Looks whether a file is missed because its slot has lost its header; whether it is there again. Where the content is
    /// damaged, too, the slot is fetched from another member meanwhile.
    async fn mend(&self, name: &RemoteFilename) -> bool {
        let Some(block) = Block::of_name(name) else { return false };
        let of = name.clone();
        match self.act(true, move |shared| Ok(shared.store.mend_header(&of)?)).await {
            Ok(Mended::Yes) => {
                metrics::counter!("fdfs_storage_trunk_headers_mended_total").increment(1);
                tracing::warn!(file_id = %name, "the slot of a file had lost its header, which was written again");
                true
            }
            Ok(Mended::No) => {
                self.shared.heal_lost_slot(block);
                false
            }
            Ok(Mended::IsNotThere) | Err(_) => false,
        }
    }

    async fn send_range(
        &self,
        connection: &mut Connection,
        request: &DownloadRequest,
        session: &Session,
    ) -> Result<Served, NetError> {
        let is_private = request.file_id.filename.is_private();
        let checked = check_private(connection, is_private)
            .and_then(|()| self.check_group(Some(request.file_id.group)));
        if let Err(refusal) = checked {
            return self.refuse(connection, refusal).await;
        }
        let store = &self.shared.store;
        if let Some(content) = store.read_slot(&request.file_id.filename)
            && let Ok(range) = content.range(request.offset, request.length)
        {
            let length = range.end - range.start;
            store.stat().add(Counter::TotalFileReadCount, 1);
            self.send_content(connection, content.bytes(), range).await?;
            store.stat().add(Counter::SuccessFileReadCount, 1);
            return Ok(Served { content: length, ..Served::with(Ok(()), length) });
        }
        // Who asks for a part of a trunk file wants to know whether it is nobody's.
        if request.length > 0
            && let Some(file) = TrunkFile::of_container(&request.file_id.filename)
            && self.shared.reserves(file, request.offset, request.length)
        {
            return self.refuse(connection, Refusal::Told(Status::EBUSY)).await;
        }
        let peer = connection.peer_ip();
        let mut opened = self.open_range(request, peer);
        if matches!(opened, Err(StoreError::NotFound)) && self.mend(&request.file_id.filename).await {
            opened = self.open_range(request, peer);
        }
        let (open, range) = match opened {
            Ok(opened) => opened,
            Err(StoreError::NotFound) => {
                return self.lacking(connection, &request.file_id.filename, request, session).await;
            }
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let length = range.end - range.start;
        store.stat().add(Counter::TotalFileReadCount, 1);
        if open.is_checked() {
            let open = Arc::new(open);
            let content = match open.checked(true) {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    let open = Arc::clone(&open);
                    self.act(true, move |_| open.checked(false).map_err(Refusal::Read)).await
                }
                content => content.map_err(Refusal::Read),
            };
            let name = &request.file_id.filename;
            return match content {
                Ok(Some(content)) => {
                    self.send_content(connection, &content, range).await?;
                    store.stat().add(Counter::SuccessFileReadCount, 1);
                    Ok(Served { content: length, ..Served::with(Ok(()), length) })
                }
                // It may have been deleted this moment.
                Ok(None) if !store.is_there(name) => self.lacking(connection, name, request, session).await,
                Ok(None) => {
                    metrics::counter!("fdfs_storage_trunk_slots_damaged_total").increment(1);
                    tracing::warn!(file_id = %name, "a file in a trunk file is not what its name says");
                    if let Some(block) = Block::of_name(name) {
                        self.shared.heal_slot(block);
                    }
                    self.lacking(connection, name, request, session).await
                }
                Err(refusal) => Ok(Served { content: length, ..self.refuse(connection, refusal).await? }),
            };
        }
        match connection.respond_file(&open.file, open.start + range.start, length).await {
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
