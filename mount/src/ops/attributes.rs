//! Attributes: lookup, getattr, setattr, readlink.

use fdfs_objects::{Attributes, Kind, ObjectsError, SetAttributes};

use crate::error::FsError;
use crate::file_system::FileSystem;
use crate::ops::names::check_name;
use crate::ops::stats;

/// The attributes of what stands under a name.
pub(crate) async fn lookup(fs: &FileSystem, parent: u64, name: &[u8]) -> Result<Attributes, FsError> {
    check_name(name)?;
    if stats::is_named(parent, name) {
        return Ok(stats::attributes());
    }
    let found = fs.objects.lookup(parent, name).await;
    let attributes = found.map_err(|error| match error {
        // There cannot be anything of such a name.
        ObjectsError::InvalidName => ObjectsError::NotFound,
        error => error,
    })?;
    Ok(fs.overlay(attributes.inode).over(attributes))
}

/// Changes attributes; a new size cuts the content, or is followed by zeros.
pub(crate) async fn set(fs: &FileSystem, inode: u64, mut set: SetAttributes) -> Result<Attributes, FsError> {
    if inode == stats::INODE {
        return Err(FsError::NotPermitted("figures are read only"));
    }
    let file = fs.files.get(inode);
    if let Some(file) = &file {
        if let Some(size) = set.size {
            check_size(size)?;
            // An open with O_TRUNC comes as this: what is committed stays until what is written now takes its place.
            if (size == 0 && file.truncate_to_write(fs).await) || file.resize(fs, size).await? {
                set.size = None;
            }
        }
        if let Some(mtime) = set.mtime {
            file.set_mtime(mtime).await;
        }
    }
    if set == SetAttributes::default() {
        return fs.attributes(inode).await;
    }
    let attributes = match (fs.objects.set_attributes(inode, set).await, &file) {
        // It is open here, and another process removed its last name.
        (Err(ObjectsError::NotFound), Some(file)) if file.left().is_some() => {
            if let Some(size) = set.size {
                file.resize_left(fs, size).await?;
            }
            return fs.attributes(inode).await;
        }
        (Err(ObjectsError::NotFound), _) => return Err(FsError::OldName),
        (set, _) => set?,
    };
    if let Some(file) = &file {
        if set.size.is_some() {
            file.forget().await;
        }
        return Ok(file.overlay().over(attributes));
    }
    Ok(attributes)
}

/// The target of a symbolic link.
pub(crate) async fn read_link(fs: &FileSystem, inode: u64) -> Result<Vec<u8>, FsError> {
    let info = fs.objects.inode_info(inode).await.map_err(|error| match error {
        ObjectsError::NotFound => FsError::OldName,
        error => error.into(),
    })?;
    match info.attributes.kind {
        Kind::Symlink => Ok(info.target),
        _ => Err(FsError::Invalid("only symbolic links have a target")),
    }
}

fn check_size(size: u64) -> Result<(), FsError> {
    if size <= i64::MAX as u64 { Ok(()) } else { Err(FsError::TooLarge) }
}
