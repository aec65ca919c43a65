//! Content: which files hold an inode's bytes, who uses a file, what is to be deleted.

use std::collections::BTreeMap;

use fdfs_types::FileId;

use crate::attributes::Extent;
use crate::engine::{PAGE, Read, prefix_end};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, ExtentRow, ExtentsRow, FreedRow, InodeRow, ReverseRow};
use crate::transaction::Transaction;

/// A file that nothing names any more, waiting to be deleted at its storage.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FreedFile {
    /// When it was freed, milliseconds since 1970; 0 for one that never had a name.
    pub freed_at: u64,
    /// The file.
    pub file: FileId,
    /// How often its deletion failed.
    pub attempts: u32,
}

/// The extents of an inode.
pub(crate) fn extents(read: &dyn Read, inode: u64, row: &InodeRow) -> Result<Vec<Extent>, NamespaceError> {
    extent_rows(read, inode, row)?.iter().map(Extent::of_row).collect()
}

/// Gives `inode` these extents and lets go of those it had.
pub(crate) fn replace(
    tx: &mut Transaction<'_, '_>,
    inode: u64,
    row: &mut InodeRow,
    extents: &[Extent],
) -> Result<(), NamespaceError> {
    if extents.iter().any(|extent| !extent.file.filename.is_private()) {
        check_bucket(tx, row.bucket)?;
    }
    let old = extent_rows(tx, inode, row)?;
    let new: Vec<ExtentRow> = extents.iter().map(Extent::to_row).collect();
    let (taken, left) = (counts(&new), counts(&old));
    expect_uses(tx, tx.shared.session, inode, taken.keys().copied(), left.keys().copied())?;
    for (file, uses) in taken {
        take(tx, file, inode, uses)?;
    }
    for block in 0..row.extent_blocks {
        tx.delete(&keys::extents(inode, block));
    }
    for (file, uses) in left {
        let_go(tx, file, inode, uses)?;
    }
    row.extent_blocks = 0;
    if new.len() <= INLINE {
        row.extents = new;
        return Ok(());
    }
    row.extents.clear();
    for (block, extents) in (0..).zip(new.chunks(BLOCK)) {
        tx.put(keys::extents(inode, block), &ExtentsRow { extents: extents.to_vec() });
        row.extent_blocks = block + 1;
    }
    Ok(())
}

/// Refuses files that whoever knows their IDs can read, where the bucket has none of those.
fn check_bucket(read: &dyn Read, root: u64) -> Result<(), NamespaceError> {
    match rows::load::<InodeRow>(read, &keys::inode(root))? {
        Some(root) if root.native_read_off => Err(NamespaceError::NotPrivate),
        _ => Ok(()),
    }
}

/// Says which files are about to be taken and let go of.
pub(crate) fn expect_uses<'a>(
    read: &dyn Read,
    session: u64,
    inode: u64,
    taken: impl Iterator<Item = &'a str>,
    left: impl Iterator<Item = &'a str>,
) -> Result<(), NamespaceError> {
    let mut keys: Vec<Vec<u8>> = taken.map(|file| keys::reverse(file, inode)).collect();
    if !keys.is_empty() {
        keys.push(keys::session(session));
    }
    let users = |file| {
        let prefix = keys::reverses(file);
        let end = prefix_end(&prefix);
        (prefix, end, 2)
    };
    Ok(read.expect(&keys, &left.map(users).collect::<Vec<_>>())?)
}

/// How an inode uses a file.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Uses {
    count: u32,
    foreign: bool,
}

impl Uses {
    /// By one extent.
    pub(crate) fn one(extent: &ExtentRow) -> Self {
        Self { count: 1, foreign: extent.foreign }
    }
}

/// Counts `uses` more of `file` by `inode` (0: by a part that waits).
pub(crate) fn take(
    tx: &mut Transaction<'_, '_>,
    file: &str,
    inode: u64,
    uses: Uses,
) -> Result<(), NamespaceError> {
    tx.check_session()?;
    let key = keys::reverse(file, inode);
    let mut row = rows::load::<ReverseRow>(tx, &key)?.unwrap_or_default();
    row.uses = row.uses.saturating_add(uses.count);
    row.foreign |= uses.foreign;
    tx.put(key, &row);
    Ok(())
}

/// Counts `uses` less; a file of ours that nothing uses any more goes onto the free list.
pub(crate) fn let_go(
    tx: &mut Transaction<'_, '_>,
    file: &str,
    inode: u64,
    uses: Uses,
) -> Result<(), NamespaceError> {
    let key = keys::reverse(file, inode);
    // Two rows tell all: ours, and whether there is another.
    let prefix = keys::reverses(file);
    let users = rows::scan(tx, &prefix, &prefix, 2)?;
    let mut row = match users.iter().find(|(found, _)| *found == key) {
        Some((_, value)) => rows::unseal::<ReverseRow>(&key, value)?,
        None => rows::load::<ReverseRow>(tx, &key)?.unwrap_or_default(),
    };
    row.uses = row.uses.saturating_sub(uses.count);
    if row.uses > 0 {
        tx.put(key, &row);
        return Ok(());
    }
    tx.delete(&key);
    let is_last = users.iter().all(|(found, _)| *found == key);
    if is_last && !row.foreign && !uses.foreign {
        tx.put(keys::freed(tx.now_ms(), file), &FreedRow::default());
    }
    Ok(())
}

/// Counts one use less of a file that another inode has just come to use: it cannot be the last.
pub(crate) fn hand_over(tx: &mut Transaction<'_, '_>, file: &str, inode: u64) -> Result<(), NamespaceError> {
    let key = keys::reverse(file, inode);
    let mut row = rows::load::<ReverseRow>(tx, &key)?.unwrap_or_default();
    row.uses = row.uses.saturating_sub(1);
    if row.uses > 0 {
        tx.put(key, &row);
    } else {
        tx.delete(&key);
    }
    Ok(())
}

/// True while a name, or a part, uses the file.
pub(crate) fn is_named(read: &dyn Read, file: &str) -> Result<bool, NamespaceError> {
    let prefix = keys::reverses(file);
    Ok(!rows::scan(read, &prefix, &prefix, 1)?.is_empty())
}

/// True for a file that others uploaded: one that no name uses yet, and that was not made for one, or that is used as such already.
pub(crate) fn is_foreign(read: &dyn Read, file: &str) -> Result<bool, NamespaceError> {
    let prefix = keys::reverses(file);
    match rows::scan(read, &prefix, &prefix, 1)?.pop() {
        Some((key, value)) => Ok(rows::unseal::<ReverseRow>(&key, &value)?.foreign),
        None => Ok(true),
    }
}

/// The extents of `range` of a content, as those of a content of their own. What no file gives stays a gap.
pub(crate) fn slice(extents: &[Extent], range: std::ops::Range<u64>) -> Vec<Extent> {
    let first = extents.partition_point(|extent| extent.end() <= range.start);
    let within = extents.iter().skip(first).take_while(|extent| extent.offset < range.end);
    let cut = |extent: &Extent| {
        let start = extent.offset.max(range.start);
        Extent {
            offset: start - range.start,
            length: extent.end().min(range.end) - start,
            file_offset: extent.file_offset + (start - extent.offset),
            ..extent.clone()
        }
    };
    within.map(cut).collect()
}

/// What is left of a content where nothing is in `range`.
pub(crate) fn without(extents: &[Extent], range: &std::ops::Range<u64>) -> Vec<Extent> {
    let mut left = Vec::with_capacity(extents.len() + 1);
    for extent in extents {
        if extent.offset < range.start {
            let length = extent.end().min(range.start) - extent.offset;
            left.push(Extent { length, ..extent.clone() });
        }
        if extent.end() > range.end {
            let offset = extent.offset.max(range.end);
            let skipped = offset - extent.offset;
            let (length, file_offset) = (extent.length - skipped, extent.file_offset + skipped);
            left.push(Extent { offset, length, file_offset, ..extent.clone() });
        }
    }
    left
}

/// The same content with pieces that follow one another in one file as one.
pub(crate) fn joined(extents: Vec<Extent>) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::with_capacity(extents.len());
    for extent in extents {
        match joined.last_mut() {
            Some(last)
                if last.end() == extent.offset
                    && last.file == extent.file
                    && last.file_offset + last.length == extent.file_offset
                    && last.foreign == extent.foreign =>
            {
                last.length += extent.length;
            }
            _ => joined.push(extent),
        }
    }
    joined
}

/// Up to `limit` inodes that use the file.
pub(crate) fn users(read: &dyn Read, file: &str, limit: usize) -> Result<Vec<u64>, NamespaceError> {
    let prefix = keys::reverses(file);
    let rows = rows::scan(read, &prefix, &prefix, limit)?;
    Ok(rows.iter().map(|(key, _)| keys::number_at(key, prefix.len())).collect())
}

/// Puts files onto the free list that no name ever used: at once to be deleted.
pub(crate) fn free_unnamed(tx: &mut Transaction<'_, '_>, files: &[FileId]) -> Result<(), NamespaceError> {
    for file in files {
        let file = file.to_string();
        if !is_named(tx, &file)? {
            tx.put(keys::freed(0, &file), &FreedRow::default());
        }
    }
    Ok(())
}

/// Puts files onto the free list that a session which is gone left without a name. They may have had one, so readers are waited for.
pub(crate) fn free_left(tx: &mut Transaction<'_, '_>, files: &[FileId]) -> Result<u64, NamespaceError> {
    let mut freed = 0;
    for file in files {
        let file = file.to_string();
        if !is_named(tx, &file)? {
            tx.put(keys::freed(tx.now_ms(), &file), &FreedRow::default());
            freed += 1;
        }
    }
    Ok(freed)
}

/// One page of the free list from `from` on: files freed before `before` (ms) whose next attempt is due, and where the next page begins.
pub(crate) fn freed(
    read: &dyn Read,
    from: Option<&[u8]>,
    before: u64,
    now: u64,
) -> Result<(Vec<FreedFile>, Option<Vec<u8>>), NamespaceError> {
    let start = keys::freed(0, "");
    let page = read.range(from.unwrap_or(&start), &keys::freed(before.max(1), ""), PAGE)?;
    let next =
        (page.len() == PAGE).then(|| page.last().map(|(key, _)| [key.as_slice(), &[0]].concat())).flatten();
    let mut files = Vec::new();
    for (key, value) in page {
        let row: FreedRow = rows::unseal(&key, &value)?;
        let text = std::str::from_utf8(key.get(9..).unwrap_or_default()).unwrap_or_default();
        let file: FileId = text
            .parse()
            .map_err(|_| NamespaceError::Corrupt { family: 'f', what: "its key holds no file ID" })?;
        if row.not_before <= now && !is_named(read, text)? {
            files.push(FreedFile { freed_at: keys::number_at(&key, 1), file, attempts: row.attempts });
        }
    }
    Ok((files, next))
}

/// Forgets a freed file that has been deleted, or notes a failed attempt.
pub(crate) fn freed_done(
    tx: &mut Transaction<'_, '_>,
    file: &FreedFile,
    retry_at: Option<u64>,
) -> Result<(), NamespaceError> {
    let key = keys::freed(file.freed_at, &file.file.to_string());
    match (retry_at, rows::load::<FreedRow>(tx, &key)?) {
        (Some(not_before), Some(row)) => {
            let attempts = row.attempts.saturating_add(1);
            tx.put(key, &FreedRow { attempts, not_before, ..row });
        }
        _ => tx.delete(&key),
    }
    Ok(())
}

fn extent_rows(read: &dyn Read, inode: u64, row: &InodeRow) -> Result<Vec<ExtentRow>, NamespaceError> {
    let mut extents = row.extents.clone();
    for block in 0..row.extent_blocks {
        let key = keys::extents(inode, block);
        let missing = NamespaceError::Corrupt { family: 'x', what: "a block of extents is missing" };
        extents.extend(rows::load::<ExtentsRow>(read, &key)?.ok_or(missing)?.extents);
    }
    Ok(extents)
}

fn counts(extents: &[ExtentRow]) -> BTreeMap<&str, Uses> {
    let mut counts: BTreeMap<&str, Uses> = BTreeMap::new();
    for extent in extents {
        let uses = counts.entry(extent.file.as_str()).or_default();
        uses.count += 1;
        uses.foreign |= extent.foreign;
    }
    counts
}

/// Extents that stand in the inode itself.
const INLINE: usize = 8;
/// Extents of one row outside.
const BLOCK: usize = 256;
