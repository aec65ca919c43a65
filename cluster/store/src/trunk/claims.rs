//! Which parts of trunk files are being written just now: no part by two at once, and nobody waits for who writes elsewhere.

use parking_lot::{Condvar, Mutex};

use super::Block;

/// Parts that are being written.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    parts: Mutex<Vec<Block>>,
    ended: Condvar,
}

/// A part that belongs to who holds this.
#[derive(Debug)]
#[must_use = "others write to the part otherwise"]
pub(crate) struct Claim<'a> {
    claims: &'a Claims,
    part: Block,
}

impl Claims {
    /// Waits until nobody writes to any byte of a part, and keeps others from it.
    pub(crate) fn claim(&self, part: Block) -> Claim<'_> {
        let mut parts = self.parts.lock();
        while parts.iter().any(|other| other.meets(&part)) {
            self.ended.wait(&mut parts);
        }
        parts.push(part);
        Claim { claims: self, part }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        let mut parts = self.claims.parts.lock();
        if let Some(at) = parts.iter().position(|part| *part == self.part) {
            parts.swap_remove(at);
        }
        drop(parts);
        self.claims.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::TrunkFile;

    const FILE: TrunkFile = TrunkFile { store_path: 0, high: 0, low: 0, id: 1 };

    #[test]
    fn parts_that_meet_are_written_one_after_the_other_and_others_at_once() {
        let (claims, inside) = (Claims::default(), AtomicU32::new(0));
        let elsewhere = claims.claim(Block { file: FILE, offset: 4096, size: 256 });
        let other_file = TrunkFile { id: 2, ..FILE };
        let in_other_file = claims.claim(Block { file: other_file, offset: 0, size: u32::MAX });
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let (claims, inside) = (&claims, &inside);
                scope.spawn(move || {
                    for _ in 0..1000 {
                        // Each meets the others in its last bytes.
                        let _claim = claims.claim(Block {
                            file: FILE,
                            offset: thread * 256,
                            size: 1024 - thread * 256,
                        });
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        drop((elsewhere, in_other_file));
        assert!(claims.parts.lock().is_empty());
    }
}
