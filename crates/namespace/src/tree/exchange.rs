//! Two names of a bucket trade what they stand for, as one change.

use crate::changes::{Change, ChangeKind};
use crate::engine::Read as _;
use crate::error::NamespaceError;
use crate::keys;
use crate::names::directory_name;
use crate::rows::{EntryRow, InodeRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::posix;
use crate::tree::versions::{self, Versioning};

/// One of the two.
struct Side<'a> {
    parent: u64,
    /// As POSIX says it.
    name: &'a [u8],
    /// As its key says it.
    key_name: Vec<u8>,
    entry: EntryRow,
    row: InodeRow,
}

impl<'a> Side<'a> {
    fn find(tx: &Transaction<'_, '_>, (parent, name): (u64, &'a [u8])) -> Result<Self, NamespaceError> {
        let (key_name, entry) = posix::find(tx, parent, name)?.ok_or(NamespaceError::NotFound)?;
        let row = tree::inode(tx, entry.inode)?;
        Ok(Self { parent, name, key_name, entry, row })
    }

    fn is_directory(&self) -> bool {
        tree::is_directory(&self.row)
    }

    /// The name in the key of what comes to stand here.
    fn key_name_of(&self, other: &Self) -> Vec<u8> {
        if other.is_directory() { directory_name(self.name) } else { self.name.to_vec() }
    }
}

/// Exchanges what two names stand for; both must be there. Not where versions are kept: each name would have to take its history along.
pub(crate) fn exchange(
    tx: &mut Transaction<'_, '_>,
    one: (u64, &[u8]),
    other: (u64, &[u8]),
) -> Result<(), NamespaceError> {
    let (mut one, mut other) = (Side::find(tx, one)?, Side::find(tx, other)?);
    let is_versioned = versions::state(tx, one.row.bucket)? != Versioning::Off;
    if one.row.bucket != other.row.bucket || is_versioned {
        return Err(NamespaceError::CrossBucket);
    }
    if one.entry.inode == other.entry.inode {
        return Ok(());
    }
    for (side, target) in [(&one, &other), (&other, &one)] {
        if side.is_directory() && posix::is_below(tx, target.parent, side.entry.inode)? {
            return Err(NamespaceError::Loop);
        }
        // A file of that name may stand hidden beside the directory that leaves.
        let name = target.key_name_of(side);
        if name != target.key_name && tx.get(&keys::entry(target.parent, &name))?.is_some() {
            return Err(NamespaceError::AlreadyExists);
        }
    }
    let (name_of_one, name_of_other) = (other.key_name_of(&one), one.key_name_of(&other));
    let directories = i64::from(one.is_directory()) - i64::from(other.is_directory());
    for side in [&one, &other] {
        tx.delete(&keys::entry(side.parent, &side.key_name));
    }
    tree::touch(tx, one.parent, 0, -directories)?;
    tree::touch(tx, other.parent, 0, directories)?;
    let places = (other.parent, one.parent);
    take(tx, &mut one, (places.0, name_of_one));
    take(tx, &mut other, (places.1, name_of_other));
    Ok(())
}

/// Gives `side` its new place.
fn take(tx: &mut Transaction<'_, '_>, side: &mut Side<'_>, (parent, name): (u64, Vec<u8>)) {
    side.row.ctime = tx.now;
    let from = (side.parent, side.key_name.as_slice());
    posix::move_link(tx, side.entry.inode, &mut side.row, from, (parent, &name));
    tx.record(Change {
        kind: ChangeKind::Renamed,
        inode: side.entry.inode,
        version: side.row.version,
        parent,
        name,
        from: Some((side.parent, side.key_name.clone())),
        origin: None,
        number: 0,
    });
}
