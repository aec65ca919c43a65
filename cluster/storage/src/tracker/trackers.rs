//! What every part of the storage may ask the trackers, on connections that have not joined.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use fdfs_net::CallError;
use fdfs_proto::{
    Brief, Request, ServerAddress, Status,
    cluster::{ReportStatusRequest, SyncSource, SyncSourceRequest},
    tracker::StorageStatusRequest,
};
use fdfs_types::{GroupName, StorageId};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::{Tracker, identity::Chain};

/// All trackers of the cluster. Clones are handles to the same.
///
/// What is asked here ends: with an answer, or with the last error when [`ASK_FOR`] has passed.
#[derive(Clone, Debug)]
pub(crate) struct Trackers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    group: GroupName,
    all: Arc<[Tracker]>,
    /// The leader among them, once one has told it.
    leader: Mutex<Option<Brief>>,
}

impl Trackers {
    pub(crate) fn new(group: GroupName, all: Vec<Tracker>) -> Self {
        Self(Arc::new(Inner { group, all: all.into(), leader: Mutex::default() }))
    }

    /// Where they are.
    pub(crate) fn addresses(&self) -> Vec<ServerAddress> {
        let address = |tracker: &Tracker| {
            let port = tracker.addresses.first()?.port();
            Some(ServerAddress { ips: tracker.addresses.iter().map(SocketAddr::ip).collect(), port })
        };
        self.0.all.iter().filter_map(address).collect()
    }

    /// From whom `peer` gets the old files, and up to when files count as old; `None` where it needs none.
    ///
    /// The leader is asked first, then the others. [`Status::ENOENT`] says that the peer is not (or not yet) a member.
    pub(crate) async fn sync_source(&self, peer: StorageId) -> Result<Option<SyncSource>, CallError> {
        let request = SyncSourceRequest { group: self.0.group, storage_id: peer };
        Ok(self.ask_any(&request).await?.source)
    }

    /// Tells every tracker the state of a member; the brief's port is not told. At least one has taken it when this
    /// succeeds. One that is not there learns it from the list of another, or when the member joins it.
    pub(crate) async fn report_status(&self, member: &Brief) -> Result<(), CallError> {
        let storage = Brief { port: 0, ..member.clone() };
        let request = ReportStatusRequest { group: self.0.group, storage };
        let begun = Instant::now();
        let mut pauses = Pauses::default();
        loop {
            let mut taken = false;
            let mut last = None;
            for tracker in self.in_order() {
                match tracker.ask(&request).await {
                    Ok(_) => taken = true,
                    Err(error) => {
                        self.complain(&tracker, ReportStatusRequest::COMMAND, &error);
                        last = Some(error);
                    }
                }
            }
            match last {
                Some(error) if !taken => self.again(begun, &mut pauses, error).await?,
                _ => return Ok(()),
            }
        }
    }

    /// The state of a member as the trackers see it: the greatest of what those say that answer at all, as each may
    /// lag behind. `None` where none of them knows it.
    pub(crate) async fn get_status(&self, member: &Brief) -> Result<Option<Brief>, CallError> {
        let Some(ip) = member.ip else { return Ok(None) };
        let request = StorageStatusRequest { group: self.0.group, address: (ip, member.port).into() };
        let begun = Instant::now();
        let mut pauses = Pauses::default();
        loop {
            let mut best: Option<Brief> = None;
            let (mut answered, mut last) = (false, None);
            for tracker in self.in_order() {
                match tracker.ask(&request).await {
                    Ok(brief) => {
                        answered = true;
                        if best.as_ref().is_none_or(|best| brief.status > best.status) {
                            best = Some(brief);
                        }
                    }
                    Err(CallError::Status(Status::ENOENT)) => answered = true,
                    Err(error) => {
                        self.complain(&tracker, StorageStatusRequest::COMMAND, &error);
                        last = Some(error);
                    }
                }
            }
            match last {
                Some(error) if !answered => self.again(begun, &mut pauses, error).await?,
                _ => return Ok(best),
            }
        }
    }

    /// Asks the trackers in turn, the leader first, until one answers. What a tracker refuses is the answer when no other
    /// grants it.
    pub(crate) async fn ask_any<R: Request>(&self, request: &R) -> Result<R::Response, CallError> {
        let begun = Instant::now();
        let mut pauses = Pauses::default();
        loop {
            let (mut refused, mut last) = (None, None);
            for tracker in self.in_order() {
                match tracker.ask(request).await {
                    Ok(answer) => return Ok(answer),
                    Err(error @ CallError::Status(_)) => refused = refused.or(Some(error)),
                    Err(error) => {
                        self.complain(&tracker, R::COMMAND, &error);
                        last = Some(error);
                    }
                }
            }
            match (refused, last) {
                (Some(error), _) => return Err(error),
                (None, Some(error)) => self.again(begun, &mut pauses, error).await?,
                (None, None) => return Err(CallError::Connect(std::io::ErrorKind::NotFound.into())),
            }
        }
    }

    /// Every tracker, in the order of the configuration.
    pub(crate) fn all(&self) -> &Arc<[Tracker]> {
        &self.0.all
    }

    /// A tracker has told the leader.
    pub(crate) fn set_leader(&self, leader: Option<Brief>) {
        *self.0.leader.lock() = leader;
    }

    /// Whether this tracker is the leader.
    pub(crate) fn is_leader(&self, tracker: SocketAddr) -> bool {
        let leader = self.0.leader.lock();
        leader.as_ref().is_some_and(|leader| leader.ip == Some(tracker.ip()) && leader.port == tracker.port())
    }

    /// Every tracker, the leader first.
    fn in_order(&self) -> Vec<Tracker> {
        let mut all: Vec<Tracker> = self.0.all.to_vec();
        all.sort_by_key(|tracker| !tracker.addresses.iter().any(|address| self.is_leader(*address)));
        all
    }

    /// Waits before the next round, unless time is up.
    async fn again(&self, begun: Instant, pauses: &mut Pauses, error: CallError) -> Result<(), CallError> {
        let pause = pauses.next_pause();
        if begun.elapsed() + pause > ASK_FOR {
            return Err(error);
        }
        sleep(pause).await;
        Ok(())
    }

    fn complain(&self, tracker: &Tracker, cmd: fdfs_proto::Command, error: &CallError) {
        metrics::counter!("fdfs_storage_tracker_failures_total").increment(1);
        warn!(%tracker, ?cmd, error = %Chain(error), "tracker gives no answer");
    }
}

/// Pauses between rounds: each twice the one before.
#[derive(Debug, Default)]
struct Pauses(u32);

impl Pauses {
    fn next_pause(&mut self) -> Duration {
        let pause = FIRST_PAUSE * 2_u32.saturating_pow(self.0);
        self.0 += 1;
        pause.min(LONGEST_PAUSE)
    }
}

/// How long is asked again where no tracker answers.
const ASK_FOR: Duration = Duration::from_secs(30);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
