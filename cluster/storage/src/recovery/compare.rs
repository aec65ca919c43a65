//! Comparing with the other members once this storage serves: what a join or a recovery has missed is fetched.

use std::{collections::HashSet, sync::Arc, time::Duration};

use fdfs_store::Record;
use fdfs_types::{RemoteFilename, StorageId, StorageStatus};
use tokio::{task::JoinSet, time::sleep};
use tracing::{Instrument as _, info, info_span, warn};

use super::{
    Recovery,
    fetch::{Fetched, SIDECAR},
    members::{Listing, Member},
    path_binlog::PathBinlog,
    progress::Progress,
};

/// Which members have been compared with about which store path: who is away long has the others asked no second time.
type Compared = HashSet<(StorageId, u8)>;

impl Recovery {
    /// Compares whenever that is wanted and this storage serves.
    pub(super) async fn compare_when_wanted(&self) {
        let shared = &self.fetcher.shared;
        let mut wanted = shared.verification.wanted();
        let mut members = shared.members();
        let me = shared.identity.id;
        let mut pause = FIRST_PAUSE;
        let mut compared = Compared::new();
        loop {
            let serves = |members: &crate::membership::Members| {
                members.get(&me).is_some_and(|me| me.status == StorageStatus::Active)
            };
            // Neither sender ends before this task does.
            if wanted.wait_for(|wanted| *wanted).await.is_err() || members.wait_for(serves).await.is_err() {
                return;
            }
            if self.compare(&mut compared).instrument(info_span!("comparison")).await {
                shared.verification.done();
                compared.clear();
                pause = FIRST_PAUSE;
            } else {
                metrics::counter!("fdfs_storage_recovery_interruptions_total").increment(1);
                sleep(pause).await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
        }
    }

    /// Compares with every member; whether all of them could be asked for everything.
    async fn compare(&self, compared: &mut Compared) -> bool {
        if compared.is_empty() {
            self.parked.clear();
        }
        let progress = Arc::new(Progress::default());
        let mut is_whole = true;
        let paths = self.fetcher.shared.store.store_paths().len();
        for path in (0..=u8::MAX).take(paths) {
            is_whole &= self.compare_path(path, compared, &progress).await;
        }
        let all = if is_whole { "all members" } else { "some members" };
        info!(%progress, all, "compared with the other members");
        is_whole
    }

    async fn compare_path(&self, path: u8, compared: &mut Compared, progress: &Arc<Progress>) -> bool {
        let listing = match Listing::get(&self.fetcher.shared).await {
            Ok(listing) => Arc::new(listing),
            Err(error) => {
                warn!(%error, "the trackers do not list the members");
                return false;
            }
        };
        let deletions = match self.deletions(path).await {
            Ok(deletions) => deletions,
            Err(error) => {
                warn!(%error, "the binlog cannot be read for what was deleted");
                return false;
            }
        };
        let serving = listing.serving(path);
        let mut fetches = JoinSet::new();
        for member in &serving {
            if compared.contains(&(member.id, path)) {
                continue;
            }
            let mut is_whole = true;
            let mut binlog =
                match PathBinlog::ask(&self.patient, member, self.fetcher.shared.group(), path).await {
                    Ok(binlog) => binlog,
                    Err(error) => {
                        warn!(storage_id = %member.id, %error, "a member does not tell what it has");
                        continue;
                    }
                };
            loop {
                let records = match binlog.next().await {
                    Ok(Some(records)) => records,
                    Ok(None) => break,
                    Err(error) => {
                        warn!(storage_id = %member.id, %error, "a member did not tell all that it has");
                        is_whole = false;
                        break;
                    }
                };
                for record in records {
                    if !self.is_lacking(&record, path, &deletions) {
                        continue;
                    }
                    while fetches.len() >= self.threads.max(1) {
                        is_whole &= fetches.join_next().await.is_some_and(|ended| matches!(ended, Ok(true)));
                    }
                    let mut members = serving.clone();
                    members.sort_by_key(|other| other != member);
                    progress.total.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let (this, listing, progress) =
                        (self.clone(), Arc::clone(&listing), Arc::clone(progress));
                    let fetch =
                        async move { this.fetch_missed(&record, &members, &listing, &progress).await };
                    fetches.spawn(fetch.in_current_span());
                }
            }
            while let Some(ended) = fetches.join_next().await {
                is_whole &= matches!(ended, Ok(true));
            }
            if is_whole {
                compared.insert((member.id, path));
            }
        }
        listing.others(path).all(|other| compared.contains(&(other.id, path)))
    }

    /// Gets one file, unless the member that accepted it says that it is deleted; whether that is settled.
    async fn fetch_missed(
        &self,
        record: &Record,
        members: &[Member],
        listing: &Listing,
        progress: &Progress,
    ) -> bool {
        let name = record.change.name();
        let owner = name.strip_suffix(SIDECAR).unwrap_or(name).parse::<RemoteFilename>().ok();
        if let Some(owner) = owner
            && let Some(origin) = owner.fields().ok().and_then(|fields| listing.origin(fields.source))
            && members.first() != Some(&origin)
            && self.fetcher.is_missing_at(&origin, &owner).await
        {
            progress.count(&Fetched::Gone);
            return true;
        }
        match self.fetcher.fetch(record, members).await {
            Ok(fetched) => {
                match &fetched {
                    Fetched::Restored => info!(file_id = name, "a file that others have was missing here"),
                    Fetched::Parked(why) => self.parked.park(record, why),
                    Fetched::Present | Fetched::Gone => {}
                }
                progress.count(&fetched);
                true
            }
            Err(error) => {
                warn!(file_id = name, ?error, "a missing file could not be fetched");
                false
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
