//! Store paths that were wiped or replaced are filled from the other members, while what is there already is served.

use std::{
    io,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use fdfs_net::CallError;
use fdfs_proto::Brief;
use fdfs_store::{Change, Deletions, PathRecovery, Record, RecoveryFlag};
use fdfs_types::{RemoteFilename, StorageStatus, Timestamp};
use thiserror::Error;
use tokio::{
    task::JoinSet,
    time::{interval, sleep},
};
use tracing::{Instrument as _, info, info_span, warn};

use super::{
    Recovery,
    fetch::{FetchError, Fetched},
    members::{Listing, Member},
    path_binlog::PathBinlog,
    progress::Progress,
    work::{Gathering, WorkList},
};
use crate::tracker::Chain;

/// Why a recovery has to be tried again.
#[derive(Debug, Error)]
enum Interrupted {
    #[error("the trackers cannot be asked: {}", Chain(.0))]
    Trackers(CallError),
    #[error("no other member serves now: {0}")]
    NobodyServes(String),
    #[error("state of the recovery cannot be kept: {0}")]
    State(#[from] io::Error),
}

/// What is to be done about a path.
enum Plan {
    /// It is filled from these members.
    Fill(Vec<Member>),
    /// It is not: why, and whether files have to be looked for once this storage serves.
    Leave { why: &'static str, verify: bool },
}

impl Recovery {
    /// Fills every path that has to be filled, one after the other, however long that takes.
    pub(super) async fn fill_all(&self) {
        let recoveries = self.fetcher.shared.store.recoveries();
        for recovery in &recoveries {
            let store_path = recovery.store_path();
            let span = info_span!("recovery", store_path);
            self.fill_path(recovery).instrument(span).await;
        }
    }

    async fn fill_path(&self, recovery: &PathRecovery) {
        metrics::gauge!("fdfs_storage_recovering_store_paths").increment(1.0);
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.try_fill(recovery).await {
            warn!(%error, "the recovery of a store path waits and goes on");
            metrics::counter!("fdfs_storage_recovery_interruptions_total").increment(1);
            self.say(format!("store path {} is empty in part: {error}", recovery.store_path()));
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
        metrics::gauge!("fdfs_storage_recovering_store_paths").decrement(1.0);
    }

    async fn try_fill(&self, recovery: &PathRecovery) -> Result<(), Interrupted> {
        let shared = &self.fetcher.shared;
        recovery.adopt_old_names()?;
        let Some(mut flag) = recovery.flag()? else { return Ok(()) };
        let listing = Listing::get(shared).await.map_err(Interrupted::Trackers)?;
        let members = match plan(&listing, recovery.store_path()) {
            Plan::Fill(members) => members,
            Plan::Leave { why, verify } => {
                warn!(why, "a store path is empty and is not filled now");
                if verify {
                    shared.verification.want(why);
                }
                return Ok(recovery.clear()?);
            }
        };
        let me = self.me();
        if flag.saved_status == RecoveryFlag::INTENT.saved_status {
            let status = shared.trackers.get_status(&me).await.map_err(Interrupted::Trackers)?;
            let status = status.or_else(|| listing.me().map(|me| Brief { status: me.status, ..self.me() }));
            flag.saved_status = status.map_or(StorageStatus::Offline, |brief| brief.status).to_wire();
            recovery.set_flag(flag)?;
        }
        let recovering = Brief { status: StorageStatus::Recovery, ..me.clone() };
        shared.trackers.report_status(&recovering).await.map_err(Interrupted::Trackers)?;
        if members.is_empty() {
            return Err(Interrupted::NobodyServes(String::from("the trackers list none as ACTIVE")));
        }
        if !flag.is_fetched {
            flag = self.gather(recovery, flag, &members).await?;
        }
        self.work_off(recovery, flag).await?;
        // A state from before that a tracker would not take is told as "not there yet": joining does the rest.
        let saved = match StorageStatus::from_wire(flag.saved_status) {
            Some(StorageStatus::Recovery | StorageStatus::None) | None => StorageStatus::Offline,
            Some(status) => status,
        };
        let before = Brief { status: saved, ..me };
        shared.trackers.report_status(&before).await.map_err(Interrupted::Trackers)?;
        Ok(recovery.clear()?)
    }

    /// Lists what all members have of the path: what one of them has not got yet another may have.
    async fn gather(
        &self,
        recovery: &PathRecovery,
        flag: RecoveryFlag,
        members: &[Member],
    ) -> Result<RecoveryFlag, Interrupted> {
        let path = recovery.store_path();
        let deletions = self.deletions(path).await?;
        let mut gathering = Gathering::begin(recovery)?;
        let (mut whole, mut failure) = (0, String::new());
        for member in members {
            match self.gather_from(member, path, &deletions, &mut gathering).await? {
                Ok(lines) => {
                    info!(storage_id = %member.id, lines, "a member told what it has");
                    whole += 1;
                }
                Err(error) => {
                    warn!(storage_id = %member.id, error, "a member did not tell all that it has");
                    failure = error;
                }
            }
        }
        if whole == 0 {
            return Err(Interrupted::NobodyServes(failure));
        }
        if whole < members.len() {
            self.fetcher
                .shared
                .verification
                .want("a member could not be asked while a store path was filled");
        }
        Ok(gathering.deal(recovery, flag, self.threads)?)
    }

    /// Gathers from one member what is lacking here. The inner error is the member's.
    async fn gather_from(
        &self,
        member: &Member,
        path: u8,
        deletions: &Deletions,
        gathering: &mut Gathering,
    ) -> io::Result<Result<u64, String>> {
        let group = self.fetcher.shared.group();
        let mut binlog = match PathBinlog::ask(&self.patient, member, group, path).await {
            Ok(binlog) => binlog,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let mut lines = 0;
        loop {
            match binlog.next().await {
                Ok(Some(records)) => {
                    for record in records.iter().filter(|record| self.is_lacking(record, path, deletions)) {
                        gathering.add(record)?;
                        lines += 1;
                    }
                }
                Ok(None) => return Ok(Ok(lines)),
                Err(error) => return Ok(Err(error.to_string())),
            }
        }
    }

    /// Whether a record of another member tells of a file that should be here and is not.
    pub(super) fn is_lacking(&self, record: &Record, path: u8, deletions: &Deletions) -> bool {
        if !matches!(record.change, Change::Create { .. } | Change::Link { .. }) {
            return false;
        }
        let Ok(name) = record.change.name().parse::<RemoteFilename>() else { return false };
        name.store_path() == path
            && !deletions.covers(&name, Timestamp(record.timestamp))
            && self.fetcher.shared.store.lacks(&name).unwrap_or(true)
    }

    /// What was deleted here. Where that cannot be read, nothing counts as deleted.
    pub(super) async fn deletions(&self, path: u8) -> io::Result<Deletions> {
        let store = self.fetcher.shared.store.clone();
        tokio::task::spawn_blocking(move || store.deletions(path)).await.map_err(io::Error::other)?
    }

    /// Works off the lists, each in its own task.
    async fn work_off(&self, recovery: &PathRecovery, flag: RecoveryFlag) -> Result<(), Interrupted> {
        let threads = usize::try_from(flag.threads.max(1)).unwrap_or(1);
        let progress = Arc::new(Progress::default());
        for thread in 0..threads {
            progress.total.fetch_add(WorkList::count(recovery, thread)?, Relaxed);
        }
        let mut workers = JoinSet::new();
        for thread in 0..threads {
            let (this, recovery, progress) = (self.clone(), recovery.clone(), Arc::clone(&progress));
            let work = async move { this.work_off_list(&recovery, thread, &progress).await };
            workers.spawn(work.in_current_span());
        }
        let mut ticks = interval(TELL_EVERY);
        ticks.tick().await;
        let path = recovery.store_path();
        loop {
            self.say(format!("store path {path} is being filled from other members: {progress}"));
            tokio::select! {
                ended = workers.join_next() => match ended {
                    None => break,
                    Some(Ok(result)) => result?,
                    Some(Err(error)) => return Err(Interrupted::State(io::Error::other(error))),
                },
                _ = ticks.tick() => info!(%progress, "filling a store path"),
            }
        }
        info!(%progress, "a store path is filled");
        Ok(())
    }

    async fn work_off_list(
        &self,
        recovery: &PathRecovery,
        thread: usize,
        progress: &Progress,
    ) -> Result<(), Interrupted> {
        let Some(mut list) = WorkList::open(recovery, thread)? else { return Ok(()) };
        let mut members: Vec<Member> = Vec::new();
        let mut unsaved = 0;
        while let Some(record) = list.next()? {
            let next = list.offset;
            let fetched = self.fetch_patiently(&record, recovery.store_path(), thread, &mut members).await;
            if let Fetched::Parked(why) = &fetched {
                self.parked.park(&record, why);
            }
            progress.count(&fetched);
            unsaved += 1;
            if unsaved >= MARK_EVERY {
                recovery.set_mark(thread, next)?;
                unsaved = 0;
            }
        }
        Ok(recovery.set_mark(thread, list.offset)?)
    }

    /// Gets a file from whichever member gives it, however long no member can be reached.
    async fn fetch_patiently(
        &self,
        record: &Record,
        path: u8,
        thread: usize,
        members: &mut Vec<Member>,
    ) -> Fetched {
        let mut pause = FIRST_PAUSE;
        loop {
            if members.is_empty()
                && let Ok(listing) = Listing::get(&self.fetcher.shared).await
            {
                *members = listing.serving(path);
                // Each task asks another member first.
                let turn = thread % members.len().max(1);
                members.rotate_left(turn);
            }
            if !members.is_empty() {
                match self.fetcher.fetch(record, members).await {
                    Ok(fetched) => return fetched,
                    Err(FetchError::Unreachable(error)) => {
                        warn!(error = %Chain(&error), "a member cannot be reached");
                    }
                    Err(FetchError::Local(error)) if error.errno() != ENOSPC && error.errno() != EIO => {
                        return Fetched::Parked(error.to_string());
                    }
                    Err(FetchError::Local(error)) => warn!(%error, "a file cannot be kept"),
                }
            }
            members.clear();
            metrics::counter!("fdfs_storage_recovery_interruptions_total").increment(1);
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause * 2);
        }
    }

    fn me(&self) -> Brief {
        let identity = &self.fetcher.shared.identity;
        Brief {
            status: StorageStatus::None,
            port: identity.port,
            id: Some(identity.id),
            ip: identity.ips.first().copied(),
        }
    }
}

/// Whether and from whom a path can be filled.
fn plan(listing: &Listing, path: u8) -> Plan {
    let leave = |why, verify| Plan::Leave { why, verify };
    match listing.me().map(|me| me.status) {
        None => return leave("the trackers do not know this storage: it joins first", true),
        Some(StorageStatus::Init) => {
            return leave("this storage is about to join: its source sends all", true);
        }
        Some(StorageStatus::Deleted | StorageStatus::IpChanged) => {
            return leave("this storage had left the group: it joins first", true);
        }
        Some(_) => {}
    }
    if listing.others(0).next().is_none() {
        return leave("no other member could have its files", false);
    }
    if listing.others(path).next().is_none() {
        return leave("no other member has this store path", false);
    }
    Plan::Fill(listing.serving(path))
}

const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Lines between two marks.
const MARK_EVERY: u32 = 1000;
const ENOSPC: u8 = 28;
const EIO: u8 = 5;
