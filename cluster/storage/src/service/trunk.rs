//! Commands about trunk files: slots, and the log of the free ones. And uploads into slots.

use std::net::IpAddr;
use std::time::Instant;

use fdfs_net::{Connection, NetError};
use fdfs_proto::{
    Empty, Header, Status,
    ours::{SlotOutcome, TrunkSlotsRequest, TrunkSlotsResponse},
    storage::CreateLinkRequest,
    sync::{
        TrunkAllocRequest, TrunkBinlogSizeRequest, TrunkBinlogSizeResponse, TrunkConfirmRequest,
        TrunkDeleteMarksRequest, TrunkFreeRequest, TrunkSpace, TrunkSyncBinlogRequest,
        TrunkTruncateBinlogRequest,
    },
};
use fdfs_store::{AllocError, Block, Record, StoreError, StoredFile, Upload};
use fdfs_types::{GroupName, RemoteFilename};

use super::{StorageService, handle::Handle};
use crate::{error::Refusal, shared::Shared, trunk::FILL_WITHIN};

/// Members ask from any address of theirs, and the original from one that is none of theirs where all are on one machine.
fn check(shared: &Shared, peer: IpAddr) -> Result<(), Refusal> {
    if !shared.trunk.is_on() {
        return Err(AllocError::Invalid("trunk files are not in use").into());
    }
    if peer.is_loopback() || shared.takes_replicas_from(peer) { Ok(()) } else { Err(Refusal::Stranger(peer)) }
}

impl Handle for TrunkAllocRequest {
    type Answer = TrunkSpace;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<TrunkSpace, Refusal> {
        check(shared, peer)?;
        Ok(shared.store.alloc_slot(self.store_path, self.size)?.into())
    }
}

impl Handle for TrunkSlotsRequest {
    type Answer = TrunkSlotsResponse;

    const LIMIT: usize = 64 + 16 * Self::MOST_OUTCOMES;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<TrunkSlotsResponse, Refusal> {
        check(shared, peer)?;
        for (outcome, space) in self.outcomes {
            let told = shared.store.confirm_slot(
                space.into(),
                outcome != SlotOutcome::Filled,
                outcome == SlotOutcome::Occupied,
            );
            match told {
                // It was held for too long: a gap if nothing is in it.
                Ok(()) | Err(AllocError::Unknown) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.count == 0 {
            return Ok(TrunkSlotsResponse::default());
        }
        let count = self.count.min(TrunkSlotsRequest::MOST);
        let slots = shared.store.alloc_slots(self.store_path, self.size, count)?;
        Ok(TrunkSlotsResponse { slots: slots.into_iter().map(TrunkSpace::from).collect() })
    }
}

impl Handle for TrunkConfirmRequest {
    type Answer = Empty;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Empty, Refusal> {
        check(shared, peer)?;
        let (failed, is_occupied) = (self.outcome != Status::OK, self.outcome == Status::EEXIST);
        shared.store.confirm_slot(self.space.into(), failed, is_occupied)?;
        Ok(Empty)
    }
}

impl Handle for TrunkFreeRequest {
    type Answer = Empty;

    fn group(&self) -> Option<GroupName> {
        Some(self.group)
    }

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Empty, Refusal> {
        check(shared, peer)?;
        shared.store.free_slot(self.space.into())?;
        Ok(Empty)
    }
}

impl Handle for TrunkSyncBinlogRequest {
    type Answer = Empty;

    const LIMIT: usize = 256 * 1024;

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Empty, Refusal> {
        check(shared, peer)?;
        shared.store.take_trunk_lines(&self.lines)?;
        Ok(Empty)
    }
}

impl Handle for TrunkBinlogSizeRequest {
    type Answer = TrunkBinlogSizeResponse;

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<TrunkBinlogSizeResponse, Refusal> {
        if !shared.trunk.is_on() {
            return Err(AllocError::Invalid("trunk files are not in use").into());
        }
        // The original's trackers do not elect a member that says there is none.
        let size = shared.store.trunk_binlog_size()?.unwrap_or(0);
        Ok(TrunkBinlogSizeResponse { size })
    }
}

impl Handle for TrunkDeleteMarksRequest {
    type Answer = Empty;

    fn handle(self, shared: &Shared, _peer: IpAddr) -> Result<Empty, Refusal> {
        if !shared.trunk.is_on() {
            return Err(AllocError::Invalid("trunk files are not in use").into());
        }
        shared.store.forget_trunk_marks()?;
        Ok(Empty)
    }
}

impl Handle for TrunkTruncateBinlogRequest {
    type Answer = Empty;

    fn handle(self, shared: &Shared, peer: IpAddr) -> Result<Empty, Refusal> {
        check(shared, peer)?;
        let backups = shared.trunk.parameters().map_or(0, |parameters| parameters.binlog_max_backups);
        shared.store.truncate_trunk_binlog(backups)?;
        Ok(Empty)
    }
}

impl StorageService {
    /// Ends an upload: in a slot of a trunk file where that is wanted and can be had, else in a file of its own.
    pub(super) async fn keep(&self, mut upload: Upload) -> Result<StoredFile, Refusal> {
        if let Some((store_path, size)) = upload.wanted_slot() {
            match Box::pin(self.keep_in_slot(upload, store_path, size)).await {
                Ok(result) => return result,
                Err(back) => upload = *back,
            }
        }
        if upload.is_sought() {
            match Box::pin(self.keep_elsewhere(upload)).await {
                Ok(result) => return result,
                Err(back) => upload = *back,
            }
        }
        let may_wait = self.shared.waits_for_disk || upload.may_compare();
        self.act(may_wait, move |_| Ok(upload.finish()?)).await
    }

    /// Puts an upload into a slot; it comes back where none is to be had.
    async fn keep_in_slot(
        &self,
        mut upload: Upload,
        store_path: u8,
        size: u32,
    ) -> Result<Result<StoredFile, Refusal>, Box<Upload>> {
        let shared = &self.shared;
        let may_wait = shared.waits_for_disk || size > QUICK_FILL;
        for _ in 0..TRIES {
            let begun = Instant::now();
            let Some(block) = shared.obtain_slot(store_path, size).await else {
                return Err(Box::new(upload));
            };
            if begun.elapsed() > FILL_WITHIN {
                return Err(Box::new(upload));
            }
            let placed = match self.act(may_wait, move |_| Ok(upload.place(block))).await {
                Ok(Ok(placed)) => placed,
                Ok(Err(back)) => {
                    let (back, error) = *back;
                    let is_occupied = matches!(error, StoreError::Exists);
                    let outcome = if is_occupied { Status::EEXIST } else { Status::EIO };
                    shared.confirm_slot(block, outcome).await;
                    tracing::warn!(slot = %block, %error, "a slot cannot be filled");
                    upload = back;
                    if is_occupied {
                        continue;
                    }
                    return Err(Box::new(upload));
                }
                Err(refusal) => return Ok(Err(refusal)),
            };
            // What the trunk server does not vouch for is not told to anybody.
            if shared.confirm_slot(block, Status::OK).await {
                return Ok(self.act(may_wait, move |_| Ok(placed.record()?)).await);
            }
            return match placed.abandon() {
                Ok(upload) => Err(Box::new(upload)),
                Err(error) => Ok(Err(error.into())),
            };
        }
        Err(Box::new(upload))
    }

    /// Makes a link to a file in a trunk file: an entry of its own in a slot.
    pub(super) async fn link_in_slot(
        &self,
        request: &CreateLinkRequest,
    ) -> Option<Result<(RemoteFilename, Record), Refusal>> {
        let shared = &self.shared;
        if request.master.is_some() || Block::of_name(&request.source).is_none() || !shared.trunk.is_on() {
            return None;
        }
        let size = u32::try_from(request.source.as_str().len()).ok()? + HEADER;
        let block = shared.obtain_slot(request.source.store_path(), size).await?;
        let made = shared.store.place_link(block, &request.source, &request.extension);
        let outcome = match &made {
            Ok(_) => Status::OK,
            Err(StoreError::Exists) => Status::EEXIST,
            Err(_) => Status::EIO,
        };
        shared.confirm_slot(block, outcome).await;
        Some(made.map_err(Refusal::from))
    }

    /// Sends the content of a file that was read whole, or a range of it.
    pub(super) async fn send_content(
        &self,
        connection: &mut Connection,
        content: &[u8],
        range: std::ops::Range<u64>,
    ) -> Result<(), NetError> {
        let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let part = &content[at(range.start)..at(range.end)];
        connection.respond_raw(Header::response(part.len() as u64), part).await
    }
}

/// A slot of more bytes is filled where that blocks nobody.
const QUICK_FILL: u32 = 1 << 20;
const TRIES: u32 = 3;
const HEADER: u32 = 24;

#[cfg(test)]
mod tests {
    use fdfs_proto::Request as _;
    use fdfs_types::{Subdir, TrunkSlot};

    use super::*;

    #[test]
    fn a_question_for_slots_with_all_outcomes_it_may_have_is_not_too_long() {
        let slot = TrunkSlot { trunk_id: u32::MAX, offset: u32::MAX, allocated: u32::MAX };
        let space = TrunkSpace { store_path: 255, subdir: Subdir { high: 255, low: 255 }, slot };
        let request = TrunkSlotsRequest {
            group: "group1".parse().unwrap(),
            store_path: 255,
            size: u32::MAX,
            count: u32::MAX,
            outcomes: vec![(SlotOutcome::Occupied, space); TrunkSlotsRequest::MOST_OUTCOMES],
        };
        let body = request.frame().len() - Header::LEN;
        assert!(body <= <TrunkSlotsRequest as Handle>::LIMIT, "{body} bytes");
    }
}
