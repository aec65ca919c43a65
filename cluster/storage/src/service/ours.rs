//! Commands of ours without content: what we can do, lists of files, joining files, owners.

use std::net::IpAddr;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Empty, Header,
    ours::{
        Capabilities, DeadLetter, DeadLettersRequest, DeadLettersResponse, ForgetOwnedRequest, Hello,
        HelloRequest, JoinFilesRequest, ListOwnedRequest, ListOwnedResponse, ListRawRequest, ListRawResponse,
        RawFile, ScrubRequest, ScrubResponse,
    },
};
use fdfs_store::{ListedFile, NewFile, StorePathChoice, StoredFile};
use fdfs_types::{GroupName, RemoteFilename, StorageId};

use super::{
    Served, Session, StorageService, check_private,
    handle::{Handle, LARGE},
};
use crate::{error::Refusal, shared::Shared, sync::dead_letters};

/// Tells what this storage can do.
impl Handle for HelloRequest {
    type Answer = Hello;

    fn may_wait(&self, _is_durable: bool) -> bool {
        false
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Hello, Refusal> {
        let keeps_private = if shared.has_secret { Capabilities::PRIVATE } else { Capabilities::default() };
        let capabilities = keeps_private
            | Capabilities::UPLOAD_FRAMED
            | Capabilities::LIST_RAW_FILES
            | Capabilities::JOIN_FILES
            | Capabilities::OWNERS
            | Capabilities::DEAD_LETTERS
            | Capabilities::FOR_ANOTHER
            | Capabilities::SCRUB
            | Capabilities::TRUNK_SLOTS
            | Capabilities::LINK_CONTENT
            | Capabilities::WRITE_CONCERN;
        Ok(Hello { version: Hello::VERSION, capabilities, software: SOFTWARE.to_owned() })
    }
}

/// Lists the files of a store path behind a name.
impl Handle for ListRawRequest {
    type Answer = ListRawResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        true
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<ListRawResponse, Refusal> {
        let limit = (self.limit as usize).clamp(1, MAX_LISTED);
        let listing = shared.store.list(self.store_path, self.after.as_ref(), limit)?;
        let raw =
            |file: ListedFile| RawFile { filename: file.filename, size: file.size, modified: file.modified };
        Ok(ListRawResponse {
            has_more: listing.has_more,
            files: listing.files.into_iter().map(raw).collect(),
        })
    }
}

/// Lists the changes that members did not take, and has them tried again.
impl Handle for DeadLettersRequest {
    type Answer = DeadLettersResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        true
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<DeadLettersResponse, Refusal> {
        let members = shared.membership.lock().members().to_vec();
        let is_meant = |id: &StorageId| self.member.is_none_or(|member| member == *id);
        let mut answer = DeadLettersResponse::default();
        for member in members.iter().filter_map(|member| member.id).filter(is_meant) {
            let letters = dead_letters(shared, member).map_err(Refusal::Read)?;
            if self.try_again && !letters.is_empty() {
                shared.letters_to_try.lock().insert(member);
            }
            answer.total = answer.total.saturating_add(u32::try_from(letters.len()).unwrap_or(u32::MAX));
            let room = DeadLettersResponse::MOST - answer.letters.len();
            answer.letters.extend(letters.into_iter().take(room).map(|letter| DeadLetter {
                member,
                tried: letter.tried_at,
                tries: letter.tries,
                status: letter.status,
                record: letter.record.to_string(),
            }));
        }
        Ok(answer)
    }
}

/// Tells how the search for damaged files goes, and starts it.
impl Handle for ScrubRequest {
    type Answer = ScrubResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        true
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<ScrubResponse, Refusal> {
        shared.scrub.want(self.action);
        Ok(shared.scrub.tell())
    }
}

/// Lists the files with tokens of a session.
impl Handle for ListOwnedRequest {
    type Answer = ListOwnedResponse;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn may_wait(&self, _is_durable: bool) -> bool {
        false
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<ListOwnedResponse, Refusal> {
        let limit = (self.limit as usize).clamp(1, MAX_LISTED);
        let (files, has_more) = shared.store.owned_files(self.session, self.after, limit);
        Ok(ListOwnedResponse { has_more, files })
    }
}

/// Forgets tokens.
impl Handle for ForgetOwnedRequest {
    type Answer = Empty;

    const LIMIT: usize = LARGE;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        shared.store.forget_owned_files(self.session, &self.sequences)?;
        Ok(Empty)
    }
}

impl StorageService {
    /// Tells what this storage can do, and takes note of a member that asks for its clients.
    pub(super) async fn hello(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &mut Session,
    ) -> Result<Served, NetError> {
        let request = match connection.read_request::<HelloRequest>(header, HelloRequest::LIMIT).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        session.is_for_another |= request.0.capabilities.contains(Capabilities::FOR_ANOTHER);
        let hello = request.handle(&self.shared, connection.peer_ip());
        self.respond(connection, None, hello).await
    }

    /// Makes one file of several.
    pub(super) async fn join(
        &self,
        connection: &mut Connection,
        header: &Header,
    ) -> Result<Served, NetError> {
        let request = connection.read_request::<JoinFilesRequest>(header, JoinFilesRequest::MAX_LEN).await?;
        let joined = match request {
            Ok(request) => self.joined(connection, request).await,
            Err(error) => Err(error.into()),
        };
        match joined {
            Ok(stored) => self.answer_name(connection, stored.filename).await,
            Err(refusal) => self.refuse(connection, refusal).await,
        }
    }

    async fn joined(
        &self,
        connection: &Connection,
        request: JoinFilesRequest,
    ) -> Result<StoredFile, Refusal> {
        self.check_group(Some(request.group))?;
        let has_private = request.parts.iter().any(RemoteFilename::is_private);
        check_private(connection, has_private)?;
        let (concern, private) = (request.write_concern, request.private || has_private);
        self.check_terms(concern, private)?;
        let joined = self.act(true, move |shared| {
            let store_path = StorePathChoice::Any;
            let extension = request.extension;
            let new = NewFile { store_path, size: None, extension, appender: false, private };
            Ok(shared.store.join(&request.parts, &new, request.owner)?)
        });
        self.secure_file(concern, joined.await).await
    }
}

/// Most files of one list.
const MAX_LISTED: usize = 1000;

const SOFTWARE: &str = concat!("fdfs ", env!("CARGO_PKG_VERSION"));
