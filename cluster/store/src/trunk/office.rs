//! The office of the trunk server: it gives out slots, and takes them back.
//!
//! A slot that is given out is logged as such before it is told, so that no end of any process makes it free. It becomes free
//! again when the delete of its file is made here, when its upload is known to have failed, or when no member holds anything
//! in it (a gap). See `TRUNK.md`.

mod copies;
mod gaps;
mod upkeep;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    time::{Duration, Instant},
};

use fdfs_types::{RemoteFilename, Subdir};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use thiserror::Error;
use tracing::{error, info, warn};

use super::{Block, ReadySlots, TrunkFile, TrunkLog, TrunkPolicy, files, free_space::FreeSpace};
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

    /// Free bytes in trunk files, those of slots kept ready among them, where this storage is the trunk server.
    pub fn trunk_free(&self) -> Option<u64> {
        let office = self.0.trunk.office().ok()?;
        Some(office.free.total() + office.ready.bytes())
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
}
