//! Sessions: who uses the store, and what is left of those who are gone.

use sha2::{Digest as _, Sha256};

use crate::engine::{PAGE, Read, Sharing};
use crate::error::NamespaceError;
use crate::keys;
use crate::namespace::lease;
use crate::rows::{self, InodeRow, OrphanRow, SessionRow, StampRow};
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
    let row = SessionRow { kind, started: now, renewed: now, slot, host: host(), ..SessionRow::default() };
    tx.put(keys::session(session), &row);
    Ok(session)
}

/// The slot of a session among directory deltas: writers that share a directory and a slot meet each other's commits.
pub(crate) fn slot(session: u64, sharing: Sharing) -> u32 {
    let slots = session % SLOTS;
    if sharing == Sharing::Alone { 0 } else { 1 + u32::try_from(slots).unwrap_or_default() }
}

/// Whose the files are that a session uploads: a number that no session of another store has, so that nobody takes the files of others for what
/// his own sessions left.
pub(crate) fn owner(store: &[u8], session: u64) -> u64 {
    let digest = Sha256::new().chain_update(store).chain_update(session.to_be_bytes()).finalize();
    // Zero would mean nobody.
    keys::number_at(&digest, 0).max(1)
}

/// A session of the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Session {
    /// Its number.
    pub session: u64,
    /// What its files carry.
    pub owner: u64,
    /// The machine it runs on.
    pub host: String,
    /// True where it lives.
    pub is_alive: bool,
    /// For how long it has been fenced, in milliseconds, if it is.
    pub fenced_for: Option<u64>,
    /// How many files it had given to storages that keep no owners.
    pub unowned: u64,
}

/// What a process tells of itself when it says that it lives.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SessionReport {
    /// Since when it has had content open, milliseconds since 1970.
    pub oldest_open: Option<u64>,
    /// How many files it has given to storages that keep no owners.
    pub unowned: u64,
}

/// All sessions, the process's own among them.
pub(crate) fn all(read: &dyn Read, own: u64, now: u64, alone: bool) -> Result<Vec<Session>, NamespaceError> {
    let stamp: StampRow = rows::load(read, &keys::stamp())?.unwrap_or_default();
    let mut sessions = Vec::new();
    for (key, row) in session_rows(read)? {
        let session = keys::number_at(&key, 1);
        sessions.push(Session {
            session,
            owner: owner(&stamp.store, session),
            is_alive: lives(session, &row, own, now, alone, ALIVE_MS),
            fenced_for: row.fenced.then(|| now.saturating_sub(row.renewed)),
            unowned: row.unowned,
            host: row.host,
        });
    }
    Ok(sessions)
}

/// Fences sessions that have not been renewed for `dead_after` milliseconds: from here on they commit no content. Which are new among the fenced.
pub(crate) fn fence(
    tx: &mut Transaction<'_, '_>,
    dead_after: u64,
    alone: bool,
) -> Result<Vec<u64>, NamespaceError> {
    let (own, now) = (tx.shared.session, tx.now_ms());
    let mut fenced = Vec::new();
    for (key, row) in session_rows(tx)? {
        let session = keys::number_at(&key, 1);
        if !row.fenced && !lives(session, &row, own, now, alone, dead_after) {
            tx.put(key, &SessionRow { fenced: true, renewed: now, ..row });
            fenced.push(session);
        }
    }
    Ok(fenced)
}

/// Since when other sessions that live may have content open: what was freed before nobody reads any more.
pub(crate) fn oldest_open(
    read: &dyn Read,
    own: u64,
    now: u64,
    alone: bool,
) -> Result<Option<u64>, NamespaceError> {
    let others = session_rows(read)?.into_iter().filter(|(key, row)| {
        let session = keys::number_at(key, 1);
        session != own && lives(session, row, own, now, alone, ALIVE_MS)
    });
    // What it opened since it last told is not known.
    let open = others
        .map(|(_, row)| if row.oldest_open == 0 { row.renewed } else { row.oldest_open.min(row.renewed) });
    Ok(open.min().map(|oldest| oldest.saturating_sub(CLOCKS_MS)))
}

fn session_rows(read: &dyn Read) -> Result<Vec<(Vec<u8>, SessionRow)>, NamespaceError> {
    let prefix = [keys::SESSION];
    let rows = rows::scan(read, &prefix, &prefix, PAGE)?;
    rows.into_iter().map(|(key, value)| Ok((key.clone(), rows::unseal(&key, &value)?))).collect()
}

/// Whether a session is there, as far as one can know.
pub(crate) fn lives(session: u64, row: &SessionRow, own: u64, now: u64, alone: bool, limit: u64) -> bool {
    if row.fenced || session == own {
        return !row.fenced;
    }
    now.saturating_sub(row.renewed) <= limit && !(alone && row.kind == GATEWAY)
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
    Ok(lives(session, &row, tx.shared.session, tx.now_ms(), alone, ALIVE_MS))
}

/// The name of this machine, for who looks at sessions.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().chars().take(64).collect()
}

/// Slots of sessions that use a store beside others; the one that has the store has a slot of its own.
const SLOTS: u64 = 15;
/// Orphans looked at in one transaction.
const ORPHANS: usize = 100;
/// How far the clocks of machines that share a store may be apart.
const CLOCKS_MS: u64 = 2_000;
/// How long a session lives after it was renewed; FORMAT.md.
pub(crate) const ALIVE_MS: u64 = 30_000;
