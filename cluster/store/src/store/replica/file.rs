//! Whole files of peers.

use std::{cmp::Ordering, fs::File, sync::Arc};

use fdfs_types::{FileKind, RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fsync, openat, statat},
    io::Errno,
};
use tracing::{debug, warn};

use super::{Content, Discard, Replica, Replicated, Shared, Store};
use crate::{
    Change, Record, StoreError,
    contents::{Signer, is_content, note_signature},
    layout::StorePath,
    store::{
        body::Body,
        crc32_of, field, io_error,
        scrub::told_by,
        shared::{comes_again, in_directory, set_times, sync_directory_of},
    },
    trunk::{Block, SlotHeader, SlotKind, is_sound},
};

/// A file of a peer under way.
#[derive(Debug)]
pub(super) struct ReplicaFile {
    store: Arc<Shared>,
    path: u8,
    name: RemoteFilename,
    is_update: bool,
    announced: u64,
    time: Timestamp,
    body: Body,
    promised: u64,
    size: u64,
    hasher: crc32fast::Hasher,
    /// Of a content, where equal uploads are sought.
    signer: Option<Signer>,
    /// What is here has the right size and not the CRC32 of its name: it gives way to what has.
    replaces_damaged: bool,
    /// What comes replaces what is here from the same second.
    pub(super) wins_ties: bool,
}

impl Store {
    /// Begins to take a file that a peer has made. Content that is here already is read and thrown away.
    ///
    /// A file here of the same size may be read as a whole, to see whether it is what its name says.
    pub fn receive_create(
        &self,
        name: &RemoteFilename,
        size: u64,
        time: Timestamp,
    ) -> Result<Replica, StoreError> {
        let shared = &self.0;
        let path = shared.path_for_peer(name)?;
        if shared.is_deleted(path, name, time) {
            return Ok(deleted(name, Replicated::Has));
        }
        if let Some(slot) = path.slot_of(name).map_err(StoreError::doing("looking up the file"))? {
            let is_right = slot.header.kind == SlotKind::File
                && u64::from(slot.header.size) == size
                && is_sound(&slot.file, slot.block.offset.into(), &slot.header)
                    .map_err(io_error("reading a trunk file"))?;
            if is_right {
                return self.receive_known(name, time);
            }
            warn!(file_id = %name, "a file is not what its name says, and is taken from a peer again");
            slot.clear(path)?;
        }
        let present = look_up(path, name)?.filter(|stat| is_regular(stat) && size_of(stat) == size);
        // Metadata and slaves of one size may differ: that is compared when they have come.
        if present.is_none() || comes_again(name) {
            return ReplicaFile::begin(shared, path, name, size, time, false);
        }
        if is_damaged(path, name, name, size)? {
            warn!(file_id = %name, "a file is not what its name says, and is taken from a peer again");
            let mut replica = ReplicaFile::begin(shared, path, name, size, time, false)?;
            if let Content::File(file) = &mut replica.0 {
                file.replaces_damaged = true;
            }
            return Ok(replica);
        }
        self.receive_known(name, time)
    }

    /// Begins to take the present content of a file that a peer has changed.
    pub fn receive_update(
        &self,
        name: &RemoteFilename,
        size: u64,
        time: Timestamp,
    ) -> Result<Replica, StoreError> {
        let path = self.0.path_for_peer(name)?;
        if self.0.is_deleted(path, name, time) {
            return Ok(deleted(name, Replicated::Done));
        }
        ReplicaFile::begin(&self.0, path, name, size, time, true)
    }

    /// Begins to take, and throw away, a file that a peer has made and that is here.
    pub fn receive_known(&self, name: &RemoteFilename, time: Timestamp) -> Result<Replica, StoreError> {
        if self.0.is_deleted(self.0.path_for_peer(name)?, name, time) {
            return Ok(deleted(name, Replicated::Has));
        }
        let line = format!("{}\n", create_record(name, time));
        Ok(Replica(Content::Discard(Discard::known(&self.0, line))))
    }
}

impl ReplicaFile {
    fn begin(
        shared: &Arc<Shared>,
        path: &StorePath,
        name: &RemoteFilename,
        announced: u64,
        time: Timestamp,
        is_update: bool,
    ) -> Result<Replica, StoreError> {
        shared.binlog.check()?;
        if !path.space.holds(&path.data, announced) {
            return Err(StoreError::NoSpace);
        }
        let body = Body::begin(shared, path, Block::of_name(name).is_some())?;
        path.space.promise(announced);
        Ok(Replica(Content::File(Box::new(Self {
            store: Arc::clone(shared),
            path: path.index,
            name: name.clone(),
            is_update,
            announced,
            time,
            body,
            promised: announced,
            size: 0,
            hasher: crc32fast::Hasher::new(),
            signer: is_content(name).then(|| shared.contents.signer()).flatten(),
            replaces_damaged: false,
            wins_ties: false,
        }))))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.size.saturating_add(bytes.len() as u64);
        if end > self.announced {
            return Err(StoreError::WrongLength { announced: self.announced, received: end });
        }
        let path = &self.store.paths[usize::from(self.path)];
        self.body.write(&self.store, path, bytes, self.size)?;
        self.hasher.update(bytes);
        if let Some(signer) = &mut self.signer {
            signer.update(bytes);
        }
        self.size = end;
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Replicated, StoreError> {
        if self.announced != self.size {
            return Err(StoreError::WrongLength { announced: self.announced, received: self.size });
        }
        let store = Arc::clone(&self.store);
        let path = &store.paths[usize::from(self.path)];
        let crc32 = self.hasher.clone().finalize();
        if self.replaces_damaged && crc_of_name(&self.name) != Some(crc32) {
            warn!(file_id = %self.name, "what a peer has is not what its name says either: all stays as it is");
            return self.keep(&store);
        }
        let durable = store.is_durable(self.size);
        let name = self.name.clone();
        // What is damaged is not what others may be equal to.
        let is_sound = crc_of_name(&name) == Some(crc32);
        let signature = self.signer.take().filter(|_| is_sound).map(|signer| signer.finish(self.size));
        if let Some(signature) = &signature {
            note_signature(&self.body.draft(&store, path)?.file, signature);
        }
        let block = Block::of_name(&name);
        if block.is_none() {
            self.prepare(&store, path, durable)?;
        }
        let lock = store.lock(&name);
        // It may have been deleted while it came.
        if store.is_deleted(path, &name, self.time) {
            note_deleted(&name);
            return Ok(if self.is_update { Replicated::Done } else { Replicated::Has });
        }
        let present = look_up(path, &name)?;
        // A slave that is a link, made anew since.
        if present.is_some_and(|present| {
            comes_again(&name) && !is_regular(&present) && present.st_mtime > self.time.0
        }) {
            return if self.is_update { Ok(Replicated::Done) } else { self.keep(&store) };
        }
        if let Some(present) = present.filter(is_regular) {
            let stays = if comes_again(&name) {
                // Two members may set the metadata of one file, or make one slave, at once: the later wins on both, and of
                // two in one second the one of the greater checksum.
                let order = match present.st_mtime.cmp(&self.time.0) {
                    Ordering::Equal => match crc32_at(path, &name)?.cmp(&crc32) {
                        Ordering::Greater if self.wins_ties => Ordering::Less,
                        order => order,
                    },
                    other => other,
                };
                order.is_gt() || order.is_eq() && !self.is_update && size_of(&present) == self.size
            } else {
                // The source of an appender file sends its changes itself: an older copy of another member takes none back.
                !self.is_update && name.kind() == Ok(FileKind::Appender) && present.st_mtime >= self.time.0
            };
            if stays {
                return if self.is_update { Ok(Replicated::Done) } else { self.keep(&store) };
            }
        }
        let (intent, line) = store.intend(&self.record())?;
        if let Some(block) = block {
            match self.fill(&store, path, block, durable) {
                Ok(()) => {
                    path.space.settle(std::mem::take(&mut self.promised), self.size);
                    intent.conclude(store.record_replica(&line, durable))?;
                    return Ok(Replicated::Done);
                }
                // Another file is there: whoever is right, both are kept.
                Err(StoreError::Exists) => {
                    metrics::counter!("fdfs_storage_trunk_conflicts_total").increment(1);
                    warn!(file_id = %name, "its slot is taken here by another file, and it is kept outside");
                    self.prepare(&store, path, durable)?;
                }
                Err(error) => return Err(error),
            }
        }
        if present.is_some() {
            let draft = self.body.draft(&store, path)?;
            in_directory(path, &name, || draft.replace(path, name.local_path(), || store.temporary_name()))?;
        } else {
            self.show(&store, path)?;
        }
        // It may have been a link.
        let unused =
            present.filter(|present| !is_regular(present)).and_then(|_| store.follow_link(path, &name));
        if let Some(signature) = signature {
            store.learn_content(&name, signature);
        }
        path.space.settle(std::mem::take(&mut self.promised), self.size);
        let synced = if durable { sync_directory_of(path, &name) } else { Ok(()) };
        intent.conclude(store.record_replica(&line, durable))?;
        synced?;
        drop(lock);
        if let Some(unused) = unused {
            store.free(unused);
        }
        Ok(Replicated::Done)
    }

    /// Gives the file its name, which was free a moment ago.
    fn show(&mut self, store: &Shared, path: &StorePath) -> Result<(), StoreError> {
        let local = self.name.local_path();
        let draft = self.body.draft(store, path)?;
        match in_directory(path, &self.name, || draft.show(path, local)) {
            Err(StoreError::Exists) => draft
                .replace(path, local, || store.temporary_name())
                .map_err(StoreError::doing("naming a file")),
            result => result,
        }
    }

    /// Gets a file of its own ready to be shown.
    fn prepare(&mut self, store: &Shared, path: &StorePath, durable: bool) -> Result<(), StoreError> {
        let file = &self.body.draft(store, path)?.file;
        set_times(file, self.time);
        if durable {
            fsync(file).map_err(StoreError::doing("syncing the file"))?;
        }
        Ok(())
    }

    /// Puts the file into its slot.
    fn fill(&self, store: &Shared, path: &StorePath, block: Block, durable: bool) -> Result<(), StoreError> {
        let header = SlotHeader::of_name(&self.name, SlotKind::File)
            .filter(|header| u64::from(header.size) == self.size)
            .ok_or(StoreError::InvalidName { reason: "not the size of its name" })?;
        let file = self.body.with_content(self.size, |content| {
            path.fill_slot(block, &header, content, store.trunk_file_size())
        })??;
        if durable {
            file.sync_data().map_err(io_error("syncing a trunk file"))?;
        }
        Ok(())
    }

    /// What is here stays.
    fn keep(&self, store: &Shared) -> Result<Replicated, StoreError> {
        store.record_replica(&format!("{}\n", create_record(&self.name, self.time)), false)?;
        Ok(Replicated::Has)
    }

    fn record(&self) -> Record {
        match self.is_update {
            true => Record::replica(self.time, Change::Update { name: field(&self.name) }),
            false => create_record(&self.name, self.time),
        }
    }
}

impl Drop for ReplicaFile {
    fn drop(&mut self) {
        let path = &self.store.paths[usize::from(self.path)];
        path.space.settle(self.promised, 0);
        self.body.discard(path);
    }
}

/// What is thrown away, since its file was deleted here, or by a member that has told so.
fn deleted(name: &RemoteFilename, answer: Replicated) -> Replica {
    note_deleted(name);
    Replica(Content::Discard(Discard::unused(answer)))
}

fn note_deleted(name: &RemoteFilename) {
    metrics::counter!("fdfs_storage_deleted_before_total").increment(1);
    debug!(file_id = %name, "a peer sends what was deleted since: it does not come back");
}

fn create_record(name: &RemoteFilename, time: Timestamp) -> Record {
    Record::replica(time, Change::Create { name: field(name) })
}

fn look_up(path: &StorePath, name: &RemoteFilename) -> Result<Option<Stat>, StoreError> {
    match statat(&path.data, name.local_path(), AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(StoreError::from_errno("looking up the file", error)),
    }
}

pub(super) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

pub(super) fn size_of(stat: &Stat) -> u64 {
    stat.st_size.unsigned_abs()
}

/// The CRC32 that a name tells.
fn crc_of_name(name: &RemoteFilename) -> Option<u32> {
    match (name.kind(), name.fields()) {
        (Ok(FileKind::Normal | FileKind::Trunk(_)), Ok(fields)) => Some(fields.crc32),
        _ => None,
    }
}

/// Whether the file at `at`, of `size` bytes, is not the one that `name` tells: it has another size or another CRC32. Of
/// large ones the CRC32 is left to the search for damage.
pub(super) fn is_not(
    path: &StorePath,
    at: &RemoteFilename,
    name: &RemoteFilename,
    size: u64,
) -> Result<bool, StoreError> {
    let Some(told) = told_by(name) else { return Ok(false) };
    Ok(told.size != size || is_damaged(path, at, name, size)?)
}

/// Whether the file at `at` has another CRC32 than `name` tells. Large ones are left to the search for damage.
fn is_damaged(
    path: &StorePath,
    at: &RemoteFilename,
    name: &RemoteFilename,
    size: u64,
) -> Result<bool, StoreError> {
    match crc_of_name(name) {
        Some(crc32) if size <= COMPARED => Ok(crc32_at(path, at)? != crc32),
        _ => Ok(false),
    }
}

fn crc32_at(path: &StorePath, name: &RemoteFilename) -> Result<u32, StoreError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = openat(&path.data, name.local_path(), flags, Mode::empty())
        .map_err(StoreError::doing("opening the file"))?;
    crc32_of(&mut File::from(file))
}

/// Files up to this size are compared with the CRC32 of their name when a peer sends or renames them.
const COMPARED: u64 = 64 << 20;
