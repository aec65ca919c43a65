//! Locks that programs take on files, across all who use the namespace.
//!
//! They are advisory: nothing here asks for them. An owner never conflicts with itself, and a session that is gone holds none.

mod ranges;

use crate::changes::ChangeKind;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, LockRow, LockedRow, SessionRow};
use crate::sessions;
use crate::transaction::Transaction;

/// Locks of which kind: those of one do not know those of the other.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum LockKind {
    /// Of ranges of bytes, as fcntl takes them.
    Range,
    /// Of whole files, as flock takes them.
    Whole,
}

/// A lock as it is wanted or held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lock {
    /// The kind.
    pub kind: LockKind,
    /// The first byte.
    pub start: u64,
    /// The last byte.
    pub end: u64,
    /// Nobody else may hold any; else nobody else may hold an exclusive one.
    pub exclusive: bool,
    /// The process, as it is told to those who ask.
    pub pid: u32,
}

/// Whose locks are meant: an owner as the session names it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct LockOwner {
    /// The file.
    pub inode: u64,
    /// The owner.
    pub owner: u64,
}

impl LockKind {
    fn number(self) -> u32 {
        match self {
            Self::Range => 0,
            Self::Whole => 1,
        }
    }

    fn from_number(number: u32) -> Self {
        if number == 0 { Self::Range } else { Self::Whole }
    }
}

impl Lock {
    fn of_row(row: &LockedRow) -> Self {
        Self {
            kind: LockKind::from_number(row.kind),
            start: row.start,
            end: row.end,
            exclusive: row.exclusive,
            pid: row.pid,
        }
    }

    fn to_row(self) -> LockedRow {
        LockedRow {
            start: self.start,
            end: self.end,
            exclusive: self.exclusive,
            pid: self.pid,
            kind: self.kind.number(),
        }
    }

    fn conflicts(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.start <= other.end
            && other.start <= self.end
            && (self.exclusive || other.exclusive)
    }
}

/// What others hold that `lock` would conflict with, if there is anything: what comes first in the file.
pub(crate) fn conflict(
    read: &dyn Read,
    session: u64,
    of: LockOwner,
    lock: &Lock,
    alone: bool,
    now: u64,
) -> Result<Option<Lock>, NamespaceError> {
    let own = keys::lock(of.inode, session, of.owner);
    let mut first: Option<Lock> = None;
    for (key, row) in holders(read, of.inode)? {
        let held = row.ranges.iter().map(Lock::of_row).find(|held| held.conflicts(lock));
        let is_before = |held: &Lock| first.is_none_or(|first| held.start < first.start);
        let Some(held) = held.filter(|held| key != own && is_before(held)) else { continue };
        if is_alive(read, keys::number_at(&key, 9), session, alone, now)? {
            first = Some(held);
        }
    }
    Ok(first)
}

/// Takes a lock; what the owner held of its range before becomes this. What is in the way, if anything is.
pub(crate) fn take(
    tx: &mut Transaction<'_, '_>,
    of: LockOwner,
    lock: &Lock,
    alone: bool,
) -> Result<Option<Lock>, NamespaceError> {
    tx.check_session()?;
    let (session, now) = (tx.shared.session, tx.now_ms());
    if let Some(held) = conflict(tx, session, of, lock, alone, now)? {
        return Ok(Some(held));
    }
    let before = change(tx, of, lock, Some(lock))?;
    // One that became weaker may let others in.
    if before.iter().any(|held| held.exclusive && !lock.exclusive && held.kind == lock.kind) {
        tx.change(ChangeKind::Unlocked, of.inode, 0, 0, b"");
    }
    Ok(None)
}

/// Gives a range back.
pub(crate) fn give_back(
    tx: &mut Transaction<'_, '_>,
    of: LockOwner,
    range: &Lock,
) -> Result<(), NamespaceError> {
    let before = change(tx, of, range, None)?;
    if !before.is_empty() {
        tx.change(ChangeKind::Unlocked, of.inode, 0, 0, b"");
    }
    Ok(())
}

/// Removes locks of sessions that are gone, a page from the key `from` on; where to go on.
pub(crate) fn remove_dead(
    tx: &mut Transaction<'_, '_>,
    from: &[u8],
    alone: bool,
) -> Result<Option<Vec<u8>>, NamespaceError> {
    let prefix = [keys::LOCK];
    let from = if from.is_empty() { &prefix } else { from };
    let rows = rows::scan(tx, &prefix, from, PAGE)?;
    let (session, now) = (tx.shared.session, tx.now_ms());
    for (key, _) in &rows {
        if !is_alive(tx, keys::number_at(key, 9), session, alone, now)? {
            tx.delete(key);
            tx.change(ChangeKind::Unlocked, keys::number_at(key, 1), 0, 0, b"");
        }
    }
    let last = rows.last().map(|(key, _)| [key.as_slice(), &[0]].concat());
    Ok(last.filter(|_| rows.len() == PAGE))
}

/// Replaces what an owner holds of a range by `new`; what it held before.
fn change(
    tx: &mut Transaction<'_, '_>,
    of: LockOwner,
    range: &Lock,
    new: Option<&Lock>,
) -> Result<Vec<Lock>, NamespaceError> {
    let key = keys::lock(of.inode, tx.shared.session, of.owner);
    let row: LockRow = rows::load(tx, &key)?.unwrap_or_default();
    let before: Vec<Lock> = row.ranges.iter().map(Lock::of_row).collect();
    let after = ranges::replace(&before, range, new);
    if after.is_empty() {
        tx.delete(&key);
    } else if after != before {
        if after.len() > MAX_RANGES {
            return Err(NamespaceError::TooManyLocks);
        }
        tx.put(key, &LockRow { ranges: after.into_iter().map(Lock::to_row).collect() });
    }
    Ok(before)
}

fn holders(read: &dyn Read, inode: u64) -> Result<Vec<(Vec<u8>, LockRow)>, NamespaceError> {
    let prefix = keys::locks(inode);
    let (mut from, mut holders) = (prefix.clone(), Vec::new());
    loop {
        let page = rows::scan(read, &prefix, &from, PAGE)?;
        let is_last = page.len() < PAGE;
        for (key, value) in page {
            let row = rows::unseal(&key, &value)?;
            from = [key.as_slice(), &[0]].concat();
            holders.push((key, row));
        }
        if is_last {
            return Ok(holders);
        }
    }
}

fn is_alive(read: &dyn Read, session: u64, own: u64, alone: bool, now: u64) -> Result<bool, NamespaceError> {
    let row: Option<SessionRow> = rows::load(read, &keys::session(session))?;
    Ok(row.is_some_and(|row| sessions::lives(session, &row, own, now, alone, sessions::ALIVE_MS)))
}

/// Ranges that one owner may hold of one file.
const MAX_RANGES: usize = 4_096;
