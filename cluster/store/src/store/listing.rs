//! The files of one directory, page by page.

use std::collections::BinaryHeap;

use fdfs_types::{FileKind, RemoteFilename, Subdir, Timestamp};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, openat, statat},
    io::Errno,
};

use super::{SIDECAR, Store};
use crate::StoreError;

/// A page of the files of a directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct FileListing {
    /// The files, sorted by name.
    pub files: Vec<ListedFile>,
    /// The last component to go on behind; `None` at the end of the directory.
    pub next: Option<String>,
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
    /// The files of a directory whose last component sorts behind `after`, at most `limit`. Sidecars and
    /// trunk containers are no files.
    pub fn list(
        &self,
        store_path: u8,
        subdir: Subdir,
        after: Option<&str>,
        limit: usize,
    ) -> Result<FileListing, StoreError> {
        let path = self.0.paths.get(usize::from(store_path));
        let path = path.ok_or(StoreError::NoSuchStorePath { index: store_path })?;
        let local = format!("{:02X}/{:02X}", subdir.high, subdir.low);
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let directory = openat(&path.data, &local, flags, Mode::empty())
            .map_err(StoreError::doing("opening the directory"))?;
        let reading = StoreError::doing("reading the directory");
        // The smallest names behind `after`, and one more, which tells that there is a next page.
        let mut smallest = BinaryHeap::new();
        for entry in Dir::read_from(&directory).map_err(&reading)? {
            let entry = entry.map_err(&reading)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if after.is_some_and(|after| name <= after)
                || smallest.len() > limit
                    && smallest.peek().is_some_and(|largest: &String| name >= largest.as_str())
            {
                continue;
            }
            let Ok(filename) = format!("M{store_path:02X}/{local}/{name}").parse::<RemoteFilename>() else {
                continue;
            };
            if filename.kind().is_err() {
                continue;
            }
            if let Some(owner) = name.strip_suffix(SIDECAR)
                && statat(&directory, owner, AtFlags::SYMLINK_NOFOLLOW).is_ok()
            {
                continue;
            }
            smallest.push(name.to_owned());
            if smallest.len() > limit + 1 {
                smallest.pop();
            }
        }
        let mut names = smallest.into_sorted_vec();
        let more = names.len() > limit;
        names.truncate(limit);
        let mut listing =
            FileListing { next: names.last().filter(|_| more).cloned(), ..FileListing::default() };
        for name in names {
            let stat = match statat(&directory, &name, AtFlags::empty()) {
                Ok(stat) => stat,
                // Deleted meanwhile, or a link to nothing.
                Err(Errno::NOENT) => continue,
                Err(error) => return Err(reading(error)),
            };
            let Ok(filename) = format!("M{store_path:02X}/{local}/{name}").parse::<RemoteFilename>() else {
                continue;
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && !matches!(filename.kind(), Ok(FileKind::Trunk(_)))
            {
                listing.files.push(ListedFile {
                    filename,
                    size: stat.st_size.unsigned_abs(),
                    modified: Timestamp(stat.st_mtime),
                });
            }
        }
        Ok(listing)
    }
}
