//! Work that one process does for all: whoever takes a task has it until it has passed without being taken again.

use std::time::Duration;

use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, TaskRow};
use crate::transaction::Transaction;

/// Takes or keeps a task for this long; false while another session has it.
pub(crate) fn take(
    tx: &mut Transaction<'_, '_>,
    name: &str,
    duration: Duration,
) -> Result<bool, NamespaceError> {
    let (key, session, now) = (keys::task(name), tx.shared.session, tx.now_ms());
    let held: Option<TaskRow> = rows::load(tx, &key)?;
    if held.is_some_and(|held| held.session != session && held.until > now) {
        return Ok(false);
    }
    let until = now.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    tx.put(key, &TaskRow { session, until });
    Ok(true)
}

/// Gives a task back.
pub(crate) fn give_back(tx: &mut Transaction<'_, '_>, name: &str) -> Result<(), NamespaceError> {
    let key = keys::task(name);
    let held: Option<TaskRow> = rows::load(tx, &key)?;
    if held.is_some_and(|held| held.session == tx.shared.session) {
        tx.delete(&key);
    }
    Ok(())
}
