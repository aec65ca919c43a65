//! Damaged slots: fetched again from a member that has them sound.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use fdfs_net::{CallError, Pool};
use fdfs_proto::{Status, storage::DownloadRequest};
use fdfs_store::Block;
use fdfs_types::{FileId, StorageStatus};
use tracing::{info, warn};

use super::feed::has_left;
use crate::shared::Shared;

/// What a member has in a part of a trunk file.
pub(super) enum Part {
    Bytes(Vec<u8>),
    /// Nothing: the file is not there, or shorter.
    Nothing,
    Unknown,
}

impl Shared {
    /// Sees to it that a slot is healed, unless that is being done.
    pub(crate) fn heal_slot(self: &Arc<Self>, block: Block) {
        {
            let mut healing = self.trunk.healing.lock();
            if healing.len() >= MOST_AT_ONCE || !healing.insert(block) {
                return;
            }
        }
        let shared = Arc::clone(self);
        tokio::spawn(async move {
            shared.slot_is_healed(block).await;
            shared.trunk.healing.lock().remove(&block);
        });
    }

    /// As [`Shared::heal_slot`], for a slot that a reader says is that of a file: not too often, since readers may be wrong.
    pub(crate) fn heal_lost_slot(self: &Arc<Self>, block: Block) {
        let now = Instant::now();
        let mut not_before = self.trunk.not_before.lock();
        if not_before.is_none_or(|not_before| not_before <= now) {
            *not_before = Some(now + BETWEEN);
            drop(not_before);
            self.heal_slot(block);
        }
    }

    /// Fetches a damaged slot again; whether it is sound now.
    pub(crate) async fn slot_is_healed(&self, block: Block) -> bool {
        let is_healed = self.healed(&Pool::new(self.trunk.to_members.clone()), block).await;
        let answer = if is_healed { "healed" } else { "no" };
        metrics::counter!("fdfs_storage_trunk_slots_healed_total", "answer" => answer).increment(1);
        match is_healed {
            true => info!(slot = %block, "a damaged slot was fetched again"),
            false => warn!(slot = %block, "a slot is damaged, and no member that answers has it sound"),
        }
        is_healed
    }

    async fn healed(&self, pool: &Arc<Pool>, block: Block) -> bool {
        for member in self.others() {
            for address in member.1 {
                if let Part::Bytes(bytes) = self.part_at(pool, address, block).await
                    && self.store.heal_slot(block, &bytes).unwrap_or(false)
                {
                    return true;
                }
            }
        }
        false
    }

    /// The other members that have not left, those ACTIVE first: whether they are, and their addresses.
    pub(super) fn others(&self) -> Vec<(bool, Vec<std::net::SocketAddr>)> {
        let members = self.members();
        let members = members.borrow();
        let mut others: Vec<_> = members
            .all
            .iter()
            .filter(|member| member.id != Some(self.identity.id) && !has_left(member.status))
            .map(|member| (member.status == StorageStatus::Active, self.identity.addresses_of_member(member)))
            .collect();
        others.sort_by_key(|(is_active, _)| !is_active);
        others
    }

    /// What a member has in a part of a trunk file.
    pub(super) async fn part_at(
        &self,
        pool: &Arc<Pool>,
        address: std::net::SocketAddr,
        block: Block,
    ) -> Part {
        let Ok(filename) = block.file.container_name().parse() else { return Part::Unknown };
        let file_id = FileId { group: self.group(), filename };
        let request = DownloadRequest { offset: block.offset.into(), length: block.size.into(), file_id };
        let ask = async {
            let mut lease = pool.lease(address).await?;
            lease.send_request(&request).await?;
            lease.receive().await?;
            lease.read_body(block.size as usize).await
        };
        match tokio::time::timeout(DEADLINE, ask).await {
            Ok(Ok(bytes)) => Part::Bytes(bytes),
            // It has no such trunk file, or a shorter one.
            Ok(Err(CallError::Status(Status::ENOENT | Status::EINVAL))) => Part::Nothing,
            Ok(Err(_)) | Err(_) => Part::Unknown,
        }
    }
}

const MOST_AT_ONCE: usize = 64;
const DEADLINE: Duration = Duration::from_secs(10);
/// Between two slots that only a reader says are damaged.
const BETWEEN: Duration = Duration::from_millis(100);
