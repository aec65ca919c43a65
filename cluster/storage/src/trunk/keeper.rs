//! The work of the trunk server: its log goes to the others, parts that belong to nobody become free again, trunk files are made
//! before they are needed, the log is compressed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use fdfs_conf::TrunkParameters;
use fdfs_net::{Pool, PoolConfig};
use fdfs_store::{AllocError, Store, TrunkGap};
use fdfs_types::StorageId;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};
use tracing::{info, warn};

use super::{
    feed::{feed, has_left},
    heal::Part,
};
use crate::{maintenance::second_of_day, shared::Shared};

/// Works while this storage is the trunk server, and waits for that otherwise.
pub(crate) struct Keeper {
    shared: Arc<Shared>,
    pool: Arc<Pool>,
    /// Gaps, and when they were seen first.
    seen: HashMap<TrunkGap, Instant>,
    next_search: Instant,
    /// Each time that nothing could be done, the next search comes later.
    pause: Duration,
    ran_at: Option<u32>,
}

impl Keeper {
    pub(crate) fn new(shared: &Arc<Shared>, to_members: PoolConfig) -> Self {
        Self {
            shared: Arc::clone(shared),
            pool: Pool::new(to_members),
            seen: HashMap::new(),
            next_search: Instant::now(),
            pause: Duration::ZERO,
            ran_at: None,
        }
    }

    /// Works for as long as the storage runs.
    pub(crate) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut feeders: JoinSet<StorageId> = JoinSet::new();
        let mut fed: HashSet<StorageId> = HashSet::new();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                Some(ended) = feeders.join_next() => {
                    match ended {
                        Ok(peer) => drop(fed.remove(&peer)),
                        Err(error) => warn!(%error, "the trunk binlog is not sent to a member for a while"),
                    }
                    continue;
                }
            }
            if !self.shared.store.is_trunk_server() {
                self.seen.clear();
                self.shared.tell_trunk_server().await;
                self.tidy_as_member().await;
                continue;
            }
            let members = self.shared.members();
            let all = Arc::clone(&members.borrow().all);
            let others = all.iter().filter(|member| !has_left(member.status)).filter_map(|member| member.id);
            for peer in others.filter(|id| *id != self.shared.identity.id) {
                if fed.insert(peer) {
                    let (shared, pool) = (Arc::clone(&self.shared), Arc::clone(&self.pool));
                    feeders.spawn(async move {
                        feed(shared, pool, peer).await;
                        peer
                    });
                }
            }
            if let Err(error) = on_disk(&self.shared, |store| store.settle_trunk_office(READY)).await {
                warn!(%error, "what has become free in trunk files is not logged");
            }
            self.search().await;
            if let Some(parameters) = self.shared.trunk.parameters() {
                self.run_schedules(&parameters).await;
            }
            if let Some(free) = self.shared.store.trunk_free() {
                metrics::gauge!("fdfs_storage_trunk_free_bytes").set(free as f64);
            }
        }
    }

    /// Looks for parts that belong to nobody, and frees them when no member has anything in them.
    async fn search(&mut self) {
        let patience = self.shared.trunk.patience;
        if Instant::now() < self.next_search || !self.shared.store.may_have_trunk_gaps(patience) {
            return;
        }
        let gaps = match on_disk(&self.shared, Store::trunk_gaps).await {
            Ok(gaps) => gaps,
            Err(error) => {
                warn!(%error, "trunk files cannot be searched for parts that belong to nobody");
                self.next_search = Instant::now() + LONGEST_PAUSE;
                return;
            }
        };
        self.seen.retain(|gap, _| gaps.contains(gap));
        let (mut freed, mut is_waiting) = (0_u64, false);
        for gap in gaps {
            let since = *self.seen.entry(gap).or_insert_with(Instant::now);
            if since.elapsed() < patience {
                is_waiting = true;
                continue;
            }
            if !self.is_nobodys(gap).await {
                continue;
            }
            match on_disk(&self.shared, move |store| store.reclaim_gap(gap)).await {
                Ok(true) => freed += u64::from(gap.0.size),
                Ok(false) => {}
                Err(error) => warn!(%error, "a part of a trunk file that belongs to nobody stays"),
            }
        }
        if freed > 0 {
            info!(bytes = freed, "parts of trunk files that belonged to nobody are free again");
        }
        let step = (patience / 2).max(TICK);
        self.pause = if freed > 0 || is_waiting { step } else { (self.pause * 2).clamp(step, LONGEST_PAUSE) };
        self.next_search = Instant::now() + self.pause;
    }

    /// Whether every member says that it has nothing in a gap.
    async fn is_nobodys(&self, gap: TrunkGap) -> bool {
        for (_, addresses) in self.shared.others() {
            let mut is_empty = false;
            for address in addresses {
                match self.shared.part_at(&self.pool, address, gap.0).await {
                    Part::Bytes(bytes) => {
                        is_empty = bytes.iter().all(|byte| *byte == 0);
                        break;
                    }
                    Part::Nothing => {
                        is_empty = true;
                        break;
                    }
                    Part::Unknown => {}
                }
            }
            if !is_empty {
                return false;
            }
        }
        true
    }

    /// Once a day a member that is not the trunk server deletes trunk files in which it has nothing, where that is wanted.
    async fn tidy_as_member(&mut self) {
        let Some(parameters) = self.shared.trunk.parameters() else { return };
        let now = second_of_day() / 60;
        let is_due = self.ran_at.is_some_and(|ran| ran != now)
            && now == parameters.compress_time_base.seconds() / 60 % DAY;
        self.ran_at = Some(now);
        if !parameters.delete_unused_files || !is_due {
            return;
        }
        let store = self.shared.store.clone();
        match tokio::task::spawn_blocking(move || store.delete_empty_trunk_files()).await {
            Ok(Ok(0)) => {}
            Ok(Ok(deleted)) => info!(deleted, "trunk files without content deleted"),
            Ok(Err(error)) => warn!(%error, "trunk files without content stay"),
            Err(error) => warn!(%error, "trunk files without content stay"),
        }
    }

    /// Does what is due at this time of the day.
    async fn run_schedules(&mut self, parameters: &TrunkParameters) {
        let now = second_of_day() / 60;
        if self.ran_at == Some(now) {
            return;
        }
        let is_first = self.ran_at.is_none();
        self.ran_at = Some(now);
        let is_due = |base: u32, every: Duration| {
            let every = u32::try_from(every.as_secs() / 60).unwrap_or(u32::MAX);
            every > 0 && (now + DAY - base / 60 % DAY).is_multiple_of(every)
        };
        if parameters.create_advance
            && (is_first || is_due(parameters.create_time_base.seconds(), parameters.create_interval))
        {
            let threshold = parameters.create_space_threshold;
            match on_disk(&self.shared, move |store| store.make_trunk_files(threshold)).await {
                Ok(0) => {}
                Ok(made) => info!(made, "trunk files made in advance"),
                Err(error) => warn!(%error, "trunk files cannot be made in advance"),
            }
        }
        if is_due(parameters.compress_time_base.seconds(), parameters.compress_interval)
            && let Err(error) = on_disk(&self.shared, Store::compress_trunk_binlog).await
        {
            warn!(%error, "the trunk binlog cannot be compressed");
        }
    }
}

async fn on_disk<T: Send + 'static>(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Store) -> Result<T, AllocError> + Send + 'static,
) -> Result<T, AllocError> {
    let store = shared.store.clone();
    match tokio::task::spawn_blocking(move || work(&store)).await {
        Ok(result) => result,
        Err(_) => Err(AllocError::Invalid("work on the disk did not end")),
    }
}

const TICK: Duration = Duration::from_millis(500);
/// Slots that are kept ready and not asked for are given back after this.
const READY: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// Minutes.
const DAY: u32 = 24 * 60;
