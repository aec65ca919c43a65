//! Files that are open: one state for each inode, whoever has it open.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use fdfs_objects::{Attributes, ObjectReader, ObjectsError, SetAttributes};
use parking_lot::Mutex;
use tracing::{debug, warn};

use crate::attributes::now;
use crate::disk_cache::Backing;
use crate::error::FsError;
use crate::file_system::FileSystem;
use crate::kernel_cache::Stamp;
use crate::pending::Pending;

/// The files that are open, by inode, and how often.
#[derive(Default)]
pub(crate) struct OpenFiles(Mutex<HashMap<u64, (usize, Arc<OpenFile>)>>);

/// A file that is open.
pub(crate) struct OpenFile {
    inode: u64,
    /// Handles that may write.
    writers: AtomicUsize,
    /// What of the attributes is newer here than in the namespace.
    unsaved: Mutex<Option<Unsaved>>,
    /// The committed attributes that were seen last: what is left of a file whose last name another process removed.
    seen: Mutex<Option<Attributes>>,
    content: tokio::sync::Mutex<Content>,
    /// How the kernel reads it.
    pub(crate) backing: Mutex<Backing>,
}

/// Attributes of content that is not committed.
#[derive(Clone, Copy, Debug)]
struct Unsaved {
    size: u64,
    mtime: i64,
    ctime: i64,
}

#[derive(Default)]
struct Content {
    /// The committed content, when it has been read.
    reader: Option<ObjectReader>,
    /// The committed content as it was read last, while it is still that; for a file that is gone.
    last: Option<ObjectReader>,
    /// Grows whenever another content may be found in `reader`.
    generation: u64,
    /// The content as it is being written, or as it was committed last from here.
    pending: Option<Pending>,
    /// True if `pending` is not committed.
    dirty: bool,
    /// True if a write failed and its bytes are gone.
    lost: Option<ObjectsError>,
    written: Option<Instant>,
    /// The content that was committed or read last.
    stamp: Option<Stamp>,
    /// What `pending` began as, where it was not empty.
    base: Option<Stamp>,
}

/// What a read needs.
pub(crate) enum Source {
    /// The bytes themselves.
    Bytes(Bytes),
    /// The committed content and its generation.
    Committed(ObjectReader, u64),
}

/// Where bytes are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// At an offset.
    At(u64),
    /// At the end.
    End,
}

/// What lseek looks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Where {
    /// Bytes that were written.
    Data,
    /// Bytes that nothing was written to.
    Hole,
}

impl OpenFiles {
    /// Opens an inode once more.
    pub(crate) fn open(&self, fs: &FileSystem, inode: u64) -> Arc<OpenFile> {
        let mut files = self.0.lock();
        let (count, file) = files.entry(inode).or_insert_with(|| {
            fs.objects.hold(inode);
            (0, Arc::new(OpenFile::new(inode)))
        });
        *count += 1;
        let file = Arc::clone(file);
        metrics::gauge!("fdfs_mount_open_files").set(files.len() as f64);
        file
    }

    /// Closes an inode once; the last time lets go of it.
    pub(crate) async fn close(&self, fs: &FileSystem, inode: u64) -> Result<(), FsError> {
        let last = {
            let mut files = self.0.lock();
            let Some((count, _)) = files.get_mut(&inode) else { return Ok(()) };
            *count -= 1;
            let last = *count == 0;
            if last {
                files.remove(&inode);
                metrics::gauge!("fdfs_mount_open_files").set(files.len() as f64);
            }
            last
        };
        if last {
            fs.objects.release(inode).await?;
        }
        Ok(())
    }

    /// An inode that is open.
    pub(crate) fn get(&self, inode: u64) -> Option<Arc<OpenFile>> {
        self.0.lock().get(&inode).map(|(_, file)| Arc::clone(file))
    }

    /// True for an inode that nobody has open but who asks.
    pub(crate) fn is_open_once(&self, inode: u64) -> bool {
        self.0.lock().get(&inode).is_none_or(|(count, _)| *count <= 1)
    }

    /// All that is open.
    pub(crate) fn all(&self) -> Vec<Arc<OpenFile>> {
        self.0.lock().values().map(|(_, file)| Arc::clone(file)).collect()
    }
}

impl OpenFile {
    fn new(inode: u64) -> Self {
        Self {
            inode,
            writers: AtomicUsize::new(0),
            unsaved: Mutex::new(None),
            seen: Mutex::new(None),
            content: tokio::sync::Mutex::default(),
            backing: Mutex::default(),
        }
    }

    /// The inode.
    pub(crate) fn inode(&self) -> u64 {
        self.inode
    }

    /// Forgets what was read or kept earlier, but for what is not committed.
    pub(crate) async fn forget(&self) {
        let mut content = self.content.lock().await;
        if !content.dirty {
            content.forget();
        }
    }

    /// An open shows the content of now; true if the pages that the kernel has are of it. Only files have a content.
    pub(crate) async fn refresh(&self, fs: &FileSystem) -> Result<bool, FsError> {
        let mut content = self.content.lock().await;
        if content.dirty {
            // It may be gone: who has it open already goes on with it, nobody else does.
            fs.objects.attributes(self.inode).await?;
            return Ok(false);
        }
        let reader = fs.objects.open_inode(self.inode).await?;
        let stamp = Stamp::of(&reader.info().attributes);
        fs.cache.revalidate(&reader.info().attributes);
        if content.stamp.is_none() || content.stamp != stamp {
            content.forget();
        }
        *self.seen.lock() = Some(reader.info().attributes.clone());
        content.last = Some(reader.clone());
        content.reader = Some(reader);
        content.stamp = stamp;
        Ok(stamp.is_some_and(|stamp| fs.cache.opens(self.inode, stamp)))
    }

    /// True if its last name was gone when it was opened last.
    pub(crate) async fn has_no_name(&self) -> bool {
        self.content.lock().await.reader.as_ref().is_some_and(|reader| reader.info().attributes.links == 0)
    }

    /// From here on the content of now is read, by the kernel as well, but for what is not committed.
    pub(crate) async fn revalidate(&self, fs: &FileSystem) -> Result<(), FsError> {
        if self.content.lock().await.dirty || self.refresh(fs).await? {
            return Ok(());
        }
        fs.cache.take_back(self.inode).await;
        Ok(())
    }

    /// Begins a new content, which takes the place of the old one when it is committed.
    pub(crate) async fn truncate(&self, fs: &FileSystem) {
        let mut content = self.content.lock().await;
        content.pending = Some(Pending::empty(&fs.budget));
        content.base = None;
        content.lost = None;
        self.wrote(&mut content, 0);
    }

    /// Begins a new content if somebody has the file open for writing, who will end it; else false.
    pub(crate) async fn truncate_to_write(&self, fs: &FileSystem) -> bool {
        let begins = self.is_written() && self.content.lock().await.lost.is_none();
        if begins {
            self.truncate(fs).await;
        }
        begins
    }

    /// A handle that may write comes.
    pub(crate) fn writer_comes(&self) {
        self.writers.fetch_add(1, Ordering::AcqRel);
    }

    /// A handle that may write goes.
    pub(crate) fn writer_goes(&self) {
        self.writers.fetch_sub(1, Ordering::AcqRel);
    }

    /// True while a handle is open that may write: its close commits.
    pub(crate) fn is_written(&self) -> bool {
        self.writers.load(Ordering::Acquire) > 0
    }

    /// Where the bytes of a range are to be had.
    pub(crate) async fn source(&self, fs: &FileSystem, offset: u64, size: u32) -> Result<Source, FsError> {
        let mut content = self.content.lock().await;
        if content.pending.as_ref().is_some_and(Pending::is_stream) {
            self.commit(fs, &mut content).await?;
        }
        match &mut content.pending {
            Some(pending) => Ok(Source::Bytes(pending.read(offset, size).await?)),
            None => {
                let generation = content.generation;
                Ok(Source::Committed(self.reader(fs, &mut content).await?, generation))
            }
        }
    }

    /// The committed content that was opened last, where nothing was written since.
    pub(crate) async fn committed(&self) -> Option<ObjectReader> {
        let content = self.content.lock().await;
        content.reader.clone().filter(|_| !content.dirty)
    }

    /// Writes bytes; they are committed by a flush, an fsync or the last close. Where they went.
    pub(crate) async fn write(&self, fs: &FileSystem, place: Place, bytes: Bytes) -> Result<u64, FsError> {
        let mut content = self.content.lock().await;
        let offset = match place {
            Place::At(offset) => offset,
            Place::End => self.end(fs, &mut content).await?,
        };
        if offset.saturating_add(bytes.len() as u64) > i64::MAX as u64 {
            return Err(FsError::TooLarge);
        }
        let pending = self.ready(fs, &mut content, |pending| pending.takes(offset)).await?;
        match pending.write(fs, self.inode, offset, bytes).await {
            Ok(pending) => {
                let size = pending.size()?;
                content.pending = Some(pending);
                self.wrote(&mut content, size);
                Ok(offset)
            }
            Err((pending, error)) => {
                if let FsError::Lost(cause) = &error {
                    warn!(ino = self.inode, %error, "a write failed; its bytes are lost");
                    self.lose(&mut content, cause.clone());
                } else {
                    content.pending = pending;
                }
                Err(error)
            }
        }
    }

    /// Cuts the content, or adds zeros; false if nothing is being written here, so that the namespace can do it.
    pub(crate) async fn resize(&self, fs: &FileSystem, size: u64) -> Result<bool, FsError> {
        let mut content = self.content.lock().await;
        if !content.dirty {
            content.forget();
            return Ok(false);
        }
        let mut pending = if size == 0 {
            content.base = None;
            Pending::empty(&fs.budget)
        } else {
            self.ready(fs, &mut content, |pending| !pending.is_stream()).await?
        };
        let resized = pending.resize(fs, size);
        let size = pending.size();
        content.pending = Some(pending);
        resized?;
        self.wrote(&mut content, size?);
        Ok(true)
    }

    /// Makes a range read as zeros; the file grows to its end where `grows` says so.
    pub(crate) async fn zero(&self, fs: &FileSystem, range: Range<u64>, grows: bool) -> Result<(), FsError> {
        let mut content = self.content.lock().await;
        if content.dirty
            && let Some(pending) = content.pending.as_mut().filter(|pending| !pending.is_stream())
        {
            let size = pending.size()?;
            pending.zero(range.start..range.end.min(size))?;
            if grows && range.end > size {
                pending.resize(fs, range.end)?;
            }
            let size = pending.size()?;
            self.wrote(&mut content, size);
            return Ok(());
        }
        self.settle_locked(fs, &mut content).await?;
        match fs.objects.zero_range(self.inode, range.clone(), grows).await {
            Err(ObjectsError::NotFound) => {
                let mut pending = self.ready(fs, &mut content, |_| true).await?;
                let size = pending.size()?;
                if grows && range.end > size {
                    pending.resize(fs, range.end)?;
                }
                pending.zero(range.start..range.end.min(pending.size()?))?;
                let size = pending.size()?;
                content.pending = Some(pending);
                self.wrote(&mut content, size);
                Ok(())
            }
            zeroed => Ok(zeroed.map(drop)?),
        }
    }

    /// Where data, or a hole, comes next. What is not committed has no holes.
    pub(crate) async fn seek(&self, fs: &FileSystem, offset: u64, what: Where) -> Result<u64, FsError> {
        let mut content = self.content.lock().await;
        let (size, next) = match &content.pending {
            Some(pending) if content.dirty => {
                let size = pending.size()?;
                (size, Some(if what == Where::Data { offset } else { size }))
            }
            _ => {
                let reader = self.reader(fs, &mut content).await?;
                let next = match what {
                    Where::Data => reader.next_data(offset),
                    Where::Hole => Some(reader.next_hole(offset)),
                };
                (reader.info().size(), next)
            }
        };
        next.filter(|_| offset < size).ok_or(FsError::NoSuchOffset)
    }

    /// Commits what was written, whether the file has a name or not, so that the content is all in the namespace.
    pub(crate) async fn settle(&self, fs: &FileSystem) -> Result<(), FsError> {
        let mut content = self.content.lock().await;
        self.settle_locked(fs, &mut content).await
    }

    /// Changes the committed content while nobody here reads or writes; what was written so far is committed before.
    pub(crate) async fn change<T>(
        &self,
        fs: &FileSystem,
        change: impl Future<Output = Result<T, FsError>>,
    ) -> Result<T, FsError> {
        let mut content = self.content.lock().await;
        self.settle_locked(fs, &mut content).await?;
        change.await
    }

    /// The committed attributes of a file that is open here and nowhere else any more: another process removed its last name.
    pub(crate) fn left(&self) -> Option<Attributes> {
        self.seen.lock().clone().map(|seen| Attributes { links: 0, ..seen })
    }

    /// Cuts the content of a file that is open here and nowhere else, or adds zeros.
    pub(crate) async fn resize_left(&self, fs: &FileSystem, size: u64) -> Result<(), FsError> {
        let mut content = self.content.lock().await;
        let mut pending = self.ready(fs, &mut content, |pending| !pending.is_stream()).await?;
        let resized = pending.resize(fs, size);
        content.pending = Some(pending);
        resized?;
        self.wrote(&mut content, size);
        Ok(())
    }

    async fn reader(&self, fs: &FileSystem, content: &mut Content) -> Result<ObjectReader, FsError> {
        if let Some(reader) = &content.reader {
            return Ok(reader.clone());
        }
        let reader = self.open_committed(fs, content).await?;
        content.reader = Some(reader.clone());
        content.last = Some(reader.clone());
        Ok(reader)
    }

    /// The committed content of now; the last one of a file that is gone.
    async fn open_committed(&self, fs: &FileSystem, content: &mut Content) -> Result<ObjectReader, FsError> {
        match fs.objects.open_inode(self.inode).await {
            Ok(reader) => {
                *self.seen.lock() = Some(reader.info().attributes.clone());
                Ok(reader)
            }
            Err(ObjectsError::NotFound) => content.last.clone().ok_or(FsError::OldName),
            Err(error) => Err(error.into()),
        }
    }

    async fn settle_locked(&self, fs: &FileSystem, content: &mut Content) -> Result<(), FsError> {
        if let Some(error) = &content.lost {
            return Err(FsError::Lost(error.clone()));
        }
        self.commit(fs, content).await?;
        // What is gone has no other place for what is written to it.
        if !content.dirty {
            content.forget();
        }
        Ok(())
    }

    /// Sets the modification time that uncommitted content will have.
    pub(crate) async fn set_mtime(&self, mtime: i64) {
        let _content = self.content.lock().await;
        if let Some(unsaved) = &mut *self.unsaved.lock() {
            unsaved.mtime = mtime;
        }
    }

    /// Commits what was written. Once this is answered, it is there for everybody.
    pub(crate) async fn flush(&self, fs: &FileSystem) -> Result<(), FsError> {
        let mut content = self.content.lock().await;
        self.flush_locked(fs, &mut content).await
    }

    /// Commits what was written and those who could write left behind.
    pub(crate) async fn flush_left(&self, fs: &FileSystem) -> Result<(), FsError> {
        let mut content = self.content.lock().await;
        // Looked at while nobody writes: who comes next writes after this.
        if self.is_written() { Ok(()) } else { self.flush_locked(fs, &mut content).await }
    }

    async fn flush_locked(&self, fs: &FileSystem, content: &mut Content) -> Result<(), FsError> {
        if let Some(error) = &content.lost {
            return Err(FsError::Lost(error.clone()));
        }
        if content.dirty && fs.attributes(self.inode).await?.links == 0 {
            // Its last name is gone: nobody but who has it open can ever see it.
            return Ok(());
        }
        self.commit(fs, content).await
    }

    /// Commits a stream that nobody wrote to lately: a storage does not wait for ever.
    pub(crate) async fn rest(&self, fs: &FileSystem, idle: Duration) {
        let Ok(mut content) = self.content.try_lock() else { return };
        // One that was emptied, and that nobody writes to after all, among them.
        let is_empty = |pending: &Pending| pending.size().is_ok_and(|size| size == 0);
        let waits = |pending: &Pending| pending.is_stream() || (content.dirty && is_empty(pending));
        if content.pending.as_ref().is_some_and(waits)
            && content.written.is_some_and(|written| written.elapsed() >= idle)
        {
            debug!(ino = self.inode, "a file is written slowly; what there is is committed");
            if let Err(error) = self.commit(fs, &mut content).await {
                warn!(ino = self.inode, %error, "a write failed; its bytes are lost");
            }
        }
    }

    /// The size of what is not committed, where anything is.
    pub(crate) fn unsaved(&self) -> Option<u64> {
        self.unsaved.lock().map(|unsaved| unsaved.size)
    }

    /// Attributes as programs here see them, with what is not committed yet. Look before the namespace is asked.
    pub(crate) fn overlay(&self) -> Overlay {
        Overlay(*self.unsaved.lock())
    }

    /// Where the file ends, whoever wrote to it last.
    async fn end(&self, fs: &FileSystem, content: &mut Content) -> Result<u64, FsError> {
        if content.dirty
            && let Some(pending) = &content.pending
        {
            return pending.size();
        }
        let attributes = fs.attributes(self.inode).await?;
        if content.stamp.is_none() || content.stamp != Stamp::of(&attributes) {
            content.forget();
        }
        Ok(attributes.size)
    }

    /// What is being written, in a form that `fits`; the content is loaded or committed first where that is needed.
    async fn ready(
        &self,
        fs: &FileSystem,
        content: &mut Content,
        fits: impl Fn(&Pending) -> bool,
    ) -> Result<Pending, FsError> {
        if let Some(error) = &content.lost {
            return Err(FsError::Lost(error.clone()));
        }
        if content.pending.as_ref().is_some_and(|pending| !fits(pending)) {
            self.commit(fs, content).await?;
        }
        match content.pending.take() {
            Some(pending) => {
                if !content.dirty {
                    content.base = content.stamp;
                }
                Ok(pending)
            }
            None => {
                let reader = self.open_committed(fs, content).await?;
                content.base = Stamp::of(&reader.info().attributes).filter(|stamp| !stamp.is_empty());
                Pending::load(fs, &reader).await
            }
        }
    }

    async fn commit(&self, fs: &FileSystem, content: &mut Content) -> Result<(), FsError> {
        if !content.dirty {
            return Ok(());
        }
        let Some(pending) = content.pending.take() else { return Ok(()) };
        let mtime = self.unsaved.lock().map_or_else(now, |unsaved| unsaved.mtime);
        let streamed = pending.is_stream();
        let (pending, committed) = if pending.size()? == 0 {
            let set = SetAttributes { size: Some(0), mtime: Some(mtime), ..SetAttributes::default() };
            (Some(pending), fs.objects.set_attributes(self.inode, set).await)
        } else {
            pending.commit(fs, self.inode, mtime).await
        };
        content.pending = pending;
        match committed {
            Ok(attributes) => {
                metrics::counter!("fdfs_mount_commits_total").increment(1);
                content.dirty = false;
                content.reader = None;
                content.last = None;
                content.generation += 1;
                content.stamp = Stamp::of(&attributes);
                *self.seen.lock() = Some(attributes);
                // The kernel wrote its own pages as well.
                let whole = content.base.is_none() || content.base == fs.cache.pages(self.inode);
                fs.cache.set_pages(self.inode, content.stamp.filter(|_| whole));
                *self.unsaved.lock() = None;
                Ok(())
            }
            // Its last name is gone: nobody but who has it open can ever see it.
            Err(ObjectsError::NotFound) if content.pending.is_some() => Ok(()),
            Err(error) => {
                metrics::counter!("fdfs_mount_failed_commits_total").increment(1);
                warn!(ino = self.inode, %error, "written content is not committed");
                if streamed {
                    self.lose(content, error.clone());
                }
                Err(error.into())
            }
        }
    }

    fn lose(&self, content: &mut Content, error: ObjectsError) {
        content.forget();
        content.dirty = false;
        content.lost = Some(error);
        *self.unsaved.lock() = None;
    }

    fn wrote(&self, content: &mut Content, size: u64) {
        let now = now();
        content.dirty = true;
        content.written = Some(Instant::now());
        *self.unsaved.lock() = Some(Unsaved { size, mtime: now, ctime: now });
    }
}

/// What of the attributes of an open file is not committed yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Overlay(Option<Unsaved>);

impl Overlay {
    /// Nothing.
    pub(crate) const NONE: Self = Self(None);

    /// True where everything is committed.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_none()
    }

    /// Lays it over committed attributes.
    pub(crate) fn over(self, attributes: Attributes) -> Attributes {
        match self.0 {
            Some(unsaved) => Attributes {
                size: unsaved.size,
                mtime: unsaved.mtime,
                ctime: unsaved.ctime.max(attributes.ctime),
                ..attributes
            },
            None => attributes,
        }
    }
}

impl Content {
    fn forget(&mut self) {
        self.pending = None;
        self.reader = None;
        self.stamp = None;
        self.generation += 1;
    }
}
