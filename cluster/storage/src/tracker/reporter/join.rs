//! Joining a tracker.

use std::{net::SocketAddr, ops::ControlFlow, sync::atomic::Ordering};

use fdfs_net::{CallError, Lease};
use fdfs_proto::{
    ServerAddress, Status,
    cluster::{ChangeStatusRequest, JoinRequest},
};
use fdfs_types::{StorageStatus, Timestamp};
use tracing::{info, warn};

use super::{MAX_ANSWER, Reporter, Tracker};

impl Reporter {
    /// Joins, and settles from whom the old files come. Breaks off where the tracker has to look at us anew.
    pub(super) async fn join(&self, lease: &mut Lease) -> Result<ControlFlow<()>, CallError> {
        let response = lease.ask(&self.join_request(lease.address()), MAX_ANSWER).await?;
        let is_leader = self.shared.trackers.is_leader(lease.address());
        let listed = self.shared.membership.lock().joined(response.status, is_leader);
        self.note_given(response.status);
        info!(status = %response.status, "joined");
        let end = match listed {
            // Only the leader's list has told it: this follower is told, too.
            // One that does not take it is not told for ever.
            Some(status) if !self.insisted.swap(true, Ordering::Relaxed) => {
                let told = lease.ask(&ChangeStatusRequest { status }, MAX_ANSWER).await;
                told.map(|_| ControlFlow::Break(()))
            }
            _ => {
                self.insisted.store(false, Ordering::Relaxed);
                self.settle_and_notify(lease).await
            }
        };
        match end {
            Err(CallError::Status(Status::EACCES)) => {
                warn!(
                    "the tracker goes by another connection that has joined as this storage: joining again. Should that \
                     not end, another process has the identity of this storage"
                );
                Ok(ControlFlow::Break(()))
            }
            other => other,
        }
    }

    fn join_request(&self, tracker: SocketAddr) -> JoinRequest {
        let identity = &self.shared.identity;
        let store = &self.shared.store;
        let flag = store.init_flag();
        let mut trackers: Vec<ServerAddress> =
            self.shared.trackers.all().iter().map(Tracker::server_address).collect();
        trackers.sort_by_cached_key(|tracker| (tracker.ips.len(), tracker.to_string()));
        trackers.dedup();
        trackers.truncate(JoinRequest::MAX_TRACKERS);
        let status = self.shared.membership.lock().last_heard().or_else(|| {
            // While there may be a tracker that knows more, one that does not know this storage shall refuse it.
            let (all, tried) = (self.shared.trackers.all().len(), self.tried.load(Ordering::Relaxed));
            (all == 1 || tried >= all).then_some(StorageStatus::Init)
        });
        JoinRequest {
            group: identity.group,
            port: identity.port,
            store_path_count: u16::try_from(store.store_paths().len()).unwrap_or(256),
            subdir_count: self.settings.subdir_count,
            upload_priority: self.settings.upload_priority,
            joined: Timestamp(i64::try_from(flag.storage_join_time).unwrap_or(i64::MAX)),
            started: self.shared.started,
            version: COMPATIBLE_VERSION.to_owned(),
            is_initial: !flag.sync_old_done,
            status,
            storage_id: identity.parameters.use_storage_id.then_some(identity.id),
            tracker_ip: Some(tracker.ip()),
            trackers,
        }
    }
}

/// The version of the original that this storage behaves as, in lists of trackers.
const COMPATIBLE_VERSION: &str = "6.16.1";
