//! The storage's side of the protocol: one request after the other, each answered on the thread it came in.

mod change;
mod named;
mod ours;
mod read;
mod upload;

use std::{net::IpAddr, sync::Arc};

use fdfs_net::{Connection, NetError, RequestError, Service};
use fdfs_proto::{
    Command, Encode, Header, Request, Status,
    ours::{ForgetOwnedRequest, HelloRequest, JoinFilesRequest, ListOwnedRequest, ListRawRequest},
    storage::{
        AppendRequest, DeleteRequest, GetMetadataRequest, ModifyRequest, SetMetadataRequest, TruncateRequest,
        UploadAppenderRequest, UploadRequest, UploadSlaveRequest,
    },
};
use fdfs_types::{FileKind, GroupName, RemoteFilename};
use tracing::{debug, error, warn};

use self::named::Named;
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
        while let Some(header) = connection.next_request().await? {
            let begun = self.shared.traffic.begin();
            let served = match self.serve_one(connection, &header).await {
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
                received: header.length.saturating_add(Header::LEN as u64),
                sent: served.sent + Header::LEN as u64,
                content: served.content,
            },
        );
        status
    }

    async fn serve_one(&self, connection: &mut Connection, header: &Header) -> Result<Served, NetError> {
        match header.command {
            Command::UPLOAD_FILE => self.upload::<UploadRequest>(connection, header).await,
            Command::UPLOAD_APPENDER_FILE => self.upload::<UploadAppenderRequest>(connection, header).await,
            Command::UPLOAD_SLAVE_FILE => self.upload::<UploadSlaveRequest>(connection, header).await,
            Command::APPEND_FILE => self.patch::<AppendRequest>(connection, header).await,
            Command::MODIFY_FILE => self.patch::<ModifyRequest>(connection, header).await,
            Command::DOWNLOAD_FILE => self.download(connection, header).await,
            Command::TRUNCATE_FILE => {
                self.answer(
                    connection,
                    header,
                    SMALL,
                    Wait::IfDurable,
                    |shared, request: TruncateRequest, _| change::truncate(shared, &request),
                )
                .await
            }
            Command::DELETE_FILE => {
                self.answer(connection, header, SMALL, Wait::IfLarge, |shared, request: DeleteRequest, _| {
                    change::delete(shared, &request)
                })
                .await
            }
            Command::SET_METADATA => {
                self.answer(
                    connection,
                    header,
                    METADATA,
                    Wait::IfDurable,
                    |shared, request: SetMetadataRequest, _| change::set_metadata(shared, request),
                )
                .await
            }
            Command::REGENERATE_APPENDER_FILENAME => self.regenerate(connection, header).await,
            Command::GET_METADATA => {
                self.answer(
                    connection,
                    header,
                    SMALL,
                    Wait::Never,
                    |shared, request: GetMetadataRequest, _| read::metadata(shared, &request),
                )
                .await
            }
            Command::QUERY_FILE_INFO => self.file_info(connection, header).await,
            Command::ACTIVE_TEST if header.length == 0 => {
                connection.respond_status(Status::OK).await?;
                Ok(Served::with(Ok(()), 0))
            }
            command if command.is_ours() => self.serve_ours(connection, header).await,
            Command::CREATE_LINK => self.refuse(connection, Refusal::Unsupported).await,
            command if is_for_members(command) => self.refuse(connection, Refusal::Unsupported).await,
            _ => self.refuse(connection, Refusal::UnknownCommand).await,
        }
    }

    async fn serve_ours(&self, connection: &mut Connection, header: &Header) -> Result<Served, NetError> {
        match header.command {
            Command::HELLO => {
                self.answer(connection, header, SMALL, Wait::Never, |_, request: HelloRequest, _| {
                    Ok(ours::hello(&request))
                })
                .await
            }
            Command::UPLOAD_FRAMED => self.upload_framed(connection, header).await,
            Command::LIST_RAW_FILES => {
                self.answer(connection, header, SMALL, Wait::Always, |shared, request: ListRawRequest, _| {
                    ours::list_raw(shared, &request)
                })
                .await
            }
            Command::JOIN_FILES => {
                let limit = JoinFilesRequest::MAX_LEN;
                self.answer(
                    connection,
                    header,
                    limit,
                    Wait::Always,
                    |shared, request: JoinFilesRequest, _| ours::join(shared, &request),
                )
                .await
            }
            Command::LIST_OWNED_FILES => {
                self.answer(connection, header, SMALL, Wait::Never, |shared, request: ListOwnedRequest, _| {
                    Ok(ours::list_owned(shared, &request))
                })
                .await
            }
            Command::FORGET_OWNED_FILES => {
                let wait = Wait::IfDurable;
                self.answer(connection, header, METADATA, wait, |shared, request: ForgetOwnedRequest, _| {
                    ours::forget_owned(shared, &request)
                })
                .await
            }
            _ => self.refuse(connection, Refusal::UnknownCommand).await,
        }
    }

    /// Reads a request without content, does what `act` says and answers what it returns.
    async fn answer<R, T>(
        &self,
        connection: &mut Connection,
        header: &Header,
        limit: usize,
        wait: Wait,
        act: impl FnOnce(&Shared, R, IpAddr) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<Served, NetError>
    where
        R: Request + Named + Send + 'static,
        T: Encode + Send + 'static,
    {
        let request = match connection.read_request::<R>(header, limit).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(request.filename());
        let wait = wait.for_file(request.filename());
        let peer = connection.peer_ip();
        let result = match self.check_group(request.group()) {
            Ok(()) => self.act(wait, move |shared| act(shared, request, peer)).await,
            Err(refusal) => Err(refusal),
        };
        let mut served = match result {
            Ok(answer) => {
                let mut sent = 0;
                connection
                    .respond_with(|out| {
                        let before = out.len();
                        answer.write(&mut fdfs_proto::Writer::new(out));
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
        wait: Wait,
        work: impl FnOnce(&Shared) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let may_wait = match wait {
            Wait::Never => false,
            Wait::IfDurable => self.shared.waits_for_disk,
            Wait::Always | Wait::IfUnnamed | Wait::IfLarge => true,
        };
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

    fn check_group(&self, group: Option<&GroupName>) -> Result<(), Refusal> {
        match group {
            Some(group) if *group != self.shared.group() => Err(Refusal::OtherGroup(*group)),
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

/// Whether work may have to wait for the disk for long.
#[derive(Clone, Copy, Debug)]
enum Wait {
    /// It looks up or reads little.
    Never,
    /// It waits where changes are to be durable.
    IfDurable,
    /// It reads or frees a whole file.
    Always,
    /// It reads the whole file where the name does not have the checksum.
    IfUnnamed,
    /// It frees a file, which takes long if that is large; and waits where changes are to be durable.
    IfLarge,
}

impl Wait {
    /// Settles what depends on the file.
    fn for_file(self, filename: Option<&RemoteFilename>) -> Self {
        let kind = || filename.and_then(|name| name.kind().ok());
        let size = || filename.and_then(|name| name.fields().ok()?.size.size());
        match self {
            Self::IfUnnamed if matches!(kind(), Some(FileKind::Normal)) => Self::Never,
            Self::IfUnnamed => Self::Always,
            Self::IfLarge if size().is_some_and(|size| size <= QUICK_DELETE) => Self::IfDurable,
            Self::IfLarge => Self::Always,
            settled => settled,
        }
    }
}

/// Commands between storages, and from trackers to storages.
fn is_for_members(command: Command) -> bool {
    matches!(command.0, 9 | 16..=19 | 25..=33 | 35 | 37 | 40)
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
        | Refusal::OtherGroup(_) => warn!(?cmd, filename, error = %refusal, "request refused"),
        _ => debug!(?cmd, filename, error = %refusal, "request refused"),
    }
}

/// Longest request without content and metadata: two names, their lengths, and some room.
const SMALL: usize = 1024;

/// Size of a file up to which deleting it takes no time to speak of.
const QUICK_DELETE: u64 = 64 * 1024 * 1024;

/// Longest request that carries metadata.
const METADATA: usize = 256 * 1024;
