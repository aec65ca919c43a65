//! Changes that others must learn of: rows for those who were away, a channel for those who are here.

use crate::engine::Read;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, ChangeRow};

/// Something that became of a name or an inode. Events are idempotent: a reader drops what it knows of the inode and entries named.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// To which inode.
    pub inode: u64,
    /// Its version after the change.
    pub version: u64,
    /// The directory of the entry, 0 where no entry is concerned.
    pub parent: u64,
    /// The entry's name in its key: with a slash for directories.
    pub name: Vec<u8>,
    /// For renames: where the entry was.
    pub from: Option<(u64, Vec<u8>)>,
}

/// What can happen to a name or an inode.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// An entry came or names another inode.
    Created,
    /// An entry went.
    Removed,
    /// An entry moved.
    Renamed,
    /// The inode's bytes changed.
    Content,
    /// The inode's attributes changed.
    Attributes,
    /// A bucket came.
    BucketMade,
    /// A bucket went.
    BucketRemoved,
}

impl ChangeKind {
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Created => 1,
            Self::Removed => 2,
            Self::Renamed => 3,
            Self::Content => 4,
            Self::Attributes => 5,
            Self::BucketMade => 6,
            Self::BucketRemoved => 7,
        }
    }

    fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Created,
            2 => Self::Removed,
            3 => Self::Renamed,
            4 => Self::Content,
            5 => Self::Attributes,
            6 => Self::BucketMade,
            7 => Self::BucketRemoved,
            _ => return None,
        })
    }
}

/// Up to `limit` changes of `writer` after `sequence`, each with its own.
pub(crate) fn after(
    read: &dyn Read,
    writer: u64,
    sequence: u64,
    limit: usize,
) -> Result<Vec<(u64, Change)>, NamespaceError> {
    let from = keys::change(writer, sequence.saturating_add(1));
    let mut changes = Vec::new();
    for (key, value) in rows::scan(read, &keys::changes(writer), &from, limit)? {
        let row: ChangeRow = rows::unseal(&key, &value)?;
        let Some(kind) = ChangeKind::from_number(row.kind) else { continue };
        let change = Change {
            kind,
            inode: row.inode,
            version: row.version,
            parent: row.parent,
            name: row.name,
            from: (kind == ChangeKind::Renamed).then_some((row.other_parent, row.other_name)),
        };
        changes.push((keys::number_at(&key, 9), change));
    }
    Ok(changes)
}

/// The rows of `writer` from its oldest on that were written before `before` (ms), as many as a page holds: to be trimmed.
pub(crate) fn old_rows(
    read: &dyn Read,
    writer_from: u64,
    before: u64,
) -> Result<Vec<Vec<u8>>, NamespaceError> {
    let mut old = Vec::new();
    for (key, value) in rows::scan(read, b"c", &keys::changes(writer_from), crate::engine::PAGE)? {
        let row: ChangeRow = rows::unseal(&key, &value)?;
        if row.time >= before {
            break;
        }
        old.push(key);
    }
    Ok(old)
}
