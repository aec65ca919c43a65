//! What a storage does now and then: measure space, write statistics, sync the binlog.

use std::{sync::Arc, time::Duration};

use fdfs_conf::TimeOfDay;
use fdfs_store::{Store, StoreError};
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::error;

use crate::shared::Shared;

/// How often things are done.
#[derive(Clone, Debug)]
pub(crate) struct Intervals {
    pub(crate) sync_binlog: Duration,
    pub(crate) save_stat: Duration,
}

/// Works for as long as the storage runs.
pub(crate) async fn run(shared: Arc<Shared>, intervals: Intervals) {
    let every = |period: Duration| {
        let mut ticks = interval(period.clamp(MIN_PERIOD, MAX_PERIOD));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    };
    let (mut space, mut binlog, mut stat) =
        (every(MEASURE_SPACE), every(intervals.sync_binlog), every(intervals.save_stat));
    loop {
        tokio::select! {
            _ = space.tick() => on_disk(&shared, "measuring space", |store| {
                store.refresh_space();
                Ok(())
            }).await,
            _ = binlog.tick() => on_disk(&shared, "syncing the binlog", Store::sync_binlog).await,
            _ = stat.tick() => on_disk(&shared, "writing statistics", Store::save_stat).await,
        }
        record_gauges(&shared.store);
    }
}

/// Compresses finished files of the binlog every day at this time.
pub(crate) async fn compress_daily(shared: Arc<Shared>, at: TimeOfDay) {
    loop {
        sleep(until(at, second_of_day())).await;
        on_disk(&shared, "compressing the binlog", |store| store.compress_binlog().map(drop)).await;
    }
}

/// How long it is until this time of day; a whole day if it is that just now.
fn until(at: TimeOfDay, now: u32) -> Duration {
    let left = (at.seconds() + DAY - now) % DAY;
    Duration::from_secs(u64::from(if left == 0 { DAY } else { left }))
}

/// The second of the local day.
pub(crate) fn second_of_day() -> u32 {
    let time = jiff::Zoned::now().time();
    let [hour, minute, second] = [time.hour(), time.minute(), time.second()].map(i8::unsigned_abs);
    u32::from(hour) * 3600 + u32::from(minute) * 60 + u32::from(second)
}

async fn on_disk(shared: &Arc<Shared>, what: &'static str, work: fn(&Store) -> Result<(), StoreError>) {
    let shared = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || work(&shared.store)).await;
    if let Ok(Err(error)) = done {
        error!(%error, what, "upkeep failed");
    }
}

fn record_gauges(store: &Store) {
    for (index, path) in store.store_paths().iter().enumerate() {
        let path_label = format!("M{index:02X}");
        metrics::gauge!("fdfs_storage_free_bytes", "store_path" => path_label.clone())
            .set(path.space.free as f64);
        metrics::gauge!("fdfs_storage_total_bytes", "store_path" => path_label).set(path.space.total as f64);
    }
}

const DAY: u32 = 24 * 3600;
const MEASURE_SPACE: Duration = Duration::from_secs(5);
const MIN_PERIOD: Duration = Duration::from_millis(100);
const MAX_PERIOD: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_daily_is_next_done_today_or_tomorrow() {
        let at = TimeOfDay::new(1, 30);
        assert_eq!(until(at, 3600), Duration::from_secs(1800));
        assert_eq!(until(at, 5400), Duration::from_secs(24 * 3600));
        assert_eq!(until(at, 5401), Duration::from_secs(24 * 3600 - 1));
    }
}
