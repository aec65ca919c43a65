//! Changes that others must learn of: rows for those who were away, a channel for those who are here.

use crate::engine::{EngineError, PAGE, Read};
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
    /// Changes of other processes may have been missed: whatever is known may be wrong. It has no inode, and no row.
    Missed,
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
            Self::Missed => 0,
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

/// What a row tells; nothing for a kind that this program does not know.
pub(crate) fn of_row(key: &[u8], value: &[u8]) -> Result<Option<Change>, NamespaceError> {
    let row: ChangeRow = rows::unseal(key, value)?;
    Ok(ChangeKind::from_number(row.kind).map(|kind| Change {
        kind,
        inode: row.inode,
        version: row.version,
        parent: row.parent,
        name: row.name,
        from: (kind == ChangeKind::Renamed).then_some((row.other_parent, row.other_name)),
    }))
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
        let Some(change) = of_row(&key, &value)? else { continue };
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
    let mut from = keys::changes(writer_from);
    while old.len() < PAGE {
        let page = rows::scan(read, &[keys::CHANGE], &from, PAGE - old.len())?;
        let Some((last, _)) = page.last() else { break };
        from = [last.as_slice(), &[0]].concat();
        for (key, value) in page {
            let row: ChangeRow = rows::unseal(&key, &value)?;
            if row.time >= before {
                // The rest of this writer's rows are younger still; the next writer's oldest may be older.
                from = keys::changes(keys::number_at(&key, 1).saturating_add(1));
                break;
            }
            old.push(key);
        }
    }
    Ok(old)
}

/// The writers that have rows, in order.
pub(crate) fn writers(read: &dyn Read) -> Result<Vec<u64>, EngineError> {
    let mut writers = Vec::new();
    let mut from = keys::changes(0);
    while let Some((key, _)) = rows::scan(read, &[keys::CHANGE], &from, 1)?.pop() {
        let writer = keys::number_at(&key, 1);
        writers.push(writer);
        from = keys::changes(writer.saturating_add(1));
    }
    Ok(writers)
}

/// The sequence of the last row of `writer`; 0 where it has none.
pub(crate) fn last_sequence(read: &dyn Read, writer: u64) -> Result<u64, EngineError> {
    // Rows can only be read forwards: the last one is found by halving.
    let (mut found, mut beyond) = (0_u64, u64::MAX);
    while let Some(middle) = found.checked_add((beyond - found).div_ceil(2)).filter(|middle| *middle < beyond)
    {
        let from = keys::change(writer, middle);
        match rows::scan(read, &keys::changes(writer), &from, 1)?.pop() {
            Some((key, _)) => found = keys::number_at(&key, 9),
            None => beyond = middle,
        }
    }
    Ok(found)
}
