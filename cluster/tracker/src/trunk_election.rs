//! Finding a trunk server for a group: the writable storage with the longest trunk binlog.

use fdfs_net::CallError;
use fdfs_proto::Status;
use fdfs_proto::sync::{TrunkBinlogSizeRequest, TrunkDeleteMarksRequest};
use fdfs_rules::TrunkCandidate;
use fdfs_types::{GroupName, StorageId};
use tracing::{info, warn};

use crate::core::Core;
use std::sync::Arc;

/// Longest answer of a storage.
const MAX_ANSWER: usize = 8;

impl Core {
    /// Elects the trunk server of a group, unless that is being done already.
    pub(crate) async fn elect_trunk_server(self: &Arc<Self>, group: GroupName) -> Result<StorageId, Status> {
        if !self.state.lock().elections.insert(group) {
            return Err(Status::EBUSY);
        }
        let outcome = self.hold_election(group).await;
        self.state.lock().elections.remove(&group);
        let actions = match outcome {
            Ok(id) => self.state.lock().cluster.appoint_trunk_server(&group, &id),
            Err(status) => {
                warn!(%group, %status, "no trunk server can be elected");
                Ok(self.state.lock().cluster.trunk_election_failed(&group))
            }
        };
        let actions = actions.map_err(|refusal| Status(refusal.errno()))?;
        self.write_out(actions).await;
        outcome
    }

    async fn hold_election(&self, group: GroupName) -> Result<StorageId, Status> {
        let (candidates, last) = {
            let state = self.state.lock();
            let refused = |refusal: fdfs_rules::Refusal| Status(refusal.errno());
            let candidates = state.cluster.trunk_candidates(&group).map_err(refused)?;
            (candidates, state.cluster.group(&group).map_err(refused)?.trunk.last_server)
        };
        let (preferred, others) = candidates.split_first().ok_or(Status::ENOENT)?;
        let mut best = (*preferred, self.binlog_size(preferred).await.map_err(|error| error.status())?);
        for other in others {
            match self.binlog_size(other).await {
                Ok(size) if size > best.1 => best = (*other, size),
                Ok(_) => {}
                Err(error) => info!(%group, storage_id = %other.id, %error, "candidate does not answer"),
            }
        }
        let winner = best.0;
        if last.is_some_and(|last| last != winner.id) {
            let forget = self.pool.ask(winner.address, &TrunkDeleteMarksRequest, 0).await;
            forget.map_err(|error| error.status())?;
        }
        Ok(winner.id)
    }

    /// The size of a storage's trunk binlog; one that has none yet has an empty one.
    async fn binlog_size(&self, candidate: &TrunkCandidate) -> Result<u64, CallError> {
        match self.pool.ask(candidate.address, &TrunkBinlogSizeRequest, MAX_ANSWER).await {
            Ok(answer) => Ok(answer.size),
            Err(CallError::Status(Status::ENOENT)) => Ok(0),
            Err(error) => Err(error),
        }
    }
}
