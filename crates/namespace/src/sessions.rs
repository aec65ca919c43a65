//! Sessions: who uses the store, and what is left of those who are gone.

use crate::engine::Sharing;
use crate::error::NamespaceError;
use crate::keys;
use crate::namespace::lease;
use crate::rows::{self, InodeRow, OrphanRow, SessionRow};
use crate::transaction::Transaction;
use crate::tree;

/// The kind of a session of a gateway: it reaches the store itself, and may serve it to others.
pub(crate) const GATEWAY: u32 = 0;
/// The kind of a session that uses a store through a gateway.
pub(crate) const MOUNT: u32 = 1;

/// Begins a session; its number.
pub(crate) fn begin(tx: &mut Transaction<'_, '_>, sharing: Sharing) -> Result<u64, NamespaceError> {
    let session = lease(tx, "session", 1, 1)?.start;
    let now = tx.now_ms();
    let kind = if sharing == Sharing::Service { MOUNT } else { GATEWAY };
    let slot = slot(session, sharing);
    let row = SessionRow { kind, started: now, renewed: now, slot, ..SessionRow::default() };
    tx.put(keys::session(session), &row);
    Ok(session)
}

/// The slot of a session among directory deltas: writers that share a directory and a slot meet each other's commits.
pub(crate) fn slot(session: u64, sharing: Sharing) -> u32 {
    let slots = session % SLOTS;
    if sharing == Sharing::Alone { 0 } else { 1 + u32::try_from(slots).unwrap_or_default() }
}

/// Removes inodes after `after` that lost their last name while a session that is gone held them, a page of them; where to go on. `alone` says that
/// no session like this one can be alive beside it.
pub(crate) fn remove_orphans(
    tx: &mut Transaction<'_, '_>,
    after: u64,
    alone: bool,
) -> Result<Option<u64>, NamespaceError> {
    let from = keys::orphan(after.saturating_add(1));
    let orphans = rows::scan(tx, &[keys::ORPHAN], &from, ORPHANS)?;
    for (key, value) in &orphans {
        let orphan: OrphanRow = rows::unseal(key, value)?;
        if is_alive(tx, orphan.session, alone)? {
            continue;
        }
        let inode = keys::number_at(key, 1);
        let mut row = match tree::inode(tx, inode) {
            Ok(row) => row,
            Err(NamespaceError::NotFound) => InodeRow::default(),
            Err(error) => return Err(error),
        };
        tree::purge(tx, inode, &mut row)?;
    }
    let last = orphans.last().map(|(key, _)| keys::number_at(key, 1));
    Ok(last.filter(|_| orphans.len() == ORPHANS))
}

fn is_alive(tx: &Transaction<'_, '_>, session: u64, alone: bool) -> Result<bool, NamespaceError> {
    let Some(row) = rows::load::<SessionRow>(tx, &keys::session(session))? else { return Ok(false) };
    if session == tx.shared.session {
        return Ok(true);
    }
    let renewed = tx.now_ms().saturating_sub(row.renewed) <= ALIVE_MS;
    Ok(renewed && !row.fenced && !(alone && row.kind == GATEWAY))
}

/// Slots of sessions that use a store beside others; the one that has the store has a slot of its own.
const SLOTS: u64 = 15;
/// Orphans looked at in one transaction.
const ORPHANS: usize = 100;
/// How long a session lives after it was renewed; FORMAT.md.
const ALIVE_MS: u64 = 30_000;
