//! Fetching the data files of another tracker before the first storage is admitted.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fdfs_net::{CallError, NetError};
use fdfs_proto::cluster::{JoinRequest, SysFile, SysFileRequest, SysFilesEndRequest, SysFilesStartRequest};
use fdfs_proto::tracker::TrackerStatusRequest;
use fdfs_proto::{Decode, Status};
use fdfs_rules::{Cluster, FilesPlan, RankAnswer, TrackerAddress};
use metrics::counter;
use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::core::{Core, now};
use crate::disk::TrackerStatusFile;
use crate::following::rank_of;
use crate::session::Session;

/// Whether storages are admitted, and since when they are kept waiting.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    open: bool,
    waits_since: Option<Instant>,
}

/// The contents of the four files, in the order of their numbers.
pub(crate) type SysFiles = [Vec<u8>; 4];

/// How long all files of another tracker may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// No file is longer.
const MAX_FILE: u64 = 64 * 1024 * 1024;

impl Core {
    /// Settles whose data files to go by when the first storage joins. Until then every JOIN is told
    /// to try again.
    pub(crate) async fn admit(self: &Arc<Self>, session: &Session, body: &[u8]) -> Result<(), Status> {
        let mut admission = self.admission.lock().await;
        if admission.open {
            return Ok(());
        }
        // What is malformed is refused by the JOIN itself.
        let Ok(request) = JoinRequest::decode(body) else { return Ok(()) };
        let trackers = request.trackers.iter().map(TrackerAddress::try_from);
        let Ok(trackers) = trackers.collect::<Result<Vec<_>, _>>() else { return Ok(()) };
        let local = self.local_addresses(session, &trackers, request.tracker_ip);
        if self.state.lock().leadership.check_list(&trackers, &local).is_err() {
            return Ok(());
        }
        let own = |tracker: &TrackerAddress| {
            tracker.port == self.port && tracker.iter().any(|ip| local.contains(&ip))
        };
        let others: Vec<_> = trackers.into_iter().filter(|tracker| !own(tracker)).collect();
        let answers: Vec<_> = self
            .ask_all(&others, &TrackerStatusRequest)
            .await
            .into_iter()
            .map(|(tracker, answer)| {
                (tracker, answer.as_ref().map_or_else(why, |a| RankAnswer::Rank(rank_of(a))))
            })
            .collect();
        let waited = admission.waits_since.map_or(Duration::ZERO, |since| since.elapsed());
        let plan = {
            let state = self.state.lock();
            let has_groups = !state.cluster.groups().is_empty();
            state.leadership.plan_files(has_groups, &answers, waited, now())
        };
        let settled = match plan {
            FilesPlan::Own => true,
            FilesPlan::Wait => {
                let missing = answers.iter().filter(|(_, answer)| !matches!(answer, RankAnswer::Newcomer));
                let missing: Vec<_> = missing.map(|(tracker, _)| tracker.first().to_string()).collect();
                error!(
                    peer = %session.peer, trackers = missing.join(" "),
                    "storages are kept waiting: these trackers may know the cluster and do not answer; \
                     start them, or take them out of tracker_server of every storage"
                );
                false
            }
            FilesPlan::Fetch(from) => self.fetch_files(&from).await,
        };
        if settled {
            if !others.is_empty() && waited > Duration::ZERO {
                info!(waited = ?waited, "storages are admitted");
            }
            (admission.open, admission.waits_since) = (true, None);
            return Ok(());
        }
        counter!("fdfs_tracker_joins_kept_waiting_total").increment(1);
        admission.waits_since.get_or_insert_with(Instant::now);
        Err(Status::EAGAIN)
    }

    /// Takes the files of the first tracker that gives them. Whether one has.
    async fn fetch_files(self: &Arc<Self>, from: &[TrackerAddress]) -> bool {
        for tracker in from {
            let fetched = timeout(PATIENCE, self.fetch_from(tracker)).await;
            let installed = match fetched.unwrap_or(Err(NetError::Timeout.into())) {
                Ok(files) => self.install(files).await,
                Err(error) => Err(io::Error::other(error)),
            };
            match installed {
                Ok(()) => {
                    info!(tracker = %tracker.first(), "data files loaded from another tracker");
                    counter!("fdfs_tracker_files_fetched_total").increment(1);
                    return true;
                }
                Err(error) => {
                    warn!(tracker = %tracker.first(), %error, "data files cannot be loaded from another tracker");
                }
            }
        }
        false
    }

    async fn fetch_from(&self, tracker: &TrackerAddress) -> Result<SysFiles, CallError> {
        let mut lease = self.pool.lease_new(tracker.first()).await?;
        lease.ask(&SysFilesStartRequest, 0).await?;
        let mut files = SysFiles::default();
        for (file, content) in SysFile::ALL.into_iter().zip(&mut files) {
            loop {
                let offset = content.len() as u64;
                let piece = lease.ask(&SysFileRequest { file, offset }, 16 * 1024).await?;
                let end = offset + piece.bytes.len() as u64;
                if piece.size > MAX_FILE || end > piece.size {
                    return Err(NetError::TooLong { length: piece.size.max(end), limit: MAX_FILE }.into());
                }
                content.extend_from_slice(&piece.bytes);
                if end == piece.size {
                    break;
                }
                if piece.bytes.is_empty() {
                    return Err(NetError::Closed.into());
                }
            }
        }
        lease.ask(&SysFilesEndRequest, 0).await?;
        Ok(files)
    }

    /// Puts the files in the place of this tracker's own, on disk and in memory.
    async fn install(self: &Arc<Self>, files: SysFiles) -> io::Result<()> {
        let core = Arc::clone(self);
        let installed = tokio::task::spawn_blocking(move || {
            let settings = core.state.lock().cluster.settings().clone();
            let loaded = core.disk.install(&files, &settings)?;
            let now = now();
            let mut cluster = Cluster::new(settings, now);
            loaded.groups.into_iter().for_each(|group| cluster.restore(group));
            let mut state = core.state.lock();
            cluster.on_leadership(state.leadership.is_leading());
            state.cluster = cluster;
            drop(state);
            core.disk.save_tracker_status(&TrackerStatusFile { up_time: core.started, last_check_time: now })
        });
        installed.await?
    }
}

/// What a failed question tells about the tracker that was asked.
fn why(error: &CallError) -> RankAnswer {
    match error {
        CallError::Status(Status::ENOENT) => RankAnswer::Newcomer,
        CallError::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            RankAnswer::NotRunning
        }
        _ => RankAnswer::Silent,
    }
}
