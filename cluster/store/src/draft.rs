//! Files that have no final name yet.
//!
//! Where the file system can, such a file has no name at all (`O_TMPFILE`): the kernel frees it with the
//! process, and giving it a name takes neither the lock of a common directory nor that of all renames,
//! which threads would wait for. Elsewhere it has a name below `.tmp`.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, openat, renameat, renameat_with, unlinkat},
    io::Errno,
};

use crate::layout::StorePath;

/// How files without a final name are kept on a store path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Staging {
    /// Without a name; linked by descriptor.
    Unnamed,
    /// Without a name; linked through `/proc`, as the kernel does not let us link by descriptor.
    UnnamedByProc,
    /// Under a name below `.tmp`.
    Named,
}

/// A file that has no final name yet.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) file: OwnedFd,
    staging: Staging,
    /// Its name below `.tmp`; empty where it has none, or none any more.
    name: String,
}

impl Staging {
    /// Finds out what the file system of `temporary`, a directory of ours, can do.
    pub(crate) fn probe(temporary: &OwnedFd) -> Self {
        let probe = |staging| -> Result<(), Errno> {
            let draft = Draft::unnamed(temporary, staging)?;
            draft.link(temporary, PROBE)?;
            unlinkat(temporary, PROBE, AtFlags::empty())
        };
        // Left by a process that was killed in this place.
        let _ = unlinkat(temporary, PROBE, AtFlags::empty());
        [Self::Unnamed, Self::UnnamedByProc]
            .into_iter()
            .find(|staging| probe(*staging).is_ok())
            .unwrap_or(Self::Named)
    }
}

impl Draft {
    /// Makes a file. `name` tells its name where it needs one, which no other file under way has.
    pub(crate) fn create(path: &StorePath, name: impl FnOnce() -> String) -> Result<Self, Errno> {
        match path.staging {
            Staging::Named => {
                let name = name();
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
                let file = openat(&path.temporary, &name, flags, Mode::from_raw_mode(MODE))?;
                Ok(Self { file, staging: Staging::Named, name })
            }
            staging => Self::unnamed(&path.temporary, staging),
        }
    }

    /// Gives the file its final name, `local` below the store path's `data`, never replacing another.
    pub(crate) fn show(&mut self, path: &StorePath, local: &str) -> Result<(), Errno> {
        match self.staging {
            Staging::Unnamed | Staging::UnnamedByProc => self.link(&path.data, local),
            Staging::Named => {
                match renameat_with(&path.temporary, &self.name, &path.data, local, RenameFlags::NOREPLACE) {
                    Err(Errno::INVAL | Errno::NOSYS) => {
                        linkat(&path.temporary, &self.name, &path.data, local, AtFlags::empty())?;
                        self.discard(path);
                    }
                    result => result?,
                }
                self.name.clear();
                Ok(())
            }
        }
    }

    /// Gives the file its final name, `local` below the store path's `data`, in place of another that may have it.
    /// `name` tells a name that no other file under way has.
    pub(crate) fn replace(
        &mut self,
        path: &StorePath,
        local: &str,
        name: impl FnOnce() -> String,
    ) -> Result<(), Errno> {
        if self.name.is_empty() {
            let name = name();
            self.link(&path.temporary, &name)?;
            self.name = name;
        }
        renameat(&path.temporary, &self.name, &path.data, local)?;
        self.name.clear();
        Ok(())
    }

    /// Removes the file, if it still has its first name.
    pub(crate) fn discard(&mut self, path: &StorePath) {
        if !self.name.is_empty()
            && let Err(error) = unlinkat(&path.temporary, &self.name, AtFlags::empty())
        {
            tracing::warn!(name = self.name, %error, "a temporary file stays until the next start");
        }
        self.name.clear();
    }

    fn unnamed(temporary: &OwnedFd, staging: Staging) -> Result<Self, Errno> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let file = openat(temporary, ".", flags, Mode::from_raw_mode(MODE))?;
        Ok(Self { file, staging, name: String::new() })
    }

    fn link(&self, directory: &OwnedFd, name: &str) -> Result<(), Errno> {
        let by_proc = || {
            let itself = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linkat(CWD, itself, directory, name, AtFlags::SYMLINK_FOLLOW)
        };
        match self.staging {
            Staging::UnnamedByProc => by_proc(),
            _ => match linkat(&self.file, "", directory, name, AtFlags::EMPTY_PATH) {
                // The right to do so may have gone with the user that the process was started by.
                Err(Errno::NOENT) => by_proc(),
                result => result,
            },
        }
    }
}

const MODE: u32 = 0o644;
const PROBE: &str = "probe";

#[cfg(test)]
mod tests {
    use std::{fs, net::Ipv4Addr, path::Path};

    use fdfs_types::Source;

    use super::*;
    use crate::StoreOptions;

    fn open(base: &Path, staging: Staging) -> StorePath {
        let mut options = StoreOptions::new(base, Source::Ip(Ipv4Addr::LOCALHOST));
        options.subdir_count = 1;
        StorePath { staging, ..StorePath::open(0, &options, None).unwrap() }
    }

    #[test]
    fn a_draft_is_shown_once_and_replaces_nothing_unless_told_to() {
        for staging in [Staging::Unnamed, Staging::UnnamedByProc, Staging::Named] {
            let base = tempfile::tempdir().unwrap();
            let path = open(base.path(), staging);
            let create = |name: &str| match Draft::create(&path, || name.to_owned()) {
                Ok(draft) => Some(draft),
                Err(_) if staging != Staging::Named => None,
                Err(error) => panic!("{error}"),
            };
            let Some(mut first) = create("1") else {
                eprintln!("SKIPPED: no {staging:?} files on {}", base.path().display());
                continue;
            };
            rustix::io::write(&first.file, b"first").unwrap();
            first.show(&path, "00/00/name").unwrap();
            let mut second = create("2").unwrap();
            assert_eq!(second.show(&path, "00/00/name"), Err(Errno::EXIST));
            assert_eq!(second.show(&path, "00/01/name"), Err(Errno::NOENT));
            second.show(&path, "00/00/other").unwrap();
            let mut third = create("3").unwrap();
            third.discard(&path);
            let data = base.path().join("data");
            assert_eq!(fs::read(data.join("00/00/name")).unwrap(), b"first");
            let mut fourth = create("4").unwrap();
            rustix::io::write(&fourth.file, b"fourth").unwrap();
            assert_eq!(fourth.replace(&path, "00/01/name", || "5".to_owned()), Err(Errno::NOENT));
            fourth.replace(&path, "00/00/name", || "6".to_owned()).unwrap();
            drop((first, second, third, fourth));
            assert_eq!(fs::read(data.join("00/00/name")).unwrap(), b"fourth");
            assert_eq!(fs::read_dir(data.join("00/00")).unwrap().count(), 2);
            assert_eq!(fs::read_dir(data.join(".tmp")).unwrap().count(), 0);
        }
    }

    #[test]
    fn the_probe_leaves_nothing() {
        let base = tempfile::tempdir().unwrap();
        let path = open(base.path(), Staging::Named);
        fs::write(base.path().join("data/.tmp/probe"), "").unwrap();
        let staging = Staging::probe(&path.temporary);
        eprintln!("files without a name are kept {staging:?}");
        assert_eq!(fs::read_dir(base.path().join("data/.tmp")).unwrap().count(), 0);
    }
}
