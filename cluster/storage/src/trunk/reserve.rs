//! A reserve of space in trunk files: a member gets it from the trunk server while that answers, and fills it while it does not. Event
//! and time in, slots out: no socket, no clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use fdfs_proto::ours::{SlotOutcome, TrunkSlotsRequest};
use fdfs_store::{Block, TrunkFile, TrunkPolicy};

/// What is kept, by store path.
#[derive(Debug, Default)]
pub(super) struct Reserve {
    paths: HashMap<u8, Kept>,
}

/// What is kept on a store path.
#[derive(Debug)]
struct Kept {
    /// The last upload.
    upload: Instant,
    parts: Vec<Part>,
    /// When it was asked for.
    since: Option<Instant>,
}

/// Space that the trunk server has given as one slot, and that is given to uploads piece by piece.
#[derive(Debug)]
struct Part {
    block: Block,
    used: u32,
}

impl Reserve {
    /// How long a reserve is used: shorter than what a predecessor left free rests at a new trunk server.
    pub(super) fn life(patience: Duration) -> Duration {
        patience * 3 / 4
    }

    /// How many slots of what size make a reserve.
    pub(super) fn wanted(policy: &TrunkPolicy) -> (u32, u32) {
        let size = policy.slot_max_size.min(policy.file_size / 2);
        // The largest multiple of the alignment, or it is refused as too large.
        let size = if policy.alignment == 0 { size } else { size - size % policy.alignment };
        let size = size.max(policy.aligned(1));
        let bytes = (policy.file_size / 2).max(LEAST);
        (size, (bytes / size.max(1)).clamp(1, TrunkSlotsRequest::MOST))
    }

    /// Uploads go to a store path: it needs a reserve.
    pub(super) fn note_upload(&mut self, store_path: u8, now: Instant) {
        let none = Kept { upload: now, parts: Vec::new(), since: None };
        self.paths.entry(store_path).or_insert(none).upload = now;
    }

    /// Takes a slot of `size` bytes, an aligned size, out of a reserve that is not too old.
    pub(super) fn carve(
        &mut self,
        store_path: u8,
        size: u32,
        policy: &TrunkPolicy,
        life: Duration,
        now: Instant,
    ) -> Option<Block> {
        let kept = self.paths.get_mut(&store_path)?;
        if kept.since.is_none_or(|since| now.saturating_duration_since(since) >= life) {
            return None;
        }
        let part = kept.parts.iter_mut().find(|part| part.block.size - part.used >= size)?;
        let rest = part.block.size - part.used - size;
        let size = if rest < policy.slot_min_size { size + rest } else { size };
        let slot = Block { offset: part.block.offset + part.used, size, ..part.block };
        part.used += size;
        Some(slot)
    }

    /// What is to be given back, since there are no uploads any more, and the store paths that need a new reserve.
    pub(super) fn due(&mut self, life: Duration, now: Instant) -> (Vec<(SlotOutcome, Block)>, Vec<u8>) {
        let (mut idle, mut due) = (Vec::new(), Vec::new());
        self.paths.retain(|store_path, kept| {
            let is_old = kept.since.is_none_or(|since| now.saturating_duration_since(since) >= life / 3);
            let is_touched = kept.parts.iter().any(|part| part.used > 0);
            if !is_old && !is_touched {
                return true;
            }
            if now.saturating_duration_since(kept.upload) >= life / 3 {
                idle.extend(kept.parts.drain(..).map(Part::outcome));
                return false;
            }
            due.push(*store_path);
            true
        });
        (idle, due)
    }

    /// A new reserve, asked for at `since`; what became of the old one.
    pub(super) fn renew(
        &mut self,
        store_path: u8,
        blocks: impl Iterator<Item = Block>,
        since: Instant,
    ) -> Vec<(SlotOutcome, Block)> {
        let parts: Vec<Part> = blocks.map(|block| Part { block, used: 0 }).collect();
        let none = Kept { upload: since, parts: Vec::new(), since: None };
        let kept = self.paths.entry(store_path).or_insert(none);
        kept.since = Some(since);
        std::mem::replace(&mut kept.parts, parts).into_iter().map(Part::outcome).collect()
    }

    /// Whether something between two offsets of a trunk file is kept and not filled yet.
    pub(super) fn meets(&self, file: TrunkFile, from: u64, end: u64) -> bool {
        let parts = self.paths.values().flat_map(|kept| &kept.parts);
        parts.filter(|part| part.block.file == file && part.used < part.block.size).any(|part| {
            let offset = u64::from(part.block.offset);
            offset + u64::from(part.used) < end && from < offset + u64::from(part.block.size)
        })
    }
}

impl Part {
    /// Untouched, it is free again. Else what is in it is found there, and the rest to be nobody's.
    fn outcome(self) -> (SlotOutcome, Block) {
        let outcome = if self.used == 0 { SlotOutcome::Unused } else { SlotOutcome::Occupied };
        (outcome, self.block)
    }
}

/// Bytes of a reserve.
const LEAST: u32 = 32 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: TrunkFile = TrunkFile { store_path: 0, high: 0, low: 0, id: 1 };
    const POLICY: TrunkPolicy =
        TrunkPolicy { slot_min_size: 256, slot_max_size: 1 << 20, alignment: 256, file_size: 8 << 20 };
    const LIFE: Duration = Duration::from_secs(9);

    fn block(offset: u32, size: u32) -> Block {
        Block { file: FILE, offset, size }
    }

    #[test]
    fn a_reserve_is_given_out_piece_by_piece_until_it_is_old() {
        let (mut reserve, now) = (Reserve::default(), Instant::now());
        assert_eq!(reserve.carve(0, 512, &POLICY, LIFE, now), None);
        reserve.note_upload(0, now);
        assert_eq!(reserve.due(LIFE, now), (vec![], vec![0]));
        assert_eq!(reserve.renew(0, [block(0, 1024), block(4096, 1024)].into_iter(), now), []);
        assert_eq!(reserve.due(LIFE, now), (vec![], vec![]));
        assert_eq!(reserve.carve(0, 512, &POLICY, LIFE, now), Some(block(0, 512)));
        assert_eq!(reserve.carve(0, 768, &POLICY, LIFE, now), Some(block(4096, 768)));
        assert_eq!(reserve.carve(1, 256, &POLICY, LIFE, now), None);
        assert!(
            reserve.meets(FILE, 600, 601) && !reserve.meets(FILE, 0, 512) && !reserve.meets(FILE, 1024, 4864)
        );
        assert_eq!(reserve.carve(0, 256, &POLICY, LIFE, now + LIFE), None, "too old");
        // What is left and no slot goes along.
        reserve.renew(0, [block(0, 600)].into_iter(), now);
        assert_eq!(reserve.carve(0, 512, &POLICY, LIFE, now), Some(block(0, 600)));
        assert_eq!(reserve.carve(0, 512, &POLICY, LIFE, now), None);
    }

    #[test]
    fn a_reserve_is_renewed_while_there_are_uploads_and_given_back_when_there_are_none() {
        let (mut reserve, now) = (Reserve::default(), Instant::now());
        reserve.note_upload(0, now);
        reserve.renew(0, [block(0, 1024), block(4096, 1024)].into_iter(), now);
        reserve.carve(0, 256, &POLICY, LIFE, now);
        // What was used is filled up again.
        assert_eq!(reserve.due(LIFE, now), (vec![], vec![0]));
        let old = reserve.renew(0, [block(8192, 1024)].into_iter(), now);
        assert_eq!(old, [(SlotOutcome::Occupied, block(0, 1024)), (SlotOutcome::Unused, block(4096, 1024))]);
        assert_eq!(reserve.due(LIFE, now + LIFE), (vec![(SlotOutcome::Unused, block(8192, 1024))], vec![]));
        assert!(!reserve.meets(FILE, 0, 1 << 20));
    }

    #[test]
    fn a_reserve_is_half_a_trunk_file_or_a_number_of_slots() {
        assert_eq!(Reserve::wanted(&POLICY), (1 << 20, 32));
        let large = TrunkPolicy { slot_max_size: 8 << 20, file_size: 256 << 20, ..POLICY };
        assert_eq!(Reserve::wanted(&large), (8 << 20, 16));
        let odd = TrunkPolicy { slot_max_size: 65_000, alignment: 1000, ..POLICY };
        assert_eq!(Reserve::wanted(&odd), (65_000, 64));
    }
}
