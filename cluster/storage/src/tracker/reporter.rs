//! Reporting to one tracker: join, beats, space, and what its answers tell about the group.

mod join;
mod serving;
mod source;
mod trunk;

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    },
    time::Duration,
};

use fdfs_net::{CallError, ConnectionCounts, Lease};
use fdfs_proto::{
    Status, StorageStat,
    cluster::{
        BeatRequest, ChangelogRequest, DiskUsageRequest, Notification, PathUsage, ReplicaChangeRequest,
        SyncReportRequest, SyncedUntil,
    },
};
use fdfs_types::StorageStatus;
use tokio::{
    sync::{Mutex, watch},
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until},
};
use tracing::{Instrument, debug, info, info_span, warn};

use super::{Tracker, address::MAX_ANSWER, changelog::Changelog, identity::Chain, statistics};
use crate::{
    membership::{Gone, Members, in_words},
    shared::Shared,
};

/// What reporters are told by the configuration.
#[derive(Clone, Debug)]
pub(crate) struct ReportSettings {
    pub(crate) heart_beat_interval: Duration,
    pub(crate) stat_report_interval: Duration,
    pub(crate) subdir_count: u16,
    pub(crate) upload_priority: i64,
}

/// Reports to one tracker, for as long as the storage runs.
pub(crate) struct Reporter {
    shared: Arc<Shared>,
    tracker: Tracker,
    settings: ReportSettings,
    connections: Arc<dyn Fn() -> ConnectionCounts + Send + Sync>,
    /// Held by the reporter that asks for the source of the old files: one tracker decides, the others are told.
    settling: Arc<Mutex<()>>,
    /// Moves when another source has to be found.
    resettled: watch::Sender<u64>,
    /// Trackers that were tried to be joined.
    tried: Arc<AtomicUsize>,
    /// The tracker was told a state other than its own, and is joined anew.
    insisted: AtomicBool,
    /// The tracker took this storage for one that waits for old files when it joined.
    waits_here: AtomicBool,
    /// How often the tracker was told that this storage serves, and took it for one that waits again.
    reminded: AtomicU32,
}

/// Why a conversation with a tracker ended.
enum End {
    /// It never came to beats: try again, later each time.
    BeforeBeats(CallError),
    /// It broke later: try again soon.
    Broken(CallError),
    /// The tracker should look at us anew.
    Rejoin,
}

impl Reporter {
    /// A reporter for each tracker.
    pub(crate) fn for_all(
        shared: &Arc<Shared>,
        settings: &ReportSettings,
        connections: &Arc<dyn Fn() -> ConnectionCounts + Send + Sync>,
    ) -> Vec<Self> {
        let settling = Arc::new(Mutex::new(()));
        let resettled = watch::Sender::new(0);
        let tried = Arc::new(AtomicUsize::new(0));
        let one = |tracker: &Tracker| Self {
            shared: Arc::clone(shared),
            tracker: tracker.clone(),
            settings: settings.clone(),
            connections: Arc::clone(connections),
            settling: Arc::clone(&settling),
            resettled: resettled.clone(),
            tried: Arc::clone(&tried),
            insisted: AtomicBool::new(false),
            waits_here: AtomicBool::new(false),
            reminded: AtomicU32::new(0),
        };
        shared.trackers.all().iter().map(one).collect()
    }

    /// Reports for ever.
    pub(crate) async fn run(self) {
        let span = info_span!("tracker", tracker = %self.tracker);
        async {
            self.shared.filling.over().await;
            let longest = LONGEST_PAUSE.min(self.settings.heart_beat_interval);
            let mut next = SOON.min(longest);
            let mut is_first = true;
            loop {
                let end = self.converse().await;
                if std::mem::take(&mut is_first) {
                    self.tried.fetch_add(1, Ordering::Relaxed);
                }
                let pause = match end {
                    End::BeforeBeats(error) => {
                        let advice = match error {
                            // A tracker refuses a JOIN in this way for no other reason.
                            CallError::Status(Status::EACCES) => {
                                ": it wants the secret of the cluster, set cluster_secret_file here, too"
                            }
                            _ => "",
                        };
                        warn!(error = %Chain(&error), "cannot join the tracker{advice}");
                        let pause = next;
                        next = longest.min(pause * 2);
                        pause
                    }
                    End::Broken(error) => {
                        warn!(error = %Chain(&error), "connection to the tracker lost");
                        next = SOON.min(longest);
                        SOON
                    }
                    End::Rejoin => SOON,
                };
                metrics::counter!("fdfs_storage_tracker_reconnects_total").increment(1);
                sleep(pause).await;
            }
        }
        .instrument(span)
        .await;
    }

    async fn converse(&self) -> End {
        let mut lease = match self.tracker.connect().await {
            Ok(lease) => lease,
            Err(error) => return End::BeforeBeats(error),
        };
        let end = self.converse_on(&mut lease).await;
        // A connection that has joined means that the storage is there: it must not outlive the conversation.
        lease.close();
        end
    }

    async fn converse_on(&self, lease: &mut Lease) -> End {
        let mut resettled = self.resettled.subscribe();
        let mut members = self.shared.membership.lock().watch();
        match self.join(lease).await {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return End::Rejoin,
            Err(error) => return End::BeforeBeats(error),
        }
        let joined = Joined::new(&self.shared);
        let reported = self.report(lease, &mut resettled, &mut members).await;
        drop(joined);
        match reported {
            Ok(()) => End::Rejoin,
            Err(error) => End::Broken(error),
        }
    }

    /// Beats and reports until the connection breaks, or the tracker has to look at us anew.
    async fn report(
        &self,
        lease: &mut Lease,
        resettled: &mut watch::Receiver<u64>,
        members: &mut watch::Receiver<Members>,
    ) -> Result<(), CallError> {
        let mut next_beat = Instant::now();
        let mut disk_reports = interval(self.settings.stat_report_interval);
        disk_reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told: Option<StorageStat> = None;
        let mut synced = 0;
        // Before it has heard a beat, a tracker rightly takes this storage for one that does not serve.
        let mut has_beaten = false;
        let mut changelog = Changelog::default();
        let mut trunk_told = trunk::Told::default();
        loop {
            let news = tokio::select! {
                // Both make this storage serve; nobody is to be sent to it, and told that there is no room, before its room is known.
                biased;
                _ = disk_reports.tick() => self.disk_usage(lease).await?,
                () = sleep_until(next_beat) => {
                    next_beat = Instant::now() + self.until_next_beat();
                    if let Some(news) = self.sync_report(lease, &mut synced).await?
                        && self.apply(lease, news).await?.is_break()
                    {
                        return Ok(());
                    }
                    has_beaten = true;
                    self.beat(lease, &mut told).await?
                }
                // Another member has to send the old files.
                _ = resettled.changed() => return Ok(()),
                // Another tracker may have told that this storage serves.
                Ok(()) = members.changed(), if has_beaten => {
                    if self.remind(lease).await?.is_break() {
                        return Ok(());
                    }
                    continue;
                }
                // A tracker that has started anew takes us for offline until we join it.
                error = lease.ended() => return Err(error.into()),
            };
            if self.apply(lease, news).await?.is_break() {
                return Ok(());
            }
            if has_beaten && self.remind(lease).await?.is_break() {
                return Ok(());
            }
            self.read_changelog(lease, &mut changelog).await?;
            self.report_trunk(lease, &mut trunk_told).await?;
        }
    }

    /// How long the tracker hears nothing of this storage, unless something happens. What makes it serve comes soon, however
    /// rare beats are.
    fn until_next_beat(&self) -> Duration {
        let soon = self.shared.membership.lock().waits_to_serve();
        if soon { SOON.min(self.settings.heart_beat_interval) } else { self.settings.heart_beat_interval }
    }

    /// Tells that we are alive, and the counters if they have changed.
    async fn beat(
        &self,
        lease: &mut Lease,
        told: &mut Option<StorageStat>,
    ) -> Result<Notification, CallError> {
        let begun = Instant::now();
        let stat = statistics::beat(self.shared.store.stat(), (self.connections)());
        let is_new = told.as_ref() != Some(&stat);
        let request = BeatRequest { stat: is_new.then(|| Box::new(stat.clone())) };
        let news = lease.ask(&request, Notification::MAX_LEN).await?;
        *told = Some(stat);
        metrics::histogram!("fdfs_storage_beat_seconds").record(begun.elapsed());
        Ok(news)
    }

    /// Asks what became of members that have left or moved: always where addresses may change, else when one has.
    async fn read_changelog(&self, lease: &mut Lease, changelog: &mut Changelog) -> Result<(), CallError> {
        let adjusts = self.shared.identity.parameters.storage_ip_changed_auto_adjust;
        if !adjusts && !self.shared.membership.lock().wants_changelog() {
            return Ok(());
        }
        let lines = lease.ask(&ChangelogRequest::default(), MAX_ANSWER).await?;
        for gone in changelog.push(&lines.0) {
            self.gone(&gone);
        }
        Ok(())
    }

    /// Tells up to when the changes of each member have arrived, if that has moved since `told`.
    async fn sync_report(
        &self,
        lease: &mut Lease,
        told: &mut u64,
    ) -> Result<Option<Notification>, CallError> {
        let version = self.shared.synced_from.version();
        if version == *told {
            return Ok(None);
        }
        let until = |source| SyncedUntil { source, until: self.shared.synced_from.of(&source) };
        let rows: Vec<_> = self
            .shared
            .membership
            .lock()
            .members()
            .iter()
            .filter_map(|member| member.id)
            .map(until)
            .collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let news = lease.ask(&SyncReportRequest { rows }, Notification::MAX_LEN).await?;
        *told = version;
        Ok(Some(news))
    }

    /// Tells the space of every store path.
    async fn disk_usage(&self, lease: &mut Lease) -> Result<Notification, CallError> {
        self.shared.store.refresh_space();
        let usage = |path: fdfs_store::StorePathStatus| PathUsage {
            total_mb: path.space.total / MIB,
            free_mb: path.space.free / MIB,
        };
        let store_paths = self.shared.store.store_paths().into_iter().map(usage).collect();
        lease.ask(&DiskUsageRequest { store_paths }, Notification::MAX_LEN).await
    }

    /// Does what an answer asks for. Breaks off where the tracker has to look at us anew.
    async fn apply(&self, lease: &mut Lease, news: Notification) -> Result<ControlFlow<()>, CallError> {
        if let Some(leader) = news.leader {
            debug!(leader = ?leader.ip, "leader of the trackers");
            self.shared.trackers.set_leader(leader.ip.is_some().then_some(leader));
        }
        if let Some(server) = &news.trunk_server {
            self.trunk_server_is(lease, server).await?;
        }
        let Some(list) = news.members else { return Ok(ControlFlow::Continue(())) };
        debug!(members = list.len(), "list of members");
        let merged = {
            let mut membership = self.shared.membership.lock();
            let before = membership.my_status();
            let merged = membership.merge(&list, self.shared.trackers.is_leader(lease.address()));
            if let Some(now) = membership.my_status().filter(|now| before != Some(*now)) {
                tell_status(now);
            }
            merged
        };
        if !merged.tell.is_empty() {
            lease.ask(&ReplicaChangeRequest { storages: merged.tell }, MAX_ANSWER).await?;
        }
        if merged.rejoin {
            return Ok(ControlFlow::Break(()));
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Takes note of a member that is gone or has another identity.
    fn gone(&self, gone: &Gone) {
        info!(storage_id = %gone.old, new = ?gone.new, "a member has left, or goes by another name");
        if self.shared.store.init_flag().sync_source == gone.old.as_str() {
            let my_status = self.shared.membership.lock().my_status();
            let updated = match gone.new {
                None => self.source_has_left(my_status).map_err(|error| Chain(&error).to_string()),
                Some(new) => {
                    let updated =
                        self.shared.store.update_init_flag(|flag| flag.sync_source = new.to_string());
                    updated.map_err(|error| error.to_string())
                }
            };
            if let Err(error) = updated {
                warn!(error, "the init flag cannot be written");
            }
        }
        self.shared.synced_from.forget(&gone.old);
        self.shared.membership.lock().gone(*gone);
    }
}

/// Says in words what the state of this storage means.
fn tell_status(status: StorageStatus) {
    metrics::gauge!("fdfs_storage_status").set(f64::from(status.to_wire()));
    let meaning = in_words(status);
    match status {
        StorageStatus::Deleted | StorageStatus::IpChanged => warn!(%status, "{meaning}"),
        _ => info!(%status, "{meaning}"),
    }
}

/// Counts a tracker among those that are reported to, until it is dropped.
struct Joined<'a>(&'a Shared);

impl<'a> Joined<'a> {
    fn new(shared: &'a Shared) -> Self {
        shared.joined.fetch_add(1, Ordering::Relaxed);
        Self(shared)
    }
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        self.0.joined.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Pause before a connection that had worked is made again, and between beats that may make this storage serve.
const SOON: Duration = Duration::from_secs(1);

/// Longest pause between two tries to join a tracker.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

const MIB: u64 = 1024 * 1024;
