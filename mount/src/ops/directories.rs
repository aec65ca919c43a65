//! Directories: opendir, readdir, readdirplus, releasedir.

use fdfs_objects::{Attributes, Kind};
use fuser::FileHandle;

use crate::directory::{DOTS, OpenDirectory};
use crate::error::FsError;
use crate::file_system::FileSystem;

/// An entry as a program sees it.
pub(crate) struct Row<'a> {
    /// The offset to go on after it.
    pub(crate) cookie: u64,
    /// Its name.
    pub(crate) name: &'a [u8],
    /// Its attributes.
    pub(crate) attributes: Attributes,
}

/// Opens a directory.
pub(crate) fn open(fs: &FileSystem, inode: u64) -> FileHandle {
    fs.directories.insert(OpenDirectory::new(inode))
}

/// Gives the entries after `cookie` to `take` until it is full.
pub(crate) async fn read(
    fs: &FileSystem,
    handle: FileHandle,
    cookie: u64,
    take: &mut (dyn FnMut(Row<'_>) -> bool + Send),
) -> Result<(), FsError> {
    let directory = fs.directories.get(handle)?;
    let itself =
        Attributes { inode: directory.inode, kind: Kind::Directory, mode: 0o755, ..Attributes::default() };
    for (dot, name) in (1..).zip([b".".as_slice(), b".."]) {
        if cookie < dot && take(Row { cookie: dot, name, attributes: itself.clone() }) {
            return Ok(());
        }
    }
    let mut take_entry = |cookie, entry: &fdfs_objects::DirectoryEntry| {
        let attributes = fs.overlay(entry.attributes.inode).over(entry.attributes.clone());
        take(Row { cookie, name: &entry.name, attributes })
    };
    Ok(directory.read(fs, cookie.max(DOTS), &mut take_entry).await?)
}

/// Closes a directory.
pub(crate) fn release(fs: &FileSystem, handle: FileHandle) -> Result<(), FsError> {
    fs.directories.remove(handle).map(|_| ())
}
