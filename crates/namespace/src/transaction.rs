//! A write among names: rows to change, numbers to give out, changes to announce.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use prost::Message;
use tracing::warn;

use crate::changes::{self, Change, ChangeKind};
use crate::engine::{EngineError, Range, Read, Row, Txn, Watcher};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, ChangeRow, SessionRow};
use crate::settings::Announcer;

/// A running transaction on the namespace.
pub(crate) struct Transaction<'a, 'b> {
    txn: &'a mut Txn<'b>,
    pub(crate) shared: &'a Shared,
    /// Time of the operation, nanoseconds since 1970.
    pub(crate) now: i64,
    changes: Vec<Change>,
}

/// What this process keeps beside the rows.
pub(crate) struct Shared {
    /// This process's session, which is its writer number among the changes.
    pub(crate) session: u64,
    /// Whose files are that this process uploads: its session among those of all stores.
    pub(crate) owner: u64,
    /// Its slot among directory deltas.
    pub(crate) slot: u32,
    /// Leased inode numbers that are left.
    pub(crate) inodes: Mutex<std::ops::Range<u64>>,
    /// Sequence of the next change.
    pub(crate) sequence: AtomicU64,
    /// Inodes that somebody here holds open, and how often.
    pub(crate) holds: Mutex<BTreeMap<u64, u32>>,
    /// Those of them whose content of before is kept as a version already.
    pub(crate) kept: Mutex<BTreeSet<u64>>,
    /// Where committed changes are announced.
    pub(crate) announce: Announcer,
    /// Changes of other processes are told as they come.
    pub(crate) follows: AtomicBool,
    /// Owner and mode of what comes without any.
    pub(crate) defaults: Defaults,
}

/// Owner and modes of files and directories that S3 makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Defaults {
    /// Owner.
    pub uid: u32,
    /// Owning group.
    pub gid: u32,
    /// Bits taken away from 0666 and 0777.
    pub umask: u32,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { uid: 0, gid: 0, umask: 0o022 }
    }
}

impl Watcher for Shared {
    fn committed(&self, rows: &[Row]) {
        // Own changes were announced at their commit.
        for (key, value) in rows.iter().filter(|(key, _)| keys::number_at(key, 1) != self.session) {
            match changes::of_row(key, value) {
                Ok(change) => change.into_iter().for_each(|change| self.announce.send(change)),
                Err(error) => {
                    warn!(%error, "a change cannot be read");
                    self.missed();
                }
            }
        }
    }

    fn missed(&self) {
        let change = Change {
            kind: ChangeKind::Missed,
            inode: 0,
            version: 0,
            parent: 0,
            name: Vec::new(),
            from: None,
            origin: None,
            number: 0,
        };
        self.announce.send(change);
    }

    fn follows(&self, follows: bool) {
        self.follows.store(follows, Ordering::Release);
    }
}

impl<'a, 'b> Transaction<'a, 'b> {
    pub(crate) fn new(txn: &'a mut Txn<'b>, shared: &'a Shared, now: i64) -> Self {
        Self { txn, shared, now, changes: Vec::new() }
    }

    /// Writes `message` under `key`.
    pub(crate) fn put(&mut self, key: Vec<u8>, message: &impl Message) {
        let value = rows::seal(&key, message);
        self.txn.put(key, value);
    }

    /// Removes the row under `key`.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.txn.delete(key);
    }

    /// A number that no inode ever had.
    pub(crate) fn new_inode(&mut self) -> Result<u64, NamespaceError> {
        self.shared.inodes.lock().next().ok_or(NamespaceError::LeaseExhausted)
    }

    /// Refuses where this session was fenced: its files may be gone already.
    pub(crate) fn check_session(&self) -> Result<(), NamespaceError> {
        if self.shared.session == 0 {
            return Ok(());
        }
        let row: Option<SessionRow> = rows::load(self, &keys::session(self.shared.session))?;
        row.filter(|row| !row.fenced).map(drop).ok_or(NamespaceError::Fenced)
    }

    /// The time in milliseconds.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.now / 1_000_000).unwrap_or_default()
    }

    /// Records a change, which is announced after the commit.
    pub(crate) fn change(&mut self, kind: ChangeKind, inode: u64, version: u64, parent: u64, name: &[u8]) {
        let change =
            Change { kind, inode, version, parent, name: name.to_vec(), from: None, origin: None, number: 0 };
        self.record(change);
    }

    pub(crate) fn record(&mut self, change: Change) {
        let sequence = self.shared.sequence.fetch_add(1, Ordering::Relaxed);
        let (other_parent, other_name) = change.from.clone().unwrap_or_default();
        let row = ChangeRow {
            inode: change.inode,
            version: change.version,
            kind: change.kind.number(),
            parent: change.parent,
            name: change.name.clone(),
            time: self.now_ms(),
            other_parent,
            other_name,
        };
        self.put(keys::change(self.shared.session, sequence), &row);
        self.changes.push(change);
    }

    pub(crate) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

impl Read for Transaction<'_, '_> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        self.txn.get(key)
    }

    fn expect(&self, keys: &[Vec<u8>], ranges: &[Range]) -> Result<(), EngineError> {
        self.txn.expect(keys, ranges)
    }

    fn range(&self, from: &[u8], to: &[u8], limit: usize) -> Result<Vec<Row>, EngineError> {
        self.txn.range(from, to, limit)
    }
}
