//! Decoders of rows and of calls, for fuzzers.

pub use crate::remote::fuzzing::call;

use std::fmt::Debug;

use prost::Message;

use crate::attributes::pairs_of_rows;
use crate::rows::{
    BucketRow, ChangeRow, CompletedRow, DeltaRow, EntryRow, ExtentsRow, FreedRow, InodeRow, JoinRow,
    LeaseRow, OrphanRow, PartRow, PartTableRow, ReverseRow, SessionRow, StampRow, UploadRow, seal, unseal,
};
use crate::tree::keyed::headers_of_rows;
use crate::{Attributes, Bucket, Checksum, ETag, Entry, Extent, Part, Upload, UploadId, changes, keys};

/// A value as a row of any family; where it is one, what the row means.
pub fn row(value: &[u8]) {
    let key = keys::part(&[7; 16], 1);
    if let Some(row) = read::<InodeRow>(&key, value) {
        let _ = (Attributes::of_inode(2, &row), ETag::from_row(&row.etag, row.etag_parts));
        let _ = (headers_of_rows(&row.headers), pairs_of_rows(&row.attributes));
        let extents: Result<Vec<_>, _> = row.extents.iter().map(Extent::of_row).collect();
        let _: Vec<_> = extents.iter().flatten().map(|extent| (extent.end(), extent.to_row())).collect();
        row.checksums.into_iter().map(Checksum::of_row).for_each(drop);
    }
    if let Some(row) = read::<EntryRow>(&key, value) {
        let _ = (Entry::of_row(b"name", &row), Entry::of_row(b"name/", &row));
    }
    if let Some(row) = read::<BucketRow>(&key, value) {
        let _ = Bucket::of_row(row);
    }
    if let Some(row) = read::<UploadRow>(&key, value) {
        let _ = Upload::of_row(b"key".to_vec(), UploadId::random(), row);
    }
    if let Some(row) = read::<PartRow>(&key, value) {
        let _ = Part::of_row(&key, row);
    }
    if let Some(row) = read::<ChangeRow>(&key, value) {
        let _ = changes::of_row(&key, &seal(&key, &row));
    }
    read::<CompletedRow>(&key, value);
    read::<DeltaRow>(&key, value);
    read::<ExtentsRow>(&key, value);
    read::<FreedRow>(&key, value);
    read::<JoinRow>(&key, value);
    read::<LeaseRow>(&key, value);
    read::<OrphanRow>(&key, value);
    read::<PartTableRow>(&key, value);
    read::<ReverseRow>(&key, value);
    read::<SessionRow>(&key, value);
    read::<StampRow>(&key, value);
}

/// Reads a row with its right sum, and again as it is written. As it came, its sum is wrong.
fn read<M: Message + Default + Debug + PartialEq>(key: &[u8], value: &[u8]) -> Option<M> {
    let _ = unseal::<M>(key, value);
    let row = M::decode(value).ok()?;
    let again: M = unseal(key, &seal(key, &row)).ok()?;
    assert_eq!(again, row);
    Some(row)
}
