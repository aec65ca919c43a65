//! How the index of contents compares with the disk.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use fdfs_types::RemoteFilename;

use super::{Index, is_content, rebuild::content_of_target};
use crate::{OpenError, StoreOptions, layout::BasePath};

/// How the index of contents compares with the disk.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContentCheck {
    /// Contents on the disk.
    pub contents: u64,
    /// Links to contents on the disk.
    pub links: u64,
    /// Contents on the disk to which no link leads here.
    pub unlinked: u64,
    /// Links on the disk that the index lacks.
    pub missing: u64,
    /// Links in the index that are not on the disk.
    pub surplus: u64,
    /// Links whose content is not on the disk.
    pub dangling: u64,
}

/// A store path: its index, and its directory of files.
pub(crate) type Place<'a> = (u8, &'a Path);

impl ContentCheck {
    /// Compares the index of a storage that does not run with its disk.
    pub fn offline(options: &StoreOptions) -> Result<Self, OpenError> {
        let base = BasePath::open(&options.base_path)?;
        let directory = base.own.join("contents");
        let doing = |action| OpenError::doing(action, &directory);
        let index = match directory.exists() {
            true => Some(Index::open(&directory).map_err(|error| doing("opening")(io::Error::from(error)))?),
            false => None,
        };
        let paths: Vec<PathBuf> = options
            .store_paths
            .iter()
            .map(|path| std::path::absolute(path.path.join("data")))
            .collect::<io::Result<_>>()
            .map_err(doing("resolving the store paths of"))?;
        let places: Vec<Place<'_>> = (0..=u8::MAX).zip(paths.iter().map(PathBuf::as_path)).collect();
        Self::compare(index.as_ref(), &places).map_err(doing("comparing"))
    }

    /// Forgets the index of a storage that does not run: its next start makes it from what is on the disk.
    pub fn forget_index(options: &StoreOptions) -> Result<(), OpenError> {
        let base = BasePath::open(&options.base_path)?;
        let directory = base.own.join("contents");
        // It stays there, and is known to be wanted, also where equal uploads are not sought any more.
        fs::create_dir_all(&directory).map_err(OpenError::doing("creating", &directory))?;
        fs::write(directory.join(super::STALE), "").map_err(OpenError::doing("marking", &directory))
    }

    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        (self.missing, self.surplus, self.dangling) == (0, 0, 0)
    }

    /// Reads all directories. What changes meanwhile may count as wrong.
    pub(crate) fn compare(index: Option<&Index>, places: &[Place<'_>]) -> io::Result<Self> {
        let mut check = Self::default();
        for (number, data) in places {
            for_each_name(*number, data, |name, path, is_link| {
                if is_content(&name) {
                    check.contents += 1;
                    let is_linked = index.map(|index| index.has_links(&name)).transpose()?.unwrap_or(false);
                    check.unlinked += u64::from(!is_linked);
                    return Ok(());
                }
                if is_link && let Some(content) = link_at(path, places)? {
                    check.links += 1;
                    let known = index.map(|index| index.content_of(&name)).transpose()?.flatten();
                    check.missing += u64::from(known.as_ref() != Some(&content));
                    check.dangling += u64::from(!path.exists());
                }
                Ok(())
            })?;
        }
        if let Some(index) = index {
            index.for_each_link(|name, content| {
                let Some((_, data)) = places.iter().find(|(number, _)| *number == name.store_path()) else {
                    check.surplus += 1;
                    return Ok(());
                };
                let there = link_at(&data.join(name.local_path()), places)?;
                check.surplus += u64::from(there.as_ref() != Some(content));
                Ok(())
            })?;
        }
        Ok(check)
    }
}

/// Calls `each` for every name in the directories of files, with its path and whether it is a link.
fn for_each_name(
    number: u8,
    data: &Path,
    mut each: impl FnMut(RemoteFilename, &Path, bool) -> io::Result<()>,
) -> io::Result<()> {
    for high in 0..=u8::MAX {
        let level = data.join(format!("{high:02X}"));
        if !level.exists() {
            continue;
        }
        for low in 0..=u8::MAX {
            let directory = match fs::read_dir(level.join(format!("{low:02X}"))) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                directory => directory?,
            };
            for entry in directory {
                let entry = entry?;
                let base_name = entry.file_name();
                let name = base_name.to_str().and_then(|base_name| {
                    format!("M{number:02X}/{high:02X}/{low:02X}/{base_name}").parse().ok()
                });
                if let Some(name) = name {
                    each(name, &entry.path(), entry.file_type()?.is_symlink())?;
                }
            }
        }
    }
    Ok(())
}

fn link_at(path: &Path, places: &[Place<'_>]) -> io::Result<Option<RemoteFilename>> {
    match fs::read_link(path) {
        Ok(target) => Ok(content_of_target(&target.to_string_lossy(), places.iter().copied())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
