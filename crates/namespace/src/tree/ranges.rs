//! Ranges of a content: emptied, or taken from another content, without a byte being moved.

use std::ops::Range;

use crate::attributes::{Attributes, ETag, Extent};
use crate::content;
use crate::error::NamespaceError;
use crate::rows::InodeRow;
use crate::transaction::Transaction;
use crate::tree::posix;
use crate::tree::shared::ContentSource;
use crate::tree::versions;

/// Takes a range's bytes away: it reads as zeros. The content grows up to the end of the range where `grows` says so.
pub(crate) fn zero(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    range: Range<u64>,
    grows: bool,
) -> Result<Attributes, NamespaceError> {
    let mut row = posix::file(tx, number)?;
    let old = content::extents(tx, number, &row)?;
    let size = if grows { row.size.max(range.end) } else { row.size };
    let new = content::without(&old, &range);
    if new == old && size == row.size {
        return posix::get_attributes(tx, number);
    }
    replace(tx, number, &mut row, new, size)
}

/// Puts up to `length` bytes of `source` from `from` on over those of `number` from `to` on, by using the same files. The attributes, and how many bytes that were.
pub(crate) fn copy(
    tx: &mut Transaction<'_, '_>,
    source: &ContentSource,
    from: u64,
    number: u64,
    to: u64,
    length: u64,
) -> Result<(Attributes, u64), NamespaceError> {
    let source = source.content(tx)?;
    let length = length.min(source.size.saturating_sub(from));
    let mut row = posix::file(tx, number)?;
    if length == 0 {
        return Ok((posix::get_attributes(tx, number)?, 0));
    }
    let range = to..to.checked_add(length).ok_or(NamespaceError::TooManyExtents)?;
    let mut new = content::without(&content::extents(tx, number, &row)?, &range);
    let taken = source.slice(from..from.saturating_add(length));
    new.extend(taken.into_iter().map(|extent| Extent { offset: extent.offset + to, ..extent }));
    new.sort_by_key(|extent| extent.offset);
    let new = content::joined(new);
    if new.len() > MAX_EXTENTS {
        return Err(NamespaceError::TooManyExtents);
    }
    let size = row.size.max(range.end);
    Ok((replace(tx, number, &mut row, new, size)?, length))
}

fn replace(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    row: &mut InodeRow,
    extents: Vec<Extent>,
    size: u64,
) -> Result<Attributes, NamespaceError> {
    versions::keep_before(tx, number, row)?;
    content::replace(tx, number, row, &extents)?;
    row.size = size;
    posix::new_content(tx, number, row, ETag::unknown());
    row.mtime = tx.now;
    posix::save_content(tx, number, row)
}

/// Extents of one content beyond which ranges are not shared any more: who wants a copy copies the bytes.
const MAX_EXTENTS: usize = 4_096;
