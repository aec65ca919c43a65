//! Extended attributes: `user.NAME` is the metadata of a file, `user.fdfs.NAME` tells what is known of it.

use fdfs_objects::{ObjectsError, ROOT, SetMode};

use crate::error::FsError;
use crate::file_system::FileSystem;

/// The value of an attribute.
pub(crate) async fn get(fs: &FileSystem, inode: u64, name: &[u8]) -> Result<Vec<u8>, FsError> {
    if name.starts_with(SYSTEM) {
        return Err(FsError::Unsupported("system attributes"));
    }
    if name == CAPABILITIES {
        return Err(ObjectsError::NoAttribute.into());
    }
    if name.starts_with(SECURITY) {
        // Who lists a directory asks this of every file until it is told that there is nothing of the kind.
        return Err(FsError::Unsupported("security attributes"));
    }
    Ok(fs.objects.get_extended(inode, name).await?)
}

/// The names of all attributes, each followed by a zero byte.
pub(crate) async fn list(fs: &FileSystem, inode: u64) -> Result<Vec<u8>, FsError> {
    let all = fs.objects.list_extended(inode).await?;
    Ok(all.into_keys().flat_map(|name| name.into_iter().chain([0])).collect())
}

/// Sets an attribute.
pub(crate) async fn set(
    fs: &FileSystem,
    inode: u64,
    name: &[u8],
    value: &[u8],
    mode: SetMode,
) -> Result<(), FsError> {
    check(inode, name)?;
    Ok(fs.objects.set_extended(inode, name, value, mode).await?)
}

/// Removes an attribute.
pub(crate) async fn remove(fs: &FileSystem, inode: u64, name: &[u8]) -> Result<(), FsError> {
    check(inode, name)?;
    Ok(fs.objects.remove_extended(inode, name).await?)
}

/// What fits the caller's buffer; a buffer of no bytes asks for the length.
pub(crate) fn fit(value: &[u8], size: u32) -> Result<Fitted<'_>, FsError> {
    let length = u32::try_from(value.len()).map_err(|_| ObjectsError::AttributesTooLarge)?;
    match size {
        0 => Ok(Fitted::Length(length)),
        size if size < length => Err(FsError::Range),
        _ => Ok(Fitted::Value(value)),
    }
}

/// What a caller with a buffer of its size gets.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Fitted<'a> {
    /// The length.
    Length(u32),
    /// The value.
    Value(&'a [u8]),
}

fn check(inode: u64, name: &[u8]) -> Result<(), FsError> {
    if inode == ROOT {
        return Err(FsError::NotPermitted("the root has no attributes"));
    }
    if name.starts_with(SYSTEM) || name.starts_with(SECURITY) {
        return Err(FsError::Unsupported("system attributes"));
    }
    Ok(())
}

/// What a program may do: nothing on a mount, which is `nosuid`. The kernel asks for them before every write.
const CAPABILITIES: &[u8] = b"security.capability";
/// Attributes that mean something to a kernel: access lists and such.
const SYSTEM: &[u8] = b"system.";
/// Labels of such.
const SECURITY: &[u8] = b"security.";
