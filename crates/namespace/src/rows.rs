//! Values of rows: the messages of FORMAT.md, and the sum that closes each of them.

mod access;
mod bucket;
mod content;
mod inode;
mod lock;
mod system;
mod upload;

use prost::Message;

use crate::engine::{EngineError, Read, Row};
use crate::error::NamespaceError;

pub(crate) use access::{AccessKeyRow, GrantRow};
pub(crate) use bucket::{BlobRow, BucketRow};
pub(crate) use content::{ExtentRow, ExtentsRow, FreedRow, JoinRow, OrphanRow, ReverseRow};
pub(crate) use inode::{ChecksumRow, DeltaRow, EntryRow, HeaderRow, InodeRow, PairRow};
pub(crate) use lock::{LockRow, LockedRow};
pub(crate) use system::{ChangeRow, LeaseRow, SessionRow, StampRow, TaskRow};
pub(crate) use upload::{CompletedRow, PartRow, PartTableRow, UploadRow};

/// The bytes of a row's value: the message and the sum over key and message.
pub(crate) fn seal(key: &[u8], message: &impl Message) -> Vec<u8> {
    let mut value = Vec::with_capacity(message.encoded_len() + SUM);
    message.encode_raw(&mut value);
    let sum = sum(key, &value);
    value.extend_from_slice(&sum);
    value
}

/// Whether a row's value is as it was written.
pub(crate) fn check_sum(key: &[u8], value: &[u8]) -> Result<(), NamespaceError> {
    let family = char::from(key.first().copied().unwrap_or(b'?'));
    match value.split_last_chunk::<SUM>() {
        Some((message, found)) if *found == sum(key, message) => Ok(()),
        _ => Err(NamespaceError::Corrupt { family, what: "its sum is wrong" }),
    }
}

/// The message in a row's value.
pub(crate) fn unseal<M: Message + Default>(key: &[u8], value: &[u8]) -> Result<M, NamespaceError> {
    let family = char::from(key.first().copied().unwrap_or(b'?'));
    let corrupt = |what| NamespaceError::Corrupt { family, what };
    let (message, found) = value.split_last_chunk::<SUM>().ok_or(corrupt("it is too short"))?;
    if *found != sum(key, message) {
        return Err(corrupt("its sum is wrong"));
    }
    M::decode(message).map_err(|_| corrupt("it is no message of this format"))
}

/// The row under `key`, if there is one.
pub(crate) fn load<M: Message + Default>(read: &dyn Read, key: &[u8]) -> Result<Option<M>, NamespaceError> {
    read.get(key)?.map(|value| unseal(key, &value)).transpose()
}

/// Up to `limit` rows whose keys begin with `prefix` and are not before `from`.
pub(crate) fn scan(
    read: &dyn Read,
    prefix: &[u8],
    from: &[u8],
    limit: usize,
) -> Result<Vec<Row>, EngineError> {
    read.range(from.max(prefix), &crate::engine::prefix_end(prefix), limit)
}

fn sum(key: &[u8], message: &[u8]) -> [u8; SUM] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(message);
    hasher.finalize().to_be_bytes()
}

/// Bytes of the sum at the end of each value.
const SUM: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_moved_under_another_key_is_damaged() {
        let row = LeaseRow { next: 7 };
        let value = seal(b"#inode", &row);
        assert_eq!(unseal::<LeaseRow>(b"#inode", &value).unwrap(), row);
        assert!(matches!(
            unseal::<LeaseRow>(b"#other", &value),
            Err(NamespaceError::Corrupt { family: '#', .. })
        ));
    }

    #[test]
    fn a_row_cut_or_changed_anywhere_is_damaged() {
        let value = seal(b"#inode", &LeaseRow { next: 1_000_000 });
        for at in 0..value.len() {
            assert!(unseal::<LeaseRow>(b"#inode", &value[..at]).is_err());
            let mut changed = value.clone();
            changed[at] ^= 1;
            assert!(unseal::<LeaseRow>(b"#inode", &changed).is_err());
        }
    }
}
