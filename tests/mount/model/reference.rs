//! What should be there: a plain directory, and what S3 knows beyond it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// A plain directory, with paths below it as texts.
pub(super) struct Reference {
    directory: TempDir,
    /// Directories that are there because S3 put something below them, and only as long as that is so.
    implicit: BTreeSet<String>,
    /// Inodes of what programs wrote and did not close yet: S3 need not have it.
    unsaved: HashSet<u64>,
}

/// What a look at a name shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Look {
    pub(super) is_directory: bool,
    /// Of a file.
    pub(super) size: u64,
    pub(super) links: u64,
}

impl Reference {
    pub(super) fn new() -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let directory = tempfile::Builder::new().prefix("fdfs-model-").tempdir_in(place)?;
        fs::create_dir(directory.path().join("tree"))?;
        Ok(Self { directory, implicit: BTreeSet::new(), unsaved: HashSet::new() })
    }

    pub(super) fn root(&self) -> PathBuf {
        self.directory.path().join("tree")
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// All that is there.
    pub(super) fn looks(&self) -> Result<BTreeMap<String, Look>> {
        looks(&self.root())
    }

    /// The keys that S3 lists, with their sizes where S3 must know them.
    pub(super) fn keys(&self) -> Result<BTreeMap<String, Option<u64>>> {
        let mut keys = BTreeMap::new();
        for (name, look) in self.looks()? {
            if look.is_directory {
                if !self.implicit.contains(&name) {
                    keys.insert(format!("{name}/"), Some(0));
                }
            } else {
                keys.insert(name.clone(), (!self.is_unsaved(&name)).then_some(look.size));
            }
        }
        Ok(keys)
    }

    /// True if S3 can put something under the name without hiding, or being hidden by, what is there.
    pub(super) fn takes_key(&self, name: &str) -> bool {
        let parents = Path::new(name).ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty());
        !self.path(name).is_dir()
            && parents.map(|parent| self.root().join(parent)).all(|path| !path.is_file())
    }

    pub(super) fn is_unsaved(&self, name: &str) -> bool {
        fs::metadata(self.path(name)).is_ok_and(|found| self.unsaved.contains(&found.ino()))
    }

    pub(super) fn set_unsaved(&mut self, inode: u64, is_unsaved: bool) {
        if is_unsaved {
            self.unsaved.insert(inode)
        } else {
            self.unsaved.remove(&inode)
        };
    }

    /// A program closed the file under this name.
    pub(super) fn closed(&mut self, name: &str) {
        if let Ok(found) = fs::metadata(self.path(name)) {
            self.unsaved.remove(&found.ino());
        }
    }

    /// S3 puts a content under a name: another file takes the place of the one that was there.
    pub(super) fn put(&mut self, name: &str, content: &[u8]) -> io::Result<()> {
        let parents: Vec<_> = Path::new(name).ancestors().skip(1).map(Path::to_owned).collect();
        for parent in parents.iter().rev().filter(|parent| !parent.as_os_str().is_empty()) {
            if !self.root().join(parent).is_dir() {
                fs::create_dir(self.root().join(parent))?;
                self.implicit.insert(parent.to_string_lossy().into_owned());
            }
        }
        let aside = self.directory.path().join("aside");
        fs::write(&aside, content)?;
        fs::rename(aside, self.path(name))
    }

    /// S3 deletes a name, and with it the directories that were there because of it.
    pub(super) fn delete(&mut self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))?;
        for parent in Path::new(name).ancestors().skip(1) {
            let parent = parent.to_string_lossy().into_owned();
            if !self.implicit.contains(&parent) || fs::remove_dir(self.path(&parent)).is_err() {
                break;
            }
            self.implicit.remove(&parent);
        }
        Ok(())
    }

    /// A program removed or moved something: a directory that it emptied stays.
    pub(super) fn keep_emptied(&mut self) {
        let root = self.root();
        self.implicit
            .retain(|name| fs::read_dir(root.join(name)).is_ok_and(|mut entries| entries.next().is_some()));
    }

    /// A program moved a name, or let two names trade places.
    pub(super) fn renamed(&mut self, from: &str, to: &str, traded: bool) {
        let moved = |name: &str, from: &str, to: &str| -> Option<String> {
            let rest = name.strip_prefix(from)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{to}{rest}"))
        };
        self.implicit = std::mem::take(&mut self.implicit)
            .into_iter()
            .map(|name| {
                let back = || traded.then(|| moved(&name, to, from)).flatten();
                moved(&name, from, to).or_else(back).unwrap_or(name)
            })
            .collect();
        self.keep_emptied();
    }
}

/// All that is below a directory.
pub(super) fn looks(root: &Path) -> Result<BTreeMap<String, Look>> {
    let mut looks = BTreeMap::new();
    let mut waiting = vec![String::new()];
    while let Some(directory) = waiting.pop() {
        let path = root.join(&directory);
        for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if directory.is_empty() { name } else { format!("{directory}/{name}") };
            let found = fs::symlink_metadata(entry.path()).with_context(|| format!("{name} is listed"))?;
            let is_directory = found.is_dir();
            let size = if is_directory { 0 } else { found.len() };
            looks.insert(name.clone(), Look { is_directory, size, links: found.nlink() });
            if is_directory {
                waiting.push(name);
            }
        }
    }
    Ok(looks)
}
