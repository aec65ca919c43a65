//! Trunk files: large files whose slots hold one small file each. `TRUNK.md` beside this crate tells the formats and the
//! rules.

mod blank;
mod check;
mod claims;
mod files;
mod free_space;
mod header;
mod heal;
mod log;
mod office;
mod ready_slots;
mod walk;

pub use self::{
    check::{TrunkCheck, TrunkFault},
    heal::Mended,
    office::{AllocError, OfficeSettings, TrunkGap},
    ready_slots::ReadySlots,
    walk::SlotScan,
};
pub(crate) use self::{
    files::{Content, TrunkFiles, clear, header_at, is_empty, write_slot},
    free_space::FreeSpace,
    header::{SlotHeader, SlotKind},
    log::TrunkLog,
    office::Trunk,
    walk::{is_sound, walk},
};

use std::fmt;

use fdfs_proto::sync::TrunkSpace;
use fdfs_types::{FileKind, RemoteFilename, Subdir, TrunkSlot};

/// Which trunk file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrunkFile {
    /// Index of the store path.
    pub store_path: u8,
    /// First directory.
    pub high: u8,
    /// Second directory.
    pub low: u8,
    /// Its number.
    pub id: u32,
}

/// A part of a trunk file.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Block {
    /// The trunk file.
    pub file: TrunkFile,
    /// Where it begins, in bytes.
    pub offset: u32,
    /// Bytes.
    pub size: u32,
}

/// What trackers prescribe about trunk files.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TrunkPolicy {
    /// Smallest slot, in bytes.
    pub slot_min_size: u32,
    /// Largest slot, header included.
    pub slot_max_size: u32,
    /// Slots have sizes that are multiples of this; 0 for exact ones.
    pub alignment: u32,
    /// Size of a trunk file.
    pub file_size: u32,
}

impl TrunkFile {
    /// All of it.
    pub(crate) fn whole(self) -> Block {
        Block { file: self, offset: 0, size: u32::MAX }
    }

    /// Where it lies below the `data` of its store path.
    pub fn local_path(&self) -> String {
        let Self { high, low, id, .. } = self;
        format!("{high:02X}/{low:02X}/{id:06}")
    }

    /// The name under which members ask for the whole of it.
    pub fn container_name(&self) -> String {
        format!("M{:02X}/{}", self.store_path, self.local_path())
    }

    /// The trunk file that a name of a container stands for.
    pub fn of_container(name: &RemoteFilename) -> Option<Self> {
        let number = name.base_name();
        let is_number = (6..=10).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        let Subdir { high, low } = name.subdir();
        let id = number.parse().ok().filter(|id| is_number && *id > 0)?;
        Some(Self { store_path: name.store_path(), high, low, id })
    }
}

impl Block {
    /// The slot that a name tells of.
    pub fn of_name(name: &RemoteFilename) -> Option<Self> {
        match name.kind() {
            Ok(FileKind::Trunk(slot)) => {
                let Subdir { high, low } = name.subdir();
                let file = TrunkFile { store_path: name.store_path(), high, low, id: slot.trunk_id };
                Some(Self { file, offset: slot.offset, size: slot.allocated })
            }
            _ => None,
        }
    }

    /// Its end.
    pub(crate) fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.size)
    }

    /// Whether they have a byte in common.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        self.file == other.file
            && u64::from(self.offset) < other.end()
            && u64::from(other.offset) < self.end()
    }

    /// The slot as names have it.
    pub(crate) fn slot(&self) -> TrunkSlot {
        TrunkSlot { trunk_id: self.file.id, offset: self.offset, allocated: self.size }
    }

    pub(crate) fn subdir(&self) -> Subdir {
        Subdir { high: self.file.high, low: self.file.low }
    }
}

impl From<TrunkSpace> for Block {
    fn from(space: TrunkSpace) -> Self {
        let Subdir { high, low } = space.subdir;
        let file = TrunkFile { store_path: space.store_path, high, low, id: space.slot.trunk_id };
        Self { file, offset: space.slot.offset, size: space.slot.allocated }
    }
}

impl From<Block> for TrunkSpace {
    fn from(block: Block) -> Self {
        Self { store_path: block.file.store_path, subdir: block.subdir(), slot: block.slot() }
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}+{}", self.file.container_name(), self.offset, self.size)
    }
}

impl TrunkPolicy {
    /// Whether a file of `size` bytes goes into a slot.
    pub fn admits(&self, size: u64) -> bool {
        size + SlotHeader::LEN as u64 <= u64::from(self.slot_max_size)
    }

    /// Bytes that a slot for `size` bytes, the header included, takes.
    pub fn aligned(&self, size: u32) -> u32 {
        let size = size.max(self.slot_min_size);
        match self.alignment {
            0 => size,
            alignment => size.div_ceil(alignment).saturating_mul(alignment),
        }
    }
}
