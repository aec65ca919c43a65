//! Small files in trunk files: who the trunk server of the group is, and slots from it.
//!
//! An upload waits for the trunk server for less than a second: where no slot can be had by then, the file becomes a plain one, and so do
//! the next ones at once.

mod feed;
mod heal;
mod keeper;
mod remote;
mod reserve;

pub(crate) use self::keeper::Keeper;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::Arc,
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use fdfs_conf::TrunkParameters;
use fdfs_net::{Pool, PoolConfig};
use fdfs_proto::{Brief, Status};
use fdfs_store::{AllocError, Block, OfficeSettings, TrunkPolicy};
use parking_lot::{Mutex, RwLock};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use self::remote::Remote;
use crate::{settings, shared::Shared};

/// What this storage knows of the trunk files of its group.
#[derive(Debug)]
pub(crate) struct Trunk {
    /// What trackers prescribe, once they want trunk files.
    parameters: RwLock<Option<TrunkParameters>>,
    server: Mutex<Server>,
    remote: Mutex<Remote>,
    to_members: PoolConfig,
    /// A connection belongs to the thread that made it.
    pools: Mutex<HashMap<ThreadId, Arc<Pool>>>,
    /// How long what may belong to nobody is left alone.
    patience: Duration,
    /// Slots that are being healed.
    healing: Mutex<std::collections::HashSet<Block>>,
    /// Slots that are damaged by what a reader says are not healed before.
    not_before: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Server {
    brief: Option<Brief>,
    /// It gave no slot a moment ago.
    away_until: Option<Instant>,
    /// Since when no slot can be had.
    lost: Option<Instant>,
}

/// Who gives slots.
enum Office {
    Here,
    At(Vec<SocketAddr>),
    Nobody,
}

impl Trunk {
    pub(crate) fn new(parameters: &TrunkParameters, to_members: PoolConfig, patience: Duration) -> Self {
        Self {
            parameters: RwLock::new(parameters.enabled.then(|| parameters.clone())),
            server: Mutex::default(),
            remote: Mutex::default(),
            to_members,
            pools: Mutex::default(),
            patience,
            healing: Mutex::default(),
            not_before: Mutex::default(),
        }
    }

    /// Whether trackers want trunk files.
    pub(crate) fn is_on(&self) -> bool {
        self.parameters.read().is_some()
    }

    /// What they prescribe.
    pub(crate) fn parameters(&self) -> Option<TrunkParameters> {
        self.parameters.read().clone()
    }

    /// Trackers have begun to want trunk files.
    pub(crate) fn switch_on(&self, parameters: &TrunkParameters) {
        if parameters.enabled {
            *self.parameters.write() = Some(parameters.clone());
        }
    }

    /// The trunk server, as the leader of the trackers has told it; whether that is news.
    pub(crate) fn set_server(&self, brief: &Brief) -> bool {
        let brief = brief.id.is_some().then(|| brief.clone());
        let mut server = self.server.lock();
        let is_news = server.brief.as_ref().map(|brief| brief.id) != brief.as_ref().map(|brief| brief.id);
        server.brief = brief;
        if is_news {
            server.away_until = None;
            self.remote.lock().forget();
        }
        is_news
    }

    /// How the office is held.
    pub(crate) fn office_settings(&self) -> Option<OfficeSettings> {
        let parameters = self.parameters()?;
        Some(OfficeSettings {
            policy: policy(&parameters)?,
            merge: parameters.free_space_merge,
            delete_unused: parameters.delete_unused_files,
            rest: self.patience.min(REST),
            settle: self.patience,
        })
    }

    fn pool(&self) -> Arc<Pool> {
        let mut pools = self.pools.lock();
        let pool = pools.entry(thread::current().id());
        Arc::clone(pool.or_insert_with(|| Pool::new(self.to_members.clone())))
    }
}

/// What trackers prescribe, in the store's terms; nothing where they do not want trunk files.
pub(crate) fn policy(parameters: &TrunkParameters) -> Option<TrunkPolicy> {
    parameters.enabled.then_some(TrunkPolicy {
        slot_min_size: parameters.slot_min_size,
        slot_max_size: parameters.slot_max_size,
        alignment: parameters.alignment,
        file_size: parameters.file_size,
    })
}

impl Shared {
    /// Trunk files are wanted from now on.
    pub(crate) fn switch_trunk_on(&self, parameters: &fdfs_conf::ClusterParameters) {
        if parameters.trunk.enabled && !self.trunk.is_on() {
            info!("the trackers want small files in trunk files from now on");
            self.trunk.switch_on(&parameters.trunk);
            self.store.set_policy(settings::policy(parameters, self.identity.source));
        }
    }

    fn office(&self) -> Office {
        let server = self.trunk.server.lock();
        match &server.brief {
            Some(brief) if brief.id == Some(self.identity.id) => Office::Here,
            Some(_) if server.away_until.is_some_and(|until| Instant::now() < until) => Office::Nobody,
            Some(brief) => Office::At(self.identity.addresses_of_member(brief)),
            None => Office::Nobody,
        }
    }

    /// Where the trunk server is, if that is another member.
    fn trunk_server_elsewhere(&self) -> Option<Vec<SocketAddr>> {
        match self.office() {
            Office::At(addresses) => Some(addresses),
            Office::Here | Office::Nobody => None,
        }
    }

    /// A slot of at least `size` bytes on a store path; nothing where none can be had now.
    ///
    /// While the trunk server does not answer, slots come out of the reserve that it gave before. Where that is used up, one that is
    /// started again, or followed by another, is waited for, but for no more than [`WAIT`] since there was no slot first.
    pub(crate) async fn obtain_slot(&self, store_path: u8, size: u32) -> Option<Block> {
        loop {
            let why = match self.office() {
                Office::Here => match self.store.alloc_slot(store_path, size) {
                    Ok(block) => {
                        self.has_slots();
                        return Some(block);
                    }
                    Err(AllocError::NotInOffice) => "office",
                    Err(error) => {
                        debug!(%error, "no slot");
                        count_plain("office");
                        return None;
                    }
                },
                Office::At(addresses) => match self.slot_from(&addresses, store_path, size).await {
                    Some(block) => {
                        self.has_slots();
                        return Some(block);
                    }
                    None => "refused",
                },
                Office::Nobody => "away",
            };
            if let Some(block) = self.slot_from_reserve(store_path, size) {
                self.is_away_for_a_moment();
                return Some(block);
            }
            if !self.may_wait_for_slots() {
                count_plain(why);
                return None;
            }
            // It may be back, or another be told, at any moment.
            sleep(ASK_AGAIN).await;
        }
    }

    fn has_slots(&self) {
        self.trunk.server.lock().lost = None;
    }

    fn is_away_for_a_moment(&self) {
        let now = Instant::now();
        let mut server = self.trunk.server.lock();
        if server.away_until.is_none_or(|until| until < now) {
            server.away_until = Some(now + AWAY);
        }
    }

    fn may_wait_for_slots(&self) -> bool {
        let now = Instant::now();
        let mut server = self.trunk.server.lock();
        let since = *server.lost.get_or_insert(now);
        if now.saturating_duration_since(since) < WAIT {
            return true;
        }
        if server.away_until.is_none_or(|until| until < now) {
            warn!("the trunk server gives no slot: small files become plain ones for a moment");
            server.away_until = Some(now + AWAY);
        }
        false
    }

    /// Tells the trunk server what became of a slot; whether it takes that.
    pub(crate) async fn confirm_slot(&self, block: Block, outcome: Status) -> bool {
        if self.is_reserved(block) {
            return true;
        }
        match self.office() {
            Office::Here => {
                let is_occupied = outcome == Status::EEXIST;
                let told = self.store.confirm_slot(block, outcome != Status::OK, is_occupied);
                told.is_ok()
            }
            Office::At(addresses) => self.confirm_to(&addresses, block, outcome).await,
            Office::Nobody => false,
        }
    }
}

fn count_plain(why: &'static str) {
    metrics::counter!("fdfs_storage_trunk_plain_instead_total", "why" => why).increment(1);
}

/// The trunk server answers a question within this time, or counts as away.
const PATIENCE: Duration = Duration::from_millis(250);
/// So long after the last slot uploads wait for the next: together with one question less than a second.
const WAIT: Duration = Duration::from_millis(600);
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// It is not asked again so soon after it gave no slot.
const AWAY: Duration = Duration::from_millis(500);
/// Slots are not given out again for so long after their file was deleted.
const REST: Duration = Duration::from_secs(10);
/// From the moment when a slot was asked for to that when it is filled no more time may pass: the trunk server looks after what
/// was given out long ago.
pub(crate) const FILL_WITHIN: Duration = Duration::from_secs(5);
