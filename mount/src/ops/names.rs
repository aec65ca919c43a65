//! Names: making, removing, renaming, linking.

use fdfs_objects::{Attributes, Kind, NewInode, ROOT, RenameMode};

use crate::error::FsError;
use crate::file_system::{Caller, FileSystem};

/// Makes a file, directory, link or node. In a directory with the set-group-ID bit it belongs to the directory's group.
pub(crate) async fn make(
    fs: &FileSystem,
    caller: Caller,
    parent: u64,
    name: &[u8],
    new: NewInode,
) -> Result<Attributes, FsError> {
    check_name(name)?;
    let mut new = NewInode { uid: caller.uid, gid: caller.gid, ..new };
    if parent != ROOT {
        let directory = fs.objects.attributes(parent).await?;
        if directory.mode & libc::S_ISGID != 0 {
            new.gid = directory.gid;
            if new.kind == Kind::Directory {
                new.mode |= libc::S_ISGID;
            }
        }
    }
    Ok(fs.objects.make(parent, name, new).await?)
}

/// Gives a file another name.
pub(crate) async fn link(
    fs: &FileSystem,
    inode: u64,
    parent: u64,
    name: &[u8],
) -> Result<Attributes, FsError> {
    check_name(name)?;
    let overlay = fs.overlay(inode);
    Ok(overlay.over(fs.objects.link(inode, parent, name).await?))
}

/// Removes a file's name. Who has it open keeps it until the last close.
pub(crate) async fn unlink(fs: &FileSystem, parent: u64, name: &[u8]) -> Result<(), FsError> {
    check_name(name)?;
    if fs.is_raw(parent) && !fs.raw_delete {
        return Err(FsError::NotPermitted("raw files are deleted with the option raw_delete only"));
    }
    Ok(fs.objects.unlink(parent, name).await?)
}

/// Removes an empty directory.
pub(crate) async fn remove_directory(fs: &FileSystem, parent: u64, name: &[u8]) -> Result<(), FsError> {
    check_name(name)?;
    Ok(fs.objects.remove_directory(parent, name).await?)
}

/// Moves a name.
pub(crate) async fn rename(
    fs: &FileSystem,
    (parent, name): (u64, &[u8]),
    (new_parent, new_name): (u64, &[u8]),
    mode: RenameMode,
) -> Result<(), FsError> {
    check_name(name)?;
    check_name(new_name)?;
    Ok(fs.objects.rename_entry(parent, name, new_parent, new_name, mode).await?)
}

/// Refuses names that are too long for POSIX: the kernel lets them through.
pub(crate) fn check_name(name: &[u8]) -> Result<(), FsError> {
    if name.len() <= MAX_POSIX_NAME { Ok(()) } else { Err(FsError::NameTooLong) }
}

/// The longest name that POSIX shows.
pub(crate) const MAX_POSIX_NAME: usize = 255;
