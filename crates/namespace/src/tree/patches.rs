//! Parts of a content that were written anew: they take the place of what stood there, in one transaction; the rest stays in the files that hold it.

use crate::attributes::{Attributes, ETag, Extent};
use crate::content;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::JoinRow;
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::{posix, versions};

/// Parts of a content, and the rest of it.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The content that the rest is of: the ETag (none for a file that nothing was written to) and the size. Where the inode has another by now,
    /// nothing is written. None: nothing of before stays, whatever it is.
    pub base: Option<(Option<ETag>, u64)>,
    /// How many bytes of it stay, from its first on.
    pub kept: u64,
    /// The parts, in order, not overlapping.
    pub parts: Vec<Extent>,
    /// The size of the whole. What is in no part and was not kept is zeros.
    pub size: u64,
}

/// Puts the parts over the content of an inode.
pub(crate) fn apply(
    tx: &mut Transaction<'_, '_>,
    number: u64,
    patch: &Patch,
    etag: ETag,
    mtime: Option<i64>,
) -> Result<Attributes, NamespaceError> {
    let mut row = posix::file(tx, number)?;
    let now = tree::attributes(tx, number, &row)?;
    if patch.base.is_some_and(|base| base != (now.etag, now.size)) {
        return Err(NamespaceError::ContentChanged);
    }
    versions::keep_before(tx, number, &mut row)?;
    let old = match patch.base {
        Some(_) => content::extents(tx, number, &row)?,
        None => Vec::new(),
    };
    let new = over(&old, patch);
    content::replace(tx, number, &mut row, &new)?;
    row.size = patch.size;
    posix::new_content(tx, number, &mut row, etag);
    row.mtime = mtime.unwrap_or(tx.now);
    if new.len() > 1 {
        // A file that is written to again and again is written anew when that has ended, or when its parts are too many.
        let many = (patch.size / BYTES_OF_A_PART).clamp(FEW, MANY);
        let quiet = if new.len() as u64 > many { 0 } else { QUIET_MS };
        let not_before = tx.now_ms() + quiet;
        let wanted = JoinRow { since: tx.now_ms(), rewrite: true, not_before, ..JoinRow::default() };
        tx.put(keys::waiting_join(number), &wanted);
    }
    posix::save_content(tx, number, &mut row)
}

/// What is kept of `old`, with the parts over it.
fn over(old: &[Extent], patch: &Patch) -> Vec<Extent> {
    let kept = patch.kept.min(patch.size);
    let mut new = Vec::with_capacity(old.len() + patch.parts.len() * 2);
    let mut parts = patch.parts.iter().peekable();
    for extent in old.iter().filter(|extent| extent.offset < kept) {
        let mut at = extent.offset;
        let end = extent.end().min(kept);
        while at < end {
            // Parts that begin before what is left of this extent hide it up to their end.
            match parts.peek() {
                Some(part) if part.end() <= at => new.extend(parts.next().cloned()),
                Some(part) if part.offset <= at => at = part.end(),
                part => {
                    let next = part.map_or(end, |part| part.offset.min(end));
                    let file_offset = extent.file_offset + (at - extent.offset);
                    new.push(Extent { offset: at, length: next - at, file_offset, ..extent.clone() });
                    at = next;
                }
            }
        }
    }
    new.extend(parts.cloned());
    new
}

/// Fewer parts than this are not too many, however small the file is.
const FEW: u64 = 64;
/// More than this are, however large it is.
const MANY: u64 = 2_048;
/// One part for so many bytes is not too many.
const BYTES_OF_A_PART: u64 = 1024 * 1024;
/// How long a file has to be left alone.
const QUIET_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(name: char, offset: u64, length: u64, file_offset: u64) -> Extent {
        let file = format!("group1/M00/01/07/fwAAAmsCeAWAUa5zAAAACw1KEYU83{}.txt", name as u32 % 10);
        Extent { offset, file_offset, ..Extent::whole(file.parse().unwrap(), length) }
    }

    /// What every byte is: of which file, and where in it.
    fn bytes(extents: &[Extent], size: u64) -> Vec<Option<(String, u64)>> {
        let mut bytes = vec![None; usize::try_from(size).unwrap()];
        let mut end = 0;
        for extent in extents {
            assert!(extent.offset >= end && extent.length > 0, "{extents:?}");
            end = extent.end();
            for at in extent.offset..end {
                let place = (extent.file.to_string(), extent.file_offset + at - extent.offset);
                bytes[usize::try_from(at).unwrap()] = Some(place);
            }
        }
        bytes
    }

    #[test]
    fn parts_hide_what_stood_there_byte_by_byte() {
        for round in 0..2_000 {
            let mut random = fastrand::Rng::with_seed(round);
            let mut some = |name: char, size: u64| {
                let (mut extents, mut at) = (Vec::new(), random.u64(0..10));
                while at < size {
                    let length = random.u64(1..15).min(size - at);
                    extents.push(extent(name, at, length, random.u64(0..100)));
                    at += length + if random.bool() { 0 } else { random.u64(0..10) };
                }
                extents
            };
            let (old, parts) = (some('a', 100), some('b', 120));
            let (kept, size) = (random.u64(0..=100), 120);
            let patch = Patch { base: None, kept, parts: parts.clone(), size };
            let mut expected = bytes(&old, size);
            expected[usize::try_from(kept).unwrap()..].fill(None);
            for (at, byte) in bytes(&parts, size).into_iter().enumerate() {
                expected[at] = byte.or(expected[at].take());
            }
            assert_eq!(bytes(&over(&old, &patch), size), expected, "seed {round}");
        }
    }
}
