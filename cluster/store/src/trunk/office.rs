//! The office of the trunk server: it gives out slots, and takes them back.
//!
//! A slot that is given out is logged as such before it is told, so that no end of any process makes it free. It becomes free
//! again when the delete of its file is made here, when its upload is known to have failed, or when no member holds anything
//! in it (a gap). See `TRUNK.md`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    time::{Duration, Instant},
};

use fdfs_types::{RemoteFilename, Subdir};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use rustix::{fs::AtFlags, io::Errno};
use thiserror::Error;
use tracing::{error, info, warn};

use super::{Block, ReadySlots, TrunkFile, TrunkLog, TrunkPolicy, files, free_space::FreeSpace, walk};
use crate::{
    StoreError,
    layout::{BasePath, StorePath},
    store::{Shared, Store, io_error, now},
};

/// How the office is held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OfficeSettings {
    /// Sizes.
    pub policy: TrunkPolicy,
    /// Free neighbours become one block.
    pub merge: bool,
    /// Trunk files without content are deleted.
    pub delete_unused: bool,
    /// A slot is not given out again for so long after its file was deleted: by then the others have deleted it, too.
    pub rest: Duration,
    /// What a predecessor left free is not given out before so long.
    pub settle: Duration,
}

/// What is about trunk files in a store.
#[derive(Debug)]
pub(crate) struct Trunk {
    pub(crate) log: TrunkLog,
    office: Mutex<Option<TrunkOffice>>,
    sign: std::path::PathBuf,
}

/// The office, while it is held.
#[derive(Debug)]
pub(crate) struct TrunkOffice {
    settings: OfficeSettings,
    free: FreeSpace,
    /// Slots that were given out and not confirmed yet, with their size, and since when; and those that are ready to be given
    /// out.
    held: BTreeMap<(TrunkFile, u32), (u32, Option<Instant>)>,
    ready: ReadySlots,
    /// Lines to be logged with the next ones: of slots that became free. Without them they belong to nobody after a bad end.
    unlogged: String,
    /// Slots that an original member has given back, and whose delete is still to come.
    awaited: BTreeSet<Block>,
    /// Something may belong to nobody.
    may_have_gaps: bool,
}

/// A part of a trunk file that is not free and holds nothing here.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrunkGap(pub Block);

/// Why the trunk server gives no slot, or does not take one back.
#[derive(Debug, Error)]
pub enum AllocError {
    /// This storage is not the trunk server.
    #[error("this storage is not the trunk server")]
    NotInOffice,
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// Nobody holds this slot.
    #[error("nobody holds this slot")]
    Unknown,
    /// The slot, or a part of it, is free already.
    #[error("the slot is free already")]
    IsFree,
    /// The disk says no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Trunk {
    pub(crate) fn new(base: &BasePath) -> Self {
        Self { log: TrunkLog::new(&base.data), office: Mutex::new(None), sign: base.own.join("trunk_office") }
    }

    fn office(&self) -> Result<MappedMutexGuard<'_, TrunkOffice>, AllocError> {
        MutexGuard::try_map(self.office.lock(), Option::as_mut).map_err(|_| AllocError::NotInOffice)
    }

    /// The sign of office goes: whoever holds it next begins with what it has been sent.
    fn take_down_sign(&self) -> io::Result<()> {
        match fs::remove_file(&self.sign) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl TrunkOffice {
    fn is_held(&self, block: Block) -> bool {
        let at = |((file, offset), (size, _)): (&(TrunkFile, u32), &(u32, Option<Instant>))| Block {
            file: *file,
            offset: *offset,
            size: *size,
        };
        let left = self.held.range(..=(block.file, block.offset)).next_back().map(at);
        let right = self.held.range((block.file, block.offset)..).next().map(at);
        let meets = |other: Block| {
            other.file == block.file
                && u64::from(other.offset) < block.end()
                && u64::from(block.offset) < other.end()
        };
        left.is_some_and(meets) || right.is_some_and(meets)
    }
}

impl Store {
    /// Takes the office of the trunk server. `newest` is the highest number of a trunk file that others know.
    ///
    /// A storage that was in office when it ended goes on with what it has logged; one that takes it from another gives out
    /// nothing of what that has left free before everybody has settled.
    pub fn take_trunk_office(&self, settings: OfficeSettings, newest: u32) -> Result<(), StoreError> {
        let trunk = &self.0.trunk;
        let mut office = trunk.office.lock();
        if let Some(office) = office.as_mut() {
            office.settings = settings;
            return Ok(());
        }
        let reading = io_error("reading the trunk binlog");
        let goes_on = trunk.sign.exists();
        let text = trunk.log.read().map_err(&reading)?;
        let mut free = FreeSpace::default();
        let damaged = free.replay(&text);
        if damaged > 0 {
            warn!(damaged, "lines of the trunk binlog cannot be understood and are left out");
        }
        if newest > self.init_flag().current_trunk_file_id {
            self.update_init_flag(|flag| flag.current_trunk_file_id = newest)?;
        }
        let writing = io_error("writing the trunk binlog");
        if goes_on {
            trunk.log.forget_checkpoint().map_err(&writing)?;
            free.make_usable(None);
        } else {
            // One that says the same in lines that everybody understands in the same way.
            trunk.log.replace(&free.snapshot(now().0)).map_err(&writing)?;
            free.make_usable(Some(Instant::now() + settings.settle));
            fs::write(&trunk.sign, "").map_err(&writing)?;
        }
        info!(goes_on, free = free.total(), "this storage is the trunk server");
        *office = Some(TrunkOffice {
            settings,
            free,
            held: BTreeMap::new(),
            ready: ReadySlots::default(),
            unlogged: String::new(),
            awaited: BTreeSet::new(),
            may_have_gaps: true,
        });
        Ok(())
    }

    /// Leaves the office.
    pub fn leave_trunk_office(&self) -> Result<(), StoreError> {
        let mut office = self.0.trunk.office.lock();
        if office.take().is_some() {
            info!("this storage is the trunk server no more");
        }
        self.0.trunk.take_down_sign().map_err(io_error("leaving the office of the trunk server"))
    }

    /// Whether this storage is the trunk server.
    pub fn is_trunk_server(&self) -> bool {
        self.0.trunk.office.lock().is_some()
    }

    /// Gives out a slot of at least `size` bytes, the header included.
    pub fn alloc_slot(&self, store_path: u8, size: u32) -> Result<Block, AllocError> {
        let slots = self.alloc_slots(store_path, size, 1)?;
        slots.first().copied().ok_or(AllocError::Invalid("more than a trunk file has"))
    }

    /// Gives out up to `count` slots of at least `size` bytes, the header included; one at least.
    pub fn alloc_slots(&self, store_path: u8, size: u32, count: u32) -> Result<Vec<Block>, AllocError> {
        let begun = Instant::now();
        let shared = &self.0;
        let mut guard = shared.trunk.office()?;
        let office = &mut *guard;
        let policy = office.settings.policy;
        if size > policy.slot_max_size {
            return Err(AllocError::Invalid("more than a slot may have"));
        }
        let path =
            shared.paths.get(usize::from(store_path)).ok_or(AllocError::Invalid("no such store path"))?;
        let size = policy.aligned(size);
        let mut given: Vec<Block> = (0..count).map_while(|_| office.ready.take(store_path, size)).collect();
        let mut logged = Ok(());
        let missing = count.saturating_sub(u32::try_from(given.len()).unwrap_or(u32::MAX));
        if given.is_empty() {
            let most = u64::from(policy.file_size) / 2;
            let wanted = office.ready.wanted(store_path, size, most, begun).max(missing);
            let (time, mut lines) = (now().0, std::mem::take(&mut office.unlogged));
            let take = |free: &mut FreeSpace, lines: &mut String| {
                free.take_many(store_path, size, wanted, &policy, begun, time, lines)
            };
            let mut slots = take(&mut office.free, &mut lines);
            if slots.is_empty() {
                let whole = match self.make_trunk_file(path, policy.file_size) {
                    Ok(whole) => whole,
                    Err(error) => {
                        office.unlogged = lines;
                        return Err(error.into());
                    }
                };
                office.free.add(whole, None, false, time, &mut lines);
                slots = take(&mut office.free, &mut lines);
            }
            logged = shared.trunk.log.append(&lines, shared.fsync_after != 0);
            let ready = slots.split_off(slots.len().min(missing as usize));
            given = slots;
            office.held.extend(ready.iter().map(|slot| ((slot.file, slot.offset), (slot.size, None))));
            office.ready.put(store_path, size, ready);
        }
        let held = given.iter().map(|slot| ((slot.file, slot.offset), (slot.size, Some(begun))));
        office.held.extend(held);
        drop(guard);
        self.logged(logged)?;
        metrics::counter!("fdfs_storage_trunk_slots_given_total").increment(given.len() as u64);
        metrics::histogram!("fdfs_storage_trunk_alloc_seconds").record(begun.elapsed());
        if given.is_empty() { Err(AllocError::Invalid("more than a trunk file has")) } else { Ok(given) }
    }

    /// The slot in which a file lies here.
    pub fn lies_in(&self, name: &RemoteFilename) -> Option<Block> {
        let path = self.0.path_for_client(name).ok()?;
        Some(path.slot_of(name).ok()??.block)
    }

    /// Ends the upload into a slot that was given out: it is in use, or, where the upload has `failed`, free again.
    pub fn confirm_slot(&self, block: Block, failed: bool, is_occupied: bool) -> Result<(), AllocError> {
        let mut office = self.0.trunk.office()?;
        match office.held.get(&(block.file, block.offset)) {
            Some((size, Some(_))) if *size == block.size => {}
            _ => return Err(AllocError::Unknown),
        }
        office.held.remove(&(block.file, block.offset));
        office.may_have_gaps |= is_occupied;
        if !failed || is_occupied {
            return Ok(());
        }
        let merge = office.settings.merge;
        let office = &mut *office;
        office.free.add(block, None, merge, now().0, &mut office.unlogged);
        Ok(())
    }

    /// An original member gives a slot back. Where its file is still here it becomes free with the delete, which that member
    /// sends, too.
    pub fn free_slot(&self, block: Block) -> Result<(), AllocError> {
        let shared = &self.0;
        let mut guard = shared.trunk.office()?;
        let office = &mut *guard;
        if block.size < office.settings.policy.slot_min_size {
            return Ok(());
        }
        let path = shared
            .paths
            .get(usize::from(block.file.store_path))
            .ok_or(AllocError::Invalid("no such store path"))?;
        if office.free.overlaps(block) || office.awaited.contains(&block) {
            return Err(AllocError::IsFree);
        }
        let header = path.trunk.open(path, block.file).ok();
        let header = header.and_then(|file| files::header_at(&file, block.offset.into()).ok().flatten());
        if header.is_some_and(|header| header.allocated == block.size) {
            office.awaited.insert(block);
            return Ok(());
        }
        if let Some((_, None)) = office.held.get(&(block.file, block.offset)) {
            return Err(AllocError::IsFree);
        }
        office.held.remove(&(block.file, block.offset));
        let (from, merge) = (Instant::now() + office.settings.rest, office.settings.merge);
        office.free.add(block, Some(from), merge, now().0, &mut office.unlogged);
        Ok(())
    }

    /// Logs what has become free meanwhile, and slots kept ready that nobody has asked for during `idle` become free, too.
    pub fn settle_trunk_office(&self, idle: Duration) -> Result<(), AllocError> {
        let mut guard = self.0.trunk.office()?;
        let office = &mut *guard;
        for slot in office.ready.idle(idle, Instant::now()) {
            office.held.remove(&(slot.file, slot.offset));
            office.free.add(slot, None, office.settings.merge, now().0, &mut office.unlogged);
        }
        if office.unlogged.is_empty() {
            return Ok(());
        }
        let lines = std::mem::take(&mut office.unlogged);
        let logged = self.0.trunk.log.append(&lines, false);
        drop(guard);
        self.logged(logged)
    }

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

    /// Free bytes in trunk files, those of slots kept ready among them, where this storage is the trunk server.
    pub fn trunk_free(&self) -> Option<u64> {
        let office = self.0.trunk.office().ok()?;
        Some(office.free.total() + office.ready.bytes())
    }

    /// Makes trunk files until so many bytes are free; how many were made.
    pub fn make_trunk_files(&self, free: u64) -> Result<u32, AllocError> {
        let mut made = 0;
        let paths: Vec<&StorePath> = self.0.paths.iter().filter(|path| !path.read_only).collect();
        for path in paths.iter().cycle() {
            let mut guard = self.0.trunk.office()?;
            let office = &mut *guard;
            if office.free.total() >= free || paths.is_empty() {
                break;
            }
            let size = office.settings.policy.file_size;
            if !self.0.placement.has_room(&self.0.paths, path, size.into()) {
                warn!("no space for more trunk files");
                break;
            }
            let whole = self.make_trunk_file(path, size)?;
            let mut lines = std::mem::take(&mut office.unlogged);
            office.free.add(whole, None, false, now().0, &mut lines);
            let logged = self.0.trunk.log.append(&lines, false);
            drop(guard);
            self.logged(logged)?;
            made += 1;
        }
        Ok(made)
    }

    /// Writes the trunk binlog anew, in the fewest lines, and deletes trunk files without content where that is wanted.
    /// Peers have to get all of it again.
    pub fn compress_trunk_binlog(&self) -> Result<(), AllocError> {
        let shared = &self.0;
        let mut guard = shared.trunk.office()?;
        let office = &mut *guard;
        let mut unused = Vec::new();
        if office.settings.delete_unused {
            let size = office.settings.policy.file_size;
            unused = office
                .free
                .blocks()
                .into_iter()
                .filter(|block| block.offset == 0 && block.size >= size)
                .collect();
            let mut lines = String::new();
            for block in &unused {
                office.free.withdraw(*block, now().0, &mut lines);
            }
        }
        office.unlogged.clear();
        let logged = shared.trunk.log.replace(&office.free.snapshot(now().0));
        for block in unused {
            let path = &shared.paths[usize::from(block.file.store_path)];
            path.trunk.forget(block.file);
            if let Err(error) = rustix::fs::unlinkat(&path.data, block.file.local_path(), AtFlags::empty()) {
                warn!(file = %block.file.container_name(), %error, "an unused trunk file stays");
            }
        }
        drop(guard);
        self.logged(logged)?;
        let time = now().0.unsigned_abs();
        self.update_init_flag(|flag| {
            flag.trunk_last_compress_time = time;
            flag.trunk_binlog_compress_stage = 9;
        })?;
        Ok(())
    }

    /// Deletes trunk files in which nothing is, at a member that is not the trunk server; how many. One is made anew when something
    /// for it comes.
    pub fn delete_empty_trunk_files(&self) -> Result<u64, AllocError> {
        let mut deleted = 0;
        for file in self.0.trunk_files()? {
            if self.is_trunk_server() {
                return Err(AllocError::Invalid("this storage is the trunk server"));
            }
            let path = &self.0.paths[usize::from(file.store_path)];
            let Ok(open) = path.trunk.open(path, file) else { continue };
            let reading = io_error("reading a trunk file");
            let length = open.metadata().map_err(&reading)?.len();
            // Once without keeping others from writing, for that takes its time, and then for sure.
            if !files::is_unwritten(&open, length).map_err(&reading)? {
                continue;
            }
            let _claim = path.trunk.claim(file.whole());
            if files::is_unwritten(&open, length).map_err(&reading)? {
                path.trunk.forget(file);
                match rustix::fs::unlinkat(&path.data, file.local_path(), AtFlags::empty()) {
                    Ok(()) => deleted += 1,
                    Err(error) => return Err(StoreError::from_errno("deleting a trunk file", error).into()),
                }
            }
        }
        Ok(deleted)
    }

    /// Bytes of the trunk binlog; none where there is none.
    pub fn trunk_binlog_size(&self) -> Result<Option<u64>, StoreError> {
        self.0.trunk.log.size().map_err(io_error("looking up the trunk binlog"))
    }

    /// Whole lines of the trunk binlog from an offset on.
    pub fn read_trunk_binlog(&self, offset: u64, limit: usize) -> Result<String, StoreError> {
        self.0.trunk.log.read_from(offset, limit).map_err(io_error("reading the trunk binlog"))
    }

    /// How often the trunk binlog was begun anew since the start: what was sent of an older one does not count.
    pub fn trunk_generation(&self) -> u64 {
        self.0.trunk.log.generation()
    }

    /// Puts what a member has in a slot into the place of what is damaged here; false where that is not of the same file, or
    /// not sound either.
    pub fn heal_slot(&self, block: Block, bytes: &[u8]) -> Result<bool, StoreError> {
        let shared = &self.0;
        let index = block.file.store_path;
        let path = shared.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
        let Some(header) = bytes.first_chunk().and_then(super::SlotHeader::decode) else { return Ok(false) };
        let content = bytes.get(super::SlotHeader::LEN..).and_then(|rest| rest.get(..header.size as usize));
        if header.allocated != block.size
            || content.is_none_or(|content| crc32fast::hash(content) != header.crc32)
        {
            return Ok(false);
        }
        let file = path.trunk.open(path, block.file).map_err(StoreError::doing("opening a trunk file"))?;
        let _claim = path.trunk.claim(block);
        let present =
            files::header_at(&file, block.offset.into()).map_err(io_error("reading a trunk file"))?;
        if present != Some(header) {
            return Ok(false);
        }
        let content = super::Content::Bytes(content.unwrap_or_default());
        files::write_slot(&file, block, &header, &content).map_err(io_error("writing a trunk file"))?;
        Ok(true)
    }

    /// Takes lines of the trunk server's binlog.
    pub fn take_trunk_lines(&self, lines: &str) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        Ok(self.0.trunk.log.append(lines, false).map_err(io_error("writing the trunk binlog"))?)
    }

    /// Empties the copy of the trunk server's binlog, which is to be sent anew.
    pub fn truncate_trunk_binlog(&self, backups: u32) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        Ok(self.0.trunk.log.truncate(backups).map_err(io_error("emptying the trunk binlog"))?)
    }

    /// Forgets how far peers have the trunk binlog: this storage is about to take the office from another.
    pub fn forget_trunk_marks(&self) -> Result<(), AllocError> {
        self.check_not_in_office()?;
        let log = &self.0.trunk.log;
        Ok(log
            .forget_marks()
            .and_then(|()| log.forget_checkpoint())
            .map_err(io_error("deleting the marks of the trunk binlog"))?)
    }

    /// How far a peer has the trunk binlog.
    pub fn trunk_mark(&self, peer: &str) -> Result<Option<u64>, StoreError> {
        self.0.trunk.log.mark(peer).map_err(io_error("reading a mark of the trunk binlog"))
    }

    /// Takes note of how far a peer has the trunk binlog.
    pub fn set_trunk_mark(&self, peer: &str, offset: u64, generation: u64) -> Result<(), StoreError> {
        self.0
            .trunk
            .log
            .set_mark(peer, offset, generation)
            .map_err(io_error("writing a mark of the trunk binlog"))
    }

    fn check_not_in_office(&self) -> Result<(), AllocError> {
        if self.is_trunk_server() {
            return Err(AllocError::Invalid("this storage is the trunk server"));
        }
        let down = self.0.trunk.take_down_sign();
        Ok(down.map_err(io_error("leaving the office of the trunk server"))?)
    }

    /// Makes the next trunk file; all of it is free.
    fn make_trunk_file(&self, path: &StorePath, size: u32) -> Result<Block, StoreError> {
        let shared = &self.0;
        let Subdir { high, low } = shared.placement.next_subdir();
        loop {
            let mut id = 0;
            self.update_init_flag(|flag| {
                flag.current_trunk_file_id += 1;
                id = flag.current_trunk_file_id;
            })?;
            let file = TrunkFile { store_path: path.index, high, low, id };
            if path.trunk.open(path, file).is_ok() {
                continue;
            }
            path.trunk.open_or_create(path, file, size.into())?;
            return Ok(Block { file, offset: 0, size });
        }
    }

    /// What cannot be logged cannot be vouched for: the office is left, and small files become plain ones.
    fn logged(&self, logged: io::Result<()>) -> Result<(), AllocError> {
        logged.map_err(|error| {
            error!(%error, "the trunk binlog cannot be written: no more slots are given out");
            *self.0.trunk.office.lock() = None;
            AllocError::Store(io_error("writing the trunk binlog")(error))
        })
    }
}

impl Shared {
    /// A file that lay in a slot here was deleted: where this storage is the trunk server, the slot is free.
    pub(crate) fn slot_is_free(&self, block: Block) {
        let Ok(mut guard) = self.trunk.office() else { return };
        let office = &mut *guard;
        office.awaited.remove(&block);
        let (from, merge) = (Instant::now() + office.settings.rest, office.settings.merge);
        office.free.add(block, Some(from), merge, now().0, &mut office.unlogged);
    }

    /// A slot may belong to nobody now.
    pub(crate) fn slot_may_be_lost(&self) {
        if let Ok(mut office) = self.trunk.office() {
            office.may_have_gaps = true;
        }
    }

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
pub(crate) fn trunk_files_of(
    data: &std::path::Path,
    store_path: u8,
    found: &mut Vec<TrunkFile>,
) -> io::Result<()> {
    let directories = |path: &std::path::Path| -> io::Result<Vec<String>> {
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
