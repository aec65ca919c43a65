//! Asking the other members for what is not here.
//!
//! A file may not have come yet, or may have been lost here: then a member that has it answers, and its answer goes through to
//! the client. Who says by `HELLO` that it asks for a client of its own is answered from the files here alone, so that no
//! question goes round. Members that are not ours cannot be told that: native clients are not answered with their files, and HTTP
//! clients are, as with the original's module.

mod changes;
mod contents;
mod lines;
mod originals;
mod reader;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, SystemTime},
};

use fdfs_net::{CallError, PoolConfig};
use fdfs_proto::{Brief, Header, Request, Status};
use fdfs_types::{RemoteFilename, Source, StorageId, StorageStatus, Timestamp};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout_at},
};
use tracing::debug;

pub(crate) use self::{
    changes::ChangePlace,
    contents::Linked,
    lines::{Line, LineError},
    originals::{LeftOut, Sent},
    reader::RelayedContent,
};
use self::{contents::Slow, lines::Lines};
use crate::{error::Refusal, shared::Shared};

/// Asks the other members.
#[derive(Debug)]
pub(crate) struct Relay {
    lines: Lines,
    places: Arc<Semaphore>,
    slow: Slow,
}

/// How the others are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Manner {
    /// What the storage that accepted a file does not have is gone.
    Trusting,
    /// Everybody is asked, the original ones as well, and those that are not listed as ACTIVE, for the list may be behind: a
    /// file is gone when no member that serves has it, and the storage that accepted it does not have it, or has left, or all
    /// others must have it by now.
    Thorough,
}

/// Among whom a file is sought.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// The other members of this group.
    OwnGroup,
    /// The members of another group.
    Group(Arc<[Brief]>),
}

/// An answer of a member, whose body is still to be read.
#[derive(Debug)]
pub(crate) struct Given {
    pub(crate) line: Line,
    /// Whose answer it is.
    pub(crate) holder: IpAddr,
    /// Length of the body.
    pub(crate) length: u64,
}

/// The members that may have a file.
#[derive(Debug, Default)]
struct Candidates {
    /// Those that can be asked, the source first.
    ask: Vec<(StorageId, Vec<SocketAddr>)>,
    /// Those that are listed as on their way to serving, and may serve by now.
    doubtful: Vec<(StorageId, Vec<SocketAddr>)>,
    /// Those that the trackers have not heard lately.
    offline: Vec<(StorageId, Vec<SocketAddr>)>,
    /// The first of them accepted the file, and would know it.
    source_first: bool,
    /// Somebody who may have it cannot be asked now.
    is_one_away: bool,
    /// It is the one that accepted the file.
    is_source_away: bool,
}

impl Relay {
    pub(crate) fn new(config: PoolConfig) -> Self {
        Self {
            lines: Lines::new(config),
            places: Arc::new(Semaphore::new(MOST_AT_ONCE)),
            slow: Slow::default(),
        }
    }

    /// Asks the others for a file that is not here. [`Refusal::Store`] with "no such file" says that it is known to be
    /// gone, [`Refusal::Unreachable`] that nobody could tell.
    pub(crate) async fn ask<R: Request>(
        &self,
        shared: &Shared,
        name: &RemoteFilename,
        request: &R,
    ) -> Result<Given, Refusal> {
        self.seek(shared, &Place::OwnGroup, name, request, Manner::Trusting).await
    }

    /// Asks the members of a group for a file, as [`Self::ask`], in the manner that is wanted.
    pub(crate) async fn seek<R: Request>(
        &self,
        shared: &Shared,
        place: &Place,
        name: &RemoteFilename,
        request: &R,
        manner: Manner,
    ) -> Result<Given, Refusal> {
        let given = self.sought(shared, place, name, request, manner).await;
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
        place: &Place,
        name: &RemoteFilename,
        request: &R,
        manner: Manner,
    ) -> Result<Given, Refusal> {
        let missing = || Refusal::Store(fdfs_store::StoreError::NotFound);
        let is_thorough = manner == Manner::Thorough;
        let mut candidates = match place {
            Place::OwnGroup => {
                let knows_itself = !is_thorough && shared.is_source(name) && shared.knows_all();
                if shared.store.was_deleted(name) || knows_itself {
                    return Err(missing());
                }
                Candidates::of(shared, shared.membership.lock().members(), name)
            }
            Place::Group(members) => Candidates::of(shared, members, name),
        };
        let serving = candidates.ask.len();
        let present = serving + candidates.doubtful.len();
        if is_thorough {
            let is_list_known =
                matches!(place, Place::Group(_)) || shared.membership.lock().my_status().is_some();
            let is_source_missed = candidates.is_source_away && shared.may_be_behind(name);
            candidates.is_one_away = is_source_missed || !is_list_known;
            let doubtful = std::mem::take(&mut candidates.doubtful);
            let offline = std::mem::take(&mut candidates.offline);
            candidates.ask.extend(doubtful.into_iter().chain(offline));
        }
        if candidates.ask.is_empty() && !candidates.is_one_away {
            return Err(missing());
        }
        let deadline = Instant::now() + DEADLINE;
        let Ok(Ok(_place)) = timeout_at(deadline, self.places.acquire()).await else {
            return Err(Refusal::Unreachable);
        };
        let mut is_one_away = candidates.is_one_away;
        for (number, (id, addresses)) in candidates.ask.iter().enumerate() {
            let patience = if number < present { PATIENCE } else { OFFLINE_PATIENCE };
            let patience = deadline.min(Instant::now() + patience);
            let asked = timeout_at(patience, self.ask_one(addresses, request, manner)).await;
            match asked {
                Ok(Ok(given)) => return Ok(given),
                // What they say is welcome. The trackers do not hear them, either, if they say nothing.
                Ok(Err(_)) | Err(_) if number >= present => {}
                Ok(Err(error)) if number >= serving => is_one_away |= !says_no(&error),
                Ok(Err(LineError::NotOurs)) => {}
                Ok(Err(LineError::Call(CallError::Status(Status::ENOENT)))) => {
                    if number == 0 && candidates.source_first && !is_thorough {
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

    async fn ask_one<R: Request>(
        &self,
        addresses: &[SocketAddr],
        request: &R,
        manner: Manner,
    ) -> Result<Given, LineError> {
        let holder = addresses.first().map_or(IpAddr::from([0, 0, 0, 0]), SocketAddr::ip);
        if let Some(mut line) = self.lines.take(addresses) {
            match line.ask(request).await {
                // It was closed meanwhile.
                Err(CallError::Net(_)) => {}
                result => return Ok(result.map(|header| Given::new(line, header, holder))?),
            }
        }
        let mut line = match self.lines.connect(addresses).await {
            // An original one asks nobody else: nothing goes round.
            Err(LineError::NotOurs) if manner == Manner::Thorough => {
                self.lines.connect_plainly(addresses).await?
            }
            line => line?,
        };
        let header = line.ask(request).await?;
        Ok(Given::new(line, header, holder))
    }

    /// Takes a connection back whose last answer was read to its end.
    pub(crate) fn keep(&self, line: Line) {
        self.lines.keep(line);
    }
}

impl Given {
    fn new(line: Line, header: Header, holder: IpAddr) -> Self {
        Self { line, holder, length: header.length }
    }
}

impl Candidates {
    fn of(shared: &Shared, members: &[Brief], name: &RemoteFilename) -> Self {
        let me = shared.identity.id;
        let source = name.fields().ok().map(|fields| fields.source);
        let mut candidates = Self::default();
        for member in members {
            let Some(id) = member.id.filter(|id| *id != me) else { continue };
            let addresses = shared.identity.addresses_of_member(member);
            let is_source = source.is_some_and(|source| accepted(member, source));
            match member.status {
                StorageStatus::Active => {
                    if is_source {
                        candidates.ask.insert(0, (id, addresses));
                        candidates.source_first = !is_made_by_anybody(name);
                    } else {
                        candidates.ask.push((id, addresses));
                    }
                }
                StorageStatus::Online | StorageStatus::Offline | StorageStatus::Recovery => {
                    candidates.is_one_away = true;
                    candidates.is_source_away |= is_source;
                    match member.status {
                        StorageStatus::Offline => candidates.offline.push((id, addresses)),
                        _ => candidates.doubtful.push((id, addresses)),
                    }
                }
                // What they have they have got from others, who may have lost it since.
                StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing => {
                    candidates.doubtful.push((id, addresses));
                }
                // They have left.
                StorageStatus::IpChanged | StorageStatus::Deleted | StorageStatus::None => {}
            }
        }
        candidates
    }
}

/// Whether a member that is not listed as ACTIVE certainly does not serve a file: nobody listens there, or it does not have the
/// file, be it that it lacks others, too.
fn says_no(error: &LineError) -> bool {
    match error {
        LineError::Call(CallError::Connect(error)) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        LineError::Call(CallError::Status(status)) => matches!(*status, Status::ENOENT | Status::EAGAIN),
        LineError::Call(_) | LineError::NotOurs => false,
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

    /// Whether a file may not have come to everybody yet. Of slaves and appender files nobody knows when they changed.
    fn may_be_behind(&self, name: &RemoteFilename) -> bool {
        let delay = self.identity.parameters.storage_sync_file_max_delay.as_secs();
        let age = |created: Timestamp| Timestamp::from(SystemTime::now()).0.saturating_sub(created.0);
        let is_young = |created| age(created) <= i64::try_from(delay).unwrap_or(i64::MAX);
        !fdfs_http::is_immutable(name) || name.fields().is_ok_and(|fields| is_young(fields.created()))
    }

    /// The addresses of members that may have a file, the one that accepted it first, then those that serve.
    pub(crate) fn members_to_ask(&self, name: &RemoteFilename) -> Vec<IpAddr> {
        let source = name.fields().ok().map(|fields| fields.source);
        let gone = [StorageStatus::Deleted, StorageStatus::IpChanged, StorageStatus::None];
        let membership = self.membership.lock();
        let others = membership.members().iter();
        let mut others: Vec<_> = others
            .filter(|member| member.id != Some(self.identity.id) && !gone.contains(&member.status))
            .collect();
        others.sort_by_key(|member| {
            let is_source = source.is_some_and(|source| accepted(member, source));
            (!is_source, member.status != StorageStatus::Active)
        });
        others
            .into_iter()
            .flat_map(|member| self.identity.addresses_of_member(member))
            .map(|a| a.ip())
            .collect()
    }

    /// Whether the name of a file tells that this storage accepted it, or the file that it belongs to.
    pub(crate) fn is_named_by_name(&self, name: &RemoteFilename) -> bool {
        name.fields().is_ok_and(|fields| self.is_named_by(fields.source))
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

/// As [`PATIENCE`], for members that the trackers have not heard lately.
const OFFLINE_PATIENCE: Duration = Duration::from_secs(1);

/// Questions that are asked at once; others wait.
const MOST_AT_ONCE: usize = 64;
