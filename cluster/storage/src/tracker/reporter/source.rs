//! From whom the old files come: asked once, told to every tracker, asked again when that member has left.

use std::ops::ControlFlow;

use fdfs_net::{CallError, Lease};
use fdfs_proto::{
    Status,
    cluster::{SyncDestQueryRequest, SyncDestRequest, SyncNotifyRequest, SyncSource},
};
use fdfs_types::{StorageStatus, Timestamp};
use tokio::time::sleep;
use tracing::{info, warn};

use super::{MAX_ANSWER, Reporter};
use crate::tracker::identity::Chain;

impl Reporter {
    /// Asks from whom the old files come, unless that is known, and tells the tracker what is known. Breaks off where the
    /// tracker has to look at us anew.
    pub(super) async fn settle_and_notify(&self, lease: &mut Lease) -> Result<ControlFlow<()>, CallError> {
        if self.settle(lease).await?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let notified = match self.notify(lease).await {
            Err(CallError::Status(Status::ENOENT))
                if !self.shared.store.init_flag().sync_source.is_empty() =>
            {
                self.source_is_unknown(lease).await?;
                if self.settle(lease).await?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                match self.notify(lease).await {
                    // Others know it: this tracker will hear of it from them.
                    Err(CallError::Status(Status::ENOENT)) => Ok(()),
                    other => other,
                }
            }
            other => other,
        };
        notified.map(ControlFlow::Continue)
    }

    /// Asks from whom the old files come, unless that is known. Whichever reporter comes first asks.
    ///
    /// Breaks off where another tracker has told it while this one could not: this storage may serve by then, which the
    /// tracker must not take for the beginning.
    async fn settle(&self, lease: &mut Lease) -> Result<ControlFlow<()>, CallError> {
        let mut was_refused = false;
        loop {
            {
                let _settling = self.settling.lock().await;
                if self.shared.store.init_flag().sync_old_done {
                    return Ok(if was_refused { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
                }
                match lease.ask(&SyncDestRequest, MAX_ANSWER).await {
                    Ok(response) => {
                        match &response.source {
                            Some(source) => {
                                info!(storage_id = %source.id, until = %source.until, "old files will come");
                            }
                            None => info!("there are no old files to wait for"),
                        }
                        return self.keep(response.source).map(ControlFlow::Continue);
                    }
                    Err(CallError::Status(Status::ENOENT)) => was_refused = true,
                    Err(error) => return Err(error),
                }
            }
            warn!(
                "the group has members, but none that could send their files to this one now: it stays in INIT \
                 until one of them serves"
            );
            metrics::counter!("fdfs_storage_no_sync_source_total").increment(1);
            tokio::select! {
                () = sleep(self.settings.heart_beat_interval) => {}
                error = lease.ended() => return Err(error.into()),
            }
        }
    }

    /// Tells the tracker from whom the old files come.
    async fn notify(&self, lease: &mut Lease) -> Result<(), CallError> {
        let flag = self.shared.store.init_flag();
        let notify = SyncNotifyRequest {
            source: flag.sync_source.parse().ok(),
            until: Timestamp(i64::try_from(flag.sync_until_timestamp).unwrap_or(i64::MAX)),
        };
        lease.ask(&notify, MAX_ANSWER).await.map(drop)
    }

    /// The tracker does not know the member from which the old files were to come. It may have left, or this tracker be
    /// behind the others.
    async fn source_is_unknown(&self, lease: &mut Lease) -> Result<(), CallError> {
        let me = self.shared.identity.id;
        let here = match lease.ask(&SyncDestQueryRequest, MAX_ANSWER).await {
            Ok(response) => response.source,
            Err(CallError::Status(_)) => None,
            Err(error) => return Err(error),
        };
        let known = match here {
            Some(source) => Some(source),
            None => self.shared.trackers.sync_source(me).await.unwrap_or_else(|error| {
                warn!(error = %Chain(&error), "no tracker tells from whom the old files come");
                None
            }),
        };
        if known.is_some() {
            return self.keep(known);
        }
        let mut status = self.shared.membership.lock().my_status();
        if let Some(address) = self.shared.identity.ips.first() {
            let brief = fdfs_proto::Brief {
                status: StorageStatus::None,
                port: self.shared.identity.port,
                id: Some(me),
                ip: Some(*address),
            };
            status = self.shared.trackers.get_status(&brief).await?.map(|brief| brief.status).or(status);
        }
        self.source_has_left(status)
    }

    /// The member from which the old files come has left. Unless they have all come, another has to send them.
    pub(super) fn source_has_left(&self, my_status: Option<StorageStatus>) -> Result<(), CallError> {
        let waits = my_status.is_none_or(|status| status < StorageStatus::Offline);
        let updated = self.shared.store.update_init_flag(|flag| {
            warn!(
                storage_id = flag.sync_source,
                again = waits,
                "the member that was to send the old files has left the group"
            );
            flag.sync_source.clear();
            if waits {
                (flag.sync_old_done, flag.sync_until_timestamp) = (false, 0);
            }
        });
        if waits {
            metrics::counter!("fdfs_storage_sync_source_lost_total").increment(1);
            // Every tracker has to hear of the next source.
            self.resettled.send_modify(|times| *times += 1);
        }
        updated.map_err(|error| CallError::Connect(std::io::Error::other(error)))
    }

    /// Keeps from whom the old files come.
    fn keep(&self, source: Option<SyncSource>) -> Result<(), CallError> {
        let store = &self.shared.store;
        let flag = store.init_flag();
        let id = source.as_ref().map(|source| source.id.to_string()).unwrap_or_default();
        let until = source.as_ref().map_or(0, |source| source.until.0.max(0).unsigned_abs());
        if source.is_some() && (!flag.sync_old_done || flag.sync_source != id) {
            self.shared.verification.want("joined a group that has files");
        }
        let updated = store.update_init_flag(|flag| {
            flag.sync_old_done = true;
            flag.sync_source = id;
            flag.sync_until_timestamp = until;
        });
        updated.map_err(|error| CallError::Connect(std::io::Error::other(error)))
    }
}
