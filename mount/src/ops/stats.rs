//! `.stats` in the root: what the mount does, as text. It answers to its name and is not listed.

use std::fmt::Write as _;

use bytes::Bytes;
use fdfs_objects::{Attributes, Kind, ROOT};
use fuser::FileHandle;

use crate::attributes::now;
use crate::error::FsError;
use crate::file_system::FileSystem;

/// True for the name of the file.
pub(crate) fn is_named(parent: u64, name: &[u8]) -> bool {
    parent == ROOT && name == NAME
}

/// What a stat of it says. Its length is not known before it is read, as with files of /proc.
pub(crate) fn attributes() -> Attributes {
    let now = now();
    Attributes {
        inode: INODE,
        kind: Kind::File,
        mode: 0o444,
        links: 1,
        atime: now,
        mtime: now,
        ctime: now,
        btime: now,
        ..Attributes::default()
    }
}

/// Opens it for reading: the handle keeps what was true then.
pub(crate) fn open(fs: &FileSystem, writes: bool) -> Result<FileHandle, FsError> {
    if writes {
        return Err(FsError::NotPermitted("figures are read only"));
    }
    Ok(fs.reports.insert(report(fs)))
}

/// Reads a range of what was true when it was opened.
pub(crate) fn read(fs: &FileSystem, handle: FileHandle, offset: u64, size: u32) -> Result<Bytes, FsError> {
    let report = fs.reports.get(handle)?;
    let start = usize::try_from(offset).unwrap_or(usize::MAX).min(report.len());
    let end = start.saturating_add(size as usize).min(report.len());
    Ok(Bytes::copy_from_slice(&report.as_bytes()[start..end]))
}

/// Closes it.
pub(crate) fn release(fs: &FileSystem, handle: FileHandle) -> Result<(), FsError> {
    fs.reports.remove(handle).map(|_| ())
}

fn report(fs: &FileSystem) -> String {
    let mut text = String::new();
    let unsaved: Vec<_> =
        fs.files.all().iter().filter_map(|file| Some((file.inode(), file.unsaved()?))).collect();
    let passed = fs.handles.all().iter().filter(|handle| handle.backing.passes_through()).count();
    let lines = [
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("pid", std::process::id().to_string()),
        ("session", fs.objects.namespace().session().to_string()),
        ("open_files", fs.files.all().len().to_string()),
        ("open_handles", fs.handles.all().len().to_string()),
        ("passthrough_handles", passed.to_string()),
        ("uncommitted_files", unsaved.len().to_string()),
        ("uncommitted_bytes", unsaved.iter().map(|(_, size)| size).sum::<u64>().to_string()),
        ("memory_of_requests_bytes", fs.budget.taken().0.to_string()),
        ("memory_kept_bytes", fs.budget.taken().1.to_string()),
    ];
    let (cached, files) = fs.disk_cache.as_ref().map_or((0, 0), |cache| cache.used());
    let _ = writeln!(text, "disk_cache_bytes {cached}\ndisk_cache_files {files}");
    for (name, value) in lines {
        let _ = writeln!(text, "{name} {value}");
    }
    for (inode, size) in unsaved.iter().take(SHOWN) {
        let _ = writeln!(text, "uncommitted inode={inode} size={size}");
    }
    let counters = fdfs_ops::Metrics::install().render();
    for line in counters.lines().filter(|line| line.starts_with("fdfs_mount_")) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// The number of the file, one of those that no inode of the namespace has.
pub(crate) const INODE: u64 = 2;
const NAME: &[u8] = b".stats";
/// Uncommitted files that are named.
const SHOWN: usize = 100;
