//! Searching, healing, and trying again what could not be healed.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fdfs_conf::ScrubSettings;
use fdfs_net::PoolConfig;
use fdfs_store::{Block, ScrubProgress, Suspect};
use fdfs_types::RemoteFilename;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::{
    now,
    pace::Pace,
    walk::{Part, Walk},
};
use crate::{
    recovery::{Healer, Outcome},
    shared::Shared,
};

/// Works for as long as the storage runs.
#[derive(Debug)]
pub(crate) struct Scrubber {
    shared: Arc<Shared>,
    healer: Healer,
    settings: ScrubSettings,
    pace: Pace,
    saved: Instant,
}

impl Scrubber {
    pub(crate) fn new(shared: &Arc<Shared>, config: PoolConfig, settings: ScrubSettings) -> Self {
        let rate = if settings.rate == 0 { ScrubSettings::default().rate } else { settings.rate };
        let now = Instant::now();
        let healer = Healer::new(shared, config);
        Self { shared: Arc::clone(shared), healer, settings, pace: Pace::new(rate, now), saved: now }
    }

    pub(crate) async fn run(mut self) {
        self.shared.filling.over().await;
        if self.settings.rate == 0 {
            // What was under way when it was switched off does not go on.
            self.shared.scrub.advance(|progress| progress.is_under_way = false);
        }
        loop {
            let wants = self.shared.scrub.take_wants();
            if wants.search {
                self.begin();
            }
            self.try_again(wants.try_again).await;
            if self.shared.scrub.progress().is_under_way {
                self.search().await;
            } else if self.is_due() {
                self.begin();
            } else {
                // Ends early where something is asked for.
                let _ = timeout(
                    LOOK_AGAIN.min(self.settings.interval.max(SHORTEST)),
                    self.shared.scrub.wanted.notified(),
                )
                .await;
            }
        }
    }

    /// Whether the next search of all files has to begin.
    fn is_due(&self) -> bool {
        let ScrubProgress { is_under_way, begun, .. } = self.shared.scrub.progress();
        let since = now().0.saturating_sub(begun.0);
        let interval = i64::try_from(self.settings.interval.as_secs()).unwrap_or(i64::MAX).max(1);
        // A clock that was set back does not put it off for ever.
        !is_under_way && self.settings.rate > 0 && (since >= interval || since < 0)
    }

    /// Begins with the first file.
    fn begin(&self) {
        info!("searching all files for damage");
        self.shared.scrub.advance(|progress| {
            let last_whole = progress.last_whole;
            *progress =
                ScrubProgress { is_under_way: true, begun: now(), last_whole, ..ScrubProgress::default() };
        });
    }

    /// Goes on to the end, unless something else is asked for.
    async fn search(&mut self) {
        let begun = self.shared.scrub.progress();
        self.on_disk(|shared| {
            if let Err(error) = shared.store.delete_kept(KEPT) {
                warn!(%error, "damaged files that were kept aside cannot be deleted");
            }
            shared.scrub.save();
        })
        .await;
        let mut walk = Walk::new(self.shared.store.clone(), self.settings.min_age, begun.position);
        loop {
            let (begun, portion) = (Instant::now(), self.pace.portion());
            let went = self.on_disk(move |shared| {
                let part = walk.go(portion);
                for name in &part.sound {
                    shared.scrub.forget(name);
                }
                (walk, part)
            });
            let Some((again, part)) = went.await else { return };
            walk = again;
            self.count(&part);
            if let Some(suspect) = part.suspect {
                self.heal(&suspect).await;
            }
            for slot in part.slots {
                self.heal_slot(slot).await;
            }
            if part.is_end {
                return self.end().await;
            }
            if self.saved.elapsed() >= SAVE_EVERY {
                self.save().await;
            }
            let rest = self.pace.spend(part.cost, begun, Instant::now());
            // Ends early where something is asked for.
            if timeout(rest, self.shared.scrub.wanted.notified()).await.is_ok() {
                return self.save().await;
            }
        }
    }

    fn count(&self, part: &Part) {
        metrics::counter!("fdfs_storage_scrub_bytes_total").increment(part.bytes);
        metrics::counter!("fdfs_storage_scrub_files_total").increment(part.files);
        self.shared.scrub.advance(|progress| {
            progress.bytes += part.bytes;
            progress.files += part.files;
            if part.position.is_some() {
                progress.position.clone_from(&part.position);
            }
        });
    }

    async fn end(&mut self) {
        self.shared.scrub.advance(|progress| {
            (progress.is_under_way, progress.position, progress.last_whole) = (false, None, now());
        });
        self.save().await;
        let ScrubProgress { files, bytes, damaged, healed, .. } = self.shared.scrub.progress();
        info!(files, bytes, damaged, healed, "all files were searched for damage");
    }

    /// Heals a file that was found damaged.
    async fn heal(&mut self, suspect: &Suspect) {
        let (name, damage) = (&suspect.name, &suspect.damage);
        warn!(file_id = %name, %damage, "a damaged file was found");
        metrics::counter!("fdfs_storage_scrub_damaged_total").increment(1);
        self.shared.scrub.advance(|progress| progress.damaged += 1);
        self.deal_with(suspect).await;
        self.save().await;
    }

    /// Heals a slot that was found damaged. One that cannot be healed is found again by the next search.
    async fn heal_slot(&self, slot: Block) {
        warn!(%slot, "a damaged slot was found");
        metrics::counter!("fdfs_storage_scrub_damaged_total").increment(1);
        self.shared.scrub.advance(|progress| progress.damaged += 1);
        if self.shared.slot_is_healed(slot).await {
            metrics::counter!("fdfs_storage_scrub_healed_total").increment(1);
            self.shared.scrub.advance(|progress| progress.healed += 1);
        }
    }

    async fn deal_with(&self, suspect: &Suspect) {
        let (name, damage) = (suspect.name.clone(), &suspect.damage);
        match self.healer.heal(suspect).await {
            Outcome::Healed => {
                metrics::counter!("fdfs_storage_scrub_healed_total").increment(1);
                self.shared.scrub.advance(|progress| progress.healed += 1);
                self.on_disk(move |shared| shared.scrub.forget(&name)).await;
            }
            Outcome::Changed => {
                self.on_disk(move |shared| shared.scrub.forget(&name)).await;
            }
            Outcome::Left(why) => {
                let words = format!("{damage}; {why}");
                let noted = self.on_disk(move |shared| shared.scrub.note(&name, &words));
                if noted.await == Some(true) {
                    error!(
                        file_id = %suspect.name, %damage, why,
                        "a damaged file cannot be healed now: bring a member with a sound copy back, restore the file \
                         from a backup or delete it, then run fdfs repair"
                    );
                }
            }
        }
    }

    /// Looks at the files that could not be healed: at those whose time has come, or at all.
    async fn try_again(&mut self, all: bool) {
        let now = now();
        let is_due = |file: &&fdfs_store::DamagedFile| all || now.0 >= file.tried.0 + pause(file.tries);
        let due: Vec<RemoteFilename> = {
            let left = self.shared.scrub.left.lock();
            left.files().iter().filter(is_due).map(|file| file.name.clone()).collect()
        };
        for name in due {
            let begun = Instant::now();
            let Some((cost, suspect)) = self.look_at(name).await else { continue };
            if let Some(suspect) = suspect {
                self.deal_with(&suspect).await;
            }
            sleep(self.pace.spend(cost, begun, Instant::now())).await;
        }
    }

    /// Reads one file at the rate of the search; what it has cost since the last rest, and whether it is damaged still.
    async fn look_at(&mut self, name: RemoteFilename) -> Option<(u64, Option<Suspect>)> {
        let mut walk = Walk::only(self.shared.store.clone(), name.clone());
        loop {
            let (begun, portion) = (Instant::now(), self.pace.portion());
            let went = self.on_disk(move |_| {
                let part = walk.go(portion);
                (walk, part)
            });
            let (again, part) = went.await?;
            walk = again;
            if part.suspect.is_some() {
                return Some((part.cost, part.suspect));
            }
            if part.is_end {
                let forgotten = name.clone();
                if self.on_disk(move |shared| shared.scrub.forget(&forgotten)).await == Some(true) {
                    info!(file_id = %name, "a damaged file is sound again, or gone");
                }
                return Some((part.cost, None));
            }
            sleep(self.pace.spend(part.cost, begun, Instant::now())).await;
        }
    }

    async fn save(&mut self) {
        self.on_disk(|shared| shared.scrub.save()).await;
        self.saved = Instant::now();
    }

    /// Works where waiting for the disk blocks nobody; nothing where the storage ends.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => Some(result),
            Err(error) => {
                error!(%error, "the search for damage was interrupted");
                None
            }
        }
    }
}

/// Seconds before a file is tried again.
fn pause(tries: u32) -> i64 {
    (3600 << tries.saturating_sub(1).min(8)).min(24 * 3600)
}

const SAVE_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked what is due.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
const SHORTEST: Duration = Duration::from_secs(1);
/// How long damaged files are kept aside.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_healed_is_tried_hourly_at_first_and_daily_in_the_end() {
        assert_eq!([1, 2, 3, 5, 6, 100].map(pause), [3600, 7200, 14_400, 57_600, 86_400, 86_400]);
    }
}
