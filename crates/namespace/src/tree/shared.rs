//! Content that a second name shares: no byte moves, the files are used once more.

use std::ops::Range;

use fdfs_types::FileId;

use crate::attributes::{Attributes, ETag, Extent};
use crate::content;
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, JoinRow, PartTableRow};
use crate::transaction::Transaction;
use crate::tree;
use crate::tree::keyed::{self, NewFile};
use crate::tree::preconditions::Preconditions;
use crate::uploads;

/// Where content is taken from.
#[derive(Clone, Debug, PartialEq)]
pub enum ContentSource {
    /// The content of an inode, if these conditions hold of it.
    Inode(u64, Preconditions),
    /// A file, whoever uploaded it, and its size.
    File(FileId, u64),
}

/// What is found there.
pub(crate) struct Content {
    pub(crate) extents: Vec<Extent>,
    pub(crate) size: u64,
    pub(crate) etag: Option<ETag>,
    part_count: u32,
}

impl ContentSource {
    /// Its content as of now.
    pub(crate) fn content(&self, tx: &Transaction<'_, '_>) -> Result<Content, NamespaceError> {
        match self {
            Self::Inode(inode, conditions) => {
                let row = tree::inode(tx, *inode)?;
                let attributes = Attributes::of_inode(*inode, &row)?;
                conditions.check(Some(&attributes))?;
                let extents = content::extents(tx, *inode, &row)?;
                Ok(Content { extents, size: row.size, etag: attributes.etag, part_count: row.part_count })
            }
            Self::File(file, size) => {
                let foreign = content::is_foreign(tx, &file.to_string())?;
                let whole = Extent { foreign, ..Extent::whole(file.clone(), *size) };
                Ok(Content { extents: vec![whole], size: *size, etag: None, part_count: 0 })
            }
        }
    }
}

impl Content {
    /// The extents of a range of it.
    pub(crate) fn slice(&self, range: Range<u64>) -> Vec<Extent> {
        content::slice(&self.extents, range)
    }
}

/// Puts the content of `source` under `key`, with `file`'s attributes; an ETag that `file` does not say is the source's. The parts that the source
/// was made of are those of the copy.
pub(crate) fn copy(
    tx: &mut Transaction<'_, '_>,
    source: &ContentSource,
    root: u64,
    key: &[u8],
    file: &NewFile,
    preconditions: &Preconditions,
) -> Result<Attributes, NamespaceError> {
    let content = source.content(tx)?;
    let table = match source {
        ContentSource::Inode(inode, _) if content.part_count > 0 => {
            rows::load::<PartTableRow>(tx, &keys::part_table(*inode))?
        }
        _ => None,
    };
    let file = NewFile {
        etag: file.etag.or(content.etag),
        extents: content.extents,
        size: content.size,
        ..file.clone()
    };
    let (number, mut row) = keyed::put_row(tx, root, key, &file, preconditions)?;
    if let Some(table) = table {
        row.part_count = content.part_count;
        tree::save(tx, number, &mut row);
        tx.put(keys::part_table(number), &table);
        if !uploads::is_one_file(&file.extents, file.size) {
            tx.put(keys::waiting_join(number), &JoinRow { since: tx.now_ms(), ..JoinRow::default() });
        }
    }
    Attributes::of_inode(number, &row)
}
