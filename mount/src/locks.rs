//! Which locks programs of this mount hold, so that closing a file that nobody locked costs nothing.

use std::collections::HashMap;

use fdfs_objects::LockKind;
use fuser::FileHandle;
use parking_lot::Mutex;

/// The locks that programs here may hold, by inode.
#[derive(Default)]
pub(crate) struct Locks(Mutex<HashMap<u64, Vec<Holder>>>);

/// Who may hold locks of a file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Holder {
    /// The owner as the kernel names it: a process for ranges, an open file for whole files.
    pub(crate) owner: u64,
    /// Through which handle.
    pub(crate) handle: FileHandle,
    /// Of which kind.
    pub(crate) kind: LockKind,
}

impl Locks {
    /// Notes who is about to hold a lock.
    pub(crate) fn note(&self, inode: u64, holder: Holder) {
        let mut held = self.0.lock();
        let holders = held.entry(inode).or_default();
        if !holders.contains(&holder) {
            holders.push(holder);
        }
    }

    /// Takes out those holders of an inode that are done with it.
    pub(crate) fn take(&self, inode: u64, done: impl Fn(&Holder) -> bool) -> Vec<Holder> {
        let mut held = self.0.lock();
        let Some(holders) = held.get_mut(&inode) else { return Vec::new() };
        let taken = holders.extract_if(.., |holder| done(holder)).collect();
        if holders.is_empty() {
            held.remove(&inode);
        }
        metrics::gauge!("fdfs_mount_locked_files").set(held.len() as f64);
        taken
    }

    /// True if `owner` may hold locks of the kind.
    pub(crate) fn has(&self, inode: u64, owner: u64, kind: LockKind) -> bool {
        let held = self.0.lock();
        let holders = held.get(&inode).map(Vec::as_slice).unwrap_or_default();
        holders.iter().any(|holder| holder.owner == owner && holder.kind == kind)
    }
}
