//! The 24 bytes at the beginning of a slot.
//!
//! ```text
//!  0      1           5      9       13     17         24
//!  | type | allocated | size | crc32 | time | tail [7] | content ...      numbers big endian
//! ```

use fdfs_types::RemoteFilename;

use super::Block;

/// What a slot holds.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SlotKind {
    /// `F`: a file.
    File,
    /// `L`: the logic name of another file.
    Link,
}

/// The header of a slot that is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SlotHeader {
    pub(crate) kind: SlotKind,
    /// Bytes of the slot, this header included.
    pub(crate) allocated: u32,
    /// Bytes of content.
    pub(crate) size: u32,
    pub(crate) crc32: u32,
    pub(crate) modified: u32,
    /// The last seven bytes of the name.
    pub(crate) tail: [u8; 7],
}

impl SlotHeader {
    pub(crate) const LEN: usize = 24;

    /// The header that belongs to a name.
    pub(crate) fn of_name(name: &RemoteFilename, kind: SlotKind) -> Option<Self> {
        let slot = Block::of_name(name)?;
        let fields = name.fields().ok()?;
        Some(Self {
            kind,
            allocated: slot.size,
            size: u32::try_from(fields.size.size()?).ok()?,
            crc32: fields.crc32,
            modified: fields.created,
            tail: name.tail().as_bytes().try_into().ok()?,
        })
    }

    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[0] = match self.kind {
            SlotKind::File => b'F',
            SlotKind::Link => b'L',
        };
        bytes[1..5].copy_from_slice(&self.allocated.to_be_bytes());
        bytes[5..9].copy_from_slice(&self.size.to_be_bytes());
        bytes[9..13].copy_from_slice(&self.crc32.to_be_bytes());
        bytes[13..17].copy_from_slice(&self.modified.to_be_bytes());
        bytes[17..].copy_from_slice(&self.tail);
        bytes
    }

    /// `None` for a slot that is not in use.
    pub(crate) fn decode(bytes: &[u8; Self::LEN]) -> Option<Self> {
        let kind = match bytes[0] {
            b'F' => SlotKind::File,
            b'L' => SlotKind::Link,
            _ => return None,
        };
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let mut tail = [0; 7];
        tail.copy_from_slice(&bytes[17..]);
        Some(Self { kind, allocated: word(1), size: word(5), crc32: word(9), modified: word(13), tail })
    }

    /// Whether this is the header of that name's file, or of the link of that name.
    pub(crate) fn is_of(&self, name: &RemoteFilename) -> bool {
        Self::of_name(name, self.kind).as_ref() == Some(self)
    }

    /// Whether such a header can stand at this place of a trunk file of `length` bytes.
    pub(crate) fn fits(&self, offset: u64, length: u64) -> bool {
        let tail_is_text =
            self.tail.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        u64::from(self.size) + Self::LEN as u64 <= u64::from(self.allocated)
            && offset + u64::from(self.allocated) <= length
            && tail_is_text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_slot_belongs_to_its_name_and_is_written_byte_for_byte() {
        let bytes = crate::tests::bytes("trunk_000001.first64k");
        let head: &[u8; SlotHeader::LEN] = bytes.first_chunk().unwrap();
        let header = SlotHeader::decode(head).unwrap();
        assert_eq!((header.allocated, header.size), (256, 13));
        assert_eq!(header.encode(), *head);
        assert_eq!(crc32fast::hash(&bytes[24..37]), header.crc32);
        let name = |text: &str| text.parse::<RemoteFilename>().unwrap();
        assert!(header.is_of(&name("M00/00/00/fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA001.txt")));
        assert!(!header.is_of(&name("M00/00/00/fwAAAmsCe-OINMySAAAADemKt44AAAAAQAAAAAAAAEA002.txt")));
        // A slot whose file was deleted, and one with an empty file.
        assert_eq!(SlotHeader::decode(bytes[256..].first_chunk().unwrap()), None);
        let empty = SlotHeader::decode(bytes[1280..].first_chunk().unwrap()).unwrap();
        assert_eq!((empty.allocated, empty.size, empty.crc32), (256, 0, 0));
        assert!(empty.fits(1280, 4 << 20) && !empty.fits((4 << 20) - 255, 4 << 20));
    }
}
