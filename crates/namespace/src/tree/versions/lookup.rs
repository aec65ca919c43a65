//! Finding versions.

use super::VersionId;
use crate::attributes::DirectoryState;
use crate::engine::{PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::names;
use crate::rows::{self, EntryRow, InodeRow};
use crate::tree;
use crate::tree::keyed::{self, FileRecord};

/// An older version, or a delete marker.
#[derive(Clone, Debug)]
pub(crate) struct Older {
    /// Its place among those of its name.
    pub(crate) sequence: u64,
    /// Its row.
    pub(crate) row: EntryRow,
}

impl Older {
    fn of_row(key: &[u8], value: &[u8]) -> Result<Self, NamespaceError> {
        let at = key.len().saturating_sub(8);
        Ok(Self { sequence: !keys::number_at(key, at), row: rows::unseal(key, value)? })
    }

    fn version_id(&self) -> VersionId {
        if self.row.versioned { VersionId::Number(self.sequence) } else { VersionId::Null }
    }
}

/// The version of an inode that is current.
pub(crate) fn of_row(row: &InodeRow) -> VersionId {
    if row.versioned { VersionId::Number(row.sequence) } else { VersionId::Null }
}

/// The newest of the older versions of a name.
pub(crate) fn newest(read: &dyn Read, parent: u64, name: &[u8]) -> Result<Option<Older>, NamespaceError> {
    let prefix = keys::olders(parent, name);
    let row = rows::scan(read, &prefix, &prefix, 1)?.pop();
    row.map(|(key, value)| Older::of_row(&key, &value)).transpose()
}

/// The older version of this ID.
pub(crate) fn older(
    read: &dyn Read,
    parent: u64,
    name: &[u8],
    version_id: VersionId,
) -> Result<Option<Older>, NamespaceError> {
    match version_id {
        VersionId::Null => find_null(read, parent, name),
        VersionId::Number(sequence) => {
            let row: Option<EntryRow> = rows::load(read, &keys::older(parent, name, sequence))?;
            Ok(row.filter(|row| row.versioned).map(|row| Older { sequence, row }))
        }
    }
}

/// The null version among the older ones: there is at most one.
pub(super) fn find_null(read: &dyn Read, parent: u64, name: &[u8]) -> Result<Option<Older>, NamespaceError> {
    let prefix = keys::olders(parent, name);
    let mut from = prefix.clone();
    loop {
        let page = rows::scan(read, &prefix, &from, PAGE)?;
        for (key, value) in &page {
            let older = Older::of_row(key, value)?;
            if !older.row.versioned {
                return Ok(Some(older));
            }
        }
        match page.last() {
            Some((key, _)) if page.len() == PAGE => from = [key.as_slice(), &[0]].concat(),
            _ => return Ok(None),
        }
    }
}

/// The inode of a version of a key; of the current one, where no version is named.
pub(crate) fn find(
    read: &dyn Read,
    root: u64,
    key: &[u8],
    version_id: Option<VersionId>,
) -> Result<u64, NamespaceError> {
    let current = keyed::find(read, root, key)?;
    let Some(version_id) = version_id else { return current.ok_or(NamespaceError::NotFound) };
    if let Some(number) = current
        && of_row(&tree::inode(read, number)?) == version_id
    {
        return Ok(number);
    }
    let (directories, name) = names::split_key(key);
    let parent = keyed::descend(read, root, &directories)?.ok_or(NamespaceError::NoSuchVersion)?;
    let older = older(read, parent, name, version_id)?.ok_or(NamespaceError::NoSuchVersion)?;
    match older.row.delete_marker {
        true => Err(NamespaceError::DeleteMarker(older.version_id(), older.row.content_time)),
        false => Ok(older.row.inode),
    }
}

/// Everything about a version of a key.
pub(crate) fn record(
    read: &dyn Read,
    root: u64,
    key: &[u8],
    version_id: Option<VersionId>,
) -> Result<FileRecord, NamespaceError> {
    let number = find(read, root, key, version_id)?;
    keyed::record(read, number)
}

/// The delete marker that is the newest version of a key, if that is what it is, and when it was put.
pub(crate) fn latest_marker(
    read: &dyn Read,
    root: u64,
    key: &[u8],
) -> Result<Option<(VersionId, u64)>, NamespaceError> {
    names::check_key(key)?;
    let (directories, name) = names::split_key(key);
    let Some(parent) = keyed::descend(read, root, &directories)? else { return Ok(None) };
    let current = tree::entry(read, parent, name)?;
    if current.is_some_and(|entry| entry.state == DirectoryState::Explicit.number()) {
        return Ok(None);
    }
    let newest = newest(read, parent, name)?.filter(|newest| newest.row.delete_marker);
    Ok(newest.map(|newest| (newest.version_id(), newest.row.content_time)))
}
