//! Whether the store paths take writes, as their disks said last.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_ops::{Health, PartState};
use fdfs_store::{DiskTrouble, Store};
use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// What the disks said last, and when.
#[derive(Debug)]
pub(crate) struct DiskHealth {
    last: Mutex<(Instant, Vec<Result<(), DiskTrouble>>)>,
}

impl DiskHealth {
    pub(crate) fn new(store: &Store) -> Arc<Self> {
        let nothing_known = vec![Ok(()); store.store_paths().len()];
        Arc::new(Self { last: Mutex::new((Instant::now(), nothing_known)) })
    }

    /// Asks the disks again and again; one that does not answer holds up nothing else.
    pub(crate) async fn run(self: Arc<Self>, store: Store) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let store = store.clone();
            let Ok(found) = tokio::task::spawn_blocking(move || store.check_disks()).await else { continue };
            for (before, now) in self.last.lock().1.iter().zip(&found) {
                match (before, now) {
                    (Ok(()), Err(error)) => warn!(%error, "a store path takes no files"),
                    (Err(error), Ok(())) => info!(was = %error, "a store path takes files again"),
                    _ => {}
                }
            }
            metrics::gauge!("fdfs_storage_store_paths_in_trouble")
                .set(found.iter().filter(|path| path.is_err()).count() as f64);
            *self.last.lock() = (Instant::now(), found);
        }
    }

    /// Has every store path told in `/healthz`: a full one serves what it has, a broken one is a failure.
    pub(crate) fn register(self: &Arc<Self>, health: &Health) {
        let count = self.last.lock().1.len();
        for index in 0..count {
            let this = Arc::clone(self);
            health.register(&format!("store path M{index:02X}"), move || this.state_of(index));
        }
    }

    fn state_of(&self, index: usize) -> PartState {
        let last = self.last.lock();
        let (at, found) = &*last;
        if at.elapsed() > PATIENCE {
            let seconds = at.elapsed().as_secs();
            return PartState::Failing(format!("the disks have not answered for {seconds} s"));
        }
        match found.get(index) {
            Some(Err(full @ DiskTrouble::BelowReserve { .. })) => PartState::Degraded(full.to_string()),
            Some(Err(broken @ DiskTrouble::Unwritable { .. })) => PartState::Failing(broken.to_string()),
            _ => PartState::Ok,
        }
    }
}

const PERIOD: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(30);
