//! Where a small file lies inside a trunk file.

use crate::base64;

/// The trunk part of a file name: a slot of a trunk file.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrunkSlot {
    /// Number of the trunk file, from 1 on.
    pub trunk_id: u32,
    /// Where the slot starts, in bytes.
    pub offset: u32,
    /// Bytes of the slot, its 24-byte header included.
    pub allocated: u32,
}

impl TrunkSlot {
    /// Characters of the encoded part.
    pub const ENCODED_LEN: usize = base64::encoded_len(12);

    /// Reads the 16 characters of a file name.
    pub fn decode(text: &[u8]) -> Option<Self> {
        let bytes: [u8; 12] = base64::decode(text)?;
        let word = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        Some(Self { trunk_id: word(0), offset: word(4), allocated: word(8) })
    }

    /// The 16 characters for a file name.
    pub fn encode(self) -> String {
        let mut bytes = [0; 12];
        bytes[..4].copy_from_slice(&self.trunk_id.to_be_bytes());
        bytes[4..8].copy_from_slice(&self.offset.to_be_bytes());
        bytes[8..].copy_from_slice(&self.allocated.to_be_bytes());
        base64::encode(&bytes)
    }
}
