//! Asking the other members for what is not here.
//!
//! A file may not have come yet, or may have been lost here: then a member that has it answers, and its answer goes through to
//! the client. Who says by `HELLO` that it asks for a client of its own is answered from the files here alone, so that no
//! question goes round. Members that are not ours cannot be told that, and are not asked.

mod changes;
mod lines;
mod reader;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fdfs_net::{CallError, PoolConfig};
use fdfs_proto::{Brief, Header, Request, Status};
use fdfs_types::{RemoteFilename, Source, StorageId, StorageStatus};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tracing::debug;

use self::lines::Lines;
pub(crate) use self::{
    changes::ChangePlace,
    lines::{Line, LineError},
    reader::RelayedContent,
};
use crate::{error::Refusal, shared::Shared};

/// Asks the other members.
#[derive(Debug)]
pub(crate) struct Relay {
    lines: Lines,
    places: Arc<Semaphore>,
}

/// An answer of a member, whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) line: Line,
    /// Length of the body.
    pub(crate) length: u64,
}

/// The members that may have a file.
#[derive(Debug, Default)]
struct Candidates {
    /// Those that can be asked, the source first.
    ask: Vec<(StorageId, Vec<SocketAddr>)>,
    /// The first of them accepted the file, and would know it.
    source_first: bool,
    /// Somebody who may have it cannot be asked now.
    is_one_away: bool,
}

impl Relay {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self { lines: Lines::new(config), places: Arc::new(Semaphore::new(MOST_AT_ONCE)) }
    }

    /// Asks the others for a file that is not here. [`Refusal::Store`] with "no such file" says that it is known to be
    /// gone, [`Refusal::Unreachable`] that nobody could tell.
    pub(crate) async fn ask<R: Request>(
        &self,
        shared: &Shared,
        name: &RemoteFilename,
        request: &R,
    ) -> Result<Given, Refusal> {
        let given = self.sought(shared, name, request).await;
        let answer = match &given {
            Ok(_) => "found",
            Err(Refusal::Store(_)) => "missing",
            Err(Refusal::Unreachable) => "unreachable",
            Err(_) => "refused",
        };
        metrics::counter!("fdfs_relayed_total", "answer" => answer).increment(1);
        debug!(file_id = %name, answer, "asked other members");
        given
    }

    async fn sought<R: Request>(
        &self,
        shared: &Shared,
        name: &RemoteFilename,
        request: &R,
    ) -> Result<Given, Refusal> {
        let missing = || Refusal::Store(fdfs_store::StoreError::NotFound);
        if shared.store.was_deleted(name) || (shared.is_source(name) && shared.knows_all()) {
            return Err(missing());
        }
        let candidates = Candidates::of(shared, name);
        if candidates.ask.is_empty() && !candidates.is_one_away {
            return Err(missing());
        }
        let deadline = Instant::now() + DEADLINE;
        let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else {
            return Err(Refusal::Unreachable);
        };
        let mut is_one_away = candidates.is_one_away;
        for (number, (id, addresses)) in candidates.ask.iter().enumerate() {
            let patience = deadline.min(Instant::now() + PATIENCE);
            let asked = timeout_at(patience, self.ask_one(addresses, request)).await;
            match asked {
                Ok(Ok(given)) => return Ok(given),
                Ok(Err(LineError::NotOurs)) => {}
                Ok(Err(LineError::Call(CallError::Status(Status::ENOENT)))) => {
                    if number == 0 && candidates.source_first {
                        return Err(missing());
                    }
                }
                // It has the file, and says what is wrong with the request.
                Ok(Err(LineError::Call(CallError::Status(status @ Status::EINVAL)))) => {
                    return Err(Refusal::Told(status));
                }
                Ok(Err(LineError::Call(error))) => {
                    debug!(storage_id = %id, %error, "a member cannot be asked");
                    is_one_away = true;
                }
                Err(_elapsed) => is_one_away = true,
            }
        }
        Err(if is_one_away { Refusal::Unreachable } else { missing() })
    }

    async fn ask_one<R: Request>(&self, addresses: &[SocketAddr], request: &R) -> Result<Given, LineError> {
        if let Some(mut line) = self.lines.take(addresses) {
            match line.ask(request).await {
                // It was closed meanwhile.
                Err(CallError::Net(_)) => {}
                result => return Ok(result.map(|header| Given::new(line, header))?),
            }
        }
        let mut line = self.lines.connect(addresses).await?;
        let header = line.ask(request).await?;
        Ok(Given::new(line, header))
    }

    /// Takes a connection back whose last answer was read to its end.
    pub(crate) fn keep(&self, line: Line) {
        self.lines.keep(line);
    }
}

impl Given {
    fn new(line: Line, header: Header) -> Self {
        Self { line, length: header.length }
    }
}

impl Candidates {
    fn of(shared: &Shared, name: &RemoteFilename) -> Self {
        let me = shared.identity.id;
        let source = name.fields().ok().map(|fields| fields.source);
        let mut candidates = Self::default();
        for member in shared.membership.lock().members() {
            let Some(id) = member.id.filter(|id| *id != me) else { continue };
            match member.status {
                StorageStatus::Active => {
                    let addresses = shared.identity.addresses_of_member(member);
                    if source.is_some_and(|source| accepted(member, source)) {
                        candidates.ask.insert(0, (id, addresses));
                        candidates.source_first = !is_made_by_anybody(name);
                    } else {
                        candidates.ask.push((id, addresses));
                    }
                }
                StorageStatus::Online | StorageStatus::Offline | StorageStatus::Recovery => {
                    candidates.is_one_away = true;
                }
                // What they have they have got from others, or they have left.
                StorageStatus::Init
                | StorageStatus::WaitSync
                | StorageStatus::Syncing
                | StorageStatus::IpChanged
                | StorageStatus::Deleted
                | StorageStatus::None => {}
            }
        }
        candidates
    }
}

/// Whether a member is the one that accepted a file, as the name of the file tells.
pub(crate) fn accepted(member: &Brief, source: Source) -> bool {
    match source {
        Source::Ip(ip) => member.ip == Some(ip.into()),
        Source::Id(id) => member.id == Some(StorageId::from(id)),
    }
}

/// Whether a name tells who accepted another file: slaves are called after theirs.
fn is_made_by_anybody(name: &RemoteFilename) -> bool {
    name.as_str().len() > RemoteFilename::NORMAL_LEN || name.kind() == Ok(fdfs_types::FileKind::Slave)
}

impl Shared {
    /// Whether a file was accepted here: if anybody has it, then this storage.
    fn is_source(&self, name: &RemoteFilename) -> bool {
        name.fields().is_ok_and(|fields| self.is_named_by(fields.source)) && !is_made_by_anybody(name)
    }

    /// Whether this storage is the one that a file name tells of.
    fn is_named_by(&self, source: Source) -> bool {
        source == self.identity.source
            || match source {
                Source::Ip(ip) => self.identity.ips.contains(&ip.into()),
                Source::Id(id) => self.identity.id == StorageId::from(id),
            }
    }

    /// Whether this storage has everything that it is to have, but for what is just on its way.
    pub(crate) fn knows_all(&self) -> bool {
        let status = self.membership.lock().my_status();
        matches!(status, None | Some(StorageStatus::Active)) && self.filling.is_over()
    }
}

/// An answer has begun by then, or the client is told to try again.
const DEADLINE: Duration = Duration::from_secs(10);

/// A member answers within this time, or the next is asked.
const PATIENCE: Duration = Duration::from_secs(3);

/// Questions that are asked at once; others wait.
const MOST_AT_ONCE: usize = 64;
