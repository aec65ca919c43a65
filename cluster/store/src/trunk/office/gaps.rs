//! Parts of trunk files that belong to nobody: found by what is in them, and made free.

use std::{fs, io, path::Path, time::Duration};

use fdfs_types::RemoteFilename;
use rustix::io::Errno;
use tracing::warn;

use super::{AllocError, TrunkGap};
use crate::{
    Store, StoreError, TrunkFile,
    store::{Shared, io_error, now},
    trunk::{Block, files, walk},
};

impl Store {
    /// Parts of trunk files that are not free, not given out just now, and hold nothing here: an upload that never came to its
    /// end, or one whose file has not arrived yet. Slots in use that count as free are taken off the free list. Takes its time.
    pub fn trunk_gaps(&self) -> Result<Vec<TrunkGap>, AllocError> {
        let shared = &self.0;
        let mut gaps = Vec::new();
        {
            let mut office = shared.trunk.office()?;
            office.may_have_gaps = false;
        }
        for file in shared.trunk_files().map_err(AllocError::Store)? {
            let path = &shared.paths[usize::from(file.store_path)];
            let Ok(open) = path.trunk.open(path, file) else { continue };
            let known = {
                let office = shared.trunk.office()?;
                let mut known = office.free.of_file(file);
                let held = office.held.range((file, 0)..=(file, u32::MAX));
                known.extend(held.map(|((file, offset), (size, _))| Block {
                    file: *file,
                    offset: *offset,
                    size: *size,
                }));
                known
            };
            let walked =
                walk(&open).map_err(|error| AllocError::Store(io_error("reading a trunk file")(error)))?;
            let in_use: Vec<Block> = walked
                .slots
                .iter()
                .map(|(offset, header)| Block { file, offset: *offset, size: header.allocated })
                .collect();
            let mut guard = shared.trunk.office()?;
            let office = &mut *guard;
            let mut lines = std::mem::take(&mut office.unlogged);
            for slot in &in_use {
                if office.free.overlaps(*slot)
                    && known.iter().any(|free| free.offset <= slot.offset && slot.end() <= free.end())
                    && !office.is_held(*slot)
                    && files::header_at(&open, slot.offset.into()).ok().flatten().is_some()
                {
                    warn!(slot = %slot, "a slot in use was on the free list");
                    metrics::counter!("fdfs_storage_trunk_slots_rescued_total").increment(1);
                    office.free.withdraw(*slot, now().0, &mut lines);
                }
            }
            let mut covered: Vec<Block> = known;
            covered.extend(in_use);
            covered.sort();
            let mut position = 0_u64;
            let end = Block { file, offset: u32::try_from(walked.length).unwrap_or(u32::MAX), size: 0 };
            for block in covered.into_iter().chain([end]) {
                if u64::from(block.offset) > position {
                    let offset = u32::try_from(position).unwrap_or(u32::MAX);
                    let gap = Block { file, offset, size: block.offset - offset };
                    if !office.free.overlaps(gap) && !office.is_held(gap) {
                        gaps.push(TrunkGap(gap));
                    }
                }
                position = position.max(block.end());
            }
            office.may_have_gaps |= !gaps.is_empty();
            let logged = if lines.is_empty() { Ok(()) } else { shared.trunk.log.append(&lines, false) };
            drop(guard);
            self.logged(logged)?;
        }
        Ok(gaps)
    }

    /// Whether something may belong to nobody: [`Store::trunk_gaps`] tells. Slots that were given out so long ago that nobody
    /// can be writing to them count as such.
    pub fn may_have_trunk_gaps(&self, patience: Duration) -> bool {
        let Ok(mut office) = self.0.trunk.office() else { return false };
        let before = office.held.len();
        office.held.retain(|_, (_, since)| since.is_none_or(|since| since.elapsed() < patience));
        office.may_have_gaps |= office.held.len() < before;
        office.may_have_gaps
    }

    /// Makes a gap free in which no member holds anything; false where it is none any more.
    pub fn reclaim_gap(&self, gap: TrunkGap) -> Result<bool, AllocError> {
        let shared = &self.0;
        let TrunkGap(block) = gap;
        let mut guard = shared.trunk.office()?;
        let office = &mut *guard;
        if office.free.overlaps(block) || office.is_held(block) || !self.is_slot_empty(block)? {
            return Ok(false);
        }
        office.free.add(block, None, office.settings.merge, now().0, &mut office.unlogged);
        drop(guard);
        metrics::counter!("fdfs_storage_trunk_gaps_reclaimed_total").increment(1);
        Ok(true)
    }

    /// Whether a part of a trunk file holds nothing here.
    pub fn is_slot_empty(&self, block: Block) -> Result<bool, StoreError> {
        let shared = &self.0;
        let index = block.file.store_path;
        let path = shared.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
        match path.trunk.open(path, block.file) {
            Ok(file) => files::is_empty(&file, block.offset.into(), block.end())
                .map_err(io_error("reading a trunk file")),
            Err(Errno::NOENT) => Ok(true),
            Err(error) => Err(StoreError::from_errno("opening a trunk file", error)),
        }
    }
}

impl Shared {
    /// Every trunk file that is here.
    pub(crate) fn trunk_files(&self) -> Result<Vec<TrunkFile>, StoreError> {
        let mut found = Vec::new();
        for path in &self.paths {
            trunk_files_of(&path.data_path, path.index, &mut found)
                .map_err(io_error("looking for trunk files"))?;
        }
        found.sort();
        Ok(found)
    }
}

/// The trunk files below the `data` of a store path.
fn trunk_files_of(data: &Path, store_path: u8, found: &mut Vec<TrunkFile>) -> io::Result<()> {
    let directories = |path: &Path| -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        Ok(names
            .filter(|name| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_hexdigit()))
            .collect())
    };
    for high in directories(data)? {
        for low in directories(&data.join(&high))? {
            for entry in fs::read_dir(data.join(&high).join(&low))? {
                let name = entry?.file_name();
                let Some(name) = name.to_str().filter(|name| name.len() < 11) else { continue };
                let name = format!("M{store_path:02X}/{high}/{low}/{name}").parse::<RemoteFilename>();
                found.extend(name.ok().as_ref().and_then(TrunkFile::of_container));
            }
        }
    }
    Ok(())
}
