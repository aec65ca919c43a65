//! Changes that others must learn of: rows for those who were away, a channel for those who are here.

use crate::engine::{EngineError, PAGE, Read};
use crate::error::NamespaceError;
use crate::keys;
use crate::origin::Origin;
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
    /// Who of this process made it; none for what others made, and where nobody said.
    pub origin: Option<Origin>,
    /// Its place among all that this process has told of, from 1 on; 0 for one that was read from a row.
    pub number: u64,
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
    /// Settings of a bucket changed; `name` is the setting's.
    BucketSettings,
    /// Locks of the inode were given back. It has no version.
    Unlocked,
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
            Self::BucketSettings => 8,
            Self::Unlocked => 9,
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
            8 => Self::BucketSettings,
            9 => Self::Unlocked,
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
        origin: None,
        number: 0,
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
                from = keys::after_writer(&key);
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
        from = keys::after_writer(&key);
        writers.push(keys::number_at(&key, 1));
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
            Some((key, _)) => found = keys::number_at(&key, 9).max(middle),
            None => beyond = middle,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine as _, Job, MemoryEngine, Txn};

    struct Put(Vec<Vec<u8>>);

    impl Job for Put {
        fn run(&mut self, txn: &mut Txn<'_>) -> bool {
            for key in self.0.drain(..) {
                let value = rows::seal(&key, &ChangeRow::default());
                txn.put(key, value);
            }
            true
        }

        fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
            outcome.unwrap();
        }
    }

    #[test]
    fn the_highest_writer_and_keys_that_name_none_end_every_walk() {
        let highest = keys::change(u64::MAX, u64::MAX);
        let short = [keys::changes(0), vec![3]].concat();
        let long = [keys::change(5, u64::MAX), vec![u8::MAX; 9]].concat();
        let engine = MemoryEngine::default();
        engine.submit(Box::new(Put(vec![vec![keys::CHANGE, 9], short, long, highest])));
        let read = |read: &dyn Read| {
            assert_eq!(writers(read)?, [0, 5, 0, u64::MAX]);
            assert_eq!(last_sequence(read, u64::MAX)?, u64::MAX);
            assert_eq!(last_sequence(read, 5)?, u64::MAX);
            last_sequence(read, 0)?;
            assert!(old_rows(read, 0, 0).unwrap().is_empty());
            assert_eq!(old_rows(read, 0, 1).unwrap().len(), 4);
            Ok(())
        };
        engine.read(&mut |rows| read(rows)).unwrap();
    }
}
