//! New files: written where no name leads to them, shown under the final name when they are whole.

mod elsewhere;
mod linked;

use std::{os::fd::OwnedFd, sync::Arc};

use fdfs_proto::ours::OwnerToken;
use fdfs_types::{
    Extension, FileKind, NameFields, RemoteFilename, SizeField, SlavePrefix, Timestamp, slave_name,
};
use rustix::{
    fs::{AtFlags, fstat, fsync, statat},
    io::{Errno, pwrite},
};

pub use self::elsewhere::Elsewhere;
use super::{
    Shared, Store,
    body::Body,
    field, io_error,
    shared::{in_directory, set_times},
    sync_directory_of,
};
use crate::{Change, Counter, Record, StoreError, contents::Signer, layout::StorePath};

/// What a client wants to store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NewFile {
    /// Where it wants it.
    pub store_path: StorePathChoice,
    /// How many bytes will come; `None` where that is not known before.
    pub size: Option<u64>,
    /// The extension.
    pub extension: Extension,
    /// Whether it can be changed later.
    pub appender: bool,
    /// Whether its name says that it is private. Appender files are not.
    pub private: bool,
}

/// The store path that a client asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StorePathChoice {
    /// This one, unless it is read-only.
    Index(u8),
    /// Any.
    Any,
}

impl From<u8> for StorePathChoice {
    /// The byte of an upload request: 255 leaves the choice to the storage.
    fn from(byte: u8) -> Self {
        if byte == u8::MAX { Self::Any } else { Self::Index(byte) }
    }
}

/// A file that is stored and in the binlog.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoredFile {
    /// Its name.
    pub filename: RemoteFilename,
    /// Its size, in bytes.
    pub size: u64,
    /// The CRC32 of its content.
    pub crc32: u32,
    /// When it was finished: its modification time.
    pub modified: Timestamp,
    /// The file that the name is a link to, where it is one.
    pub content: Option<RemoteFilename>,
}

impl StoredFile {
    /// The record that tells it.
    pub fn record(&self) -> Record {
        let name = field(&self.filename);
        let change = match &self.content {
            Some(content) => Change::Link { name, source: Some(field(content)) },
            None => Change::Create { name },
        };
        Record::source(self.modified.0, change)
    }
}

/// A file under way. Dropped before [`Upload::finish`], it leaves nothing.
#[derive(Debug)]
pub struct Upload {
    pub(super) store: Arc<Shared>,
    pub(super) path: u8,
    pub(super) body: Body,
    pub(super) target: Target,
    pub(super) announced: Option<u64>,
    promised: u64,
    pub(super) size: u64,
    hasher: crc32fast::Hasher,
    /// Where equal uploads are sought.
    signer: Option<Signer>,
    pub(super) owner: Option<OwnerToken>,
}

/// What the file will be called.
#[derive(Debug)]
pub(super) enum Target {
    Normal(Extension),
    Private(Extension),
    Appender(Extension),
    Slave(RemoteFilename),
}

impl Store {
    /// Begins a new file.
    pub fn create(&self, new: &NewFile) -> Result<Upload, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let size = new.size.unwrap_or(0);
        let path = shared.placement.choose_path(&shared.paths, new.store_path, size)?;
        let target = match (new.appender, new.private) {
            (true, _) => Target::Appender(new.extension),
            (false, true) => Target::Private(new.extension),
            (false, false) => Target::Normal(new.extension),
        };
        Upload::begin(shared, path, target, new.size)
    }

    /// Begins a file whose name is derived from `master`'s.
    ///
    /// Refused where the length of the derived name would make it pass for another kind of file, or
    /// where it would be the name of a sidecar.
    pub fn create_slave(
        &self,
        master: &RemoteFilename,
        prefix: &SlavePrefix,
        extension: &Extension,
        size: Option<u64>,
    ) -> Result<Upload, StoreError> {
        let shared = &self.0;
        shared.binlog.check()?;
        let path = shared.path_of(master)?;
        if !shared.placement.has_room(&shared.paths, path, size.unwrap_or(0)) {
            return Err(StoreError::NoSpace);
        }
        let path = shared.path_for_client(master)?;
        let look_up = |name: &RemoteFilename, flags| match path.slot_of(name)? {
            Some(_) => Ok(()),
            None => statat(&path.data, name.local_path(), flags).map(drop),
        };
        let is_there = |name: &RemoteFilename, flags| match look_up(name, flags) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(StoreError::from_errno("looking up the file", error)),
        };
        if !is_there(master, AtFlags::empty())? {
            return Err(StoreError::NotFound);
        }
        let target = slave_of(master, prefix.as_str(), extension)?;
        if is_there(&target, AtFlags::SYMLINK_NOFOLLOW)? {
            return Err(StoreError::Exists);
        }
        Upload::begin(shared, path, Target::Slave(target), size)
    }
}

impl Upload {
    fn begin(
        shared: &Arc<Shared>,
        path: &StorePath,
        target: Target,
        announced: Option<u64>,
    ) -> Result<Self, StoreError> {
        let signer = match target {
            Target::Normal(_) => shared.contents.signer(),
            // A content serves names that anybody may read.
            Target::Private(_) | Target::Appender(_) | Target::Slave(_) => None,
        };
        // What is kept once is a file of its own, to which links lead.
        let for_slot = matches!(target, Target::Normal(_))
            && signer.is_none()
            && shared.placement.policy().trunk.is_some_and(|trunk| trunk.admits(announced.unwrap_or(0)));
        let body = Body::begin(shared, path, for_slot)?;
        let promised = announced.unwrap_or(0);
        path.space.promise(promised);
        Ok(Self {
            store: Arc::clone(shared),
            path: path.index,
            body,
            target,
            announced,
            promised,
            size: 0,
            hasher: crc32fast::Hasher::new(),
            signer,
            owner: None,
        })
    }

    /// Writes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        let end = self.size.saturating_add(bytes.len() as u64);
        if let Some(announced) = self.announced
            && end > announced
        {
            return Err(StoreError::WrongLength { announced, received: end });
        }
        self.store.stat.add(Counter::TotalFileWriteCount, 1);
        let path = &self.store.paths[usize::from(self.path)];
        self.body.write(&self.store, path, bytes, self.size)?;
        self.store.stat.add(Counter::SuccessFileWriteCount, 1);
        self.hasher.update(bytes);
        if let Some(signer) = &mut self.signer {
            signer.update(bytes);
        }
        self.size = end;
        Ok(())
    }

    /// Takes over bytes that were written into [`Upload::file`] behind the last ones.
    pub(super) fn advance(&mut self, length: u64, part: &crc32fast::Hasher) {
        self.hasher.combine(part);
        // Nobody has seen the bytes: equal ones are not sought.
        self.signer = None;
        self.size += length;
    }

    /// The file, to copy into.
    pub(super) fn file(&mut self) -> Result<&OwnedFd, StoreError> {
        let path = &self.store.paths[usize::from(self.path)];
        Ok(&self.body.draft(&self.store, path)?.file)
    }

    /// The space is taken, not promised any more.
    pub(super) fn settle(&mut self) {
        let path = &self.store.paths[usize::from(self.path)];
        path.space.settle(std::mem::take(&mut self.promised), self.size);
    }

    /// Bytes written so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether [`Upload::finish`] may read the whole file.
    pub fn may_compare(&self) -> bool {
        self.signer.is_some() && self.size > QUICK_COMPARE
    }

    /// The CRC32 of the bytes so far.
    pub fn crc32(&self) -> u32 {
        self.hasher.clone().finalize()
    }

    /// Shows the file under its final name and records it. When this returns, the name may be told.
    pub fn finish(mut self) -> Result<StoredFile, StoreError> {
        if let Some(announced) = self.announced
            && announced != self.size
        {
            return Err(StoreError::WrongLength { announced, received: self.size });
        }
        if self.is_linked()
            && let Some(stored) = self.finish_linked()?
        {
            return Ok(stored);
        }
        let store = Arc::clone(&self.store);
        let path = &store.paths[usize::from(self.path)];
        let durable = store.is_durable(self.size);
        let file = &self.body.draft(&store, path)?.file;
        if durable {
            fsync(file).map_err(StoreError::doing("syncing the file"))?;
        }
        let crc32 = self.hasher.clone().finalize();
        let mut modified = Timestamp(fstat(file).map_err(StoreError::doing("looking up the file"))?.st_mtime);
        if let Target::Slave(name) = &self.target
            && let Some(deleted) = store.tombstones.get(name.as_str())
        {
            // It was deleted in this very second, or by a clock that goes ahead of ours: peers keep what is later than that.
            if deleted >= modified {
                modified = Timestamp(deleted.0 + 1);
                set_times(file, modified);
            }
            store.tombstones.remove(name.as_str(), super::now());
        }
        // A slave counts too: it takes a directory for its temporary name in the original.
        let subdir = store.placement.next_subdir();
        let mut tries = 0;
        let (intent, line, filename) = loop {
            tries += 1;
            let filename = match &self.target {
                Target::Slave(name) => name.clone(),
                Target::Normal(extension) | Target::Private(extension) | Target::Appender(extension) => {
                    let random = fastrand::u32(..);
                    let size = match self.target {
                        Target::Appender(_) => SizeField::appender(random),
                        Target::Private(_) => SizeField::normal(self.size, random).private(),
                        _ => SizeField::normal(self.size, random),
                    };
                    let source = store.placement.policy().source;
                    let fields = NameFields { source, created: super::seconds(modified), size, crc32 };
                    let tail = extension.tail(|| fastrand::u8(0..10));
                    RemoteFilename::compose(self.path, subdir, &fields, None, &tail)
                        .map_err(|_| StoreError::InvalidName { reason: "no name can be made" })?
                }
            };
            let record = Record::source(modified.0, Change::Create { name: field(&filename) });
            if let Some(owner) = self.owner {
                store.owners.add(owner, &filename, durable).map_err(io_error("writing owner tokens"))?;
            }
            let shown =
                store.intend(&record).and_then(|intended| self.show(path, &filename).map(|()| intended));
            match shown {
                Ok((intent, line)) => break (intent, line, filename),
                Err(error) => {
                    if self.owner.is_some() {
                        store.forget_owner_of(&filename);
                    }
                    // Another file of this size and content may have got this name in this second.
                    let again =
                        matches!(error, StoreError::Exists) && !matches!(self.target, Target::Slave(_));
                    if !again || tries >= TRIES {
                        return Err(error);
                    }
                }
            }
        };
        path.space.settle(std::mem::take(&mut self.promised), self.size);
        // Once shown, the file stays: a record that cannot be written now is kept by the binlog, and
        // found missing by a start that comes first.
        let synced = if durable { sync_directory_of(path, &filename) } else { Ok(()) };
        intent.conclude(store.record(&line, durable))?;
        synced?;
        Ok(StoredFile { filename, size: self.size, crc32, modified, content: None })
    }

    /// Gives the file its final name, never replacing another.
    fn show(&mut self, path: &StorePath, name: &RemoteFilename) -> Result<(), StoreError> {
        let draft = self.body.draft(&self.store, path)?;
        in_directory(path, name, || draft.show(path, name.local_path()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let path = &self.store.paths[usize::from(self.path)];
        path.space.settle(self.promised, 0);
        self.body.discard(path);
    }
}

/// The name of a slave, where it can be told from every other kind of name.
pub(super) fn slave_of(
    master: &RemoteFilename,
    prefix: &str,
    extension: &Extension,
) -> Result<RemoteFilename, StoreError> {
    let invalid = |reason| StoreError::InvalidName { reason };
    let local = slave_name(master.local_path(), prefix, Some(extension.as_str()))
        .map_err(|_| invalid("no slave name can be derived"))?;
    let directories = master.as_str().len() - master.local_path().len();
    let name: RemoteFilename = format!("{}{local}", &master.as_str()[..directories])
        .parse()
        .map_err(|_| invalid("the slave's name is too long"))?;
    if local.ends_with(super::SIDECAR) {
        return Err(invalid("the slave's name is the name of a metadata file"));
    }
    match name.kind() {
        Ok(FileKind::Slave) => Ok(name),
        // A slave of an appender file is recognised by its length alone.
        Ok(FileKind::Appender) if name.as_str().len() > RemoteFilename::NORMAL_LEN => Ok(name),
        _ => Err(invalid("the slave's name would pass for another kind of file")),
    }
}

/// Writes `bytes` at `offset`.
pub(super) fn write_all(file: &OwnedFd, mut bytes: &[u8], mut offset: u64) -> Result<(), StoreError> {
    while !bytes.is_empty() {
        match pwrite(file, bytes, offset) {
            Ok(length) => {
                bytes = &bytes[length..];
                offset += length as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(StoreError::from_errno("writing a file", error)),
        }
    }
    Ok(())
}

const TRIES: u32 = 10;
/// Size up to which comparing takes no time to speak of.
const QUICK_COMPARE: u64 = 1 << 20;
