//! Talking with other trackers: who leads, and that this one is alive.

use std::time::Duration;

use fdfs_net::{CallError, Lease, NetError};
use fdfs_proto::cluster::{
    CommitNextLeaderRequest, JoinLeaderRequest, NotifyNextLeaderRequest, PingLeaderRequest,
};
use fdfs_proto::tracker::{TrackerStatusRequest, TrackerStatusResponse};
use fdfs_proto::{Request, Status};
use fdfs_rules::{LeaderAction, PingOutcome, TrackerAddress, TrackerRank};
use metrics::counter;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, error, info};

use crate::core::{Core, now};

/// The connection to the leader.
pub(crate) struct Link {
    leader: TrackerAddress,
    lease: Lease,
}

/// Longest answer of another tracker: trunk servers of 512 groups.
const MAX_ANSWER: usize = 512 * 32;

/// How long another tracker may take for an answer. One that is frozen accepts connections and never
/// answers: it must not keep the others waiting.
const PATIENCE: Duration = Duration::from_millis(900);

impl Core {
    /// Begins a step of an election, or a ping. Its outcome comes back to the rules by itself.
    pub(crate) fn take_step(&self, step: LeaderAction) {
        let Some(core) = self.myself.upgrade() else { return };
        self.spawn(async move {
            let changes = match step {
                LeaderAction::AskRanks(trackers) => core.ask_ranks(&trackers).await,
                LeaderAction::Propose { candidate, to } => core.propose(candidate, &to).await,
                LeaderAction::Ping(leader) => core.ping(leader).await,
                LeaderAction::Leading(_) | LeaderAction::Follows(_) => Vec::new(),
            };
            let actions = {
                let mut state = core.state.lock();
                core.follow_up(&mut state, changes)
            };
            core.carry_out(actions).await;
        });
    }

    async fn ask_ranks(&self, trackers: &[TrackerAddress]) -> Vec<LeaderAction> {
        debug!("asking the other trackers for their rank");
        let answers = self.ask_all(trackers, &TrackerStatusRequest).await;
        let ranks: Vec<_> = answers
            .into_iter()
            .filter_map(|(tracker, answer)| match answer {
                Ok(answer) => Some((tracker, rank_of(&answer))),
                Err(error) => {
                    debug!(tracker = %tracker.first(), %error, "tracker does not tell its rank");
                    None
                }
            })
            .collect();
        self.state.lock().leadership.on_ranks(&ranks, pause(), now())
    }

    async fn propose(&self, candidate: TrackerAddress, to: &[TrackerAddress]) -> Vec<LeaderAction> {
        let leader = candidate.first();
        info!(%leader, "proposing this tracker as the leader");
        let answers = self.ask_all(to, &NotifyNextLeaderRequest { leader }).await;
        let refused = answers.iter().any(|(tracker, answer)| refuses(tracker, answer.as_ref().err()));
        let takers: Vec<_> =
            answers.iter().filter(|(_, answer)| answer.is_ok()).map(|(tracker, _)| *tracker).collect();
        let taken = if refused {
            false
        } else {
            let answers = self.ask_all(&takers, &CommitNextLeaderRequest { leader }).await;
            !answers.iter().any(|(tracker, answer)| refuses(tracker, answer.as_ref().err()))
        };
        self.state.lock().leadership.on_proposed(taken, pause(), now())
    }

    /// Asks several trackers at once. Each has the same short time to answer.
    pub(crate) async fn ask_all<R>(
        &self,
        trackers: &[TrackerAddress],
        request: &R,
    ) -> Vec<(TrackerAddress, Result<R::Response, CallError>)>
    where
        R: Request + Clone + Send + Sync + 'static,
        R::Response: Send + 'static,
    {
        let mut asked = JoinSet::new();
        for tracker in trackers.iter().copied() {
            let (pool, request) = (std::sync::Arc::clone(&self.pool), request.clone());
            asked.spawn(async move {
                let answer = pool.ask(tracker.first(), &request, MAX_ANSWER);
                (tracker, timeout(PATIENCE, answer).await.unwrap_or(Err(NetError::Timeout.into())))
            });
        }
        let mut answers = asked.join_all().await;
        // In the order of the list, whoever was quicker.
        answers.sort_by_key(|(tracker, _)| trackers.iter().position(|asked| asked == tracker));
        answers
    }

    async fn ping(&self, leader: TrackerAddress) -> Vec<LeaderAction> {
        let mut link = self.link.lock().await;
        if link.as_ref().is_none_or(|link| link.leader != leader) {
            *link = None;
        }
        let pinged = timeout(PATIENCE, self.ping_over(&mut link, leader)).await;
        let outcome = match pinged.unwrap_or(Err(NetError::Timeout.into())) {
            Ok(rows) => {
                if !rows.is_empty() {
                    let actions = self.state.lock().cluster.trunk_table(&rows);
                    self.carry_out_later(actions);
                }
                PingOutcome::Answered
            }
            Err(error) => {
                *link = None;
                counter!("fdfs_tracker_failed_pings_total").increment(1);
                error!(leader = %leader.first(), %error, "ping of the tracker leader has failed");
                match error {
                    CallError::Status(Status::EOPNOTSUPP) => PingOutcome::Denied,
                    _ => PingOutcome::Failed,
                }
            }
        };
        self.state.lock().leadership.on_pinged(outcome, now())
    }

    async fn ping_over(
        &self,
        link: &mut Option<Link>,
        leader: TrackerAddress,
    ) -> Result<Vec<(fdfs_types::GroupName, Option<fdfs_types::StorageId>)>, CallError> {
        let link = match link {
            Some(link) => link,
            None => {
                let mut lease = self.pool.lease_new(leader.first()).await?;
                let introduction = JoinLeaderRequest {
                    started: self.started,
                    version: Self::VERSION.into(),
                    port: self.port,
                };
                lease.ask(&introduction, 0).await?;
                link.insert(Link { leader, lease })
            }
        };
        let ping = PingLeaderRequest { connections: self.connections() };
        Ok(link.lease.ask(&ping, MAX_ANSWER).await?.trunk_servers)
    }
}

/// The rank in a tracker's answer.
pub(crate) fn rank_of(answer: &TrackerStatusResponse) -> TrackerRank {
    TrackerRank {
        leads: answer.is_leader,
        running: Duration::from_secs(answer.running_time),
        restart_interval: Duration::from_secs(u64::try_from(answer.restart_interval).unwrap_or(0)),
    }
}

/// Whether a tracker refuses a proposal. One that cannot be connected, or is frozen, has no say.
fn refuses(tracker: &TrackerAddress, error: Option<&CallError>) -> bool {
    let tracker = tracker.first();
    match error {
        None => false,
        Some(CallError::Status(status)) => {
            info!(%tracker, %status, "tracker does not take the proposal");
            true
        }
        Some(error) => {
            info!(%tracker, %error, "tracker cannot be reached, goes without it");
            false
        }
    }
}

/// A few seconds, so that trackers do not try in step for ever.
fn pause() -> u64 {
    fastrand::u64(0..=3)
}
