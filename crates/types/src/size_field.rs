//! The 64-bit size field of a file name, with the flags that it carries.

/// The size field: the file's size, or its flags and random bits (`FILE-IDS.md`, "Size field").
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SizeField(pub u64);

impl SizeField {
    const COMPACT: u64 = 1 << 63;
    const PRIVATE: u64 = 1 << 62;
    const TRUNK: u64 = 1 << 59;
    const APPENDER: u64 = 1 << 58;
    const RANDOM_BITS: u32 = 23;

    /// For a normal file: below 4 GiB with 23 bits of `random`, above it the plain size.
    pub const fn normal(size: u64, random: u32) -> Self {
        if size >> 32 == 0 { Self(Self::COMPACT | Self::spread(random) | size) } else { Self(size) }
    }

    /// The same for a private file: one that is not given to those who know no more than its name.
    pub const fn private(self) -> Self {
        Self(self.0 | Self::PRIVATE)
    }

    /// Whether the file is private (or a slave of one). The original has no such files, and never sets this bit.
    pub const fn is_private(self) -> bool {
        self.0 & Self::PRIVATE != 0
    }

    /// For an appender file, whose size is never in its name.
    pub const fn appender(random: u32) -> Self {
        Self(Self::COMPACT | Self::APPENDER | Self::spread(random))
    }

    /// For a file in a trunk slot.
    pub const fn trunk(size: u32, random: u32) -> Self {
        Self(Self::COMPACT | Self::TRUNK | Self::spread(random) | size as u64)
    }

    /// Whether the file is an appender file (or a slave of one).
    pub const fn is_appender(self) -> bool {
        self.0 & Self::APPENDER != 0
    }

    /// Whether the trunk bit is set. Slaves of trunk files carry it too.
    pub const fn has_trunk_bit(self) -> bool {
        self.0 & Self::TRUNK != 0
    }

    /// The size that the name tells; `None` for an appender file.
    pub const fn size(self) -> Option<u64> {
        if self.is_appender() {
            None
        } else if self.0 & (Self::COMPACT | Self::TRUNK) != 0 {
            Some(self.0 & 0xFFFF_FFFF)
        } else {
            Some(self.0 & !Self::PRIVATE)
        }
    }

    const fn spread(random: u32) -> u64 {
        ((random & ((1 << Self::RANDOM_BITS) - 1)) as u64) << 32
    }
}
