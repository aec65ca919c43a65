//! Talking with other trackers: who leads, and that this one is alive.

use std::time::Duration;

use fdfs_net::{CallError, Lease};
use fdfs_proto::Status;
use fdfs_proto::cluster::{
    CommitNextLeaderRequest, JoinLeaderRequest, NotifyNextLeaderRequest, PingLeaderRequest,
};
use fdfs_proto::tracker::TrackerStatusRequest;
use fdfs_rules::{LeaderAction, TrackerAddress, TrackerRank};
use tracing::{debug, error, info};

use crate::core::{Core, now};

/// The connection to the leader.
pub(crate) struct Link {
    leader: TrackerAddress,
    lease: Lease,
}

/// Longest answer of another tracker: trunk servers of 512 groups.
const MAX_ANSWER: usize = 512 * 32;

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
        info!("selecting tracker leader");
        let mut ranks = Vec::new();
        for tracker in trackers {
            match self.pool.ask(tracker.first(), &TrackerStatusRequest, MAX_ANSWER).await {
                Ok(answer) => {
                    let away = u64::try_from(answer.restart_interval).unwrap_or(0);
                    ranks.push((
                        *tracker,
                        TrackerRank {
                            leads: answer.is_leader,
                            running: Duration::from_secs(answer.running_time),
                            restart_interval: Duration::from_secs(away),
                        },
                    ));
                }
                Err(error) => debug!(tracker = %tracker.first(), %error, "tracker does not tell its rank"),
            }
        }
        self.state.lock().leadership.on_ranks(&ranks, pause(), now())
    }

    async fn propose(&self, candidate: TrackerAddress, to: &[TrackerAddress]) -> Vec<LeaderAction> {
        let leader = candidate.first();
        let mut taken = true;
        for tracker in to {
            let asked = self.pool.ask(tracker.first(), &NotifyNextLeaderRequest { leader }, 0).await;
            taken = taken && is_taken(tracker, asked.map(|_| ()));
        }
        if taken {
            for tracker in to {
                let asked = self.pool.ask(tracker.first(), &CommitNextLeaderRequest { leader }, 0).await;
                taken = taken && is_taken(tracker, asked.map(|_| ()));
            }
        }
        self.state.lock().leadership.on_proposed(taken, pause(), now())
    }

    async fn ping(&self, leader: TrackerAddress) -> Vec<LeaderAction> {
        let mut link = self.link.lock().await;
        if link.as_ref().is_none_or(|link| link.leader != leader) {
            *link = None;
        }
        let answered = match self.ping_over(&mut link, leader).await {
            Ok(rows) => {
                if !rows.is_empty() {
                    let actions = self.state.lock().cluster.trunk_table(&rows);
                    self.carry_out_later(actions);
                }
                true
            }
            Err(error) => {
                *link = None;
                error!(leader = %leader.first(), %error, "ping of the tracker leader has failed");
                false
            }
        };
        self.state.lock().leadership.on_pinged(answered, now())
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

/// A tracker that cannot be connected does not count; any other failure ends the attempt.
fn is_taken(tracker: &TrackerAddress, asked: Result<(), CallError>) -> bool {
    match asked {
        Ok(()) => true,
        Err(error @ CallError::Connect(_)) => {
            info!(tracker = %tracker.first(), %error, "tracker cannot be reached, goes without it");
            true
        }
        Err(error) => {
            let status = if let CallError::Status(status) = &error { *status } else { Status::EIO };
            info!(tracker = %tracker.first(), %status, "tracker does not take the proposal");
            false
        }
    }
}

/// Up to ten seconds, so that trackers do not try in step for ever.
fn pause() -> u64 {
    fastrand::u64(0..=10)
}
