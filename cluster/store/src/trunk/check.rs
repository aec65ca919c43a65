//! Proving from the disk that every part of every trunk file is free or belongs to one file.

use std::{
    collections::{BTreeMap, HashSet},
    fmt, io,
    time::Duration,
};

use super::{AllocError, Block, FreeSpace, SlotKind, TrunkFile, is_sound, walk};
use crate::{
    Change, StoreError,
    store::{Shared, Store, io_error},
};
use fdfs_types::RemoteFilename;

/// What a check has found.
#[derive(Clone, Debug, Default)]
pub struct TrunkCheck {
    /// Trunk files.
    pub files: u64,
    /// Files in slots.
    pub slots: u64,
    /// Bytes of those slots.
    pub used: u64,
    /// Free bytes.
    pub free: u64,
    /// Files of trunk names that lie outside, since another file had their slot or they were unpacked.
    pub outside: u64,
    /// What is wrong.
    pub faults: Vec<TrunkFault>,
}

/// Something that is wrong with a trunk file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TrunkFault {
    /// A part counts as free and has a file.
    FreeAndUsed(Block),
    /// A part is neither free nor has a file.
    Lost(Block),
    /// Something without a header.
    Debris(Block),
    /// The content is not what the header says.
    Damaged(Block),
    /// The file in a slot has no name that the binlog knows.
    WithoutName(Block),
    /// A file that the binlog knows is not here.
    Missing(RemoteFilename),
    /// Free blocks reach beyond their trunk file, or overlap.
    BadFreeBlock(Block),
}

impl fmt::Display for TrunkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FreeAndUsed(block) => write!(f, "{block}: counts as free and has a file"),
            Self::Lost(block) => write!(f, "{block}: is not free and has no file"),
            Self::Debris(block) => write!(f, "{block}: has content without a header"),
            Self::Damaged(block) => write!(f, "{block}: its content is not what its header says"),
            Self::WithoutName(block) => write!(f, "{block}: has a file that the binlog does not know"),
            Self::Missing(name) => write!(f, "{name}: is in the binlog and not here"),
            Self::BadFreeBlock(block) => write!(f, "{block}: a free block beyond the end of its file"),
        }
    }
}

impl Store {
    /// Compares trunk files, trunk binlog and binlog. Nothing may be under way. Takes its time, and memory for the names of
    /// all files in trunk files.
    pub fn check_trunk(&self) -> Result<TrunkCheck, StoreError> {
        let shared = &self.0;
        if let Err(AllocError::Store(error)) = self.settle_trunk_office(Duration::ZERO) {
            return Err(error);
        }
        let mut check = TrunkCheck::default();
        let mut free = FreeSpace::default();
        free.replay(&shared.trunk.log.read().map_err(io_error("reading the trunk binlog"))?);
        check.free = free.total();
        let names = shared.trunk_names().map_err(io_error("reading the binlog"))?;
        let mut named: BTreeMap<Block, &RemoteFilename> = BTreeMap::new();
        for name in &names {
            let Some(block) = Block::of_name(name) else { continue };
            let path = shared.path_of(name)?;
            if path.slot_of(name).map_err(StoreError::doing("looking up a file"))?.is_some() {
                named.insert(block, name);
            } else if crate::store::is_there(path, name.local_path()) {
                check.outside += 1;
            } else {
                check.faults.push(TrunkFault::Missing(name.clone()));
            }
        }
        let mut known: HashSet<TrunkFile> = HashSet::new();
        for file in shared.trunk_files()? {
            known.insert(file);
            check.files += 1;
            let path = &shared.paths[usize::from(file.store_path)];
            let open = path.trunk.open(path, file).map_err(StoreError::doing("opening a trunk file"))?;
            let walked = walk(&open).map_err(io_error("reading a trunk file"))?;
            let end = u32::try_from(walked.length).unwrap_or(u32::MAX);
            let mut covered: Vec<Block> = Vec::new();
            for (offset, header) in &walked.slots {
                let block = Block { file, offset: *offset, size: header.allocated };
                check.slots += 1;
                check.used += u64::from(block.size);
                if free.overlaps(block) {
                    check.faults.push(TrunkFault::FreeAndUsed(block));
                }
                if header.kind == SlotKind::File
                    && !is_sound(&open, u64::from(*offset), header)
                        .map_err(io_error("reading a trunk file"))?
                {
                    check.faults.push(TrunkFault::Damaged(block));
                }
                if !named.contains_key(&block) {
                    check.faults.push(TrunkFault::WithoutName(block));
                }
                covered.push(block);
            }
            for (from, to) in &walked.debris {
                let (offset, to) = (u32::try_from(*from).unwrap_or(end), u32::try_from(*to).unwrap_or(end));
                check.faults.push(TrunkFault::Debris(Block { file, offset, size: to - offset }));
            }
            for block in free.of_file(file) {
                if block.end() > walked.length {
                    check.faults.push(TrunkFault::BadFreeBlock(block));
                }
                covered.push(block);
            }
            covered.sort();
            let mut position = 0_u64;
            for block in covered.into_iter().chain([Block { file, offset: end, size: 0 }]) {
                if u64::from(block.offset) > position {
                    let offset = u32::try_from(position).unwrap_or(end);
                    check.faults.push(TrunkFault::Lost(Block { file, offset, size: block.offset - offset }));
                }
                position = position.max(block.end());
            }
        }
        Ok(check)
    }

    /// Moves the files in trunk files out, each into a file of its own under its own name: IDs stay as they are. The slots
    /// become empty here; this storage must not be at work. How many were moved.
    pub fn unpack_trunk(&self) -> Result<u64, StoreError> {
        let shared = &self.0;
        let mut moved = 0;
        for name in shared.trunk_names().map_err(io_error("reading the binlog"))? {
            let path = shared.path_of(&name)?;
            let _lock = shared.lock(&name);
            let slot = path.slot_of(&name).map_err(StoreError::doing("looking up a file"))?;
            let Some(slot) = slot.filter(|slot| slot.header.kind == SlotKind::File) else { continue };
            shared.move_out(path, &name, &slot)?;
            moved += 1;
        }
        Ok(moved)
    }

    /// Writes headers again that were lost before a sound content, and the trunk binlog of this storage anew, so that exactly
    /// what has no file is free; clears what has no header or no name. Nothing may be under way in the group: this storage has
    /// to have everything that the others have. What the check says afterwards.
    pub fn repair_trunk(&self) -> Result<TrunkCheck, StoreError> {
        let shared = &self.0;
        for fault in self.check_trunk()?.faults {
            if let TrunkFault::Missing(name) = fault {
                self.mend_header(&name)?;
            }
        }
        for fault in self.check_trunk()?.faults {
            let (TrunkFault::Debris(block) | TrunkFault::WithoutName(block)) = fault else { continue };
            let path = &shared.paths[usize::from(block.file.store_path)];
            let file =
                path.trunk.open(path, block.file).map_err(StoreError::doing("opening a trunk file"))?;
            super::clear(&file, block.offset.into(), block.size.into())
                .map_err(io_error("clearing a part of a trunk file"))?;
        }
        let mut free = FreeSpace::default();
        for file in shared.trunk_files()? {
            let path = &shared.paths[usize::from(file.store_path)];
            let open = path.trunk.open(path, file).map_err(StoreError::doing("opening a trunk file"))?;
            let walked = walk(&open).map_err(io_error("reading a trunk file"))?;
            let mut position = 0;
            let end = u32::try_from(walked.length).unwrap_or(u32::MAX);
            let slots = walked.slots.iter().map(|(offset, header)| (*offset, header.allocated));
            for (offset, size) in slots.chain([(end, 0)]) {
                let gap = Block { file, offset: position, size: offset.saturating_sub(position) };
                free.add(gap, None, true, 0, &mut String::new());
                position = offset + size;
            }
        }
        let lines = free.snapshot(crate::store::now().0);
        shared.trunk.log.replace(&lines).map_err(io_error("writing the trunk binlog"))?;
        self.check_trunk()
    }
}

impl Shared {
    /// The names of files in trunk files that the binlog knows and does not know to be deleted.
    fn trunk_names(&self) -> io::Result<HashSet<RemoteFilename>> {
        let mut names = HashSet::new();
        let mut reader = self.binlog.reader(crate::Position::default());
        while let Some(entry) = reader.next_entry()? {
            let Ok(record) = entry.record else { continue };
            let Ok(name) = record.change.name().parse::<RemoteFilename>() else { continue };
            if Block::of_name(&name).is_none() {
                continue;
            }
            match record.change {
                Change::Create { .. } | Change::Link { .. } => drop(names.insert(name)),
                Change::Delete { .. } => drop(names.remove(&name)),
                _ => {}
            }
        }
        Ok(names)
    }
}
