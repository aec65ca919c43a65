//! The namespace as other crates see it: asynchronous operations over an engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use fdfs_types::{FileId, GroupName};
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};

use crate::attributes::{Attributes, ETag, Entry, ExtendedAttributes, Extent, Mirrored};
use crate::buckets::{self, Bucket, NewBucket};
use crate::changes::{self, Change};
use crate::content::{self, FreedFile};
use crate::engine::{Engine, EngineError, Job, LmdbEngine, MemoryEngine, PAGE, Read, Txn, Watcher};
use crate::error::NamespaceError;
use crate::keys;
use crate::rows::{self, LeaseRow, SessionRow};
use crate::sessions;
use crate::stamp;
use crate::transaction::{Defaults, Shared, Transaction};
use crate::tree;
use crate::tree::keyed::{self, FileRecord, NewFile, Preconditions};
use crate::tree::listing::{self, ListPage, ListQuery};
use crate::tree::posix::{self, NewInode, RenameMode, SetAttributes, SetMode};
use crate::uploads::{
    self, CompletePart, Completed, NewUpload, Part, PartPlacement, Upload, UploadId, WaitingJoin,
};

/// Names and attributes of everything that has a name. Cheap to clone.
#[derive(Clone)]
pub struct Namespace {
    engine: Arc<dyn Engine>,
    shared: Arc<Shared>,
}

/// What a write gives, and what is announced of it.
type Written<T> = (T, Vec<Change>);

impl Namespace {
    /// Opens the namespace in LMDB under the directory `path`.
    pub fn open_lmdb(path: &Path, defaults: Defaults) -> Result<Self, NamespaceError> {
        Self::open(Arc::new(LmdbEngine::open(path)?), defaults)
    }

    /// A namespace that is gone when it is dropped.
    pub fn in_memory(defaults: Defaults) -> Result<Self, NamespaceError> {
        Self::open(Arc::new(MemoryEngine::default()), defaults)
    }

    /// Opens the namespace of an engine: checks or writes its stamp, begins a session, removes orphans of sessions that are gone. It may block.
    pub fn open(engine: Arc<dyn Engine>, defaults: Defaults) -> Result<Self, NamespaceError> {
        let (announce, _) = broadcast::channel(ANNOUNCED);
        let shared = Shared {
            session: 0,
            slot: 0,
            inodes: Mutex::new(0..0),
            sequence: AtomicU64::new(1),
            holds: Mutex::new(BTreeMap::new()),
            announce,
            defaults,
        };
        let namespace = Self { engine, shared: Arc::new(shared) };
        namespace.write_blocking(stamp::check_or_write)?;
        let kind = if namespace.engine.is_shared() { sessions::MOUNT } else { sessions::GATEWAY };
        let session = namespace.write_blocking(move |tx| sessions::begin(tx, kind))?;
        let (announce, _) = broadcast::channel(ANNOUNCED);
        let shared = Shared {
            session,
            slot: sessions::slot(session, kind),
            inodes: Mutex::new(0..0),
            sequence: AtomicU64::new(1),
            holds: Mutex::new(BTreeMap::new()),
            announce,
            defaults,
        };
        let namespace = Self { engine: namespace.engine, shared: Arc::new(shared) };
        let alone = !namespace.engine.is_shared();
        let mut after = Some(0);
        while let Some(inode) = after {
            after = namespace.write_blocking(move |tx| sessions::remove_orphans(tx, inode, alone))?;
        }
        let shared: Arc<dyn Watcher> = namespace.shared.clone();
        namespace.engine.watch(Arc::downgrade(&shared));
        Ok(namespace)
    }

    // --- buckets

    /// The bucket called `name`.
    pub async fn bucket(&self, name: &str) -> Result<Bucket, NamespaceError> {
        let name = name.to_owned();
        self.read(move |read| buckets::get(read, &name)).await
    }

    /// Up to `limit` buckets after the name `after`.
    pub async fn buckets(&self, after: &str, limit: usize) -> Result<Vec<Bucket>, NamespaceError> {
        let after = after.to_owned();
        self.read(move |read| buckets::list(read, &after, limit)).await
    }

    /// Makes a bucket.
    pub async fn create_bucket(&self, name: &str, new: NewBucket) -> Result<Bucket, NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::create(tx, &name, &new)).await
    }

    /// The bucket of a group, which is made when it is missing.
    pub async fn group_bucket(&self, group: &GroupName) -> Result<Bucket, NamespaceError> {
        let group = *group;
        self.write(move |tx| buckets::of_group(tx, &group)).await
    }

    /// Removes an empty bucket.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), NamespaceError> {
        let name = name.to_owned();
        self.write(move |tx| buckets::delete(tx, &name)).await
    }

    // --- by key

    /// Everything about the file under `key`.
    pub async fn get(&self, root: u64, key: &[u8]) -> Result<FileRecord, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| keyed::get(read, root, &key)).await
    }

    /// Puts a file under `key`, in place of what was there.
    pub async fn put(
        &self,
        root: u64,
        key: &[u8],
        file: NewFile,
        preconditions: Preconditions,
    ) -> Result<Attributes, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::put(tx, root, &key, &file, &preconditions)).await
    }

    /// Removes `key`.
    pub async fn delete(
        &self,
        root: u64,
        key: &[u8],
        preconditions: Preconditions,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::delete(tx, root, &key, &preconditions)).await
    }

    /// One page of keys.
    pub async fn list(&self, root: u64, query: ListQuery) -> Result<ListPage, NamespaceError> {
        self.read(move |read| listing::list(read, root, &query)).await
    }

    /// Puts under `key` the content, and `file`'s attributes, of the inode `source`: no byte moves. `file.extents`, `size` and
    /// `etag` are taken from the source as it is at the commit.
    pub async fn copy(
        &self,
        source: u64,
        root: u64,
        key: &[u8],
        file: NewFile,
        preconditions: Preconditions,
    ) -> Result<Attributes, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| {
            let row = tree::inode(tx, source)?;
            let extents = content::extents(tx, source, &row)?;
            let etag = Attributes::of_inode(source, &row)?.etag;
            let file = NewFile { extents, size: row.size, etag, ..file.clone() };
            keyed::put(tx, root, &key, &file, &preconditions)
        })
        .await
    }

    /// Moves a key in its bucket. A key that ends in a slash moves with everything below it.
    pub async fn rename_key(
        &self,
        root: u64,
        key: &[u8],
        new_key: &[u8],
        mode: RenameMode,
    ) -> Result<(), NamespaceError> {
        let (key, new_key) = (key.to_vec(), new_key.to_vec());
        self.write(move |tx| keyed::rename(tx, root, &key, &new_key, mode)).await
    }

    /// Sets the tags of a key.
    pub async fn set_tags(
        &self,
        root: u64,
        key: &[u8],
        tags: ExtendedAttributes,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| keyed::set_tags(tx, root, &key, &tags)).await
    }

    // --- by inode

    /// The attributes of what a mount shows under `name`.
    pub async fn lookup(&self, parent: u64, name: &[u8]) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.read(move |read| posix::lookup(read, parent, &name)).await
    }

    /// The attributes of an inode.
    pub async fn attributes(&self, inode: u64) -> Result<Attributes, NamespaceError> {
        self.read(move |read| posix::get_attributes(read, inode)).await
    }

    /// Everything about an inode.
    pub async fn record(&self, inode: u64) -> Result<FileRecord, NamespaceError> {
        self.read(move |read| keyed::record(read, inode)).await
    }

    /// Where an inode's (first) name stands: the directory and the name in its key. A bucket's root stands in [`keys::ROOT`].
    pub async fn location(&self, inode: u64) -> Result<(u64, Vec<u8>), NamespaceError> {
        self.read(move |read| {
            let row = tree::inode(read, inode)?;
            Ok((if row.parent == inode { keys::ROOT } else { row.parent }, row.name))
        })
        .await
    }

    /// The bucket whose topmost directory is `root`.
    pub async fn bucket_of(&self, root: u64) -> Result<Bucket, NamespaceError> {
        self.read(move |read| buckets::of_root(read, root)).await
    }

    /// Entries of a directory that a mount shows, after the name `after` as an earlier page gave it; and where to go on.
    pub async fn read_directory(
        &self,
        inode: u64,
        after: Option<Vec<u8>>,
        limit: usize,
    ) -> Result<(Vec<Entry>, Option<Vec<u8>>), NamespaceError> {
        self.read(move |read| posix::read_directory(read, inode, after.as_deref(), limit)).await
    }

    /// Names in a directory that a mount cannot show, as they stand in keys; a page, and where to go on.
    pub async fn hidden_names(
        &self,
        inode: u64,
        after: Option<Vec<u8>>,
    ) -> Result<(Vec<Vec<u8>>, Option<Vec<u8>>), NamespaceError> {
        self.read(move |read| posix::hidden_names(read, inode, after.as_deref())).await
    }

    /// Makes a file, directory, link or node under a free name.
    pub async fn make(&self, parent: u64, name: &[u8], new: NewInode) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::make(tx, parent, &name, &new)).await
    }

    /// Gives a file another name.
    pub async fn link(&self, inode: u64, parent: u64, name: &[u8]) -> Result<Attributes, NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::link(tx, inode, parent, &name)).await
    }

    /// Removes a file's name.
    pub async fn unlink(&self, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::unlink(tx, parent, &name)).await
    }

    /// Removes an empty directory.
    pub async fn remove_directory(&self, parent: u64, name: &[u8]) -> Result<(), NamespaceError> {
        let name = name.to_vec();
        self.write(move |tx| posix::remove_directory(tx, parent, &name)).await
    }

    /// Moves a name.
    pub async fn rename(
        &self,
        parent: u64,
        name: &[u8],
        new_parent: u64,
        new_name: &[u8],
        mode: RenameMode,
    ) -> Result<(), NamespaceError> {
        let (name, new_name) = (name.to_vec(), new_name.to_vec());
        self.write(move |tx| posix::rename(tx, parent, &name, new_parent, &new_name, mode)).await
    }

    /// Changes attributes.
    pub async fn set_attributes(&self, inode: u64, set: SetAttributes) -> Result<Attributes, NamespaceError> {
        self.write(move |tx| posix::set_attributes(tx, inode, &set)).await
    }

    /// Sets an extended attribute, or removes it (no value); notes how much of all of them is mirrored now.
    pub async fn set_extended(
        &self,
        inode: u64,
        name: &[u8],
        value: Option<&[u8]>,
        mode: SetMode,
        mirrored: Mirrored,
    ) -> Result<(), NamespaceError> {
        let (name, value) = (name.to_vec(), value.map(<[u8]>::to_vec));
        self.write(move |tx| posix::set_extended(tx, inode, &name, value.as_deref(), mode, mirrored)).await
    }

    /// Replaces the content of an inode.
    pub async fn set_content(
        &self,
        inode: u64,
        extents: Vec<Extent>,
        size: u64,
        etag: ETag,
        mtime: Option<i64>,
    ) -> Result<Attributes, NamespaceError> {
        self.write(move |tx| posix::set_content(tx, inode, &extents, size, etag, mtime)).await
    }

    /// Keeps an inode alive while somebody here has it open, even when its last name goes.
    pub fn hold(&self, inode: u64) {
        *self.shared.holds.lock().entry(inode).or_default() += 1;
    }

    /// Lets go of a held inode; one without a name is removed with the last hold.
    pub async fn release(&self, inode: u64) -> Result<(), NamespaceError> {
        let last = {
            let mut holds = self.shared.holds.lock();
            let left = holds.get(&inode).copied().unwrap_or_default().saturating_sub(1);
            match left {
                0 => holds.remove(&inode),
                left => holds.insert(inode, left),
            };
            left == 0
        };
        let orphaned = last && self.read(move |read| Ok(read.get(&keys::orphan(inode))?.is_some())).await?;
        if !orphaned {
            return Ok(());
        }
        self.write(move |tx| {
            if tx.get(&keys::orphan(inode))?.is_none() || tx.shared.holds.lock().contains_key(&inode) {
                return Ok(());
            }
            let mut row = tree::inode(tx, inode)?;
            tree::purge(tx, inode, &mut row)
        })
        .await
    }

    // --- multipart uploads

    /// Begins a multipart upload.
    pub async fn create_upload(
        &self,
        root: u64,
        key: &[u8],
        new: NewUpload,
    ) -> Result<UploadId, NamespaceError> {
        let (key, upload_id) = (key.to_vec(), UploadId::random());
        self.write(move |tx| uploads::create(tx, root, &key, upload_id, &new)).await?;
        Ok(upload_id)
    }

    /// An upload under way.
    pub async fn upload(&self, root: u64, key: &[u8], upload_id: UploadId) -> Result<Upload, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| uploads::get(read, root, &key, upload_id)).await
    }

    /// Uploads under way of keys that begin with `prefix`, after the given one.
    pub async fn uploads(
        &self,
        root: u64,
        prefix: &[u8],
        after: Option<(Vec<u8>, UploadId)>,
        limit: usize,
    ) -> Result<Vec<Upload>, NamespaceError> {
        let prefix = prefix.to_vec();
        self.read(move |read| {
            let after = after.as_ref().map(|(key, upload_id)| (key.as_slice(), *upload_id));
            uploads::list(read, root, &prefix, after, limit)
        })
        .await
    }

    /// Fixes where the parts of an upload go, unless that is fixed already; answers where they go.
    pub async fn place_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        placement: PartPlacement,
    ) -> Result<PartPlacement, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::place(tx, root, &key, upload_id, &placement)).await
    }

    /// Keeps a part.
    pub async fn put_part(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        part: Part,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::put_part(tx, root, &key, upload_id, &part)).await
    }

    /// Parts of an upload after the number `after`.
    pub async fn parts(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        after: u16,
        limit: usize,
    ) -> Result<Vec<Part>, NamespaceError> {
        let key = key.to_vec();
        self.read(move |read| uploads::parts(read, root, &key, upload_id, after, limit)).await
    }

    /// Makes the object of the named parts.
    #[expect(clippy::too_many_arguments, reason = "each is a field of the request")]
    pub async fn complete_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
        parts: Vec<CompletePart>,
        etag: ETag,
        min_part: u64,
        preconditions: Preconditions,
    ) -> Result<Completed, NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| {
            uploads::complete(tx, root, &key, upload_id, &parts, etag, min_part, &preconditions)
        })
        .await
    }

    /// Ends an upload without an object.
    pub async fn abort_upload(
        &self,
        root: u64,
        key: &[u8],
        upload_id: UploadId,
    ) -> Result<(), NamespaceError> {
        let key = key.to_vec();
        self.write(move |tx| uploads::abort(tx, root, &key, upload_id)).await
    }

    /// Objects whose parts wait to be joined.
    pub async fn waiting_joins(&self, limit: usize) -> Result<Vec<WaitingJoin>, NamespaceError> {
        self.read(move |read| uploads::waiting_joins(read, now_ms(), limit)).await
    }

    /// Swaps the joined file in for the parts.
    pub async fn joined(
        &self,
        inode: u64,
        parts: Vec<Extent>,
        whole: Extent,
        mirrored: Mirrored,
    ) -> Result<Attributes, NamespaceError> {
        self.write(move |tx| uploads::joined(tx, inode, &parts, &whole, mirrored)).await
    }

    /// Notes that a join failed, and after which time to try again; none: never.
    pub async fn join_failed(&self, inode: u64, retry_in: Option<Duration>) -> Result<(), NamespaceError> {
        self.write(move |tx| uploads::join_failed(tx, inode, retry_in.map(after))).await
    }

    /// Sizes of the parts that an object was made of; empty for one that was put whole.
    pub async fn part_sizes(&self, inode: u64) -> Result<Vec<u64>, NamespaceError> {
        self.read(move |read| uploads::part_sizes(read, inode)).await
    }

    // --- files

    /// Up to `limit` inodes that use the file.
    pub async fn users_of(&self, file: &FileId, limit: usize) -> Result<Vec<u64>, NamespaceError> {
        let file = file.to_string();
        self.read(move |read| content::users(read, &file, limit)).await
    }

    /// True while a name or a part uses the file.
    pub async fn is_named(&self, file: &FileId) -> Result<bool, NamespaceError> {
        let file = file.to_string();
        self.read(move |read| content::is_named(read, &file)).await
    }

    /// Has files deleted that were uploaded and never got a name.
    pub async fn free_unnamed(&self, files: Vec<FileId>) -> Result<(), NamespaceError> {
        self.write(move |tx| content::free_unnamed(tx, &files)).await
    }

    /// Up to `limit` files that were freed before `before` (milliseconds since 1970) and may be deleted now.
    pub async fn freed(&self, before: u64, limit: usize) -> Result<Vec<FreedFile>, NamespaceError> {
        let (mut files, mut from) = (Vec::new(), None);
        loop {
            // Files whose deletion failed and is not due again do not hide those behind them.
            let (page, next) =
                self.read(move |read| content::freed(read, from.as_deref(), before, now_ms())).await?;
            files.extend(page);
            if files.len() >= limit || next.is_none() {
                files.truncate(limit);
                return Ok(files);
            }
            from = next;
        }
    }

    /// Says that a freed file is deleted, or that this failed and is to be tried again later.
    pub async fn freed_done(
        &self,
        file: FreedFile,
        retry_in: Option<Duration>,
    ) -> Result<(), NamespaceError> {
        self.write(move |tx| content::freed_done(tx, &file, retry_in.map(after))).await
    }

    // --- changes and sessions

    /// Changes as they are committed: those of this process, and those of the others that use its store through the namespace service or
    /// beside it. A receiver that lags, or gets [`ChangeKind::Missed`](crate::ChangeKind::Missed), must drop what it knows.
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.announce.subscribe()
    }

    /// Kept changes of a writer after `sequence`.
    pub async fn changes_after(
        &self,
        writer: u64,
        sequence: u64,
        limit: usize,
    ) -> Result<Vec<(u64, Change)>, NamespaceError> {
        self.read(move |read| changes::after(read, writer, sequence, limit)).await
    }

    /// Trims change rows older than `age`, a page at a time; true if there may be more.
    pub async fn trim_changes(&self, age: Duration) -> Result<bool, NamespaceError> {
        let before = now_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        self.write(move |tx| {
            let old = changes::old_rows(tx, 0, before)?;
            old.iter().for_each(|key| tx.delete(key));
            Ok(old.len() == PAGE)
        })
        .await
    }

    /// Forgets uploads that were completed longer than `age` ago: a Complete that is repeated later finds no upload.
    pub async fn trim_completed(&self, age: Duration) -> Result<(), NamespaceError> {
        let before = now_ms().saturating_sub(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
        let mut from = None;
        loop {
            let at = from.clone();
            from = self.write(move |tx| uploads::trim_completed(tx, at.as_deref(), before)).await?;
            if from.is_none() {
                return Ok(());
            }
        }
    }

    /// This process's session.
    pub fn session(&self) -> u64 {
        self.shared.session
    }

    /// Removes inodes without a name that sessions which are gone held open.
    pub async fn remove_orphans(&self) -> Result<(), NamespaceError> {
        let mut after = Some(0);
        while let Some(inode) = after {
            after = self.write(move |tx| sessions::remove_orphans(tx, inode, false)).await?;
        }
        Ok(())
    }

    /// Ends this session: what it held open may go at once, and it writes nothing more.
    pub async fn end_session(&self) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            tx.delete(&keys::session(session));
            Ok(())
        })
        .await
    }

    /// Says that this session lives.
    pub async fn renew_session(&self) -> Result<(), NamespaceError> {
        let session = self.shared.session;
        self.write(move |tx| {
            let key = keys::session(session);
            let row: SessionRow = rows::load(tx, &key)?.ok_or(NamespaceError::Fenced)?;
            if row.fenced {
                return Err(NamespaceError::Fenced);
            }
            tx.put(key, &SessionRow { renewed: tx.now_ms(), ..row });
            Ok(())
        })
        .await
    }

    /// The engine, and where changes are announced: for those who serve both.
    pub(crate) fn engine_and_announcements(&self) -> (Arc<dyn Engine>, broadcast::Sender<Change>) {
        (Arc::clone(&self.engine), self.shared.announce.clone())
    }

    // --- running transactions

    async fn read<T: Send + 'static>(
        &self,
        mut read: impl FnMut(&dyn Read) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let engine = Arc::clone(&self.engine);
        let mut run = move || {
            let mut result = Err(NamespaceError::Timeout);
            engine.read(&mut |rows| {
                result = read(rows);
                Ok(())
            })?;
            result
        };
        if self.engine.reads_inline() {
            return run();
        }
        tokio::task::spawn_blocking(run)
            .await
            .unwrap_or_else(|error| Err(EngineError::Panicked(error.to_string()).into()))
    }

    async fn write<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        for _ in 0..MAX_LEASES {
            self.ensure_lease().await?;
            let (result, back) = self.write_once(write).await?;
            match result {
                Err(NamespaceError::LeaseExhausted) => write = back,
                result => return result,
            }
        }
        Err(NamespaceError::LeaseExhausted)
    }

    /// Runs the closure and gives it back, so that it may run again.
    async fn write_once<T: Send + 'static, F>(
        &self,
        write: F,
    ) -> Result<(Result<T, NamespaceError>, F), NamespaceError>
    where
        F: FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        let job = WriteJob { shared: Arc::clone(&self.shared), write, result: None, answer };
        self.engine.submit(Box::new(job));
        let answer =
            tokio::time::timeout(WRITE_DEADLINE, answered).await.map_err(|_| NamespaceError::Timeout)?;
        answer.map_err(|_| NamespaceError::Engine(EngineError::Stopped("it closed".to_owned())))
    }

    /// For opening, when there may be no runtime: commits on this thread.
    fn write_blocking<T: Send + 'static>(
        &self,
        write: impl FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send + 'static,
    ) -> Result<T, NamespaceError> {
        let (answer, answered) = mpsc::channel();
        let job = WriteJob { shared: Arc::clone(&self.shared), write, result: None, answer };
        self.engine.submit_inline(Box::new(job));
        let (result, _) = answered.recv_timeout(WRITE_DEADLINE).map_err(|_| NamespaceError::Timeout)?;
        result
    }

    /// Takes a block of inode numbers when those at hand run low.
    async fn ensure_lease(&self) -> Result<(), NamespaceError> {
        let left = {
            let inodes = self.shared.inodes.lock();
            inodes.end.saturating_sub(inodes.start)
        };
        if left >= LEASE_LOW {
            return Ok(());
        }
        let (block, _) =
            self.write_once(|tx: &mut Transaction<'_, '_>| lease(tx, "inode", FIRST_INODE, LEASE)).await?;
        let block = block?;
        let mut inodes = self.shared.inodes.lock();
        // Several may come here at once; what is left of the block before is lost, as the format allows.
        if inodes.end.saturating_sub(inodes.start) < LEASE_LOW {
            *inodes = block;
        }
        Ok(())
    }
}

/// Who waits for a write.
trait Answer<V>: Send {
    fn answer(self, value: V);
}

impl<V: Send> Answer<V> for oneshot::Sender<V> {
    fn answer(self, value: V) {
        // Who gave up waiting does not want to know.
        let _ = self.send(value);
    }
}

impl<V: Send> Answer<V> for mpsc::Sender<V> {
    fn answer(self, value: V) {
        let _ = self.send(value);
    }
}

/// A closure on its way through the engine.
struct WriteJob<T, F, A> {
    shared: Arc<Shared>,
    write: F,
    result: Option<Result<Written<T>, NamespaceError>>,
    answer: A,
}

impl<T, F, A> Job for WriteJob<T, F, A>
where
    T: Send,
    F: FnMut(&mut Transaction<'_, '_>) -> Result<T, NamespaceError> + Send,
    A: Answer<(Result<T, NamespaceError>, F)>,
{
    fn run(&mut self, txn: &mut Txn<'_>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut tx = Transaction::new(txn, &shared, now());
        let result = (self.write)(&mut tx);
        let result = result.map(|value| (value, tx.into_changes()));
        let keep = result.is_ok();
        self.result = Some(result);
        keep
    }

    fn finish(self: Box<Self>, outcome: Result<(), EngineError>) {
        let Self { shared, write, result, answer } = *self;
        let result = match (outcome, result) {
            (Ok(()), Some(Ok((value, changes)))) => {
                // Nobody listening is no fault.
                changes.into_iter().for_each(|change| drop(shared.announce.send(change)));
                Ok(value)
            }
            (Ok(()), Some(Err(error))) => Err(error),
            (Ok(()), None) => Err(EngineError::Stopped("it did not run".to_owned()).into()),
            (Err(error), _) => Err(error.into()),
        };
        answer.answer((result, write));
    }
}

/// Takes the next `count` numbers of a counter.
pub(crate) fn lease(
    tx: &mut Transaction<'_, '_>,
    counter: &str,
    first: u64,
    count: u64,
) -> Result<std::ops::Range<u64>, NamespaceError> {
    let key = keys::lease(counter);
    let start = rows::load::<LeaseRow>(tx, &key)?.map_or(first, |row| row.next);
    tx.put(key, &LeaseRow { next: start + count });
    Ok(start..start + count)
}

/// Nanoseconds since 1970.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_nanos()).unwrap_or(i64::MAX)
}

fn now_ms() -> u64 {
    u64::try_from(now() / 1_000_000).unwrap_or_default()
}

fn after(duration: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// The first inode number given out; FORMAT.md.
const FIRST_INODE: u64 = 1_024;
/// Inode numbers of a block.
const LEASE: u64 = 4_096;
/// Fewer than this, and a new block is taken: one key of 1,024 slashes needs 1,024 directories.
const LEASE_LOW: u64 = 1_100;
/// Blocks taken for one write before it is given up.
const MAX_LEASES: usize = 8;
/// Changes that a slow listener may be behind.
const ANNOUNCED: usize = 4_096;
/// How long a write may take, sync included.
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
