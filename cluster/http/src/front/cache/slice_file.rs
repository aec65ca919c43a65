//! One slice of one file, as it lies on the cache disk.
//!
//! ```text
//!  0       8            12             16     24         32      36      40       48       56  64
//!  | magic | header CRC | payload CRC  | size | modified | CRC32 | index | length | stored | 0 | payload ...
//! ```
//!
//! Numbers are big-endian. The file is called `ID~INDEX~NUMBER`, with `,` for the slashes of the ID. The header is written
//! last and its checksum covers the ID, so a file that was cut off, changed or renamed is told from a whole one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use fdfs_types::{FileId, Timestamp};

use crate::front::Identity;

/// What the header of a slice tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct SliceHeader {
    /// The content that the slice is a part of.
    pub(super) identity: Identity,
    /// Which part.
    pub(super) index: u32,
    /// Bytes of the part.
    pub(super) length: u32,
    /// Their checksum.
    pub(super) crc32: u32,
    /// When a storage was last known to have the content.
    pub(super) stored: Timestamp,
}

impl SliceHeader {
    /// Bytes before the payload.
    pub(super) const LEN: usize = 64;

    /// Writes header and payload to a new file.
    pub(super) fn write(&self, id: &FileId, path: &Path, payload: &[Bytes]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut at = Self::LEN as u64;
        for block in payload {
            file.write_all_at(block, at)?;
            at += block.len() as u64;
        }
        file.write_all_at(&self.encode(id), 0)
    }

    /// Reads the header of a file that is as long as it says.
    pub(super) fn read(id: &FileId, file: &File) -> io::Result<Self> {
        let mut bytes = [0; Self::LEN];
        file.read_exact_at(&mut bytes, 0)?;
        let header = Self::decode(id, &bytes).ok_or(io::ErrorKind::InvalidData)?;
        let whole = Self::LEN as u64 + u64::from(header.length);
        if file.metadata()?.len() == whole { Ok(header) } else { Err(io::ErrorKind::InvalidData.into()) }
    }

    /// Reads the payload of `length` bytes and checks it.
    pub(super) fn payload(file: &File, length: u32, crc32: u32) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(usize::try_from(length).map_err(io::Error::other)?);
        file.read_exact_at(&mut bytes, Self::LEN as u64)?;
        if crc32fast::hash(&bytes) == crc32 {
            Ok(bytes.freeze())
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    fn encode(&self, id: &FileId) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[12..16].copy_from_slice(&self.crc32.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.identity.size.to_be_bytes());
        bytes[24..32].copy_from_slice(&self.identity.modified.0.to_be_bytes());
        bytes[32..36].copy_from_slice(&self.identity.crc32.to_be_bytes());
        bytes[36..40].copy_from_slice(&self.index.to_be_bytes());
        bytes[40..48].copy_from_slice(&u64::from(self.length).to_be_bytes());
        bytes[48..56].copy_from_slice(&self.stored.0.to_be_bytes());
        let sum = header_sum(id, &bytes);
        bytes[8..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn decode(id: &FileId, bytes: &[u8; Self::LEN]) -> Option<Self> {
        let u32_at = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let u64_at = |at: usize| Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let i64_at = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        if &bytes[..8] != MAGIC || u32_at(8)? != header_sum(id, bytes) {
            return None;
        }
        let identity = Identity { size: u64_at(16)?, modified: Timestamp(i64_at(24)?), crc32: u32_at(32)? };
        let length = u32::try_from(u64_at(40)?).ok()?;
        let stored = Timestamp(i64_at(48)?);
        Some(Self { identity, index: u32_at(36)?, length, crc32: u32_at(12)?, stored })
    }
}

/// The checksum of a header and of the ID that it belongs to.
fn header_sum(id: &FileId, bytes: &[u8; SliceHeader::LEN]) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(&bytes[12..]);
    sum.update(id.to_string().as_bytes());
    sum.finalize()
}

/// The name of a slice's file.
pub(super) fn file_name(id: &FileId, index: u32, number: &str) -> String {
    format!("{}~{index:x}~{number}", id.to_string().replace('/', ","))
}

/// The ID and the number in the name of a slice's file.
pub(super) fn parse_file_name(name: &str) -> Option<(FileId, &str)> {
    let mut parts = name.rsplitn(3, '~');
    let (number, _index, id) = (parts.next()?, parts.next()?, parts.next()?);
    // The last component of an ID may have a comma of its own.
    let id: FileId = id.replacen(',', "/", 4).parse().ok()?;
    Some((id, number))
}

const MAGIC: &[u8; 8] = b"FDFSHTC1";

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> FileId {
        "group1/M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg".parse().unwrap()
    }

    fn header() -> SliceHeader {
        let identity = Identity { size: 5, modified: Timestamp(7), crc32: 9 };
        SliceHeader { identity, index: 3, length: 5, crc32: crc32fast::hash(b"hello"), stored: Timestamp(11) }
    }

    #[test]
    fn a_slice_file_is_read_as_it_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let name = file_name(&id(), 3, "1-2");
        assert_eq!(parse_file_name(&name), Some((id(), "1-2")));
        let path = dir.path().join(name);
        header().write(&id(), &path, &[Bytes::from_static(b"he"), Bytes::from_static(b"llo")]).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(SliceHeader::read(&id(), &file).unwrap(), header());
        assert_eq!(SliceHeader::payload(&file, 5, header().crc32).unwrap(), "hello");
    }

    #[test]
    fn a_slice_file_that_was_cut_changed_or_renamed_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slice");
        header().write(&id(), &path, &[Bytes::from_static(b"hello")]).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(SliceHeader::read(&id(), &File::open(&path).unwrap()).is_err(), "cut to {length}");
        }
        for at in 0..SliceHeader::LEN {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            std::fs::write(&path, &changed).unwrap();
            assert!(SliceHeader::read(&id(), &File::open(&path).unwrap()).is_err(), "changed at {at}");
        }
        std::fs::write(&path, &whole).unwrap();
        let other = "group2/M00/00/07/fwAAAmsCerKAKbhRAAATiC17JN8110.jpg".parse().unwrap();
        let file = File::open(&path).unwrap();
        assert!(SliceHeader::read(&other, &file).is_err());
        assert!(SliceHeader::payload(&file, 5, 0).is_err());
    }
}
