//! Fills a bucket with many objects, faster than anybody could put them one by one.

use fdfs_types::{FileId, NameFields, SizeField, Source};

use crate::attributes::{ETag, Extent};
use crate::error::NamespaceError;
use crate::namespace::Namespace;
use crate::tree::keyed::{self, NewFile};
use crate::tree::preconditions::Preconditions;

/// Objects of a directory.
pub const DIRECTORY: u64 = 5_000;

/// The key of an object: the keys of ascending numbers ascend.
pub fn key(number: u64) -> String {
    format!("dir-{:05}/object-{number:09}", number / DIRECTORY)
}

/// Puts the objects of the numbers below `count` under the topmost directory `root`, many in one transaction, each with all rows that an object of
/// one file has. Their files exist nowhere. `on_rows` is told how many objects there are.
pub async fn fill(
    names: &Namespace,
    root: u64,
    count: u64,
    on_rows: &mut (dyn FnMut(u64) + Send),
) -> Result<(), NamespaceError> {
    let mut first = 0;
    while first < count {
        let end = count.min(first + BATCH);
        names
            .write(move |tx| {
                for number in first..end {
                    keyed::put(tx, root, key(number).as_bytes(), &object(number), &Preconditions::default())?;
                }
                Ok(())
            })
            .await?;
        first = end;
        on_rows(first);
    }
    Ok(())
}

/// What stands under a key: five bytes in a file of its own.
fn object(number: u64) -> NewFile {
    let low = number as u32;
    let fields = NameFields {
        source: Source::Ip([127, 0, 0, 1].into()),
        created: 1_795_323_909,
        size: SizeField::normal(SIZE, low),
        crc32: low,
    };
    let name = format!("group1/M00/00/00/{}{:07}", fields.encode(), number % 10_000_000);
    let file: FileId = name.parse().expect("the name of a file is made as storages make it");
    let mut digest = [0; 16];
    digest[..8].copy_from_slice(&number.to_be_bytes());
    NewFile {
        extents: vec![Extent::whole(file, SIZE)],
        size: SIZE,
        etag: Some(ETag { digest, parts: None }),
        ..NewFile::default()
    }
}

/// Objects of one transaction: fewer than a block of inode numbers may have left.
const BATCH: u64 = 500;
const SIZE: u64 = 5;
