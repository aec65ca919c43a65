//! Threads that may wait for a disk.

use std::cell::Cell;

/// Does `work` on a thread that may wait for a disk: what it writes is committed by this thread where nobody else writes, which saves two threads from being woken up. Not
/// for threads of a runtime.
pub fn may_block<T>(work: impl FnOnce() -> T) -> T {
    let _scope = Scope(MAY_BLOCK.replace(true));
    work()
}

/// True on such a thread.
pub(super) fn is_set() -> bool {
    MAY_BLOCK.get()
}

struct Scope(bool);

impl Drop for Scope {
    fn drop(&mut self) {
        MAY_BLOCK.set(self.0);
    }
}

thread_local! {
    static MAY_BLOCK: Cell<bool> = const { Cell::new(false) };
}
