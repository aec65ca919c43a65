//! Joining a tracker.

use std::{net::SocketAddr, ops::ControlFlow};

use fdfs_net::{CallError, Lease};
use fdfs_proto::{
    ServerAddress,
    cluster::{ChangeStatusRequest, JoinRequest},
};
use fdfs_types::{StorageStatus, Timestamp};
use tracing::info;

use super::{MAX_ANSWER, Reporter, Tracker};

impl Reporter {
    /// Joins, and settles from whom the old files come. Breaks off where the tracker has to look at us anew.
    pub(super) async fn join(&self, lease: &mut Lease) -> Result<ControlFlow<()>, CallError> {
        let response = lease.ask(&self.join_request(lease.address()), MAX_ANSWER).await?;
        let before = self.shared.membership.lock().joined(response.status);
        info!(status = %response.status, "joined");
        if let Some(mine) = before
            && mine != response.status
            && !(is_available(mine) && is_available(response.status))
            && !self.shared.trackers.is_leader(lease.address())
        {
            // Only the leader's list has told `mine`: this follower is told too.
            lease.ask(&ChangeStatusRequest { status: mine }, MAX_ANSWER).await?;
            return Ok(ControlFlow::Break(()));
        }
        self.settle_and_notify(lease).await?;
        Ok(ControlFlow::Continue(()))
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
        let status = self.shared.membership.lock().my_status().or_else(|| {
            let is_only = self.shared.trackers.all().len() == 1;
            is_only.then_some(StorageStatus::Init)
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

/// States between which a follower and the leader may differ without harm.
fn is_available(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::Offline | StorageStatus::Online | StorageStatus::Active)
}

/// The version of the original that this storage behaves as, in lists of trackers.
const COMPATIBLE_VERSION: &str = "6.16.1";
