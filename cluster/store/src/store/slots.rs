//! Files in slots of trunk files: finding them, putting them there, taking them out.

use std::{fs::File, sync::Arc};

use fdfs_types::{Extension, NameFields, RemoteFilename, SizeField, Timestamp};
use rustix::{fs::fsync, io::Errno};

use super::{
    OpenFile, Shared, Store, StoredFile, Upload,
    copy::copy,
    field, io_error, seconds,
    shared::{in_directory, set_times},
    sync_directory_of,
    upload::Target,
};
use crate::{
    Change, Record, StoreError,
    draft::Draft,
    layout::StorePath,
    trunk::{Block, Content, SlotHeader, SlotKind, TrunkFile, clear, header_at, is_empty, write_slot},
};

/// A slot with the file of a name.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) file: Arc<File>,
    pub(crate) block: Block,
    pub(crate) header: SlotHeader,
}

/// A new file that stands in its slot and is told to nobody yet. Dropped before [`Placed::record`], it leaves nothing.
#[derive(Debug)]
pub struct Placed {
    upload: Option<Upload>,
    block: Block,
    intent: u32,
    line: String,
    stored: StoredFile,
}

impl StorePath {
    /// The slot in which a file lies; none where it does not lie in one here.
    pub(crate) fn slot_of(&self, name: &RemoteFilename) -> Result<Option<Slot>, Errno> {
        let Some(block) = Block::of_name(name) else { return Ok(None) };
        let block = Block { file: TrunkFile { store_path: self.index, ..block.file }, ..block };
        let file = match self.trunk.open(self, block.file) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error),
        };
        let header = header_at(&file, block.offset.into())
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(header.filter(|header| header.is_of(name)).map(|header| Slot { file, block, header }))
    }

    /// Writes a slot, unless something is there.
    pub(crate) fn fill_slot(
        &self,
        block: Block,
        header: &SlotHeader,
        content: &Content<'_>,
        trunk_file_size: u64,
    ) -> Result<Arc<File>, StoreError> {
        let _claim = self.trunk.claim(block);
        let open = self.trunk.open_or_create(self, block.file, trunk_file_size.max(block.end()))?;
        let file = &open.file;
        let reading = io_error("reading a trunk file");
        if !open.was_blank(block) && !is_empty(file, block.offset.into(), block.end()).map_err(reading)? {
            return Err(StoreError::Exists);
        }
        if let Err(error) = write_slot(file, block, header, content) {
            let _ = clear(file, block.offset.into(), block.size.into());
            return Err(io_error("writing a trunk file")(error));
        }
        Ok(Arc::clone(file))
    }
}

impl Slot {
    /// Opens the file.
    pub(crate) fn open(self) -> OpenFile {
        OpenFile {
            start: self.content(),
            size: self.header.size.into(),
            modified: Timestamp(self.header.modified.into()),
            crc32: Some(self.header.crc32),
            file: self.file,
        }
    }

    /// The name that a link leads to.
    pub(crate) fn target(&self) -> Result<Option<RemoteFilename>, StoreError> {
        if self.header.kind != SlotKind::Link || self.header.size as usize > RemoteFilename::MAX_LEN {
            return Ok(None);
        }
        let mut name = vec![0; self.header.size as usize];
        std::os::unix::fs::FileExt::read_exact_at(&*self.file, &mut name, self.content())
            .map_err(io_error("reading a link"))?;
        Ok(String::from_utf8_lossy(&name).parse().ok())
    }

    /// Takes the file out of the slot.
    pub(crate) fn clear(&self, path: &StorePath) -> Result<(), StoreError> {
        let _claim = path.trunk.claim(self.block);
        clear(&self.file, self.block.offset.into(), self.block.size.into())
            .map_err(io_error("clearing a slot of a trunk file"))
    }

    fn content(&self) -> u64 {
        u64::from(self.block.offset) + SlotHeader::LEN as u64
    }
}

impl Shared {
    /// Size of a new trunk file.
    pub(crate) fn trunk_file_size(&self) -> u64 {
        self.placement.policy().trunk.map_or(0, |policy| policy.file_size.into())
    }
}

impl Shared {
    /// Moves a file out of its slot, into a file of its own under its own name.
    pub(crate) fn move_out(
        &self,
        path: &StorePath,
        name: &RemoteFilename,
        slot: &Slot,
    ) -> Result<(), StoreError> {
        let mut draft =
            Draft::create(path, || self.temporary_name()).map_err(StoreError::doing("creating a file"))?;
        let (_, copied) = copy((&*slot.file, slot.content()), &draft.file, 0, slot.header.size.into());
        copied.map_err(StoreError::doing("copying a file"))?;
        set_times(&draft.file, Timestamp(slot.header.modified.into()));
        fsync(&draft.file).map_err(StoreError::doing("syncing the file"))?;
        let shown = in_directory(path, name, || draft.show(path, name.local_path()));
        match shown {
            // It was moved before, and the slot not cleared any more.
            Ok(()) | Err(StoreError::Exists) => {}
            Err(error) => return Err(error),
        }
        sync_directory_of(path, name)?;
        slot.clear(path)
    }

    /// A file was deleted: its slot is free if it lay there, else it may belong to nobody now.
    pub(super) fn slot_of_deleted(&self, name: &RemoteFilename, slot: Option<&Slot>) {
        match slot {
            Some(slot) => self.slot_is_free(slot.block),
            None if Block::of_name(name).is_some() => self.slot_may_be_lost(),
            None => {}
        }
    }
}

impl Upload {
    /// The slot that the file wants, now that it is whole: on which store path, and how many bytes. None where it is to be a
    /// plain file.
    pub fn wanted_slot(&self) -> Option<(u8, u32)> {
        let policy = self.store.placement.policy().trunk?;
        let is_new = matches!(self.target, Target::Normal(_)) && !self.is_linked();
        let is_whole = self.announced.is_none_or(|announced| announced == self.size);
        let size = u32::try_from(self.size).ok()?.checked_add(SlotHeader::LEN as u32)?;
        (is_new && is_whole && policy.admits(self.size)).then_some((self.path, size))
    }

    /// Puts the file into a slot. Where that cannot be done, the upload comes back, and why: the slot is to be given back.
    pub fn place(self, block: Block) -> Result<Placed, Box<(Self, StoreError)>> {
        match self.placed(block) {
            Ok((intent, line, stored)) => Ok(Placed { upload: Some(self), block, intent, line, stored }),
            Err(error) => Err(Box::new((self, error))),
        }
    }

    fn placed(&self, block: Block) -> Result<(u32, String, StoredFile), StoreError> {
        let store = &self.store;
        let Target::Normal(extension) = &self.target else {
            return Err(StoreError::InvalidName { reason: "not a file for a trunk file" });
        };
        let invalid = |reason| StoreError::InvalidName { reason };
        if block.file.store_path != self.path || self.size + SlotHeader::LEN as u64 > block.size.into() {
            return Err(invalid("the slot is on another store path, or too small"));
        }
        let path = &store.paths[usize::from(self.path)];
        let created = super::now();
        let size = u32::try_from(self.size).map_err(|_| invalid("too large for a slot"))?;
        let stored = self.slot_name(block, extension, created, size)?;
        if let Some(owner) = self.owner {
            let durable = store.is_durable(self.size);
            store.owners.add(owner, &stored.filename, durable).map_err(io_error("writing owner tokens"))?;
        }
        let header =
            SlotHeader::of_name(&stored.filename, SlotKind::File).ok_or(invalid("no name can be made"))?;
        let (intent, line) = store.intend(&stored.record())?;
        let filled = self.body.with_content(self.size, |content| {
            path.fill_slot(block, &header, content, store.trunk_file_size())
        });
        let written = filled.and_then(|filled| filled).and_then(|file| match store.is_durable(self.size) {
            true => file.sync_data().map_err(io_error("syncing a trunk file")),
            false => Ok(()),
        });
        match written {
            Ok(()) => Ok((intent.keep(), line, stored)),
            Err(error) => {
                if self.owner.is_some() {
                    store.forget_owner_of(&stored.filename);
                }
                Err(error)
            }
        }
    }

    fn slot_name(
        &self,
        block: Block,
        extension: &Extension,
        created: Timestamp,
        size: u32,
    ) -> Result<StoredFile, StoreError> {
        let crc32 = self.crc32();
        let fields = NameFields {
            source: self.store.placement.policy().source,
            created: seconds(created),
            size: SizeField::trunk(size, fastrand::u32(..)),
            crc32,
        };
        let tail = extension.tail(|| fastrand::u8(0..10));
        let filename = RemoteFilename::compose(self.path, block.subdir(), &fields, Some(block.slot()), &tail)
            .map_err(|_| StoreError::InvalidName { reason: "no name can be made" })?;
        Ok(StoredFile {
            filename,
            size: self.size,
            crc32,
            modified: Timestamp(fields.created.into()),
            content: None,
        })
    }
}

impl Placed {
    /// The slot.
    pub fn block(&self) -> Block {
        self.block
    }

    /// Records the file. When this returns, the name may be told.
    pub fn record(mut self) -> Result<StoredFile, StoreError> {
        let Some(mut upload) = self.upload.take() else { return Err(StoreError::NotFound) };
        let store = Arc::clone(&upload.store);
        upload.settle();
        let intent = store.journal.resume(self.intent);
        intent.conclude(store.record(&self.line, store.is_durable(self.stored.size)))?;
        Ok(self.stored.clone())
    }

    /// Takes the file out of the slot again; the upload goes on as that of a plain file.
    pub fn abandon(mut self) -> Result<Upload, StoreError> {
        let upload = self.upload.take().ok_or(StoreError::NotFound)?;
        self.undo(&upload);
        Ok(upload)
    }

    fn undo(&self, upload: &Upload) {
        let store = &upload.store;
        let path = &store.paths[usize::from(self.block.file.store_path)];
        let intent = store.journal.resume(self.intent);
        match path.slot_of(&self.stored.filename) {
            Ok(Some(slot)) => {
                if let Err(error) = slot.clear(path) {
                    tracing::warn!(slot = %self.block, %error, "a slot keeps a file that nobody knows");
                    // The next start tries again.
                    let _ = intent.conclude(Err(()));
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(slot = %self.block, %error, "a slot cannot be looked up"),
        }
        drop(intent);
        if upload.owner.is_some() {
            store.forget_owner_of(&self.stored.filename);
        }
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            self.undo(&upload);
        }
    }
}

impl Store {
    /// Makes a link to a file as an entry of a slot: the name, and the record that tells it.
    pub fn place_link(
        &self,
        block: Block,
        source: &RemoteFilename,
        extension: &Extension,
    ) -> Result<(RemoteFilename, Record), StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_for_client(source)?;
        if !super::shared::is_there(path, source.local_path()) {
            return Err(StoreError::NotFound);
        }
        let invalid = |reason| StoreError::InvalidName { reason };
        let text = source.as_str();
        let fields = NameFields {
            source: shared.placement.policy().source,
            created: seconds(super::now()),
            size: SizeField::trunk(u32::try_from(text.len()).unwrap_or(0), fastrand::u32(..)),
            crc32: fastrand::u32(..),
        };
        let tail = extension.tail(|| fastrand::u8(0..10));
        let name = RemoteFilename::compose(
            block.file.store_path,
            block.subdir(),
            &fields,
            Some(block.slot()),
            &tail,
        )
        .map_err(|_| invalid("no name can be made"))?;
        let change = Change::Link { name: field(&name), source: Some(field(source)) };
        let record = Record::source(super::now().0, change);
        let (intent, line) = shared.intend(&record)?;
        let path = shared.path_of(&name)?;
        let header = SlotHeader::of_name(&name, SlotKind::Link).ok_or(invalid("no name can be made"))?;
        path.fill_slot(block, &header, &Content::Bytes(text.as_bytes()), shared.trunk_file_size())?;
        intent.conclude(shared.record(&line, shared.fsync_after != 0))?;
        Ok((name, record))
    }

    /// Opens a whole trunk file, as members do that rebuild a store path.
    pub fn open_container(&self, file: TrunkFile) -> Result<OpenFile, StoreError> {
        let index = file.store_path;
        let path = self.0.paths.get(usize::from(index)).ok_or(StoreError::NoSuchStorePath { index })?;
        let open = path.trunk.open(path, file).map_err(StoreError::doing("opening a trunk file"))?;
        let metadata = open.metadata().map_err(io_error("looking up a trunk file"))?;
        let modified = metadata.modified().map_or(Timestamp::ZERO, Timestamp::from);
        Ok(OpenFile { file: open, start: 0, size: metadata.len(), modified, crc32: None })
    }
}
