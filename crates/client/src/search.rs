//! Which storages to ask about a file, in which order, and what their answers mean together.
//!
//! First those that the trackers know to hold it, then the storage that took the upload, then every other member
//! that serves. A file counts as missing only when the storage that took it says so, or every member.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fdfs_net::CallError;
use fdfs_proto::tracker::{QueryFetchAllRequest, QueryUpdateRequest};
use fdfs_proto::{Command, Request, Status};
use fdfs_types::{FileId, FileKind, GroupName, Timestamp};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::debug;

use crate::error::is_local_fault;
use crate::meters::word_for;
use crate::patience::Patience;
use crate::topology::{Group, SYNC_MAX_DELAY, Topology};
use crate::{ClientError, ClientInner, Trail};

/// What the storage is wanted for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Purpose {
    /// Reading.
    Read,
    /// A change of the file, or of what belongs to it.
    Change,
}

/// A walk over the storages that may have a file.
pub(crate) struct Search<'a> {
    client: &'a ClientInner,
    file_id: &'a FileId,
    command: Command,
    stage: Stage,
    purpose: Purpose,
    queue: VecDeque<SocketAddr>,
    /// Those to ask when nobody else is left.
    doubtful: Vec<SocketAddr>,
    asked: Vec<SocketAddr>,
    missing: Vec<SocketAddr>,
    topology: Option<Arc<Topology>>,
    last: Option<(SocketAddr, CallError)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    Trackers,
    Members,
    Doubtful,
    End,
}

/// What came of asking one storage.
pub(crate) enum Attempt<T> {
    /// The answer, for all storages.
    Done(T),
    /// The storage has not what is wanted, and that says nothing about others.
    Passed,
    /// It failed; see [`Search::failed`].
    Failed(CallError),
}

impl<'a> Search<'a> {
    pub(crate) fn new(
        client: &'a ClientInner,
        file_id: &'a FileId,
        purpose: Purpose,
        command: Command,
    ) -> Self {
        Self {
            client,
            file_id,
            command,
            stage: Stage::Trackers,
            purpose,
            queue: VecDeque::new(),
            doubtful: Vec::new(),
            asked: Vec::new(),
            missing: Vec::new(),
            topology: None,
            last: None,
        }
    }

    /// Asks one storage after another for something small, until one has an answer; in rounds, up to the deadline.
    pub(crate) async fn ask<R>(
        client: &ClientInner,
        file_id: &FileId,
        purpose: Purpose,
        request: &R,
    ) -> Result<R::Response, ClientError>
    where
        R: Request + Sync,
        R::Response: Send,
    {
        let mut patience = Patience::new(&client.options);
        loop {
            let round = async {
                let mut search = Search::new(client, file_id, purpose, R::COMMAND);
                let ask = |address| async move {
                    client.servers.ask(address, request).await.map_or_else(Attempt::Failed, Attempt::Done)
                };
                match search.first(ask).await? {
                    Some((_, answer)) => Ok(answer),
                    None => Err(search.verdict().await),
                }
            };
            match timeout_at(patience.deadline(), round).await.unwrap_or(Err(ClientError::Timeout)) {
                Err(error @ ClientError::Unavailable { .. }) => {
                    if !patience.next_round("ask").await {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }

    /// Asks these storages last.
    pub(crate) fn doubting(mut self, storages: &[SocketAddr]) -> Self {
        self.doubtful = storages.to_vec();
        self
    }

    /// The next storage to ask; `None` when all were asked.
    pub(crate) async fn next(&mut self) -> Result<Option<SocketAddr>, ClientError> {
        loop {
            while let Some(address) = self.queue.pop_front() {
                let is_later = self.stage != Stage::End && self.is_doubtful(address);
                if !is_later && !self.asked.contains(&address) {
                    self.asked.push(address);
                    return Ok(Some(address));
                }
            }
            match self.stage {
                Stage::Trackers => {
                    self.stage = Stage::Members;
                    let holders = self.ask_trackers().await?;
                    self.queue.extend(holders);
                }
                Stage::Members => {
                    self.stage = Stage::Doubtful;
                    let members = self.members().await?;
                    self.queue.extend(members);
                }
                Stage::Doubtful => {
                    self.stage = Stage::End;
                    self.queue.extend(&self.doubtful);
                }
                Stage::End => return Ok(None),
            }
        }
    }

    /// Asks one storage after the other until one has the answer; a second one at the same time, where that is wanted and
    /// the first one takes longer than usual. `None` when nobody has it.
    pub(crate) async fn first<T, F>(
        &mut self,
        ask: impl Fn(SocketAddr) -> F,
    ) -> Result<Option<(SocketAddr, T)>, ClientError>
    where
        F: Future<Output = Attempt<T>>,
    {
        let (client, group) = (self.client, self.file_id.group);
        // Two may be asked at once, and each question is large.
        let ask = |address| Box::pin(noted(client, group, address, ask(address)));
        let mut tries = 0;
        while let Some(address) = self.next().await? {
            if tries > 0 {
                metrics::counter!("fdfs_client_retries_total", "group" => group.to_string()).increment(1);
            }
            tries += 1;
            let began = Instant::now();
            let mut first = ask(address);
            let Some(delay) = self.hedged_after() else {
                match self.take(address, first.await).await? {
                    Some(done) => return Ok(Some((address, done))),
                    None => continue,
                }
            };
            let waiting = timeout(delay, first.as_mut()).await;
            let other = match &waiting {
                Ok(_) => None,
                Err(_) if self.client.hedging.take() => self.next().await?,
                Err(_) => None,
            };
            let found = match (waiting, other) {
                (Ok(attempt), _) => self.take(address, attempt).await?.map(|done| (address, done)),
                (Err(_), None) => self.take(address, first.await).await?.map(|done| (address, done)),
                (Err(_), Some(other)) => {
                    let mut second = ask(other);
                    let (sooner, attempt, later) = tokio::select! {
                        attempt = first.as_mut() => (address, attempt, other),
                        attempt = second.as_mut() => (other, attempt, address),
                    };
                    match self.take(sooner, attempt).await? {
                        Some(done) => Some((sooner, done)),
                        None => {
                            let attempt = if later == address { first.await } else { second.await };
                            self.take(later, attempt).await?.map(|done| (later, done))
                        }
                    }
                }
            };
            if let Some(found) = found {
                self.client.hedging.answered(self.file_id.group, began.elapsed());
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The answer, if there is one.
    async fn take<T>(&mut self, address: SocketAddr, attempt: Attempt<T>) -> Result<Option<T>, ClientError> {
        match attempt {
            Attempt::Done(done) => Ok(Some(done)),
            Attempt::Passed => Ok(None),
            Attempt::Failed(error) => self.failed(address, error).await.map(|()| None),
        }
    }

    /// The time after which a second storage may be asked, where any may: the same bytes are everywhere.
    fn hedged_after(&self) -> Option<Duration> {
        let wanted = self.client.options.hedging && self.is_fixed() && self.purpose == Purpose::Read;
        wanted.then(|| self.client.hedging.begin(self.file_id.group))
    }

    /// Whether whoever has the file has the same bytes.
    fn is_fixed(&self) -> bool {
        matches!(self.file_id.filename.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)))
    }

    fn is_doubtful(&mut self, address: SocketAddr) -> bool {
        if self.doubtful.contains(&address) {
            return true;
        }
        let servers = &self.client.servers;
        // Of a file that can change a replica may have what it was before: its source is waited for.
        let is_slow = self.purpose == Purpose::Read
            && self.client.options.ask_everybody
            && self.is_fixed()
            && servers.slow().is_slow(self.file_id.group, address, Instant::now());
        let is_silent = is_slow || servers.is_silent(address);
        if is_silent {
            self.doubtful.push(address);
        }
        is_silent
    }

    /// Takes a storage's failure into account; an error ends the search.
    pub(crate) async fn failed(&mut self, address: SocketAddr, error: CallError) -> Result<(), ClientError> {
        debug!(%address, file_id = %self.file_id, cmd = %self.command, %error, "storage cannot serve a file");
        match error {
            CallError::Status(Status::ENOENT) => {
                self.missing.push(address);
                // The trackers, or what they told, say that this one has it.
                if self.stage == Stage::Members && self.purpose == Purpose::Read {
                    let (group, storage) = (self.file_id.group.to_string(), address.to_string());
                    metrics::counter!("fdfs_client_replica_missing_total", "group" => group, "storage" => storage)
                        .increment(1);
                }
                if !self.client.options.ask_everybody && self.is_source(address).await? {
                    Err(ClientError::NotFound)
                } else {
                    Ok(())
                }
            }
            error if is_local_fault(&error) => {
                let kind = self.command.name().unwrap_or("unknown");
                metrics::counter!("fdfs_client_replica_failures_total", "command" => kind).increment(1);
                self.last = Some((address, error));
                Ok(())
            }
            error => Err(ClientError::from_call(address, self.command, error)),
        }
    }

    /// What it means that nobody had the file.
    pub(crate) async fn verdict(self) -> ClientError {
        // Only who is a member now can say so.
        let topology = match self.client.new_topology().await {
            Ok(topology) => topology,
            Err(error) => return error,
        };
        let Some(group) = topology.groups.get(&self.file_id.group) else { return ClientError::NotFound };
        let everybody = group
            .members()
            .all(|member| Group::address(member).is_some_and(|address| self.missing.contains(&address)));
        if everybody && self.last.is_none() {
            return ClientError::NotFound;
        }
        if self.client.options.ask_everybody && self.last.is_none() && self.is_gone(group) {
            return ClientError::NotFound;
        }
        let reason = format!(
            "{} at no storage: {} asked, {} of them without the file",
            self.command,
            self.asked.len(),
            self.missing.len()
        );
        match self.last {
            Some((address, error)) => {
                ClientError::unavailable(format!("{reason}; {address}: {error}"), Some(error))
            }
            None => ClientError::unavailable(reason, None),
        }
    }

    /// Whether all that serve say that there is no such file, and none who is away can be the only one to have it: the one
    /// that took it says so, too, or is no member any more, or the file is old enough to have been everywhere.
    fn is_gone(&self, group: &Group) -> bool {
        let says_no = |member| Group::address(member).is_some_and(|address| self.missing.contains(&address));
        let created = self.file_id.filename.fields().map(|fields| fields.created());
        let now: Timestamp = SystemTime::now().into();
        let is_old = created.is_ok_and(|created| now.since(created) > SYNC_MAX_DELAY);
        let mut active = group.active().peekable();
        active.peek().is_some()
            && active.all(says_no)
            && (is_old || group.source(self.file_id).is_none_or(says_no))
    }

    async fn ask_trackers(&mut self) -> Result<Vec<SocketAddr>, ClientError> {
        let file_id = self.file_id.clone();
        let answer = match self.purpose {
            Purpose::Read => {
                if let Some(holders) = self.known_holders().await {
                    return Ok(holders);
                }
                let request = QueryFetchAllRequest { file_id };
                let answer = match self.last_known() {
                    None => self.client.trackers.ask(&request).await,
                    // Files stay readable while no tracker answers: the members that were known last are asked.
                    Some(topology) => match self.client.trackers.ask_once(&request).await {
                        Err(ClientError::Unavailable { .. }) => {
                            metrics::counter!("fdfs_client_reads_without_tracker_total").increment(1);
                            self.topology = Some(topology);
                            return Ok(Vec::new());
                        }
                        answer => answer,
                    },
                };
                answer.map(|mut answer| {
                    let count = answer.storages.len();
                    answer.storages.rotate_left(fastrand::usize(..count.max(1)));
                    answer.storages
                })
            }
            Purpose::Change => {
                let answer = self.client.trackers.ask(&QueryUpdateRequest { file_id }).await;
                answer.map(|answer| vec![answer.storage])
            }
        };
        match answer {
            Ok(storages) => Ok(storages),
            // No group, or nobody in it who serves: the list of members tells which.
            Err(ClientError::NotFound) => Ok(Vec::new()),
            // A name that says nothing, or that trackers take for too short: members may know it.
            Err(ClientError::Refused { status: Status::EINVAL, .. }) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Those that surely hold the file, where the topology is known well enough to tell without the trackers.
    async fn known_holders(&self) -> Option<Vec<SocketAddr>> {
        let client = self.client;
        let max_age = client.options.topology_max_age;
        let topology = client.topology.get_if_cheap(&client.trackers, max_age).await?;
        let group = topology.groups.get(&self.file_id.group)?;
        let holders = group.holders(self.file_id, SystemTime::now().into());
        let mut addresses: Vec<_> = holders.into_iter().filter_map(Group::address).collect();
        let count = addresses.len();
        addresses.rotate_left(fastrand::usize(..count.max(1)));
        // The one with the least to do first; among equals, chance decides. Who serves only since lately is spared.
        let order = |address: &SocketAddr| {
            let is_spared = fastrand::f64() >= client.servers.share(*address);
            (is_spared, client.servers.load(*address))
        };
        addresses.sort_by_cached_key(order);
        (count > 0).then_some(addresses)
    }

    /// The topology that was known last, if the file's group is in it.
    fn last_known(&self) -> Option<Arc<Topology>> {
        self.client.topology.last_known().filter(|topology| topology.groups.contains_key(&self.file_id.group))
    }

    /// The storage that took the upload, then every other member that serves.
    async fn members(&mut self) -> Result<Vec<SocketAddr>, ClientError> {
        let file_id = self.file_id;
        let group = self.group().await?;
        let source = group.source(file_id).and_then(Group::address);
        let active = group.active().filter_map(Group::address);
        Ok(source.into_iter().chain(active).collect())
    }

    async fn is_source(&mut self, address: SocketAddr) -> Result<bool, ClientError> {
        let file_id = self.file_id;
        let group = self.group().await?;
        Ok(group.source(file_id).and_then(Group::address) == Some(address))
    }

    async fn group(&mut self) -> Result<&Group, ClientError> {
        if self.topology.is_none() {
            let mut topology = self.client.topology().await?;
            if !topology.groups.contains_key(&self.file_id.group) {
                topology = self.client.new_topology().await?;
            }
            self.topology = Some(topology);
        }
        let topology = self.topology.as_ref().ok_or(ClientError::NotFound)?;
        topology.groups.get(&self.file_id.group).ok_or(ClientError::NotFound)
    }
}

/// A question that waits for its answer.
struct Pending<'a> {
    client: &'a ClientInner,
    group: GroupName,
    address: SocketAddr,
    began: Instant,
    is_over: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            let now = Instant::now();
            self.client.servers.slow().left(self.group, self.address, now - self.began, now);
        }
    }
}

/// Asks a storage, and takes note of what came of it.
async fn noted<T>(
    client: &ClientInner,
    group: GroupName,
    address: SocketAddr,
    asking: impl Future<Output = Attempt<T>>,
) -> Attempt<T> {
    let began = Instant::now();
    let mut pending = Pending { client, group, address, began, is_over: false };
    let attempt = asking.await;
    pending.is_over = true;
    let (result, took) = (word_for(&attempt), began.elapsed());
    client.servers.meters().asked(group, address, result, took);
    if matches!(attempt, Attempt::Done(_)) {
        client.servers.slow().answered(group, address, took, Instant::now());
    }
    if let Some(trail) = Trail::followed() {
        trail.note(address, result, took);
    }
    attempt
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Client, ClientOptions};

    #[tokio::test]
    async fn a_slow_source_is_asked_last_for_a_file_that_cannot_change_and_for_no_other() {
        let mut options = ClientOptions::new(Vec::new());
        options.ask_everybody = true;
        let client = Client::new(options);
        let [fast, slow] = [2, 3].map(|number| SocketAddr::from(([127, 0, 0, number], 23000)));
        for _ in 0..20 {
            for (storage, ms) in [(fast, 2), (slow, 2000)] {
                let (group, took) = ("group1".parse().unwrap(), Duration::from_millis(ms));
                client.inner().servers.slow().answered(group, storage, took, Instant::now());
            }
        }
        let is_last = |id: &str, purpose, address| {
            let file_id: FileId = id.parse().unwrap();
            Search::new(client.inner(), &file_id, purpose, Command::DOWNLOAD_FILE).is_doubtful(address)
        };
        assert!(is_last(NORMAL, Purpose::Read, slow) && !is_last(NORMAL, Purpose::Read, fast));
        assert!(!is_last(APPENDER, Purpose::Read, slow), "others may have less of it");
        assert!(!is_last(SLAVE, Purpose::Read, slow), "others may have another one");
        assert!(!is_last(NORMAL, Purpose::Change, slow));
    }

    const NORMAL: &str = "group1/M00/00/00/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg";
    const APPENDER: &str = "group1/M00/00/00/fwAAAmsCerOEYCMMAAAAAPhV_HM146.log";
    const SLAVE: &str = "group1/M00/00/00/fwAAAmsCerKAKbhRAAATiC17JN8110_150x150.jpg";
}
