//! The tree of inodes: rows that belong together are changed together, here and nowhere else.

pub(crate) mod exchange;
pub(crate) mod keyed;
pub(crate) mod listing;
pub(crate) mod patches;
pub(crate) mod posix;
pub(crate) mod preconditions;
pub(crate) mod ranges;
pub(crate) mod shared;
pub(crate) mod version_listing;
pub(crate) mod versions;

#[cfg(test)]
pub(crate) mod tests;

use crate::attributes::{Attributes, ChecksumForm, DirectoryState, Entry, Kind};
use crate::changes::ChangeKind;
use crate::content;
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, DeltaRow, EntryRow, InodeRow, OrphanRow};
use crate::transaction::Transaction;

/// The inode's row.
pub(crate) fn inode(read: &dyn Read, inode: u64) -> Result<InodeRow, NamespaceError> {
    rows::load(read, &keys::inode(inode))?.ok_or(NamespaceError::NotFound)
}

/// The row of an inode that must be a directory.
pub(crate) fn directory(read: &dyn Read, number: u64) -> Result<InodeRow, NamespaceError> {
    let row = inode(read, number)?;
    match is_directory(&row) {
        true if row.state == DirectoryState::Ghost.number() => Err(NamespaceError::NotFound),
        true => Ok(row),
        false => Err(NamespaceError::NotDirectory),
    }
}

pub(crate) fn is_directory(row: &InodeRow) -> bool {
    is_directory_kind(row.kind)
}

pub(crate) fn is_directory_kind(kind: u32) -> bool {
    kind == Kind::Directory.number()
}

/// The entry of `parent` under the name as it stands in the key.
pub(crate) fn entry(read: &dyn Read, parent: u64, name: &[u8]) -> Result<Option<EntryRow>, NamespaceError> {
    rows::load(read, &keys::entry(parent, name))
}

/// Attributes of an inode; a directory's with what its entries add.
pub(crate) fn attributes(read: &dyn Read, number: u64, row: &InodeRow) -> Result<Attributes, NamespaceError> {
    let mut attributes = Attributes::of_inode(number, row)?;
    if attributes.kind == Kind::Directory {
        let prefix = keys::deltas(number);
        let mut directories = 0_i64;
        for (key, value) in rows::scan(read, &prefix, &prefix, PAGE)? {
            let delta: DeltaRow = rows::unseal(&key, &value)?;
            directories = directories.saturating_add(delta.directories);
            attributes.mtime = attributes.mtime.max(delta.mtime);
            attributes.ctime = attributes.ctime.max(delta.mtime);
            attributes.version = attributes.version.wrapping_add(delta.version);
        }
        attributes.links = u32::try_from(directories.max(0)).unwrap_or(u32::MAX).saturating_add(2);
    }
    Ok(attributes)
}

/// Writes an inode and, where its entry carries attributes, the entry.
pub(crate) fn save(tx: &mut Transaction<'_, '_>, number: u64, row: &mut InodeRow) {
    row.version = row.version.wrapping_add(1);
    tx.put(keys::inode(number), row);
    let is_root = row.parent == number;
    if row.history {
        tx.put(keys::older(row.parent, &row.name, row.sequence), &entry_of(number, row));
    } else if row.links == 1 && !is_root {
        let entry = entry_of(number, row);
        tx.put(keys::entry(row.parent, &row.name), &entry);
    }
}

/// Makes `parent`/`name` a name of the inode, over whatever entry stood there, and saves it.
pub(crate) fn add_link(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    parent: u64,
    name: &[u8],
) -> Result<(), NamespaceError> {
    match row.links {
        0 => (row.parent, row.name) = (parent, name.to_vec()),
        links => {
            tx.put(keys::link(number, parent, name), &());
            let bare = bare_entry(number, row);
            if links == 1 {
                tx.put(keys::entry(row.parent, &row.name), &bare);
            }
            tx.put(keys::entry(parent, name), &bare);
        }
    }
    row.links += 1;
    save(tx, number, row);
    tx.change(ChangeKind::Created, number, row.version, parent, name);
    Ok(())
}

/// Takes the name `parent`/`name` from the inode. The entry's row is the caller's to remove or overwrite. An inode without a name goes, or stays
/// an orphan while somebody holds it open.
pub(crate) fn drop_link(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    parent: u64,
    name: &[u8],
) -> Result<(), NamespaceError> {
    row.links = row.links.saturating_sub(1);
    row.ctime = tx.now;
    if row.links == 0 {
        let held = tx.shared.holds.lock().contains_key(&number);
        if !held {
            return purge(tx, number, row);
        }
        (row.parent, row.name) = (0, Vec::new());
        tx.put(keys::orphan(number), &OrphanRow { session: tx.shared.session, since: tx.now });
        save(tx, number, row);
        return Ok(());
    }
    if row.parent == parent && row.name == name {
        let prefix = keys::links(number);
        let next = rows::scan(tx, &prefix, &prefix, 1)?.pop();
        let (key, _) =
            next.ok_or(NamespaceError::Corrupt { family: 'l', what: "a back pointer is missing" })?;
        (row.parent, row.name) = (keys::number_at(&key, 9), key.get(17..).unwrap_or_default().to_vec());
        tx.delete(&key);
    } else {
        tx.delete(&keys::link(number, parent, name));
    }
    save(tx, number, row);
    // Its other names show one link less.
    tx.change(ChangeKind::Attributes, number, row.version, 0, b"");
    Ok(())
}

/// Removes an inode that has no name, and everything that hangs on it.
pub(crate) fn purge(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    content::replace(tx, number, row, &[])?;
    if is_directory(row) {
        let prefix = keys::deltas(number);
        for (key, _) in tx.range(&prefix, &prefix_end(&prefix), PAGE)? {
            tx.delete(&key);
        }
    }
    forget_parts(tx, number, row);
    tx.delete(&keys::orphan(number));
    tx.delete(&keys::inode(number));
    Ok(())
}

/// What is known of the parts of a content that is no longer there goes.
pub(crate) fn forget_parts(tx: &mut Transaction<'_, '_>, number: u64, row: &mut InodeRow) {
    if row.part_count > 0 {
        row.part_count = 0;
        tx.delete(&keys::part_table(number));
        tx.delete(&keys::waiting_join(number));
    }
}

/// Notes that a directory's entries changed: by how many, and how many of them directories.
pub(crate) fn touch(
    tx: &mut Transaction<'_, '_>,
    directory: u64,
    entries: i64,
    directories: i64,
) -> Result<(), NamespaceError> {
    let key = keys::delta(directory, tx.shared.slot);
    let mut delta: DeltaRow = rows::load(tx, &key)?.unwrap_or_default();
    delta.entries = delta.entries.wrapping_add(entries);
    delta.directories = delta.directories.wrapping_add(directories);
    delta.mtime = delta.mtime.max(tx.now);
    delta.version = delta.version.wrapping_add(1);
    tx.put(key, &delta);
    Ok(())
}

/// Removes the entry's row and says so.
pub(crate) fn remove_entry(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    entry: &EntryRow,
) -> Result<(), NamespaceError> {
    tx.delete(&keys::entry(parent, name));
    let is_directory = entry.kind == Kind::Directory.number();
    touch(tx, parent, -1, if is_directory { -1 } else { 0 })?;
    tx.change(ChangeKind::Removed, entry.inode, 0, parent, name);
    Ok(())
}

/// True for a directory without entries, hidden ones included. What only history is below is none.
pub(crate) fn is_empty(read: &dyn Read, directory: u64) -> Result<bool, NamespaceError> {
    let (mut from, mut limit) = (Vec::new(), 1);
    loop {
        let page = entries(read, directory, &from, limit)?;
        if page.iter().any(|(_, row)| row.state != DirectoryState::Ghost.number()) {
            return Ok(false);
        }
        match page.last() {
            Some((name, _)) if page.len() == limit => from = [name.as_slice(), &[0]].concat(),
            _ => return Ok(true),
        }
        limit = PAGE;
    }
}

/// True for a directory without any entry.
pub(crate) fn is_bare(read: &dyn Read, directory: u64) -> Result<bool, NamespaceError> {
    let prefix = keys::entry(directory, b"");
    Ok(rows::scan(read, &prefix, &prefix, 1)?.is_empty())
}

/// Makes a directory's inode and its entry.
pub(crate) fn make_directory(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    mut row: InodeRow,
) -> Result<u64, NamespaceError> {
    let number = tx.new_inode()?;
    row.kind = Kind::Directory.number();
    add_link(tx, number, &mut row, parent, name)?;
    touch(tx, parent, 1, 1)?;
    Ok(number)
}

/// An inode of now, owned as the defaults say.
pub(crate) fn new_row(tx: &Transaction<'_, '_>, bucket: u64, kind: Kind) -> InodeRow {
    let defaults = tx.shared.defaults;
    let mode = if kind == Kind::Directory { 0o777 } else { 0o666 };
    InodeRow {
        kind: kind.number(),
        bucket,
        mode: mode & !defaults.umask,
        uid: defaults.uid,
        gid: defaults.gid,
        atime: tx.now,
        mtime: tx.now,
        ctime: tx.now,
        btime: tx.now,
        content_time: tx.now_ms(),
        ..InodeRow::default()
    }
}

/// Implicit directories become explicit when a mount changes them or empties them.
pub(crate) fn make_explicit(tx: &mut Transaction<'_, '_>, number: u64) -> Result<(), NamespaceError> {
    let mut row = directory(tx, number)?;
    if row.state != DirectoryState::Explicit.number() {
        row.state = DirectoryState::Explicit.number();
        row.content_time = tx.now_ms();
        save(tx, number, &mut row);
    }
    Ok(())
}

/// Reads entries of a directory from the name `from` (as in the key) on.
pub(crate) fn entries(
    read: &dyn Read,
    directory: u64,
    from: &[u8],
    limit: usize,
) -> Result<Vec<(Vec<u8>, EntryRow)>, NamespaceError> {
    let prefix = keys::entry(directory, b"");
    let rows = rows::scan(read, &prefix, &keys::entry(directory, from), limit)?;
    rows.into_iter()
        .map(|(mut key, value)| {
            let row = rows::unseal(&key, &value)?;
            Ok((key.split_off(keys::ENTRY_PREFIX), row))
        })
        .collect()
}

/// Reads an entry's row into what callers see.
pub(crate) fn visible(name: &[u8], row: &EntryRow) -> Result<Entry, NamespaceError> {
    Entry::of_row(name, row)
}

pub(crate) fn bare_entry(number: u64, row: &InodeRow) -> EntryRow {
    EntryRow { inode: number, kind: row.kind, state: row.state, ..EntryRow::default() }
}

pub(crate) fn entry_of(number: u64, row: &InodeRow) -> EntryRow {
    let bare = bare_entry(number, row);
    let content = EntryRow {
        size: row.size,
        etag: row.etag.clone(),
        etag_parts: row.etag_parts,
        content_time: row.content_time,
        checksum: ChecksumForm::number(ChecksumForm::of_rows(&row.checksums)),
        sequence: row.sequence,
        versioned: row.versioned,
        ..bare
    };
    if is_directory(row) {
        return content;
    }
    EntryRow {
        mtime: row.mtime,
        ctime: row.ctime,
        atime: (row.atime != row.mtime).then_some(row.atime),
        mode: Some(row.mode),
        uid: row.uid,
        gid: row.gid,
        ..content
    }
}
