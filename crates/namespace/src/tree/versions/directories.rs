//! Directories that have only history below them, and the history of their own keys.

use super::{Older, newest};
use crate::attributes::{DirectoryState, Kind};
use crate::changes::ChangeKind;
use crate::content;
use crate::engine::Read;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, InodeRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::keyed::{self, NewFile};

/// True where versions or ghosts are below a directory that has no other entries.
pub(crate) fn has_history(read: &dyn Read, directory: u64) -> Result<bool, NamespaceError> {
    let versions = keys::all_olders(directory);
    Ok(!tree::is_bare(read, directory)? || !rows::scan(read, &versions, &versions, 1)?.is_empty())
}

/// A directory of a bucket with versions moves only while nothing is below it.
pub(crate) fn may_move(read: &dyn Read, directory: u64) -> Result<(), NamespaceError> {
    if has_history(read, directory)? { Err(NamespaceError::CrossBucket) } else { Ok(()) }
}

/// The directory at the end of these names, for history alone: those that are missing are made, as ghosts.
pub(crate) fn make_ghosts(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    directories: &[&[u8]],
) -> Result<u64, NamespaceError> {
    let mut parent = root;
    for name in directories {
        parent = match tree::entry(tx, parent, name)? {
            Some(entry) => entry.inode,
            None => {
                let number = tx.new_inode()?;
                let row = tree::new_row(tx, root, Kind::Directory);
                let state = DirectoryState::Ghost.number();
                let mut row = InodeRow { state, links: 1, parent, name: name.to_vec(), ..row };
                tree::save(tx, number, &mut row);
                number
            }
        };
    }
    Ok(parent)
}

/// Ghosts from this directory upwards become implicit directories again: something lives below them.
pub(crate) fn revive(tx: &mut Transaction<'_, '_>, mut directory: u64) -> Result<(), NamespaceError> {
    loop {
        let mut row = tree::inode(tx, directory)?;
        if row.state != DirectoryState::Ghost.number() {
            return Ok(());
        }
        row.state = DirectoryState::Implicit.number();
        reappear(tx, directory, &mut row)?;
        directory = row.parent;
    }
}

/// Saves a directory that was a ghost and is none any more.
pub(crate) fn reappear(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    tree::save(tx, number, row);
    tree::touch(tx, row.parent, 1, 1)?;
    let name = row.name.clone();
    tx.change(ChangeKind::Created, number, row.version, row.parent, &name);
    Ok(())
}

/// Saves a directory as a ghost: to all but lists of versions it is gone.
pub(crate) fn disappear(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    row.state = DirectoryState::Ghost.number();
    tree::save(tx, number, row);
    tree::touch(tx, row.parent, -1, -1)?;
    let name = row.name.clone();
    tx.change(ChangeKind::Removed, number, row.version, row.parent, &name);
    Ok(())
}

/// Takes from a directory its own key and content. It stays for what is below it, or goes with those above that were only there for it.
pub(crate) fn give_up(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    keyed::fill(tx, number, row, &NewFile::default())?;
    (row.etag, row.etag_parts) = (Vec::new(), None);
    (row.sequence, row.versioned) = (0, false);
    if row.state == DirectoryState::Explicit.number() {
        row.state = DirectoryState::Implicit.number();
    }
    tree::save(tx, number, row);
    tx.change(ChangeKind::Content, number, row.version, 0, b"");
    keyed::prune(tx, number)
}

/// Gives the directory `name` the content of an older version of its key. It is made where it is missing.
pub(super) fn restore(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    older: &Older,
    mut old: InodeRow,
) -> Result<(), NamespaceError> {
    let extents = content::extents(tx, older.row.inode, &old)?;
    let number = match tree::entry(tx, parent, name)? {
        Some(entry) => entry.inode,
        None => {
            let row = tree::new_row(tx, old.bucket, Kind::Directory);
            tree::make_directory(tx, parent, name, row)?
        }
    };
    let mut row = tree::inode(tx, number)?;
    let was_ghost = row.state == DirectoryState::Ghost.number();
    content::replace(tx, number, &mut row, &extents)?;
    row = InodeRow {
        state: DirectoryState::Explicit.number(),
        size: old.size,
        mtime: old.mtime,
        ctime: tx.now,
        content_time: old.content_time,
        etag: old.etag.clone(),
        etag_parts: old.etag_parts,
        headers: old.headers.clone(),
        attributes: old.attributes.clone(),
        tags: old.tags.clone(),
        checksums: old.checksums.clone(),
        mirrored: old.mirrored,
        sequence: old.sequence,
        versioned: old.versioned,
        ..row
    };
    tx.delete(&keys::older(parent, name, older.sequence));
    old.history = false;
    tree::drop_link(tx, older.row.inode, &mut old, parent, name)?;
    debug_assert!(
        newest(tx, parent, name)?.is_none_or(|next| next.sequence < row.sequence || row.sequence == 0)
    );
    if was_ghost {
        return reappear(tx, number, &mut row);
    }
    tree::save(tx, number, &mut row);
    tx.change(ChangeKind::Content, number, row.version, 0, b"");
    Ok(())
}
