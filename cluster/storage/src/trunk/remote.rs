//! Slots from another member that is the trunk server: where it is ours, several with one question, which tells what became of
//! earlier ones, too; where it is an original, one by one.

use std::{
    collections::{HashSet, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};

use fdfs_net::CallError;
use fdfs_proto::{
    Status,
    ours::{Capabilities, Hello, HelloRequest, SlotOutcome, TrunkSlotsRequest, TrunkSlotsResponse},
    sync::{TrunkAllocRequest, TrunkConfirmRequest, TrunkFreeRequest},
};
use fdfs_store::{Block, ReadySlots, TrunkFile};
use tokio::time::timeout;
use tracing::debug;

use super::{PATIENCE, policy, reserve::Reserve};
use crate::shared::Shared;

/// What is known of the trunk server that is another member. All of it is forgotten when that is another.
#[derive(Debug, Default)]
pub(super) struct Remote {
    /// Which trunk server this is about: counts their changes.
    pub(super) term: u64,
    /// Whether it gives several slots at once; not known before it was asked.
    gives_many: Option<bool>,
    ready: ReadySlots,
    /// Slots that uploads have now.
    taken: HashSet<Block>,
    /// For the time when it does not answer, and slots of that which uploads have now.
    pub(super) reserve: Reserve,
    reserved: HashSet<Block>,
    outcomes: VecDeque<(SlotOutcome, Block)>,
    /// Slots whose files were deleted here, which an original wants to be told.
    freed: VecDeque<Block>,
}

impl Remote {
    /// Another trunk server.
    pub(super) fn forget(&mut self) {
        *self = Self { term: self.term + 1, ..Self::default() };
    }

    fn note(&mut self, outcome: SlotOutcome, block: Block) {
        // What is not told is looked after by the trunk server, later.
        if self.outcomes.len() >= MOST_UNTOLD {
            self.outcomes.pop_front();
        }
        self.outcomes.push_back((outcome, block));
    }

    fn untold(&mut self) -> Vec<(SlotOutcome, Block)> {
        let count = self.outcomes.len().min(TrunkSlotsRequest::MOST_OUTCOMES);
        self.outcomes.drain(..count).collect()
    }
}

impl Shared {
    /// A slot from the trunk server at one of these addresses.
    pub(super) async fn slot_from(
        &self,
        addresses: &[SocketAddr],
        store_path: u8,
        size: u32,
    ) -> Option<Block> {
        for address in addresses {
            let many = match self.gives_many(*address).await {
                Ok(many) => many,
                Err(error) => {
                    debug!(%address, %error, "the trunk server does not answer");
                    continue;
                }
            };
            let got = if many {
                self.one_of_many(*address, store_path, size).await
            } else {
                let request = TrunkAllocRequest { group: self.group(), size, store_path };
                let asked = timeout(PATIENCE, self.trunk.pool().ask(*address, &request, ONE_SLOT)).await;
                asked.unwrap_or_else(|_elapsed| Err(late())).map(Block::from)
            };
            match got {
                Ok(block) => return Some(block),
                Err(error) => debug!(%address, %error, "the trunk server gives no slot"),
            }
        }
        None
    }

    async fn gives_many(&self, address: SocketAddr) -> Result<bool, CallError> {
        let term = {
            let remote = self.trunk.remote.lock();
            if let Some(known) = remote.gives_many {
                return Ok(known);
            }
            remote.term
        };
        let hello = Hello {
            version: Hello::VERSION,
            capabilities: Capabilities::default(),
            software: concat!("fdfs ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let asked = timeout(PATIENCE, self.trunk.pool().ask(address, &HelloRequest(hello), MAX_HELLO)).await;
        let known = match asked.unwrap_or_else(|_elapsed| Err(late())) {
            Ok(answer) => answer.capabilities.contains(Capabilities::TRUNK_SLOTS),
            Err(CallError::Status(Status::EINVAL)) => false,
            Err(error) => return Err(error),
        };
        let mut remote = self.trunk.remote.lock();
        if remote.term == term {
            remote.gives_many = Some(known);
        }
        Ok(known)
    }

    async fn one_of_many(&self, address: SocketAddr, store_path: u8, size: u32) -> Result<Block, CallError> {
        let Some(policy) = self.trunk.parameters().as_ref().and_then(policy) else { return Err(late()) };
        let size = policy.aligned(size);
        let (term, count, outcomes) = {
            let mut remote = self.trunk.remote.lock();
            remote.reserve.note_upload(store_path, Instant::now());
            if let Some(block) = remote.ready.take(store_path, size) {
                remote.taken.insert(block);
                return Ok(block);
            }
            let most = u64::from(policy.file_size) / 4;
            let count = remote.ready.wanted(store_path, size, most, Instant::now());
            (remote.term, count, remote.untold())
        };
        let answer = self.tell(address, store_path, size, count, &outcomes).await;
        let mut remote = self.trunk.remote.lock();
        let is_same = remote.term == term;
        match answer {
            Ok(answer) if is_same => {
                let mut slots = answer.slots.into_iter().map(Block::from);
                let first = slots.next().ok_or_else(late)?;
                remote.ready.put(store_path, size, slots);
                remote.taken.insert(first);
                Ok(first)
            }
            Ok(_) => Err(late()),
            Err(error) => {
                if is_same {
                    outcomes.into_iter().for_each(|(outcome, block)| remote.note(outcome, block));
                }
                Err(error)
            }
        }
    }

    async fn tell(
        &self,
        address: SocketAddr,
        store_path: u8,
        size: u32,
        count: u32,
        outcomes: &[(SlotOutcome, Block)],
    ) -> Result<TrunkSlotsResponse, CallError> {
        let outcomes = outcomes.iter().map(|(outcome, block)| (*outcome, (*block).into())).collect();
        let request = TrunkSlotsRequest { group: self.group(), store_path, size, count, outcomes };
        let asked = timeout(PATIENCE, self.trunk.pool().ask(address, &request, MAX_SLOTS)).await;
        asked.unwrap_or_else(|_elapsed| Err(late()))
    }

    /// Tells the trunk server at one of these addresses what became of a slot; whether it vouches for that. One of ours has
    /// done so when it gave the slot, and is told later.
    pub(super) async fn confirm_to(&self, addresses: &[SocketAddr], block: Block, outcome: Status) -> bool {
        {
            let mut remote = self.trunk.remote.lock();
            if remote.gives_many == Some(true) {
                // Not where another has become the trunk server meanwhile.
                let is_taken = remote.taken.remove(&block);
                if is_taken {
                    let outcome = match outcome {
                        Status::OK => SlotOutcome::Filled,
                        Status::EEXIST => SlotOutcome::Occupied,
                        _ => SlotOutcome::Unused,
                    };
                    remote.note(outcome, block);
                }
                return is_taken;
            }
        }
        let request = TrunkConfirmRequest { group: self.group(), space: block.into(), outcome };
        for address in addresses {
            match timeout(PATIENCE, self.trunk.pool().ask(*address, &request, 0)).await {
                Ok(Ok(_)) => return true,
                Ok(Err(error)) => debug!(%address, %error, "the trunk server does not know a slot"),
                Err(_elapsed) => debug!(%address, "the trunk server does not answer"),
            }
        }
        false
    }

    /// A slot from the reserve, for the trunk server does not answer.
    pub(super) fn slot_from_reserve(&self, store_path: u8, size: u32) -> Option<Block> {
        let policy = self.trunk.parameters().as_ref().and_then(policy)?;
        let mut remote = self.trunk.remote.lock();
        let life = Reserve::life(self.trunk.patience);
        let slot = remote.reserve.carve(store_path, policy.aligned(size), &policy, life, Instant::now())?;
        remote.reserved.insert(slot);
        metrics::counter!("fdfs_storage_trunk_reserve_slots_total").increment(1);
        Some(slot)
    }

    /// Whether a slot came out of the reserve of the trunk server that still is it: then nobody needs to be asked.
    pub(super) fn is_reserved(&self, block: Block) -> bool {
        self.trunk.remote.lock().reserved.remove(&block)
    }

    /// Whether a part of a trunk file holds some of the reserve, so that it must not be taken for nobody's.
    pub(crate) fn reserves(&self, file: TrunkFile, offset: u64, length: u64) -> bool {
        self.trunk.remote.lock().reserve.meets(file, offset, offset.saturating_add(length))
    }

    /// Gets a reserve where there is none, or one that is old, and gives that back.
    async fn renew_reserve(&self, address: SocketAddr) {
        let Some(policy) = self.trunk.parameters().as_ref().and_then(policy) else { return };
        let life = Reserve::life(self.trunk.patience);
        let (term, due) = {
            let mut remote = self.trunk.remote.lock();
            if remote.gives_many != Some(true) {
                return;
            }
            let (idle, due) = remote.reserve.due(life, Instant::now());
            idle.into_iter().for_each(|(outcome, block)| remote.note(outcome, block));
            (remote.term, due)
        };
        for store_path in due {
            let (size, count) = Reserve::wanted(&policy);
            let begun = Instant::now();
            let mut blocks: Vec<Block> = Vec::new();
            // One question brings what lies side by side.
            for _ in 0..MOST_QUESTIONS {
                let missing = count.saturating_sub(u32::try_from(blocks.len()).unwrap_or(count));
                if missing == 0 {
                    break;
                }
                match self.tell(address, store_path, size, missing, &[]).await {
                    Ok(answer) => blocks.extend(answer.slots.into_iter().map(Block::from)),
                    Err(error) => {
                        debug!(%address, %error, "the trunk server gives no reserve");
                        break;
                    }
                }
            }
            let mut remote = self.trunk.remote.lock();
            if remote.term == term && !blocks.is_empty() {
                let old = remote.reserve.renew(store_path, blocks.into_iter(), begun);
                old.into_iter().for_each(|(outcome, block)| remote.note(outcome, block));
            }
        }
    }

    /// The file of a slot was deleted for a client: a trunk server that is an original is to be told.
    pub(crate) fn slot_was_freed(&self, block: Block) {
        let mut remote = self.trunk.remote.lock();
        if remote.gives_many == Some(false) && remote.freed.len() < MOST_UNTOLD {
            remote.freed.push_back(block);
        }
    }

    /// Tells the trunk server what it was not told yet, and gives back slots that nobody has asked for.
    pub(super) async fn tell_trunk_server(&self) {
        let Some(addresses) = self.trunk_server_elsewhere() else { return };
        let Some(address) = addresses.first().copied() else { return };
        let (outcomes, freed) = {
            let mut remote = self.trunk.remote.lock();
            for block in remote.ready.idle(READY, Instant::now()) {
                remote.note(SlotOutcome::Unused, block);
            }
            (remote.untold(), std::mem::take(&mut remote.freed))
        };
        if !outcomes.is_empty()
            && let Err(error) = self.tell(address, 0, 0, 0, &outcomes).await
        {
            debug!(%address, %error, "the trunk server is not told what became of slots");
        }
        self.renew_reserve(address).await;
        for (at, block) in freed.iter().enumerate() {
            let request = TrunkFreeRequest { group: self.group(), space: (*block).into() };
            match timeout(PATIENCE, self.trunk.pool().ask(address, &request, 0)).await {
                Ok(Ok(_) | Err(CallError::Status(_))) => {
                    metrics::counter!("fdfs_storage_trunk_slots_freed_total").increment(1);
                }
                Ok(Err(_)) | Err(_) => {
                    self.trunk.remote.lock().freed.extend(freed.iter().skip(at).copied());
                    return;
                }
            }
        }
    }
}

fn late() -> CallError {
    CallError::Connect(std::io::ErrorKind::TimedOut.into())
}

const ONE_SLOT: usize = 15;
const MAX_HELLO: usize = 256;
const MAX_SLOTS: usize = ONE_SLOT * TrunkSlotsRequest::MOST as usize;
const MOST_UNTOLD: usize = 100_000;
const MOST_QUESTIONS: u32 = 32;
/// Slots that are kept ready and not asked for are given back after this.
const READY: Duration = Duration::from_secs(1);
