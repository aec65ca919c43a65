//! Versions: what a bucket keeps of a name besides what it is now.
//!
//! The entry of a name is its newest version, unless that is a delete marker: then the name has no entry. All other versions, newest first, and
//! delete markers stand in rows `v`. An older version has an inode of its own, which no directory names. A directory's inode stays while the
//! versions of its key `dir/` come and go; one that has only versions below it is a ghost.

mod directories;
mod lookup;

use std::fmt;
use std::str::FromStr;

use crate::attributes::{DirectoryState, ETag, Kind};
use crate::changes::ChangeKind;
use crate::content;
use crate::engine::Read;
use crate::error::NamespaceError;
use crate::keys;
use crate::names;
use crate::rows::{self, EntryRow, InodeRow, JoinRow, PartTableRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::keyed;
use crate::tree::preconditions::Preconditions;

pub(crate) use directories::{disappear, give_up, has_history, make_ghosts, may_move, reappear, revive};
pub(crate) use lookup::{Older, find, latest_marker, newest, of_row, older, record};

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Versioning {
    /// It never did.
    #[default]
    Off,
    /// Every content stays until its version is deleted.
    Enabled,
    /// What there is stays; new content takes the place of the null version.
    Suspended,
}

impl Versioning {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Off => 0,
            Self::Enabled => 1,
            Self::Suspended => 2,
        }
    }

    pub(crate) fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Enabled,
            2 => Self::Suspended,
            _ => Self::Off,
        }
    }
}

/// Which version of a name.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum VersionId {
    /// The one made while the bucket kept no versions.
    #[default]
    Null,
    /// The one of this number: later ones of a name have higher numbers.
    Number(u64),
}

/// The text is not a version ID that this namespace gives out.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a version ID")]
pub struct ParseVersionIdError;

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Number(number) => write!(f, "{number:016x}"),
        }
    }
}

impl FromStr for VersionId {
    type Err = ParseVersionIdError;

    fn from_str(text: &str) -> Result<Self, ParseVersionIdError> {
        if text == "null" {
            return Ok(Self::Null);
        }
        let is_hex = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).map_err(|_| ParseVersionIdError)?;
        if is_hex { Ok(Self::Number(number)) } else { Err(ParseVersionIdError) }
    }
}

/// What became of a name, or of a version, that was deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Deleted {
    /// The delete marker that came, or the version that went; none where the bucket keeps no versions.
    pub version_id: Option<VersionId>,
    /// It is a delete marker.
    pub delete_marker: bool,
}

/// What a new version is to be called.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Stamp {
    sequence: u64,
    versioned: bool,
}

impl Stamp {
    /// Gives an inode this name of its version.
    pub(crate) fn apply(self, row: &mut InodeRow) {
        (row.sequence, row.versioned) = (self.sequence, self.versioned);
    }

    fn version_id(self) -> VersionId {
        if self.versioned { VersionId::Number(self.sequence) } else { VersionId::Null }
    }
}

/// Whether the bucket keeps versions.
pub(crate) fn state(read: &dyn Read, root: u64) -> Result<Versioning, NamespaceError> {
    Ok(Versioning::from_number(tree::inode(read, root)?.versioning))
}

/// Makes room for a new version of a name: what the entry names (if anything) becomes history or goes. The entry is the caller's to overwrite or remove.
pub(crate) fn supersede(
    tx: &mut Transaction<'_, '_>,
    versioning: Versioning,
    parent: u64,
    name: &[u8],
    old: Option<(u64, InodeRow)>,
) -> Result<Stamp, NamespaceError> {
    if versioning == Versioning::Off {
        if let Some((number, mut row)) = old {
            tree::drop_link(tx, number, &mut row, parent, name)?;
        }
        return Ok(Stamp::default());
    }
    let versioned = versioning == Versioning::Enabled;
    let sequence = next_sequence(tx, parent, name, old.as_ref().map_or(0, |(_, row)| row.sequence))?;
    if !versioned && let Some(null) = lookup::find_null(tx, parent, name)? {
        drop_older(tx, parent, name, &null)?;
    }
    if let Some((number, mut row)) = old {
        let stays = (versioned || row.versioned) && row.kind == Kind::File.number();
        if stays {
            to_history(tx, parent, name, number, row)?;
        } else {
            tree::drop_link(tx, number, &mut row, parent, name)?;
        }
    }
    Ok(Stamp { sequence, versioned })
}

/// As [`supersede`] for content whose inode stays, as that of a directory's key does: history is a copy.
pub(crate) fn supersede_copy(
    tx: &mut Transaction<'_, '_>,
    versioning: Versioning,
    parent: u64,
    name: &[u8],
    old: Option<(u64, &InodeRow)>,
) -> Result<Stamp, NamespaceError> {
    if versioning == Versioning::Off {
        return Ok(Stamp::default());
    }
    let versioned = versioning == Versioning::Enabled;
    let sequence = next_sequence(tx, parent, name, old.as_ref().map_or(0, |(_, row)| row.sequence))?;
    if !versioned && let Some(null) = lookup::find_null(tx, parent, name)? {
        drop_older(tx, parent, name, &null)?;
    }
    if let Some((number, row)) = old.filter(|(_, row)| versioned || row.versioned) {
        keep_copy(tx, parent, name, number, row)?;
    }
    Ok(Stamp { sequence, versioned })
}

/// Says that the name is deleted.
pub(crate) fn put_marker(tx: &mut Transaction<'_, '_>, parent: u64, name: &[u8], stamp: Stamp) -> Deleted {
    let marker = EntryRow {
        delete_marker: true,
        sequence: stamp.sequence,
        versioned: stamp.versioned,
        content_time: tx.now_ms(),
        ..EntryRow::default()
    };
    tx.put(keys::older(parent, name, stamp.sequence), &marker);
    Deleted { version_id: Some(stamp.version_id()), delete_marker: true }
}

/// Removes the entry of a file; what it was becomes history, and a delete marker stands for it.
pub(crate) fn bury(
    tx: &mut Transaction<'_, '_>,
    versioning: Versioning,
    parent: u64,
    name: &[u8],
    entry: &EntryRow,
    row: InodeRow,
) -> Result<Deleted, NamespaceError> {
    tree::remove_entry(tx, parent, name, entry)?;
    if versioning == Versioning::Off || row.kind != Kind::File.number() {
        let mut row = row;
        tree::drop_link(tx, entry.inode, &mut row, parent, name)?;
        return Ok(Deleted::default());
    }
    let stamp = supersede(tx, versioning, parent, name, Some((entry.inode, row)))?;
    Ok(put_marker(tx, parent, name, stamp))
}

/// As [`bury`] for the key of a directory that a mount removes or moves: one without content and history leaves nothing.
pub(crate) fn bury_directory(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    number: u64,
    row: &InodeRow,
) -> Result<(), NamespaceError> {
    let versioning = state(tx, row.bucket)?;
    let is_known = !row.etag.is_empty() || newest(tx, parent, name)?.is_some();
    if versioning != Versioning::Off && is_known && row.state == DirectoryState::Explicit.number() {
        let stamp = supersede_copy(tx, versioning, parent, name, Some((number, row)))?;
        put_marker(tx, parent, name, stamp);
    }
    Ok(())
}

/// What a file was stays under the name that it leaves, as an older version behind a delete marker; it moves on as a new version elsewhere.
pub(crate) fn leave(
    tx: &mut Transaction<'_, '_>,
    versioning: Versioning,
    (parent, name): (u64, &[u8]),
    number: u64,
    row: &InodeRow,
) -> Result<(), NamespaceError> {
    let stamp = supersede_copy(tx, versioning, parent, name, Some((number, row)))?;
    put_marker(tx, parent, name, stamp);
    Ok(())
}

/// What a file was before its content is replaced in place becomes history, once for as long as somebody here has it open.
pub(crate) fn keep_before(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    let versioning = state(tx, row.bucket)?;
    let is_kept = tx.shared.kept.lock().contains(&number);
    if versioning == Versioning::Off || row.links == 0 || row.etag.is_empty() || is_kept {
        return Ok(());
    }
    let mut places = vec![(row.parent, row.name.clone())];
    let links = keys::links(number);
    for (key, _) in rows::scan(tx, &links, &links, crate::engine::PAGE)? {
        places.push((keys::number_at(&key, 9), key.get(17..).unwrap_or_default().to_vec()));
    }
    let old = row.clone();
    let mut stamp = Stamp::default();
    for (parent, name) in places {
        let next = supersede_copy(tx, versioning, parent, &name, Some((number, &old)))?;
        stamp = Stamp { sequence: next.sequence.max(stamp.sequence), ..next };
    }
    stamp.apply(row);
    Ok(())
}

/// Removes one version of a key for ever. One that is not there counts as removed.
pub(crate) fn delete(
    tx: &mut Transaction<'_, '_>,
    root: u64,
    key: &[u8],
    version_id: VersionId,
    preconditions: &Preconditions,
) -> Result<Deleted, NamespaceError> {
    names::check_key(key)?;
    let (directories, name) = names::split_key(key);
    let mut deleted = Deleted { version_id: Some(version_id), delete_marker: false };
    let Some(parent) = keyed::descend(tx, root, &directories)? else { return Ok(deleted) };
    let entry = tree::entry(tx, parent, name)?;
    let current = entry.filter(|entry| entry.state == DirectoryState::Explicit.number());
    if let Some(entry) = &current {
        let mut row = tree::inode(tx, entry.inode)?;
        if of_row(&row) == version_id {
            preconditions.check_row(Some(&row))?;
            delete_current(tx, parent, name, entry, &mut row)?;
            return Ok(deleted);
        }
    }
    let Some(older) = older(tx, parent, name, version_id)? else { return Ok(deleted) };
    if !older.row.delete_marker {
        preconditions.check_row(Some(&tree::inode(tx, older.row.inode)?))?;
    }
    let was_newest = newest(tx, parent, name)?.is_some_and(|newest| newest.sequence == older.sequence);
    deleted.delete_marker = older.row.delete_marker;
    drop_older(tx, parent, name, &older)?;
    if current.is_none() && was_newest {
        promote(tx, parent, name)?;
    }
    keyed::prune(tx, parent)?;
    Ok(deleted)
}

/// Removes what the entry names; the version before, if it is no delete marker, takes its place.
fn delete_current(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    entry: &EntryRow,
    row: &mut InodeRow,
) -> Result<(), NamespaceError> {
    let has_next = newest(tx, parent, name)?.is_some_and(|next| !next.row.delete_marker);
    if tree::is_directory(row) {
        if has_next {
            return promote(tx, parent, name);
        }
        return give_up(tx, entry.inode, row);
    }
    tree::remove_entry(tx, parent, name, entry)?;
    tree::drop_link(tx, entry.inode, row, parent, name)?;
    promote(tx, parent, name)?;
    keyed::prune(tx, parent)
}

/// Makes the newest of the older versions the entry of a name that has none, unless it is a delete marker.
fn promote(tx: &mut Transaction<'_, '_>, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
    let Some(older) = newest(tx, parent, name)?.filter(|older| !older.row.delete_marker) else {
        return Ok(());
    };
    revive(tx, parent)?;
    let number = older.row.inode;
    let mut row = tree::inode(tx, number)?;
    if name.ends_with(b"/") {
        return directories::restore(tx, parent, name, &older, row);
    }
    tx.delete(&keys::older(parent, name, older.sequence));
    row.history = false;
    tree::save(tx, number, &mut row);
    tree::touch(tx, parent, 1, 0)?;
    tx.change(ChangeKind::Created, number, row.version, parent, name);
    Ok(())
}

/// Makes what an entry names an older version. A name that others share, or that somebody has open to write to, gets a copy that shares the files.
fn to_history(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    number: u64,
    mut row: InodeRow,
) -> Result<(), NamespaceError> {
    let is_held = tx.shared.holds.lock().contains_key(&number);
    if is_held || row.links != 1 {
        keep_copy(tx, parent, name, number, &row)?;
        return tree::drop_link(tx, number, &mut row, parent, name);
    }
    row.sequence = room(tx, parent, name, row.sequence)?;
    row.history = true;
    tree::save(tx, number, &mut row);
    Ok(())
}

/// Makes an older version of a copy of an inode, which shares its files.
fn keep_copy(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    number: u64,
    row: &InodeRow,
) -> Result<(), NamespaceError> {
    let extents = content::extents(tx, number, row)?;
    let copy_number = tx.new_inode()?;
    let mut copy = InodeRow {
        kind: Kind::File.number(),
        state: 0,
        version: 0,
        links: 1,
        parent,
        name: name.to_vec(),
        extents: Vec::new(),
        extent_blocks: 0,
        history: true,
        sequence: room(tx, parent, name, row.sequence)?,
        ..row.clone()
    };
    content::replace(tx, copy_number, &mut copy, &extents)?;
    if copy.part_count > 0 {
        if let Some(table) = rows::load::<PartTableRow>(tx, &keys::part_table(number))? {
            tx.put(keys::part_table(copy_number), &table);
        }
        if extents.len() > 1 {
            let join = JoinRow { since: tx.now_ms(), ..JoinRow::default() };
            tx.put(keys::waiting_join(copy_number), &join);
        }
    }
    tree::save(tx, copy_number, &mut copy);
    Ok(())
}

/// Removes an older version, or a delete marker.
fn drop_older(
    tx: &mut Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    older: &Older,
) -> Result<(), NamespaceError> {
    tx.delete(&keys::older(parent, name, older.sequence));
    if older.row.delete_marker {
        return Ok(());
    }
    let mut row = tree::inode(tx, older.row.inode)?;
    row.history = false;
    tree::drop_link(tx, older.row.inode, &mut row, parent, name)
}

/// The sequence of the next version of a name: later than all others, and by the clock where that is possible.
fn next_sequence(
    read: &Transaction<'_, '_>,
    parent: u64,
    name: &[u8],
    current: u64,
) -> Result<u64, NamespaceError> {
    let now = u64::try_from(read.now).unwrap_or_default();
    let newest = newest(read, parent, name)?.map_or(0, |newest| newest.sequence);
    Ok(now.max(newest.saturating_add(1)).max(current.saturating_add(1)))
}

/// The sequence with which a version is newer than all older ones: its own, but for those that came here by another name.
fn room(read: &dyn Read, parent: u64, name: &[u8], sequence: u64) -> Result<u64, NamespaceError> {
    let newest = newest(read, parent, name)?;
    Ok(newest.map_or(sequence, |newest| sequence.max(newest.sequence.saturating_add(1))))
}

/// The ETag of a version.
pub(crate) fn etag(row: &EntryRow) -> Option<ETag> {
    ETag::from_row(&row.etag, row.etag_parts)
}

#[cfg(test)]
mod tests;
