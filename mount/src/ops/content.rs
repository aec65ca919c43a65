//! Content: create, open, read, write, flush, release.

use std::fs::File;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use fdfs_objects::{Attributes, Kind, NewInode, ObjectsError};
use fuser::{BackingId, FileHandle, FopenFlags};
use tokio::sync::Mutex;
use tracing::{error, warn};

use crate::budget::Pass;
use crate::disk_cache::{self, Filling, HandleBacking, Local};
use crate::error::FsError;
use crate::file_system::{Caller, FileSystem, Handle};
use crate::open_file::{OpenFile, Place, Source};
use crate::ops::names;
use crate::read_ahead::{PIECE, ReadAhead};

/// How a file is opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Open {
    /// It may be written to.
    pub(crate) write: bool,
    /// Its content goes.
    pub(crate) truncate: bool,
    /// With create: it must not exist.
    pub(crate) exclusive: bool,
}

/// Makes a file and opens it; opens it if somebody else was first and that is allowed.
pub(crate) async fn create(
    fs: &FileSystem,
    caller: Caller,
    parent: u64,
    name: &[u8],
    mode: u32,
    how: Open,
) -> Result<(Attributes, FileHandle), FsError> {
    let new = NewInode { kind: Kind::File, mode: mode & 0o7777, ..NewInode::default() };
    match names::make(fs, caller, parent, name, new).await {
        Ok(attributes) => {
            let handle = open(fs, attributes.inode, Open { truncate: false, ..how }).await?;
            Ok((attributes, handle))
        }
        Err(FsError::Objects(ObjectsError::AlreadyExists)) if !how.exclusive => {
            let inode = fs.objects.lookup(parent, name).await?.inode;
            let handle = open(fs, inode, how).await?;
            Ok((fs.attributes(inode).await?, handle))
        }
        Err(error) => Err(error),
    }
}

/// Opens a file: what was committed until now will be read.
pub(crate) async fn open(fs: &FileSystem, inode: u64, how: Open) -> Result<FileHandle, FsError> {
    let file = fs.files.open(fs, inode);
    match open_checked(fs, &file, how).await {
        Ok(keeps_pages) => {
            if how.write {
                file.writer_comes();
            } else if let Some(attributes) = file.left().filter(|_| !how.truncate && !fs.is_raw(inode)) {
                fs.accesses.note(&attributes);
            }
            let read_ahead = Mutex::new(ReadAhead::new(&fs.budget));
            let local = if how.write || how.truncate { Local::Nothing } else { local(fs, &file).await };
            let (writes, backing) = (how.write, HandleBacking::default());
            Ok(fs.handles.insert(Handle { file, read_ahead, keeps_pages, writes, local, backing }))
        }
        Err(error) => {
            fs.files.close(fs, inode).await?;
            Err(match error {
                FsError::Objects(ObjectsError::NotFound) => FsError::OldName,
                error => error,
            })
        }
    }
}

/// How the kernel is to treat what it has of a file that was just opened.
pub(crate) fn flags(fs: &FileSystem, handle: FileHandle) -> FopenFlags {
    match fs.handles.get(handle) {
        Ok(handle) if handle.keeps_pages => FopenFlags::FOPEN_KEEP_CACHE,
        _ => FopenFlags::empty(),
    }
}

/// What the kernel is to read by itself what was just opened from, if it is; `tell` tells it of the file.
pub(crate) fn backing(
    fs: &FileSystem,
    handle: FileHandle,
    tell: impl FnOnce(&File) -> io::Result<BackingId>,
) -> Option<Arc<BackingId>> {
    let handle = fs.handles.get(handle).ok()?;
    if !fs.keeps_content(handle.file.inode()) {
        return None;
    }
    let file = match &handle.local {
        Local::Whole(_, file) => Some(file),
        Local::Nothing | Local::Filling(_) => None,
    };
    fs.passthrough.decide(&handle.file.backing, &handle.backing, file, tell)
}

/// Reads a range, cut at the end.
#[cfg(test)]
pub(crate) async fn read(
    fs: &FileSystem,
    handle: FileHandle,
    offset: u64,
    size: u32,
) -> Result<Bytes, FsError> {
    Ok(read_to_keep(fs, handle, offset, size).await?.0)
}

/// Reads a range, cut at the end; and who wants the bytes for the local disk.
pub(crate) async fn read_to_keep(
    fs: &FileSystem,
    handle: FileHandle,
    offset: u64,
    size: u32,
) -> Result<(Bytes, Option<Arc<Filling>>), FsError> {
    let handle = fs.handles.get(handle)?;
    match handle.file.source(fs, offset, size).await? {
        Source::Bytes(bytes) => Ok((bytes, None)),
        Source::Committed(reader, generation) => {
            if let Some(file) = handle.local.whole(reader.info()) {
                let left = reader.info().size().saturating_sub(offset);
                match disk_cache::read(file, offset, left.min(u64::from(size)) as usize).await {
                    Ok(bytes) => return Ok((bytes, None)),
                    Err(error) => {
                        metrics::counter!("fdfs_mount_disk_cache_failures_total").increment(1);
                        warn!(ino = handle.file.inode(), %error, "the cache on disk is not read");
                    }
                }
            }
            let mut read_ahead = handle.read_ahead.lock().await;
            let bytes = read_ahead.read(&reader, generation, offset, size).await?;
            Ok((bytes, handle.local.filling(reader.info())))
        }
    }
}

/// Writes bytes.
pub(crate) async fn write(
    fs: &FileSystem,
    handle: FileHandle,
    offset: u64,
    bytes: Bytes,
) -> Result<(), FsError> {
    fs.handles.get(handle)?.file.write(fs, Place::At(offset), bytes).await.map(drop)
}

/// Writes bytes at the end, which the kernel believes to be at `believed`: another mount may have written meanwhile.
pub(crate) async fn append(
    fs: &FileSystem,
    handle: FileHandle,
    believed: u64,
    bytes: Bytes,
) -> Result<(), FsError> {
    let handle = fs.handles.get(handle)?;
    if handle.file.write(fs, Place::End, bytes).await? != believed {
        // What the kernel keeps of the bytes stands in another place.
        fs.cache.take_back_soon(handle.file.inode());
    }
    Ok(())
}

/// Commits what was written: after fsync it is there for everybody.
pub(crate) async fn sync(fs: &FileSystem, handle: FileHandle) -> Result<(), FsError> {
    let handle = fs.handles.get(handle)?;
    let _pass = pass_to_commit(fs, &handle.file).await;
    handle.file.flush(fs).await
}

/// A program closes a handle: what was written is committed. Who only reads leaves that to those who write.
pub(crate) async fn flush(fs: &FileSystem, handle: FileHandle) -> Result<(), FsError> {
    match fs.handles.get(handle)? {
        writer if writer.writes => sync(fs, handle).await,
        reader => commit_what_is_left(fs, &reader.file).await,
    }
}

/// Closes a handle; the kernel tells of it some time after the program closed it, when others may already write. Nobody sees an error of this, so
/// that it is logged.
pub(crate) async fn release(fs: &FileSystem, handle: FileHandle) -> Result<(), FsError> {
    let handle = fs.handles.remove(handle)?;
    let inode = handle.file.inode();
    handle.backing.close(&handle.file.backing);
    if handle.writes {
        handle.file.writer_goes();
    }
    let flushed = commit_what_is_left(fs, &handle.file).await;
    if let Err(error) = &flushed {
        metrics::counter!("fdfs_mount_lost_files_total").increment(1);
        error!(ino = inode, %error, "a file was closed and what was written to it is lost");
    }
    fs.files.close(fs, inode).await?;
    flushed
}

/// What the local disk has of a file that is opened for reading.
async fn local(fs: &FileSystem, file: &OpenFile) -> Local {
    let Some(cache) = &fs.disk_cache else { return Local::Nothing };
    match file.committed().await {
        Some(reader) => Local::of(cache, reader.info()).await,
        None => Local::Nothing,
    }
}

/// Commits what nobody who has the file open will commit.
async fn commit_what_is_left(fs: &FileSystem, file: &OpenFile) -> Result<(), FsError> {
    if file.is_written() {
        return Ok(());
    }
    let _pass = pass_to_commit(fs, file).await;
    file.flush_left(fs).await
}

/// Memory for the pieces that a commit moves, where there is anything to commit.
async fn pass_to_commit(fs: &FileSystem, file: &OpenFile) -> Option<Pass> {
    match file.unsaved() {
        Some(_) => Some(fs.budget.pass(PIECE).await),
        None => None,
    }
}

/// True if the pages that the kernel has may be read.
async fn open_checked(fs: &FileSystem, file: &Arc<OpenFile>, how: Open) -> Result<bool, FsError> {
    if (how.write || how.truncate) && fs.is_raw(file.inode()) {
        return Err(FsError::NotPermitted("raw files are not written"));
    }
    if !how.truncate {
        let keeps_pages = file.refresh(fs).await?;
        // Nobody here has it open, who could name it in another way than by a name that it lost.
        let is_old = file.has_no_name().await && fs.files.is_open_once(file.inode());
        return if is_old { Err(FsError::OldName) } else { Ok(keeps_pages) };
    }
    if fs.objects.attributes(file.inode()).await?.kind == Kind::Directory {
        return Err(ObjectsError::IsDirectory.into());
    }
    file.truncate(fs).await;
    Ok(false)
}
