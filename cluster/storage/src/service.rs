//! The storage's side of the protocol: one request after the other, each answered on the thread it came in.

mod change;
mod concern;
mod elsewhere;
mod framed;
mod handle;
mod link;
mod ours;
mod patch;
mod path_binlog;
mod read;
mod replica;
mod trunk;
mod upload;

use std::sync::Arc;

use fdfs_net::{Connection, NetError, RequestError, Service};
use fdfs_proto::{
    Command, Encode, Header, Status, Writer,
    ours::{
        DeadLettersRequest, ForgetOwnedRequest, LinkContentRequest, ListOwnedRequest, ListRawRequest,
        ScrubRequest, TrunkSlotsRequest,
    },
    storage::{
        AppendRequest, DeleteRequest, FileInfoRequest, GetMetadataRequest, ModifyRequest, SetMetadataRequest,
        TruncateRequest, UploadAppenderRequest, UploadRequest, UploadSlaveRequest,
    },
    sync::{
        SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest, SyncDeleteRequest, SyncModifyRequest,
        SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest, TrunkAllocRequest, TrunkBinlogSizeRequest,
        TrunkConfirmRequest, TrunkDeleteMarksRequest, TrunkFreeRequest, TrunkSyncBinlogRequest,
        TrunkTruncateBinlogRequest,
    },
};
use fdfs_types::{GroupName, RemoteFilename, StorageId};
use tracing::{debug, error, warn};

use self::handle::Handle;
use crate::{
    error::Refusal,
    shared::Shared,
    traffic::{Action, Answered, Begun},
};

/// Answers clients.
#[derive(Debug)]
pub(crate) struct StorageService {
    shared: Arc<Shared>,
}

/// What was said before on a connection.
#[derive(Debug, Default)]
struct Session {
    /// The member that says that it sends its changes here.
    sender: Option<StorageId>,
    /// A member asks here for clients of its own: others are not asked again.
    is_for_another: bool,
}

/// What became of a request.
#[derive(Debug)]
struct Served {
    result: Result<(), Refusal>,
    /// The file, where the access log wants it.
    filename: Option<Box<str>>,
    /// The name that it has now, where that is another.
    renamed: Option<Box<str>>,
    /// Length of the answer's body.
    sent: u64,
    /// Bytes of file content that were to be moved.
    content: u64,
    /// The conversation cannot go on.
    must_close: bool,
}

impl Service for StorageService {
    async fn serve(self: Arc<Self>, mut connection: Connection) {
        match self.converse(&mut connection).await {
            Ok(()) if connection.body_left() == 0 && connection.requests() == 0 => {}
            Ok(()) => connection.close().await,
            Err(error) => debug!(%error, "connection lost"),
        }
    }
}

impl StorageService {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Answers requests until the client ends, or a malformed request ends the conversation.
    async fn converse(&self, connection: &mut Connection) -> Result<(), NetError> {
        let mut session = Session::default();
        while let Some(header) = connection.next_request().await? {
            let begun = self.shared.traffic.begin();
            let served = match self.serve_one(connection, &header, &mut session).await {
                Ok(served) => served,
                Err(error) => {
                    // The client is gone, or too slow: tried, but not done.
                    let gone = Served::with(Err(Refusal::Ending), 0);
                    self.count(connection, &header, begun, &gone);
                    return Err(error);
                }
            };
            let status = self.count(connection, &header, begun, &served);
            if let Err(refusal) = &served.result {
                log_refusal(&header, served.filename.as_deref(), refusal);
            }
            // The original closes after every EINVAL, and clients rely on it to get out of step no further.
            if status == Status::EINVAL || served.must_close {
                break;
            }
        }
        Ok(())
    }

    /// Counts and logs a request; returns the status of its answer.
    fn count(&self, connection: &Connection, header: &Header, begun: Begun, served: &Served) -> Status {
        let status = served.result.as_ref().err().map_or(Status::OK, Refusal::status);
        self.shared.traffic.count(
            self.shared.store.stat(),
            &Answered {
                peer: connection.peer_ip(),
                action: Action::of(header.command),
                filename: served.filename.as_deref(),
                renamed: served.renamed.as_deref(),
                status,
                begun,
                received: connection.body_read() + Header::LEN as u64,
                sent: served.sent + Header::LEN as u64,
                content: served.content,
            },
        );
        status
    }

    async fn serve_one(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &mut Session,
    ) -> Result<Served, NetError> {
        match header.command {
            command if is_of_ours(command) && !self.shared.own_commands => {
                self.refuse(connection, Refusal::UnknownCommand).await
            }
            Command::UPLOAD_FILE => self.upload::<UploadRequest>(connection, header).await,
            Command::UPLOAD_APPENDER_FILE => self.upload::<UploadAppenderRequest>(connection, header).await,
            Command::UPLOAD_SLAVE_FILE => self.upload::<UploadSlaveRequest>(connection, header).await,
            Command::UPLOAD_FRAMED => self.upload_framed(connection, header).await,
            Command::APPEND_FILE => self.patch::<AppendRequest>(connection, header, session).await,
            Command::MODIFY_FILE => self.patch::<ModifyRequest>(connection, header, session).await,
            Command::DOWNLOAD_FILE => self.download(connection, header, session).await,
            Command::REGENERATE_APPENDER_FILENAME => self.regenerate(connection, header, session).await,
            Command::TRUNCATE_FILE => self.change::<TruncateRequest, _>(connection, header, session).await,
            Command::DELETE_FILE => self.change::<DeleteRequest, _>(connection, header, session).await,
            Command::SET_METADATA => self.change::<SetMetadataRequest, _>(connection, header, session).await,
            Command::GET_METADATA => self.look_up::<GetMetadataRequest>(connection, header, session).await,
            Command::QUERY_FILE_INFO => self.look_up::<FileInfoRequest>(connection, header, session).await,
            Command::HELLO => self.hello(connection, header, session).await,
            Command::LIST_RAW_FILES => self.answer::<ListRawRequest>(connection, header).await,
            Command::JOIN_FILES => self.join(connection, header).await,
            Command::DEAD_LETTERS => self.answer::<DeadLettersRequest>(connection, header).await,
            Command::SCRUB => self.answer::<ScrubRequest>(connection, header).await,
            Command::LIST_OWNED_FILES => self.answer::<ListOwnedRequest>(connection, header).await,
            Command::FORGET_OWNED_FILES => self.answer::<ForgetOwnedRequest>(connection, header).await,
            Command::ACTIVE_TEST if header.length == 0 => {
                connection.respond_status(Status::OK).await?;
                Ok(Served::with(Ok(()), 0))
            }
            Command::CREATE_LINK => self.create_link(connection, header, session).await,
            Command::FETCH_ONE_PATH_BINLOG => self.send_path_binlog(connection, header).await,
            Command::REPORT_SERVER_ID => self.report_server_id(connection, header, session).await,
            Command::SYNC_CREATE_FILE => {
                self.receive::<SyncCreateRequest>(connection, header, session.sender).await
            }
            Command::SYNC_UPDATE_FILE => {
                self.receive::<SyncUpdateRequest>(connection, header, session.sender).await
            }
            Command::SYNC_APPEND_FILE => {
                self.receive::<SyncAppendRequest>(connection, header, session.sender).await
            }
            Command::SYNC_MODIFY_FILE => {
                self.receive::<SyncModifyRequest>(connection, header, session.sender).await
            }
            Command::SYNC_TRUNCATE_FILE => {
                self.replicate::<SyncTruncateRequest>(connection, header, session.sender).await
            }
            Command::SYNC_DELETE_FILE => {
                self.replicate::<SyncDeleteRequest>(connection, header, session.sender).await
            }
            Command::SYNC_CREATE_LINK => {
                self.replicate::<SyncCreateLinkRequest>(connection, header, session.sender).await
            }
            Command::SYNC_RENAME_FILE => {
                self.replicate::<SyncRenameRequest>(connection, header, session.sender).await
            }
            Command::TRUNK_ALLOC_SPACE => self.answer::<TrunkAllocRequest>(connection, header).await,
            Command::TRUNK_SLOTS => self.answer::<TrunkSlotsRequest>(connection, header).await,
            Command::LINK_CONTENT => self.answer::<LinkContentRequest>(connection, header).await,
            Command::TRUNK_ALLOC_CONFIRM => self.answer::<TrunkConfirmRequest>(connection, header).await,
            Command::TRUNK_FREE_SPACE => self.answer::<TrunkFreeRequest>(connection, header).await,
            Command::TRUNK_SYNC_BINLOG => self.answer::<TrunkSyncBinlogRequest>(connection, header).await,
            Command::TRUNK_GET_BINLOG_SIZE => self.answer::<TrunkBinlogSizeRequest>(connection, header).await,
            Command::TRUNK_DELETE_BINLOG_MARKS => {
                self.answer::<TrunkDeleteMarksRequest>(connection, header).await
            }
            Command::TRUNK_TRUNCATE_BINLOG_FILE => {
                self.answer::<TrunkTruncateBinlogRequest>(connection, header).await
            }
            _ => self.refuse(connection, Refusal::UnknownCommand).await,
        }
    }

    /// Reads a request without content, has it handled, and answers.
    async fn answer<R: Handle>(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request: R = match connection.read_request(header, R::LIMIT).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        self.answer_to(connection, request).await
    }

    /// Has a request handled, and answers.
    async fn answer_to<R: Handle>(
        &self,
        connection: &mut Connection,
        request: R,
    ) -> Result<Served, NetError> {
        let filename = self.name_for_log(request.filename());
        let may_wait = request.may_wait(self.shared.waits_for_disk);
        let peer = connection.peer_ip();
        let result = match self.check_group(request.group()) {
            Ok(()) => self.act(may_wait, move |shared| request.handle(shared, peer)).await,
            Err(refusal) => Err(refusal),
        };
        self.respond(connection, filename, result).await
    }

    /// Answers with the outcome of a request.
    async fn respond<A: Encode>(
        &self,
        connection: &mut Connection,
        filename: Option<Box<str>>,
        result: Result<A, Refusal>,
    ) -> Result<Served, NetError> {
        let mut served = match result {
            Ok(answer) => {
                let mut sent = 0;
                connection
                    .respond_with(|out| {
                        let before = out.len();
                        answer.write(&mut Writer::new(out));
                        sent = (out.len() - before) as u64;
                    })
                    .await?;
                Served::with(Ok(()), sent)
            }
            Err(refusal) => self.refuse(connection, refusal).await?,
        };
        served.filename = filename;
        Ok(served)
    }

    /// Works on the disk: here where that is quick, else where waiting blocks nobody.
    async fn act<T: Send + 'static>(
        &self,
        may_wait: bool,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        if !may_wait {
            return work(&self.shared);
        }
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => {
                error!(%error, "work on the disk did not end");
                Err(Refusal::Ending)
            }
        }
    }

    /// Answers with the status of a refusal.
    async fn refuse(&self, connection: &mut Connection, refusal: Refusal) -> Result<Served, NetError> {
        connection.respond_status(refusal.status()).await?;
        Ok(Served::with(Err(refusal), 0))
    }

    fn check_group(&self, group: Option<GroupName>) -> Result<(), Refusal> {
        match group {
            Some(group) if group != self.shared.group() => Err(Refusal::OtherGroup(group)),
            _ => Ok(()),
        }
    }

    fn name_for_log(&self, filename: Option<&RemoteFilename>) -> Option<Box<str>> {
        if self.shared.traffic.wants_names() { filename.map(|name| name.as_str().into()) } else { None }
    }
}

impl Served {
    fn with(result: Result<(), Refusal>, sent: u64) -> Self {
        Self { result, filename: None, renamed: None, sent, content: 0, must_close: false }
    }
}

/// Refuses what is about a private file, unless a member asks: whoever knows its name is not one for that.
fn check_private(connection: &Connection, is_private: bool) -> Result<(), Refusal> {
    match is_private && !connection.is_member() {
        true => {
            metrics::counter!("fdfs_storage_private_refused_total").increment(1);
            Err(Refusal::Private)
        }
        false => Ok(()),
    }
}

/// Commands that the original does not know.
fn is_of_ours(command: Command) -> bool {
    command.0 >= Command::HELLO.0
}

fn log_refusal(header: &Header, filename: Option<&str>, refusal: &Refusal) {
    let cmd = header.command;
    match refusal {
        Refusal::Store(error) if Status(error.errno()) == Status::EIO => {
            error!(?cmd, filename, %error, "request failed");
        }
        Refusal::Read(error) => error!(?cmd, filename, %error, "request failed"),
        Refusal::Request(
            RequestError::Malformed(_) | RequestError::TooLong { .. } | RequestError::TooShort { .. },
        )
        | Refusal::UnknownCommand
        | Refusal::Stranger(_)
        | Refusal::OtherGroup(_) => warn!(?cmd, filename, error = %refusal, "request refused"),
        _ => debug!(?cmd, filename, error = %refusal, "request refused"),
    }
}
