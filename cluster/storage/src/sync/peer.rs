//! One peer: waits until it can be sent to, finds out from where on, and sends, again and again.

use std::{pin::pin, sync::Arc, time::Duration};

use fdfs_net::CallError;
use fdfs_proto::{Brief, Status, cluster::SyncSource};
use fdfs_rules::replication::Backoff;
use fdfs_store::Mark;
use fdfs_types::{StorageId, StorageStatus};
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout, timeout_at},
};
use tracing::{debug, error, info, warn};

use super::{
    SyncSettings,
    delivery::Deliveries,
    gauges::Gauges,
    letters::Letters,
    line::Line,
    mark_keeper::MarkKeeper,
    start::{self, Question, Stored},
    stream::{End, Stream},
};
use crate::{
    maintenance::second_of_day, membership::Members, relay::accepted, shared::Shared, tracker::Chain,
};

/// A member of the group to whom changes are sent.
pub(super) struct Peer {
    pub(super) id: StorageId,
    pub(super) shared: Arc<Shared>,
    pub(super) settings: SyncSettings,
    pub(super) members: watch::Receiver<Members>,
    pub(super) gauges: Gauges,
    /// Where trackers are asked: their connections belong there.
    main: Handle,
    /// True when the storage ends in order.
    pub(super) stopped: watch::Receiver<bool>,
}

/// What of a peer has to be written when the storage ends.
#[derive(Default)]
struct Open {
    keeper: Option<MarkKeeper>,
    letters: Option<Letters>,
}

/// Why a peer needs no thread any more.
enum Over {
    /// It has left the group.
    Left,
    /// The storage ends.
    Stopped,
}

impl Peer {
    pub(super) fn new(
        id: StorageId,
        shared: Arc<Shared>,
        settings: SyncSettings,
        main: Handle,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let members = shared.members();
        Self { id, shared, settings, members, gauges: Gauges::new(id), main, stopped }
    }

    pub(super) fn id(&self) -> StorageId {
        self.id
    }

    /// Sends until the peer has left, or the storage ends.
    pub(super) async fn run(mut self) {
        let mut open = Open::default();
        let mut stopped = self.stopped.clone();
        let over = {
            let mut replication = pin!(self.replicate(&mut open));
            tokio::select! {
                over = &mut replication => over,
                // What is on its way may still be acknowledged.
                told = stopped.changed() => match told {
                    Ok(()) => timeout(GRACE, replication).await.unwrap_or(Over::Stopped),
                    Err(_cut_off) => return,
                },
            }
        };
        open.keeper.iter_mut().for_each(MarkKeeper::finish);
        open.letters.iter_mut().for_each(Letters::save);
        match over {
            Over::Left => tokio::select! {
                () = self.retire() => {}
                _ = stopped.changed() => {}
            },
            Over::Stopped => {}
        }
    }

    async fn replicate(&mut self, open: &mut Open) -> Over {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        let mut is_told = false;
        loop {
            let Some(member) = self.wait_for(|status| CAN_BEGIN.contains(&status)).await else {
                return Over::Left;
            };
            if self.shared.identity.is_at(&member) {
                if !std::mem::replace(&mut is_told, true) {
                    info!("a member of the list is this storage itself");
                }
                self.wait_for(|status| !CAN_BEGIN.contains(&status)).await;
                continue;
            }
            if let Some(keeper) = open.keeper.as_mut() {
                keeper.finish();
            }
            let pause = match self.session(&member, open).await {
                Ok(End::Stop) => {
                    backoff.succeeded();
                    Duration::ZERO
                }
                Ok(End::Broken(error, has_worked)) => {
                    if has_worked {
                        backoff.succeeded();
                    }
                    warn!(error = %Chain(&error), "connection to the peer lost");
                    backoff.failed()
                }
                Ok(End::Binlog(error)) => {
                    error!(%error, "the binlog cannot be read: nothing is sent to this peer until that is mended");
                    LONGEST_PAUSE
                }
                Ok(End::Invalid(position)) => {
                    error!(
                        index = position.index,
                        offset = position.offset,
                        "a record of the binlog is invalid, and file_sync_skip_invalid_record is off: nothing is sent to this peer"
                    );
                    LONGEST_PAUSE
                }
                Err(error) => {
                    warn!(error = %Chain(&error), "no replication to the peer, trying again");
                    backoff.failed()
                }
            };
            if *self.stopped.borrow() {
                return Over::Stopped;
            }
            self.gauges.reconnects.increment(1);
            sleep(pause).await;
        }
    }

    /// So often it is asked anew who the source is, while a peer does not become active: that one may have left, and the
    /// peer have been given to this storage, without a change of its state.
    fn source_takes(&self) -> Duration {
        (self.settings.heart_beat_interval * 2).max(SOURCE_TAKES)
    }

    /// One connection to the peer, from its start to its end.
    async fn session(&mut self, member: &Brief, open: &mut Open) -> Result<End, CallError> {
        self.wait_for_hours().await;
        let mark = self.begin(member).await?;
        let path = start::mark_path(&self.shared.store, &self.shared.identity, self.id);
        let letters =
            Letters::open(&super::letters_path(&self.shared, self.id)).map_err(CallError::Connect)?;
        self.gauges.dead_letters(letters.count());
        let keeper = open.keeper.insert(MarkKeeper::new(path, mark));
        let letters = open.letters.insert(letters);
        let mut status = member.status;
        let is_source = mark.need_sync_old && !mark.sync_old_done;
        if is_source && self.shared.store.binlog().end() == fdfs_store::Position::default() {
            info!("the peer waits for old files, and there are none");
            keeper.old_done();
            self.tell(member, StorageStatus::Offline).await?;
            return Ok(End::Stop);
        }
        if !mark.need_sync_old && status != StorageStatus::Active {
            // Its source has the word until then.
            let is_active = |status| status == StorageStatus::Active;
            let waited = timeout_at(Instant::now() + self.source_takes(), self.wait_for(is_active)).await;
            let Ok(Some(member)) = waited else { return Ok(End::Stop) };
            status = member.status;
        }
        let addresses = self.shared.identity.addresses_of_member(member);
        let control = Line::connect_as(self.shared.identity.id, &addresses, &self.settings.pool).await?;
        debug!(?status, "connected");
        if status == StorageStatus::WaitSync {
            self.tell(member, StorageStatus::Syncing).await?;
            status = StorageStatus::Syncing;
        }
        if status == StorageStatus::Syncing && mark.need_sync_old && mark.sync_old_done {
            info!("the peer has the old files: a tracker has forgotten that, and is told again");
            self.tell(member, StorageStatus::Offline).await?;
        }
        let deliveries = Arc::new(Deliveries::new(self.shared.store.clone(), self.shared.group()));
        let stream = Stream::new(self, keeper, letters, addresses, control, deliveries);
        Ok(stream.run().await)
    }

    /// Finds out from where on the peer gets the binlog.
    async fn begin(&mut self, member: &Brief) -> Result<Mark, CallError> {
        while !self.shared.store.init_flag().sync_old_done {
            // Set by the first tracker that is joined.
            sleep(ASK_AGAIN).await;
        }
        let stored = Stored::load(&self.shared, self.id).map_err(CallError::Connect)?;
        let source = match (stored.question(member.status), stored.mark()) {
            (Question::None, Some(mark)) => return Ok(mark),
            _ => self.source().await?,
        };
        stored.begin(&self.shared, member.status, source.as_ref()).map_err(CallError::Connect)
    }

    /// Asks the trackers from whom the peer gets the old files.
    async fn source(&self) -> Result<Option<SyncSource>, CallError> {
        let (shared, id) = (Arc::clone(&self.shared), self.id);
        let asked = self.main.spawn(async move { shared.trackers.sync_source(id).await });
        match asked.await.map_err(|error| CallError::Connect(std::io::Error::other(error)))? {
            Err(CallError::Status(Status::ENOENT)) => {
                sleep(self.settings.heart_beat_interval.min(LONGEST_PAUSE)).await;
                Err(CallError::Status(Status::ENOENT))
            }
            other => other,
        }
    }

    /// Notes a state of the peer that this storage decides as its source, and tells the trackers.
    pub(super) async fn tell(&self, member: &Brief, status: StorageStatus) -> Result<(), CallError> {
        info!(%status, "state of the peer");
        self.shared.membership.lock().set_status(&self.id, status);
        let (shared, brief) = (Arc::clone(&self.shared), Brief { status, ..member.clone() });
        let told = self.main.spawn(async move { shared.trackers.report_status(&brief).await });
        told.await.map_err(|error| CallError::Connect(std::io::Error::other(error)))?
    }

    /// The peer as the list has it.
    pub(super) fn member(&self) -> Option<Brief> {
        self.members.borrow().get(&self.id).cloned()
    }

    /// Waits until the peer is in such a state; `None` when it has left.
    async fn wait_for(&mut self, wanted: impl Fn(StorageStatus) -> bool) -> Option<Brief> {
        loop {
            let member = self.members.borrow_and_update().get(&self.id).cloned();
            match member {
                Some(member) if has_left(member.status) => return None,
                Some(member) if wanted(member.status) => return Some(member),
                Some(_) => {}
                // It has left, and another has its place in the list.
                None => return None,
            }
            if self.members.changed().await.is_err() {
                return None;
            }
        }
    }

    async fn wait_for_hours(&self) {
        loop {
            match self.settings.hours.wait(second_of_day()) {
                0 => return,
                // The clock may be set meanwhile.
                seconds => sleep(Duration::from_secs(seconds.min(60).into())).await,
            }
        }
    }

    /// The peer has left: its mark goes aside, or to the name that it has now.
    async fn retire(&mut self) {
        let until = Instant::now() + self.settings.heart_beat_interval * 2 + Duration::from_secs(1);
        let gone = loop {
            if let Some(gone) = self.members.borrow_and_update().what_became_of(&self.id) {
                break Some(gone);
            }
            tokio::select! {
                changed = self.members.changed() => if changed.is_err() { return },
                () = sleep_until(until) => break None,
            }
        };
        let path = start::mark_path(&self.shared.store, &self.shared.identity, self.id);
        if gone.is_some_and(|gone| gone.new.is_none()) {
            self.take_over_contents().await;
        }
        let new = gone.and_then(|gone| gone.new);
        let new = new.map(|new| start::mark_path(&self.shared.store, &self.shared.identity, new));
        start::move_mark(&path, new);
        self.shared.membership.lock().set_status(&self.id, StorageStatus::None);
    }

    /// The peer was removed: nobody else frees the contents that it has made.
    async fn take_over_contents(&self) {
        let Some(member) = self.members.borrow().get(&self.id).cloned() else { return };
        if member.status != StorageStatus::Deleted {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let released = move || shared.store.release_contents(|source| accepted(&member, source));
        match tokio::task::spawn_blocking(released).await {
            Ok(Ok(0)) => {}
            Ok(Ok(released)) => {
                info!(storage_id = %self.id, released, "contents of a member that was removed go with their last links here");
            }
            Ok(Err(error)) => {
                error!(storage_id = %self.id, %error, "contents of a member that was removed stay: run fdfs dedup release");
            }
            Err(error) => error!(%error, "work on the disk did not end"),
        }
    }
}

fn has_left(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::Deleted | StorageStatus::IpChanged | StorageStatus::None)
}

/// States in which a peer is sent to, or may be.
const CAN_BEGIN: [StorageStatus; 3] =
    [StorageStatus::WaitSync, StorageStatus::Syncing, StorageStatus::Active];
/// How long what is on its way is waited for when the storage ends.
const GRACE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Shortest time between two questions who the source is.
const SOURCE_TAKES: Duration = Duration::from_secs(1);
