//! Ranges of content: fallocate, lseek, copy_file_range.

use fdfs_objects::{ObjectsError, SetAttributes};
use fuser::FileHandle;

use crate::error::FsError;
use crate::file_system::FileSystem;
use crate::open_file::Where;
use crate::ops::attributes;

/// Reserves, or empties, a range as `fallocate` with these flags does. No space is set aside: a storage has it when bytes come.
pub(crate) async fn allocate(
    fs: &FileSystem,
    handle: FileHandle,
    offset: u64,
    length: u64,
    mode: i32,
) -> Result<(), FsError> {
    let file = fs.handles.get(handle)?;
    let file = &file.file;
    let end = offset.checked_add(length).filter(|end| *end <= i64::MAX as u64).ok_or(FsError::TooLarge)?;
    if length == 0 {
        return Err(FsError::Invalid("a range of no bytes"));
    }
    let keeps_size = mode & libc::FALLOC_FL_KEEP_SIZE != 0;
    match mode & !libc::FALLOC_FL_KEEP_SIZE {
        0 => {
            let size = fs.attributes(file.inode()).await?.size;
            let free = fs.objects.space(file.inode()).await?.free;
            if end.saturating_sub(size) > free {
                return Err(ObjectsError::NoSpace.into());
            }
            if !keeps_size && end > size {
                let set = SetAttributes { size: Some(end), ..SetAttributes::default() };
                attributes::set(fs, file.inode(), set).await?;
            }
            Ok(())
        }
        libc::FALLOC_FL_PUNCH_HOLE if keeps_size => file.zero(fs, offset..end, false).await,
        libc::FALLOC_FL_ZERO_RANGE => file.zero(fs, offset..end, !keeps_size).await,
        _ => Err(FsError::Unsupported("fallocate with these flags")),
    }
}

/// Where data, or a hole, comes next.
pub(crate) async fn seek(
    fs: &FileSystem,
    handle: FileHandle,
    offset: i64,
    whence: i32,
) -> Result<u64, FsError> {
    let what = match whence {
        libc::SEEK_DATA => Where::Data,
        libc::SEEK_HOLE => Where::Hole,
        _ => return Err(FsError::Invalid("an lseek that the kernel does itself")),
    };
    let offset = u64::try_from(offset).map_err(|_| FsError::NoSuchOffset)?;
    fs.handles.get(handle)?.file.seek(fs, offset, what).await
}

/// Copies a range of one file into another without moving a byte. What is small is left to the kernel, which reads and writes it.
pub(crate) async fn copy(
    fs: &FileSystem,
    (from, from_offset): (FileHandle, u64),
    (to, to_offset): (FileHandle, u64),
    length: u64,
) -> Result<u64, FsError> {
    let (from, to) = (fs.handles.get(from)?, fs.handles.get(to)?);
    if to_offset.saturating_add(length) > i64::MAX as u64 {
        return Err(FsError::TooLarge);
    }
    let (source, target) = (from.file.inode(), to.file.inode());
    let size = fs.attributes(source).await?.size;
    let length = length.min(size.saturating_sub(from_offset));
    if length == 0 {
        return Ok(0);
    }
    if length < SHARED {
        return Err(FsError::Unsupported("few bytes are copied"));
    }
    if source != target {
        from.file.settle(fs).await?;
    }
    let copying = async {
        match fs.objects.copy_range((source, from_offset), (target, to_offset), length).await {
            // One of them lost its last name, elsewhere: what is left of it is copied as bytes.
            Err(ObjectsError::NotFound) => {
                Err(FsError::Unsupported("bytes of a file that is gone are copied"))
            }
            copied => Ok(copied?),
        }
    };
    to.file.change(fs, copying).await
}

/// Fewer bytes are copied rather than shared: each shared range is an extent that every reader pays for.
const SHARED: u64 = 64 * 1024;
