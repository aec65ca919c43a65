//! A tracker that took this storage for one that waits must not do so for ever.
//!
//! Members tell every tracker once what becomes of a newcomer. Where that came before the newcomer had joined a follower,
//! the follower goes by what the newcomer said last, and sends no lists from which the newcomer could learn of it.

use std::{ops::ControlFlow, sync::atomic::Ordering};

use fdfs_net::{CallError, Lease};
use fdfs_proto::{cluster::ChangeStatusRequest, tracker::StorageStatusRequest};
use fdfs_types::StorageStatus;
use tracing::info;

use super::{MAX_ANSWER, Reporter};

impl Reporter {
    /// Takes note of the state that the tracker gave this storage when it joined.
    pub(super) fn note_given(&self, status: StorageStatus) {
        self.waits_here.store(waits(status), Ordering::Relaxed);
        if !waits(status) {
            self.reminded.store(0, Ordering::Relaxed);
        }
    }

    /// Tells a follower that this storage serves by now, where it still takes it for one that waits. Breaks off where the
    /// tracker has to look at us anew.
    pub(super) async fn remind(&self, lease: &mut Lease) -> Result<ControlFlow<()>, CallError> {
        let serves = |status: &StorageStatus| matches!(status, StorageStatus::Online | StorageStatus::Active);
        let served = self.shared.membership.lock().my_status().filter(serves);
        let Some(status) = served else { return Ok(ControlFlow::Continue(())) };
        if !self.waits_here.swap(false, Ordering::Relaxed)
            || self.shared.trackers.is_leader(lease.address())
            || self.reminded.fetch_add(1, Ordering::Relaxed) >= MAX_REMINDERS
        {
            return Ok(ControlFlow::Continue(()));
        }
        let Some(address) = self.shared.identity.ips.first() else { return Ok(ControlFlow::Continue(())) };
        let address = (*address, self.shared.identity.port).into();
        let request = StorageStatusRequest { group: self.shared.identity.group, address };
        let reminded = async {
            let here = lease.ask(&request, MAX_ANSWER).await?;
            if !waits(here.status) {
                return Ok(ControlFlow::Continue(()));
            }
            info!(here = %here.status, %status, "the tracker has missed that this storage serves: telling it");
            lease.ask(&ChangeStatusRequest { status }, MAX_ANSWER).await?;
            Ok(ControlFlow::Break(()))
        };
        match reminded.await {
            // One that does not answer such questions, or does not take the answer, is left at what it says.
            Err(CallError::Status(_)) => Ok(ControlFlow::Continue(())),
            other => other,
        }
    }
}

fn waits(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::Init | StorageStatus::WaitSync | StorageStatus::Syncing)
}

/// So many times is a tracker told that does not take it.
const MAX_REMINDERS: u32 = 10;
