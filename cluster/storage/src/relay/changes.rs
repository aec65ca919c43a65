//! One place for changes of an appender file: the storage that accepted it.
//!
//! Changes made at two members at once would leave two files of one name for ever. So a change that comes to another member
//! is passed on to the source, and refused for the time that the source is away.

use std::net::SocketAddr;

use fdfs_net::{CallError, Connection, NetError};
use fdfs_proto::{Request, Status};
use fdfs_store::StoreError;
use fdfs_types::{FileId, FileKind, RemoteFilename, StorageStatus};
use tokio::time::timeout;

use super::{Candidates, Line, LineError, PATIENCE, Relay, accepted, is_made_by_anybody};
use crate::{error::Refusal, shared::Shared};

/// Where a change of a file is made.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ChangePlace {
    /// On the files of this storage.
    Here,
    /// At the member with these addresses.
    At(Vec<SocketAddr>),
    /// At the first of these members that has the file.
    AtWhoHasIt {
        /// Addresses of each.
        members: Vec<Vec<SocketAddr>>,
        /// Somebody else may have it who cannot be asked now.
        is_one_away: bool,
    },
    /// Nowhere now: the member whose file it is may come back.
    Away,
}

impl Shared {
    /// Where an appender file is changed: at its source while that belongs to the group, then at the ACTIVE member of the
    /// lowest ID.
    pub(crate) fn place_of_changes(&self, name: &RemoteFilename) -> ChangePlace {
        let is_appender =
            name.kind() == Ok(FileKind::Appender) && name.as_str().len() == RemoteFilename::NORMAL_LEN;
        let Ok(fields) = name.fields() else { return ChangePlace::Here };
        if self.changes_anywhere || !is_appender || self.is_named_by(fields.source) {
            return ChangePlace::Here;
        }
        let membership = self.membership.lock();
        let members = membership.members();
        let me = self.identity.id;
        let stays = |status| {
            !matches!(status, StorageStatus::Deleted | StorageStatus::IpChanged | StorageStatus::None)
        };
        let source = members.iter().find(|member| accepted(member, fields.source) && stays(member.status));
        let place = match source {
            Some(source) if source.status != StorageStatus::Active => return ChangePlace::Away,
            Some(source) => Some(source),
            None => members
                .iter()
                .filter(|member| member.status == StorageStatus::Active)
                .min_by_key(|member| member.id),
        };
        match place {
            Some(member) if member.id == Some(me) => ChangePlace::Here,
            Some(member) => ChangePlace::At(self.identity.addresses_of_member(member)),
            // No tracker has told of anybody yet: the source may well be there.
            None => ChangePlace::Away,
        }
    }

    /// Where a file that may be missing here is deleted, or given metadata: at its source, if that may have it still. A slave
    /// may have been made by any member, whomever its name tells of.
    ///
    /// A client whose first try was cut off takes "no such file" for done.
    pub(crate) fn place_of_file(&self, FileId { group, filename: name }: &FileId) -> ChangePlace {
        let Ok(fields) = name.fields() else { return ChangePlace::Here };
        // A file of another group is refused here.
        if *group != self.group() {
            return ChangePlace::Here;
        }
        if self.store.is_there(name) || self.store.was_deleted(name) {
            return ChangePlace::Here;
        }
        if is_made_by_anybody(name) {
            // No tracker has told of anybody yet.
            if self.membership.lock().members().is_empty() {
                return ChangePlace::Away;
            }
            let Candidates { ask, is_one_away, .. } =
                Candidates::of(self, self.membership.lock().members(), name);
            let members = ask.into_iter().map(|(_, addresses)| addresses).collect();
            return ChangePlace::AtWhoHasIt { members, is_one_away };
        }
        if self.is_named_by(fields.source) {
            // It may be on its way back to a disk that was lost.
            return if self.filling.is_over() { ChangePlace::Here } else { ChangePlace::Away };
        }
        let membership = self.membership.lock();
        match membership.members().iter().find(|member| accepted(member, fields.source)) {
            Some(source) if source.status == StorageStatus::Active => {
                ChangePlace::At(self.identity.addresses_of_member(source))
            }
            Some(source) if matches!(source.status, StorageStatus::Deleted | StorageStatus::IpChanged) => {
                ChangePlace::Here
            }
            Some(_) => ChangePlace::Away,
            // No tracker has told of anybody yet.
            None if membership.members().is_empty() => ChangePlace::Away,
            None => ChangePlace::Here,
        }
    }
}

impl Relay {
    /// Passes a change on, with the content that is still to come from the client, and returns the body of the answer.
    ///
    /// The outer result is the fate of the client's connection.
    pub(crate) async fn pass_on<R: Request>(
        &self,
        addresses: &[SocketAddr],
        request: &R,
        client: &mut Connection,
    ) -> Result<Result<Vec<u8>, Refusal>, NetError> {
        let passed = self.passed_on(addresses, request, client).await?;
        let answer = match &passed {
            Ok(_) => "changed",
            Err(Refusal::SourceAway) => "unreachable",
            Err(_) => "refused",
        };
        metrics::counter!("fdfs_relayed_total", "answer" => answer).increment(1);
        Ok(passed)
    }

    /// Passes a change without content on to the first of `members` that has its file.
    ///
    /// The outer result is the fate of the client's connection.
    pub(crate) async fn pass_on_to_who_has_it<R: Request>(
        &self,
        members: &[Vec<SocketAddr>],
        mut is_one_away: bool,
        request: &R,
        client: &mut Connection,
    ) -> Result<Result<Vec<u8>, Refusal>, NetError> {
        for addresses in members {
            match self.pass_on(addresses, request, client).await? {
                Err(Refusal::Told(Status::ENOENT)) => {}
                Err(Refusal::SourceAway | Refusal::Told(Status::EAGAIN)) => is_one_away = true,
                result => return Ok(result),
            }
        }
        Ok(Err(if is_one_away { Refusal::SourceAway } else { Refusal::Store(StoreError::NotFound) }))
    }

    async fn passed_on<R: Request>(
        &self,
        addresses: &[SocketAddr],
        request: &R,
        client: &mut Connection,
    ) -> Result<Result<Vec<u8>, Refusal>, NetError> {
        let Ok(Ok(mut line)) = timeout(PATIENCE, self.line_for_changes(addresses)).await else {
            return Ok(Err(Refusal::SourceAway));
        };
        if let Err(error) = line.peer.send_request(request).await {
            return Ok(Err(refusal(error)));
        }
        if request.content_length() > 0 {
            // A client that leaves takes the connection along, and the member changes nothing.
            while let Some(chunk) = client.next_chunk().await? {
                if let Err(error) = line.peer.send_body(chunk).await {
                    return Ok(Err(refusal(error)));
                }
            }
        }
        if let Err(error) = line.peer.receive().await {
            return Ok(Err(refusal(error)));
        }
        match line.peer.read_body(MAX_ANSWER).await {
            Ok(body) => {
                self.keep(line);
                Ok(Ok(body))
            }
            Err(error) => Ok(Err(refusal(error))),
        }
    }

    /// A new connection: a request that changes something is not made twice.
    async fn line_for_changes(&self, addresses: &[SocketAddr]) -> Result<Line, LineError> {
        match self.lines.connect(addresses).await {
            // An original storage passes nothing on by itself.
            Err(LineError::NotOurs) => self.lines.connect_plainly(addresses).await,
            result => result,
        }
    }
}

/// Once a part of the request is sent, only the member itself could say what became of it.
fn refusal(error: CallError) -> Refusal {
    match error {
        CallError::Status(status) => Refusal::Told(status),
        _ => Refusal::Told(Status::ETIMEDOUT),
    }
}

const MAX_ANSWER: usize = 1024;
