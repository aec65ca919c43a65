//! The hash that spreads files over sub-directories in distribution mode 1.

/// PJW over `bytes`, 32 bits, with the sign-extending shift of the original (`FILE-IDS.md`, "Choosing
/// the directory"): the textbook variant gives other directories for names that set the top bits.
pub fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0u32, |hash, &byte| {
        let hash = (hash << 4).wrapping_add(u32::from(byte));
        match hash & 0xF000_0000 {
            0 => hash,
            top => (hash ^ (top.cast_signed() >> 24).cast_unsigned()) & 0x0FFF_FFFF,
        }
    })
}

/// The sub-directories (high, low) for `bytes`, with `count` (1 to 256) directories a level.
pub fn subdirs(bytes: &[u8], count: u32) -> (u8, u8) {
    let hash = hash(bytes) & 0xFFFF;
    let level = |value: u32| u8::try_from(value % count).expect("count is at most 256");
    (level(hash >> 8), level(hash & 0xFF))
}
