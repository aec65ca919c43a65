//! Which store path and which directory a new file goes to.

use std::sync::atomic::{AtomicUsize, Ordering};

use fdfs_types::{NameFields, SizeField, Subdir, base64, pjw};
use parking_lot::{Mutex, RwLock};

use crate::{
    Counter, Distribution, PathSelection, Policy, StorageStat, StoreError, layout::StorePath,
    store::StorePathChoice,
};

/// Chooses places for new files.
#[derive(Debug)]
pub(crate) struct Placement {
    distribution: Distribution,
    subdir_count: u32,
    policy: RwLock<Policy>,
    next_path: AtomicUsize,
    turn: Mutex<Turn>,
}

/// Where round robin over directories stands. One for all store paths, as in the original.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Turn {
    high: u32,
    low: u32,
    count: u32,
}

impl Placement {
    pub(crate) fn new(
        distribution: Distribution,
        subdir_count: u32,
        policy: Policy,
        stat: &StorageStat,
    ) -> Self {
        let value = |counter| u32::try_from(stat.get(counter)).unwrap_or(0);
        let turn = Turn {
            high: value(Counter::DistPathIndexHigh) % subdir_count,
            low: value(Counter::DistPathIndexLow) % subdir_count,
            count: value(Counter::DistWriteFileCount),
        };
        Self {
            distribution,
            subdir_count,
            policy: RwLock::new(policy),
            next_path: AtomicUsize::new(0),
            turn: Mutex::new(turn),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        *self.policy.read()
    }

    pub(crate) fn set_policy(&self, policy: Policy) {
        *self.policy.write() = policy;
    }

    /// Writes down where round robin stands.
    pub(crate) fn store_turn(&self, stat: &StorageStat) {
        let turn = *self.turn.lock();
        stat.set(Counter::DistPathIndexHigh, turn.high.into());
        stat.set(Counter::DistPathIndexLow, turn.low.into());
        stat.set(Counter::DistWriteFileCount, turn.count.into());
    }

    /// The store path for a new file of `size` bytes.
    pub(crate) fn choose_path<'a>(
        &self,
        paths: &'a [StorePath],
        choice: StorePathChoice,
        size: u64,
    ) -> Result<&'a StorePath, StoreError> {
        if let StorePathChoice::Index(index) = choice {
            let path = paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
            if !path.read_only {
                return if self.has_room(paths, path, size) { Ok(path) } else { Err(StoreError::NoSpace) };
            }
        }
        let writable = |path: &&StorePath| !path.read_only && self.has_room(paths, path, size);
        let chosen = match self.policy().store_path {
            PathSelection::RoundRobin => {
                let first = self.next_path.fetch_add(1, Ordering::Relaxed) % paths.len();
                paths[first..].iter().chain(&paths[..first]).find(writable)
            }
            PathSelection::LoadBalance => {
                paths.iter().filter(writable).max_by_key(|path| (path.space.now().free, u8::MAX - path.index))
            }
        };
        chosen.ok_or(StoreError::NoSpace)
    }

    /// Whether a store path keeps its reserve with `size` bytes more.
    pub(crate) fn has_room(&self, paths: &[StorePath], path: &StorePath, size: u64) -> bool {
        let reserve = self.policy().reserve;
        let admits = || {
            let space = path.space.now();
            reserve.admits(space.free, space.total, size, paths.len() as u64)
        };
        // What was measured may be old: files have been deleted since.
        admits() || (path.space.refresh_if_old(&path.data) && admits())
    }

    /// The directory for a new file.
    pub(crate) fn next_subdir(&self) -> Subdir {
        match self.distribution {
            Distribution::RoundRobin { rotate_count } => {
                let mut turn = self.turn.lock();
                let subdir = Subdir { high: level(turn.high), low: level(turn.low) };
                turn.advance(rotate_count, self.subdir_count);
                subdir
            }
            Distribution::Hash => {
                let fields = NameFields {
                    source: self.policy().source,
                    created: 0,
                    size: SizeField::normal(0, fastrand::u32(..)),
                    crc32: fastrand::u32(..),
                };
                let (high, low) =
                    pjw::subdirs(base64::encode(&fields.to_bytes()).as_bytes(), self.subdir_count);
                Subdir { high, low }
            }
        }
    }
}

impl Turn {
    fn advance(&mut self, rotate_count: u32, subdir_count: u32) {
        self.count += 1;
        if self.count >= rotate_count {
            self.count = 0;
            self.low += 1;
            if self.low >= subdir_count {
                self.low = 0;
                self.high = (self.high + 1) % subdir_count;
            }
        }
    }
}

/// A level below 256, as every level here is.
fn level(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_gets_its_count_and_then_the_next_is_taken() {
        let mut turn = Turn::default();
        let mut seen = Vec::new();
        for _ in 0..13 {
            seen.push((turn.high, turn.low));
            turn.advance(3, 2);
        }
        let quarter = |pair| [pair; 3];
        let expected = [quarter((0, 0)), quarter((0, 1)), quarter((1, 0)), quarter((1, 1))].concat();
        assert_eq!(seen[..12], expected);
        assert_eq!(seen[12], (0, 0));
    }
}
