//! What peers send: their changes of files.
//!
//! On a connection whose sender has said who it is, the time of every change that is made, or was made before, counts as
//! the time up to which its changes have arrived.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Header, Request, Streamed,
    sync::{
        ReportServerIdRequest, SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest,
        SyncDeleteRequest, SyncModifyRequest, SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest,
    },
};
use fdfs_store::{Replica, Replicated, Store, StoreError};
use fdfs_types::{GroupName, RemoteFilename, StorageId, Timestamp};
use tracing::debug;

use super::{Served, Session, StorageService, handle::SMALL};
use crate::{
    error::Refusal,
    relay::{LeftOut, Sent},
};

/// A change that a peer has made.
pub(super) trait Replicable: Request + Send + 'static {
    /// The group.
    fn group(&self) -> GroupName;

    /// The file.
    fn filename(&self) -> &RemoteFilename;

    /// When it was made.
    fn time(&self) -> Timestamp;
}

/// A change whose content follows.
pub(super) trait Receive: Replicable + Streamed {
    /// Begins to take the content. It may compare what is here, which takes its time.
    fn begin(&self, store: &Store) -> Result<Replica, StoreError>;
}

/// A change without content.
pub(super) trait Replicate: Replicable {
    /// Size of a file up to which the change takes no time to speak of.
    const QUICK: u64 = QUICK_REPLACE;
    /// What an original member may have left out before it.
    const LEFT_OUT: LeftOut = LeftOut::Nothing;

    /// Makes the change.
    fn replicate(&self, store: &Store) -> Result<Replicated, StoreError>;
}

macro_rules! replicable {
    ($($name:ident, $($to_file_id:ident).+, $($to_time:ident).+;)*) => {$(
        impl Replicable for $name {
            fn group(&self) -> GroupName {
                self.$($to_file_id).+.group
            }

            fn filename(&self) -> &RemoteFilename {
                &self.$($to_file_id).+.filename
            }

            fn time(&self) -> Timestamp {
                self.$($to_time).+
            }
        }
    )*};
}

replicable! {
    SyncCreateRequest, file.file_id, file.time;
    SyncUpdateRequest, file.file_id, file.time;
    SyncAppendRequest, range.file_id, range.time;
    SyncModifyRequest, range.file_id, range.time;
    SyncTruncateRequest, file_id, time;
    SyncDeleteRequest, file_id, time;
}

impl Replicable for SyncCreateLinkRequest {
    fn group(&self) -> GroupName {
        self.group
    }

    fn filename(&self) -> &RemoteFilename {
        &self.link
    }

    fn time(&self) -> Timestamp {
        self.time
    }
}

impl Replicable for SyncRenameRequest {
    fn group(&self) -> GroupName {
        self.group
    }

    fn filename(&self) -> &RemoteFilename {
        &self.new_name
    }

    fn time(&self) -> Timestamp {
        self.time
    }
}

impl Receive for SyncCreateRequest {
    fn begin(&self, store: &Store) -> Result<Replica, StoreError> {
        let file = &self.file;
        if self.is_known {
            store.receive_known(&file.file_id.filename, file.time)
        } else {
            store.receive_create(&file.file_id.filename, file.size, file.time)
        }
    }
}

impl Receive for SyncUpdateRequest {
    fn begin(&self, store: &Store) -> Result<Replica, StoreError> {
        store.receive_update(&self.file.file_id.filename, self.file.size, self.file.time)
    }
}

impl Receive for SyncAppendRequest {
    fn begin(&self, store: &Store) -> Result<Replica, StoreError> {
        let range = &self.range;
        store.receive_append(&range.file_id.filename, range.offset, range.length, range.time)
    }
}

impl Receive for SyncModifyRequest {
    fn begin(&self, store: &Store) -> Result<Replica, StoreError> {
        let range = &self.range;
        store.receive_modify(&range.file_id.filename, range.offset, range.length, range.time)
    }
}

impl Replicate for SyncTruncateRequest {
    const LEFT_OUT: LeftOut = LeftOut::Changes;

    fn replicate(&self, store: &Store) -> Result<Replicated, StoreError> {
        store.replicate_truncate(&self.file_id.filename, self.old_size, self.new_size, self.time)
    }
}

impl Replicate for SyncDeleteRequest {
    const LEFT_OUT: LeftOut = LeftOut::Rename;

    fn replicate(&self, store: &Store) -> Result<Replicated, StoreError> {
        store.replicate_delete(&self.file_id.filename, self.time)
    }
}

impl Replicate for SyncCreateLinkRequest {
    fn replicate(&self, store: &Store) -> Result<Replicated, StoreError> {
        store.replicate_link(&self.link, &self.source, self.time)
    }
}

impl Replicate for SyncRenameRequest {
    // The file is compared with its new name.
    const QUICK: u64 = QUICK_COMPARE;

    fn replicate(&self, store: &Store) -> Result<Replicated, StoreError> {
        store.replicate_rename(&self.new_name, &self.old_name, self.time)
    }
}

impl StorageService {
    /// Takes note of who sends on this connection.
    pub(super) async fn report_server_id(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &mut Session,
    ) -> Result<Served, NetError> {
        let request: ReportServerIdRequest = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        if let Err(refusal) = self.check_member(connection) {
            return self.refuse(connection, refusal).await;
        }
        session.sender = Some(request.storage_id);
        connection.respond(&[]).await?;
        Ok(Served::with(Ok(()), 0))
    }

    /// Makes a change of a peer whose content follows.
    pub(super) async fn receive<R: Receive>(
        &self,
        connection: &mut Connection,
        header: &Header,
        sender: Option<StorageId>,
    ) -> Result<Served, NetError> {
        let request = match connection.read_head::<R>(header).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let (content, time) = (request.content_length(), request.time());
        let result = match self.check_peer(connection, &request) {
            Ok(()) => self.take_content(connection, request, sender).await?,
            Err(refusal) => Err(refusal),
        };
        let served = self.answer_peer(connection, sender, time, result).await?;
        Ok(Served { content, ..served })
    }

    /// Makes a change of a peer.
    pub(super) async fn replicate<R: Replicate>(
        &self,
        connection: &mut Connection,
        header: &Header,
        sender: Option<StorageId>,
    ) -> Result<Served, NetError> {
        let request: R = match connection.read_request(header, SMALL).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let (name, time) = (request.filename().clone(), request.time());
        let mut result = match self.check_peer(connection, &request) {
            Ok(()) => {
                stay(connection)?;
                // Freeing a large file takes its time.
                let size = request.filename().fields().ok().and_then(|fields| fields.size.size());
                let may_wait = self.shared.waits_for_disk || size.is_none_or(|size| size > R::QUICK);
                self.act(may_wait, move |shared| Ok(request.replicate(&shared.store)?)).await
            }
            Err(refusal) => Err(refusal),
        };
        if let Ok(answer) = &mut result
            && R::LEFT_OUT != LeftOut::Nothing
            && let Some(from) = self.shared.sender(sender, connection.peer_ip())
        {
            let sent = Sent { from, name, time };
            *answer = self.shared.relay.make_good(&self.shared, &sent, R::LEFT_OUT, *answer).await;
        }
        self.answer_peer(connection, sender, time, result).await
    }

    async fn take_content<R: Receive>(
        &self,
        connection: &mut Connection,
        request: R,
        sender: Option<StorageId>,
    ) -> Result<Result<Replicated, Refusal>, NetError> {
        let content = request.content_length();
        // Ours give two changes of one second different times.
        let wins_ties = match self.shared.sender(sender, connection.peer_ip()) {
            Some(from) if is_metadata(request.filename()) => {
                self.shared.relay.is_original(&self.shared, &from).await
            }
            _ => false,
        };
        let begun = self.act(content > QUICK_COMPARE, move |shared| Ok(request.begin(&shared.store)?)).await;
        let mut replica = match begun {
            Ok(replica) => replica,
            Err(refusal) => return Ok(Err(refusal)),
        };
        if wins_ties {
            replica.win_ties();
        }
        // A peer that leaves drops the replica, and with it what was written.
        while let Some(chunk) = connection.next_chunk().await? {
            if let Err(error) = replica.write(chunk) {
                return Ok(Err(error.into()));
            }
        }
        stay(connection)?;
        let may_wait = self.shared.waits_for_disk || content > QUICK_COPY;
        Ok(self.act(may_wait, move |_| Ok(replica.finish()?)).await)
    }

    /// Answers a peer, and takes note of how far it is.
    async fn answer_peer(
        &self,
        connection: &mut Connection,
        sender: Option<StorageId>,
        time: Timestamp,
        result: Result<Replicated, Refusal>,
    ) -> Result<Served, NetError> {
        if let (Some(sender), Ok(Replicated::Done | Replicated::Has)) = (sender, &result)
            && self.shared.membership.lock().has_other(&sender)
        {
            self.shared.synced_from.note(sender, time);
        }
        let answer = match &result {
            Ok(Replicated::Done) => "done",
            Ok(Replicated::Has) => "has",
            Ok(Replicated::Lacks) => "lacks",
            Err(_) => "refused",
        };
        metrics::counter!("fdfs_storage_replicated_total", "answer" => answer).increment(1);
        let refusal = match result {
            Ok(Replicated::Done) => {
                connection.respond(&[]).await?;
                return Ok(Served::with(Ok(()), 0));
            }
            Ok(Replicated::Has) => Refusal::Has,
            Ok(Replicated::Lacks) => Refusal::Lacks,
            Err(refusal) => refusal,
        };
        self.refuse(connection, refusal).await
    }

    fn check_peer(&self, connection: &Connection, request: &impl Replicable) -> Result<(), Refusal> {
        self.check_member(connection)?;
        self.check_group(Some(request.group()))
    }

    /// Whether this peer may do what members do.
    pub(super) fn check_member(&self, connection: &Connection) -> Result<(), Refusal> {
        let ip = connection.peer_ip();
        if self.shared.takes_replicas_from(ip) { Ok(()) } else { Err(Refusal::Stranger(ip)) }
    }
}

/// Whether a name is that of metadata.
fn is_metadata(name: &RemoteFilename) -> bool {
    name.as_str().ends_with(SIDECAR)
}

/// Ends the conversation with a peer that has left before its change is made.
///
/// It has given the change up, and sends it again as it is then. So much may have lain here unread while this process stood
/// still that the peer has sent other changes since, which are made by now: an old one must not follow them.
fn stay(connection: &Connection) -> Result<(), NetError> {
    if !connection.has_peer_left() {
        return Ok(());
    }
    metrics::counter!("fdfs_storage_replicated_total", "answer" => "left").increment(1);
    debug!(peer = %connection.peer_ip(), "a change is not made, for the peer has given it up");
    Err(NetError::Closed)
}

const SIDECAR: &str = "-m";
/// Comparing up to this many bytes with what is here takes no time to speak of.
const QUICK_COMPARE: u64 = 256 * 1024;
/// A change of more bytes is copied into place where that blocks nobody.
const QUICK_COPY: u64 = 1024 * 1024;
/// Size of a file up to which freeing it takes no time to speak of.
const QUICK_REPLACE: u64 = 64 * 1024 * 1024;
