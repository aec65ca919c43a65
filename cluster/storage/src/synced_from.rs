//! Up to when the changes of each member have arrived here: what trackers are told by `SYNC_REPORT`.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use fdfs_types::{StorageId, Timestamp};
use parking_lot::Mutex;

/// Up to when the changes of each member have arrived here.
///
/// Who takes in what another member sends calls [`SyncedFrom::note`]; reporters to trackers read the table when
/// [`SyncedFrom::version`] has moved.
#[derive(Debug, Default)]
pub(crate) struct SyncedFrom {
    times: Mutex<HashMap<StorageId, Timestamp>>,
    version: AtomicU64,
}

impl SyncedFrom {
    /// A change of `source` from this time has been applied. Times only rise.
    pub(crate) fn note(&self, source: StorageId, time: Timestamp) {
        let mut times = self.times.lock();
        let known = times.entry(source).or_insert(Timestamp::ZERO);
        if time > *known {
            *known = time;
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// Forgets a member that has left the group.
    pub(crate) fn forget(&self, source: &StorageId) {
        if self.times.lock().remove(source).is_some() {
            self.version.fetch_add(1, Ordering::Release);
        }
    }

    /// The time of one member; zero while nothing has arrived.
    pub(crate) fn of(&self, source: &StorageId) -> Timestamp {
        self.times.lock().get(source).copied().unwrap_or(Timestamp::ZERO)
    }

    /// Moves with every change of the table; zero while it has never had a row.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_only_rise_and_every_rise_is_seen() {
        let table = SyncedFrom::default();
        let source = "100001".parse().expect("id");
        assert_eq!((table.of(&source), table.version()), (Timestamp::ZERO, 0));
        table.note(source, Timestamp(10));
        table.note(source, Timestamp(5));
        assert_eq!((table.of(&source), table.version()), (Timestamp(10), 1));
        table.note(source, Timestamp(11));
        assert_eq!((table.of(&source), table.version()), (Timestamp(11), 2));
        table.forget(&source);
        assert_eq!((table.of(&source), table.version()), (Timestamp::ZERO, 3));
    }
}
