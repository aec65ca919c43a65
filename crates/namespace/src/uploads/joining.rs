//! Parts that become one file: which wait for it, and what became of the attempt.

use crate::attributes::{Attributes, Extent, Mirrored};
use crate::changes::ChangeKind;
use crate::content;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, InodeRow, JoinRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::uploads::WAITING;

/// An object whose parts wait to be joined into one file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct WaitingJoin {
    /// The inode.
    pub inode: u64,
    /// How often it was tried.
    pub attempts: u32,
}

/// Objects whose parts wait to be joined, or whose content waits to be written anew, and whose next attempt is due.
pub(crate) fn waiting_joins(
    read: &dyn Read,
    rewrite: bool,
    now: u64,
    limit: usize,
) -> Result<Vec<WaitingJoin>, NamespaceError> {
    let mut waiting = Vec::new();
    for (key, value) in rows::scan(read, &[keys::JOIN], &[keys::JOIN], PAGE)? {
        let row: JoinRow = rows::unseal(&key, &value)?;
        if row.rewrite == rewrite && row.not_before <= now && waiting.len() < limit {
            waiting.push(WaitingJoin { inode: keys::number_at(&key, 1), attempts: row.attempts });
        }
    }
    Ok(waiting)
}

/// Swaps the joined file in for the parts, if the content is still those parts; the parts are freed. Copies that have the same parts get the
/// same file.
pub(crate) fn joined(
    tx: &mut Transaction<'_, '_>,
    inode: u64,
    parts: &[Extent],
    whole: &Extent,
    mirrored: Mirrored,
) -> Result<Attributes, NamespaceError> {
    let row = tree::inode(tx, inode)?;
    if content::extents(tx, inode, &row)? != parts {
        return Err(NamespaceError::ContentChanged);
    }
    let first = parts.first().map(|part| part.file.to_string()).unwrap_or_default();
    let users = content::users(tx, &first, (EXTENTS_AT_ONCE / parts.len().max(1)).clamp(1, COPIES))?;
    let row = swap_in(tx, inode, row, whole, mirrored)?;
    for copy in users.into_iter().filter(|user| ![WAITING, inode].contains(user)) {
        let row = tree::inode(tx, copy)?;
        if row.size == whole.length && content::extents(tx, copy, &row)? == parts {
            swap_in(tx, copy, row, whole, Mirrored::None)?;
        }
    }
    tree::attributes(tx, inode, &row)
}

fn swap_in(
    tx: &mut Transaction<'_, '_>,
    inode: u64,
    mut row: InodeRow,
    whole: &Extent,
    mirrored: Mirrored,
) -> Result<InodeRow, NamespaceError> {
    content::replace(tx, inode, &mut row, std::slice::from_ref(whole))?;
    row.mirrored = mirrored.number();
    tree::save(tx, inode, &mut row);
    tx.delete(&keys::waiting_join(inode));
    tx.change(ChangeKind::Attributes, inode, row.version, 0, b"");
    Ok(row)
}

/// Notes that no storage can join these parts where they are: the content is to be read and written anew.
pub(crate) fn needs_rewrite(tx: &mut Transaction<'_, '_>, inode: u64) -> Result<(), NamespaceError> {
    let key = keys::waiting_join(inode);
    if let Some(row) = rows::load::<JoinRow>(tx, &key)? {
        tx.put(key, &JoinRow { rewrite: true, attempts: 0, ..row });
    }
    Ok(())
}

/// Notes that a join failed and when to try again; none: never.
pub(crate) fn join_failed(
    tx: &mut Transaction<'_, '_>,
    inode: u64,
    retry_at: Option<u64>,
) -> Result<(), NamespaceError> {
    let key = keys::waiting_join(inode);
    match (retry_at, rows::load::<JoinRow>(tx, &key)?) {
        (Some(not_before), Some(row)) => {
            let attempts = row.attempts.saturating_add(1);
            tx.put(key, &JoinRow { attempts, not_before, ..row });
        }
        _ => tx.delete(&key),
    }
    Ok(())
}

/// True for content that is one file from its first byte to its last, or none.
pub(crate) fn is_one_file(extents: &[Extent], size: u64) -> bool {
    match extents {
        [] => true,
        [extent]
            if *extent
                == (Extent { foreign: extent.foreign, ..Extent::whole(extent.file.clone(), size) }) =>
        {
            let named = extent.file.filename.fields().ok().and_then(|fields| fields.size.size());
            named.is_none_or(|named| named == size)
        }
        _ => false,
    }
}

/// Copies that are given a joined file together; further ones are joined on their own.
const COPIES: usize = 64;
/// Extents that one such transaction may change, roughly.
const EXTENTS_AT_ONCE: usize = 20_000;
