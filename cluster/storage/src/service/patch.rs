//! Content that changes an appender file: append and modify.

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Header, Request, Streamed,
    ours::WriteConcern,
    storage::{AppendRequest, ModifyRequest},
};
use fdfs_store::{Patch, Store, StoreError};
use fdfs_types::RemoteFilename;

use super::{Served, Session, StorageService};
use crate::{error::Refusal, relay::ChangePlace};

/// A request whose content changes an appender file.
pub(super) trait BeginPatch: Streamed {
    /// Whether the change can be taken back.
    const CAN_GO: bool;

    /// The file.
    fn filename(&self) -> &RemoteFilename;

    /// Begins the change.
    fn begin(&self, store: &Store) -> Result<Patch, StoreError>;
}

impl BeginPatch for AppendRequest {
    const CAN_GO: bool = true;

    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.append(&self.filename, Some(self.size))
    }
}

impl BeginPatch for ModifyRequest {
    const CAN_GO: bool = false;

    fn filename(&self) -> &RemoteFilename {
        &self.filename
    }

    fn begin(&self, store: &Store) -> Result<Patch, StoreError> {
        store.modify(&self.filename, self.offset, Some(self.size))
    }
}

impl StorageService {
    /// Has a change of an appender file made by the member where that is changed, if that is another one, and answers.
    pub(super) async fn elsewhere<R: Request>(
        &self,
        connection: &mut Connection,
        name: &RemoteFilename,
        request: &R,
        session: &Session,
    ) -> Result<Option<Served>, NetError> {
        self.at(connection, self.shared.place_of_changes(name), request, session).await
    }

    /// Has a change made at a place, if that is another member, and answers.
    pub(super) async fn at<R: Request>(
        &self,
        connection: &mut Connection,
        place: ChangePlace,
        request: &R,
        session: &Session,
    ) -> Result<Option<Served>, NetError> {
        let result = match place {
            ChangePlace::Here => return Ok(None),
            // Who passes a change on may have heard of a change of the group before us, or after.
            ChangePlace::At(_) if session.is_for_another => Err(Refusal::SourceAway),
            ChangePlace::At(addresses) => {
                Box::pin(self.shared.relay.pass_on(&addresses, request, connection)).await?
            }
            // A member asks each for itself.
            ChangePlace::AtWhoHasIt { .. } if session.is_for_another && self.shared.knows_all() => {
                return Ok(None);
            }
            ChangePlace::AtWhoHasIt { .. } if session.is_for_another => Err(Refusal::SourceAway),
            ChangePlace::AtWhoHasIt { members, is_one_away } => {
                let relay = &self.shared.relay;
                Box::pin(relay.pass_on_to_who_has_it(&members, is_one_away, request, connection)).await?
            }
            ChangePlace::Away => Err(Refusal::SourceAway),
        };
        match result {
            Ok(body) => {
                connection.respond(&body).await?;
                Ok(Some(Served::with(Ok(()), body.len() as u64)))
            }
            Err(refusal) => self.refuse(connection, refusal).await.map(Some),
        }
    }

    /// Puts the content of a request into an appender file.
    pub(super) async fn patch<R: BeginPatch>(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError> {
        let request = match connection.read_head::<R>(header).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let content = request.content_length();
        let filename = self.name_for_log(Some(request.filename()));
        if let Some(served) = self.elsewhere(connection, request.filename(), &request, session).await? {
            return Ok(Served { filename, content, ..served });
        }
        let served = match self.receive_patch(connection, &request).await? {
            Ok(()) => {
                connection.respond(&[]).await?;
                Served::with(Ok(()), 0)
            }
            Err(refusal) => self.refuse(connection, refusal).await?,
        };
        Ok(Served { filename, content, ..served })
    }

    async fn receive_patch<R: BeginPatch>(
        &self,
        connection: &mut Connection,
        request: &R,
    ) -> Result<Result<(), Refusal>, NetError> {
        let begun = self.check_concern(CONCERN).and_then(|()| Ok(request.begin(&self.shared.store)?));
        let mut patch = match begun {
            Ok(patch) => patch,
            Err(refusal) => return Ok(Err(refusal)),
        };
        while let Some(chunk) = connection.next_chunk().await? {
            if let Err(error) = patch.write(chunk) {
                return Ok(Err(error.into()));
            }
        }
        let may_wait = self.shared.waits_for_disk || patch.size() > QUICK_COPY;
        if self.shared.concern.is_replicated(CONCERN) {
            return Ok(Box::pin(self.finish_replicated(may_wait, request, patch)).await);
        }
        Ok(self.act(may_wait, move |_| Ok(patch.finish().map(drop)?)).await)
    }

    /// Makes a change that a second member has to have.
    async fn finish_replicated<R: BeginPatch>(
        &self,
        may_wait: bool,
        request: &R,
        patch: Patch,
    ) -> Result<(), Refusal> {
        let concern = &self.shared.concern;
        let name = request.filename();
        let turn = concern.turn(name).await?;
        let patched = self.act(may_wait, move |_| Ok(patch.finish()?)).await?;
        let (Some(_turn), Some(record)) = (turn, &patched.record) else { return Ok(()) };
        let Err(failure) = concern.secure(std::slice::from_ref(record), request.content_length()).await
        else {
            return Ok(());
        };
        if !R::CAN_GO {
            return Err(Refusal::Alone(failure));
        }
        let name = name.clone();
        match self.act(true, move |shared| Ok(shared.store.take_back(&name, &patched)?)).await {
            Ok(Some(_)) => Err(Refusal::TakenBack(failure)),
            Ok(None) | Err(_) => Err(Refusal::Alone(failure)),
        }
    }
}

/// Requests of the original ask for nothing.
const CONCERN: WriteConcern = WriteConcern::Storage;

/// A change of more bytes is copied into place where that blocks nobody.
const QUICK_COPY: u64 = 1024 * 1024;
