//! Changes that a second member may have to have before they are answered.

use std::sync::Arc;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{Encode, Header, Writer, ours::WriteConcern};
use fdfs_store::{Record, StoreError, StoredFile};
use fdfs_types::RemoteFilename;
use tracing::error;

use super::{Served, Session, StorageService, check_private, handle::Handle};
use crate::{concern::Turn, error::Refusal, relay::ChangePlace, shared::Shared};

/// The answer to a request that changes files, and the records that tell the changes.
#[derive(Debug)]
pub(super) struct Changed<A> {
    answer: A,
    records: Vec<Record>,
}

/// A request that changes files, and where that is done.
pub(super) trait Placed {
    /// Where the change is made.
    fn place(&self, _shared: &Shared) -> ChangePlace {
        ChangePlace::Here
    }
}

impl<A> Changed<A> {
    pub(super) fn new(answer: A, records: impl IntoIterator<Item = Record>) -> Self {
        Self { answer, records: records.into_iter().collect() }
    }
}

impl<A: Encode> Encode for Changed<A> {
    fn write(&self, writer: &mut Writer<'_>) {
        self.answer.write(writer);
    }
}

impl StorageService {
    /// Reads a request without content that changes a file, has it handled here or where that is done, and answers when it
    /// is as safe as it has to be.
    pub(super) async fn change<R, A>(
        &self,
        connection: &mut Connection,
        header: &Header,
        session: &Session,
    ) -> Result<Served, NetError>
    where
        R: Placed + Handle<Answer = Changed<A>>,
        A: Encode + Send + 'static,
    {
        let request: R = match connection.read_request(header, R::LIMIT).await? {
            Ok(request) => request,
            Err(error) => return self.refuse(connection, error.into()).await,
        };
        let filename = self.name_for_log(request.filename());
        if let Err(refusal) = check_private(connection, request.is_private()) {
            return Ok(Served { filename, ..self.refuse(connection, refusal).await? });
        }
        let place = request.place(&self.shared);
        match self.at(connection, place, &request, session).await? {
            Some(served) => Ok(Served { filename, ..served }),
            None => self.make_change(connection, request).await,
        }
    }

    /// Has a change made, and answers when it is as safe as it has to be.
    pub(super) async fn make_change<R, A>(
        &self,
        connection: &mut Connection,
        request: R,
    ) -> Result<Served, NetError>
    where
        R: Handle<Answer = Changed<A>>,
        A: Encode + Send + 'static,
    {
        if !self.shared.concern.is_replicated(WriteConcern::Storage) {
            return self.answer_to(connection, request).await;
        }
        let filename = self.name_for_log(request.filename());
        let peer = connection.peer_ip();
        let changed = Box::pin(async {
            self.check_group(request.group())?;
            let turn = self.turn(request.filename()).await?;
            let may_wait = request.may_wait(self.shared.waits_for_disk);
            let changed = self.act(may_wait, move |shared| request.handle(shared, peer)).await?;
            self.secure_change(turn, &changed.records).await?;
            Ok(changed)
        });
        let changed = changed.await;
        self.respond(connection, filename, changed).await
    }

    /// Refuses a new file on terms that cannot be kept.
    pub(super) fn check_terms(&self, asked: WriteConcern, private: bool) -> Result<(), Refusal> {
        match private && !self.shared.has_secret {
            true => Err(Refusal::NoSecret),
            false => self.check_concern(asked),
        }
    }

    /// Refuses what a second member must have, before any of it is stored, if there is none and that is an error.
    pub(super) fn check_concern(&self, asked: WriteConcern) -> Result<(), Refusal> {
        let concern = &self.shared.concern;
        if concern.is_replicated(asked) { concern.check() } else { Ok(()) }
    }

    /// Waits for the turn of a change that a second member must have; there is none for other changes.
    pub(super) async fn turn(&self, name: Option<&RemoteFilename>) -> Result<Option<Turn>, Refusal> {
        let concern = &self.shared.concern;
        match name {
            Some(name) if concern.is_replicated(WriteConcern::Storage) => concern.turn(name).await,
            _ => Ok(None),
        }
    }

    /// Brings a change to a second member, if its turn has been waited for. It cannot be taken back.
    pub(super) async fn secure_change(&self, turn: Option<Turn>, records: &[Record]) -> Result<(), Refusal> {
        // Others wait until this one has arrived.
        let Some(_turn) = turn else { return Ok(()) };
        Box::pin(self.shared.concern.secure(records, 0)).await.map_err(Refusal::Alone)
    }

    /// Brings a new file to a second member, if that is asked for. If it cannot be done and that is an error, the file goes.
    pub(super) async fn secure_file(
        &self,
        asked: WriteConcern,
        stored: Result<StoredFile, Refusal>,
    ) -> Result<StoredFile, Refusal> {
        match stored {
            Ok(stored) if self.shared.concern.is_replicated(asked) => Box::pin(self.secure_new(stored)).await,
            stored => stored,
        }
    }

    async fn secure_new(&self, stored: StoredFile) -> Result<StoredFile, Refusal> {
        let secured = self.shared.concern.secure(&[stored.record()], stored.size).await;
        let Err(failure) = secured else { return Ok(stored) };
        let name = stored.filename.clone();
        match self.act(true, move |shared| Ok(shared.store.delete(&name)?)).await {
            Ok(records) => {
                let shared = Arc::clone(&self.shared);
                tokio::spawn(async move { shared.concern.retract(&records).await });
                Err(Refusal::TakenBack(failure))
            }
            Err(Refusal::Store(StoreError::NotFound)) => Err(Refusal::TakenBack(failure)),
            Err(error) => {
                error!(file_id = %stored.filename, %error, "a refused upload cannot be removed: it stays, and the others get it");
                Err(Refusal::Alone(failure))
            }
        }
    }
}
