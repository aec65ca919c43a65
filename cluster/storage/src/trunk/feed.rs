//! Sending the trunk binlog to the other members.

use std::{sync::Arc, time::Duration};

use fdfs_net::{CallError, Lease, Pool};
use fdfs_proto::sync::{TrunkSyncBinlogRequest, TrunkTruncateBinlogRequest};
use fdfs_store::StoreError;
use fdfs_types::{StorageId, StorageStatus};
use thiserror::Error;
use tokio::time::sleep;
use tracing::debug;

use crate::{shared::Shared, sync::mark_name};

/// Why a member is not sent the log at present.
#[derive(Debug, Error)]
enum FeedError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Sends the log to a member for as long as this storage is the trunk server and that one a member.
pub(super) async fn feed(shared: Arc<Shared>, pool: Arc<Pool>, peer: StorageId) {
    while shared.store.is_trunk_server() {
        let addresses = match shared.members().borrow().get(&peer) {
            Some(member) if !has_left(member.status) => shared.identity.addresses_of_member(member),
            _ => return,
        };
        for address in addresses {
            let fed = match pool.lease_new(address).await {
                Ok(mut lease) => feed_on(&shared, &mut lease, peer).await,
                Err(error) => Err(error.into()),
            };
            if let Err(error) = fed {
                debug!(%peer, %error, "the trunk binlog cannot be sent now");
            }
        }
        sleep(AGAIN).await;
    }
}

/// Whether a member is none any more.
pub(super) fn has_left(status: StorageStatus) -> bool {
    matches!(status, StorageStatus::Deleted | StorageStatus::IpChanged | StorageStatus::None)
}

async fn feed_on(shared: &Shared, lease: &mut Lease, peer: StorageId) -> Result<(), FeedError> {
    let store = &shared.store;
    let mark = mark_name(shared, peer);
    while store.is_trunk_server() {
        let generation = store.trunk_generation();
        let mut offset = match store.trunk_mark(&mark)? {
            Some(offset) if offset > 0 && offset <= store.trunk_binlog_size()?.unwrap_or(0) => offset,
            _ => {
                lease.ask(&TrunkTruncateBinlogRequest, 0).await?;
                0
            }
        };
        let mut marked = 0;
        while store.trunk_generation() == generation && store.is_trunk_server() {
            let lines = store.read_trunk_binlog(offset, AT_ONCE)?;
            if lines.is_empty() {
                if marked != offset {
                    store.set_trunk_mark(&mark, offset, generation)?;
                    marked = offset;
                }
                sleep(POLL).await;
                if !lease.is_quiet() {
                    return Ok(());
                }
                continue;
            }
            let length = lines.len() as u64;
            lease.ask(&TrunkSyncBinlogRequest { lines }, 0).await?;
            offset += length;
        }
    }
    Ok(())
}

const AT_ONCE: usize = 60 * 1024;
const POLL: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_secs(1);
