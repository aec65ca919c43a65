//! Slots that are taken off the free list before somebody asks for them, so that a busy trunk server logs once for many. Event and
//! time in, slots out: no disk, no clock.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Block;

/// Slots kept ready, by store path and size. How many depends on how fast they go: none for sizes that are asked for now and then.
#[derive(Debug, Default)]
pub struct ReadySlots {
    sizes: HashMap<(u8, u32), Ready>,
    bytes: u64,
}

/// Slots of one size on one store path.
#[derive(Debug)]
struct Ready {
    slots: Vec<Block>,
    /// How many were fetched the last time.
    fetched: u32,
    at: Instant,
}

impl ReadySlots {
    /// A slot that is ready.
    pub fn take(&mut self, store_path: u8, size: u32) -> Option<Block> {
        let slot = self.sizes.get_mut(&(store_path, size))?.slots.pop()?;
        self.bytes -= u64::from(slot.size);
        Some(slot)
    }

    /// How many slots are to be fetched now that there is none: more when the last ones went at once.
    pub fn wanted(&mut self, store_path: u8, size: u32, most: u64, now: Instant) -> u32 {
        if self.sizes.len() >= SIZES {
            self.sizes.retain(|_, ready| !ready.slots.is_empty());
        }
        let ready =
            self.sizes.entry((store_path, size)).or_insert(Ready { slots: Vec::new(), fetched: 0, at: now });
        let is_wanted = now.saturating_duration_since(ready.at) < AT_ONCE;
        let room = most.min(LARGEST).saturating_sub(self.bytes) / u64::from(size.max(1));
        let room = u32::try_from(room).unwrap_or(MOST).clamp(1, MOST);
        ready.fetched = if is_wanted { (ready.fetched * 2).clamp(1, room) } else { 1 };
        ready.at = now;
        ready.fetched
    }

    /// Keeps slots ready.
    pub fn put(&mut self, store_path: u8, size: u32, slots: impl IntoIterator<Item = Block>) {
        if let Some(ready) = self.sizes.get_mut(&(store_path, size)) {
            // The first is taken first.
            let before = ready.slots.len();
            ready.slots.extend(slots);
            ready.slots[before..].reverse();
            self.bytes += ready.slots[before..].iter().map(|slot| u64::from(slot.size)).sum::<u64>();
        }
    }

    /// Bytes of the slots that are ready.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Slots of sizes that were not fetched for so long, which are to be free again.
    pub fn idle(&mut self, for_so_long: Duration, now: Instant) -> Vec<Block> {
        let mut idle = Vec::new();
        self.sizes.retain(|_, ready| {
            let is_idle = now.saturating_duration_since(ready.at) >= for_so_long;
            if is_idle {
                idle.append(&mut ready.slots);
            }
            !is_idle
        });
        self.bytes -= idle.iter().map(|slot| u64::from(slot.size)).sum::<u64>();
        idle
    }
}

/// Slots that are gone so soon are fetched in greater numbers.
const AT_ONCE: Duration = Duration::from_millis(100);
const MOST: u32 = 64;
/// Bytes of slots that are ready, all together.
const LARGEST: u64 = 16 << 20;
const SIZES: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrunkFile;

    const FILE: TrunkFile = TrunkFile { store_path: 0, high: 0, low: 0, id: 1 };

    fn slots(count: u32) -> Vec<Block> {
        (0..count).map(|at| Block { file: FILE, offset: at * 256, size: 256 }).collect()
    }

    #[test]
    fn slots_that_go_fast_are_kept_ready_in_growing_numbers_up_to_a_bound() {
        let (mut ready, now) = (ReadySlots::default(), Instant::now());
        let mut fetched = Vec::new();
        for _ in 0..9 {
            assert_eq!(ready.take(0, 256), None);
            let count = ready.wanted(0, 256, 1 << 20, now);
            fetched.push(count);
            ready.put(0, 256, slots(count));
            let offsets: Vec<u32> = (0..count).map(|_| ready.take(0, 256).unwrap().offset).collect();
            assert!(offsets.is_sorted());
        }
        assert_eq!(fetched, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        assert_eq!(ready.wanted(0, 256, 1024, now), 4);
        assert_eq!(ready.wanted(0, 256, 1 << 20, now + Duration::from_secs(1)), 1);
    }

    #[test]
    fn slots_that_nobody_asks_for_are_given_back() {
        let (mut ready, now) = (ReadySlots::default(), Instant::now());
        ready.wanted(0, 256, 1 << 20, now);
        ready.put(0, 256, slots(2));
        let second = Duration::from_secs(1);
        assert_eq!(ready.idle(second, now), []);
        assert_eq!(ready.idle(second, now + second).len(), 2);
        assert_eq!(ready.take(0, 256), None);
    }
}
