//! The files of a store path, page by page.

use std::{collections::BinaryHeap, os::fd::OwnedFd};

use fdfs_types::{FileKind, RemoteFilename, Timestamp};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use super::{SIDECAR, Store};
use crate::{StoreError, contents::is_content};

/// A page of the files of a store path.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileListing {
    /// The files, sorted by name.
    pub files: Vec<ListedFile>,
    /// There may be files behind the last one.
    pub has_more: bool,
}

/// A file of a listing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListedFile {
    /// Its name.
    pub filename: RemoteFilename,
    /// Its size; of a link, the size of its target.
    pub size: u64,
    /// When it was modified last.
    pub modified: Timestamp,
}

impl Store {
    /// The files of a store path whose names sort behind `after`, at most `limit`, fewer where many
    /// directories had to be read for them. Sidecars and trunk containers are no files, and files in trunk
    /// containers are not listed yet.
    pub fn list(
        &self,
        store_path: u8,
        after: Option<&RemoteFilename>,
        limit: usize,
    ) -> Result<FileListing, StoreError> {
        let path = self.0.paths.get(usize::from(store_path));
        let path = path.ok_or(StoreError::NoSuchStorePath { index: store_path })?;
        let mut listing = FileListing::default();
        let (first_high, first_low) = after.map_or((0, 0), |name| (name.subdir().high, name.subdir().low));
        let mut read = 0;
        for high in first_high..=u8::MAX {
            let Some(level) = open_directory(&path.data, &format!("{high:02X}"))? else { continue };
            let lows = if high == first_high { first_low..=u8::MAX } else { 0..=u8::MAX };
            for low in lows {
                let Some(directory) = open_directory(&level, &format!("{low:02X}"))? else { continue };
                let after = after.filter(|_| (high, low) == (first_high, first_low));
                let left = limit.saturating_sub(listing.files.len());
                let prefix = format!("M{store_path:02X}/{high:02X}/{low:02X}/");
                let more = read_directory(
                    &directory,
                    &prefix,
                    after.map(RemoteFilename::base_name),
                    left,
                    &mut listing,
                )?;
                read += 1;
                let enough =
                    listing.files.len() >= limit || (read >= DIRECTORIES && !listing.files.is_empty());
                if more || enough {
                    listing.has_more = true;
                    return Ok(listing);
                }
            }
        }
        Ok(listing)
    }
}

impl Store {
    /// The appender files in the directory of a normal file that end as its name does. A regenerated file was one of them
    /// before, if it is not among the first of very many.
    pub fn appenders_like(&self, name: &RemoteFilename) -> Result<Vec<RemoteFilename>, StoreError> {
        let path = self.0.path_of(name)?;
        let subdir = format!("{:02X}/{:02X}", name.subdir().high, name.subdir().low);
        let Some(directory) = open_directory(&path.data, &subdir)? else { return Ok(Vec::new()) };
        let parse = |base: &str| name.with_base_name(base).ok();
        let is_like = |base: &str| {
            base.ends_with(name.tail())
                && base.len() == name.base_name().len()
                && parse(base).is_some_and(|other| other.kind() == Ok(FileKind::Appender))
        };
        let (names, _) = smallest_names(&directory, None, MOST_ALIKE, is_like)?;
        Ok(names.iter().filter_map(|base| parse(base)).collect())
    }
}

/// Adds the files of one directory behind `after`, at most `limit`; whether there are more.
fn read_directory(
    directory: &OwnedFd,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    listing: &mut FileListing,
) -> Result<bool, StoreError> {
    let reading = StoreError::doing("reading a directory");
    let (names, more) =
        smallest_names(directory, after, limit, |name| is_file_name(directory, prefix, name))?;
    for name in names {
        let stat = match statat(directory, &name, AtFlags::empty()) {
            Ok(stat) => stat,
            // Deleted meanwhile, or a link to nothing.
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(reading(error)),
        };
        let regular = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        if let (true, Ok(filename)) = (regular, format!("{prefix}{name}").parse()) {
            listing.files.push(ListedFile {
                filename,
                size: stat.st_size.unsigned_abs(),
                modified: Timestamp(stat.st_mtime),
            });
        }
    }
    Ok(more)
}

/// The smallest names of a directory behind `after` that are wanted, sorted, at most `limit`; whether there are more.
pub(super) fn smallest_names(
    directory: &OwnedFd,
    after: Option<&str>,
    limit: usize,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<String>, bool), StoreError> {
    let reading = StoreError::doing("reading a directory");
    // One more than wanted tells that there are more.
    let mut smallest: BinaryHeap<String> = BinaryHeap::new();
    for entry in Dir::read_from(directory).map_err(&reading)? {
        let entry = entry.map_err(&reading)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        let is_before = after.is_some_and(|after| name <= after);
        let is_behind =
            smallest.len() > limit && smallest.peek().is_some_and(|largest| name >= largest.as_str());
        if is_before || is_behind || !is_wanted(name) {
            continue;
        }
        smallest.push(name.to_owned());
        if smallest.len() > limit + 1 {
            smallest.pop();
        }
    }
    let more = smallest.len() > limit;
    let mut names = smallest.into_sorted_vec();
    names.truncate(limit);
    Ok((names, more))
}

/// Whether an entry of a directory is a file that a client may name.
fn is_file_name(directory: &OwnedFd, prefix: &str, name: &str) -> bool {
    let Ok(filename) = format!("{prefix}{name}").parse::<RemoteFilename>() else { return false };
    match filename.kind() {
        Ok(FileKind::Trunk(_)) | Err(_) => false,
        // No client knows it: its links are the files.
        Ok(_) if is_content(&filename) => false,
        Ok(_) => name
            .strip_suffix(SIDECAR)
            .is_none_or(|owner| statat(directory, owner, AtFlags::SYMLINK_NOFOLLOW).is_err()),
    }
}

pub(super) fn open_directory(parent: &OwnedFd, name: &str) -> Result<Option<OwnedFd>, StoreError> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    match openat(parent, name, flags, Mode::empty()) {
        Ok(directory) => Ok(Some(directory)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(StoreError::from_errno("opening a directory", error)),
    }
}

/// A page ends behind so many directories, if it has any file.
const DIRECTORIES: usize = 4096;

/// Appender files of one ending in one directory, of which the last three digits are drawn at random.
const MOST_ALIKE: usize = 16;
