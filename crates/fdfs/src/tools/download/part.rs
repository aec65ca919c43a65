//! A file that is being fetched.

use std::fs::{self, File, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A file that is being fetched: under a name of its own until it is whole.
pub struct Part {
    file: File,
    /// Where it is, and where it shall be; `None` if it is written in place.
    paths: Option<(PathBuf, PathBuf)>,
    size: u64,
    crc32: crc32fast::Hasher,
}

impl Part {
    /// Opens what an earlier run has left of `what`, or something new. A target that exists and is no regular file, for
    /// example a device, is written in place.
    pub fn open(target: &Path, what: &str) -> anyhow::Result<Self> {
        let crc32 = crc32fast::Hasher::new();
        if fs::metadata(target).is_ok_and(|there| !there.is_file()) {
            let file = File::options().write(true).open(target);
            let file = file.with_context(|| format!("cannot write {}", target.display()))?;
            return Ok(Self { file, paths: None, size: 0, crc32 });
        }
        let name = target.file_name().with_context(|| format!("{} names no file", target.display()))?;
        let name = format!(".{}.{:08x}.part", name.to_string_lossy(), crc32fast::hash(what.as_bytes()));
        let path = target.with_file_name(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                anyhow::bail!("it is being fetched to {} by another process", target.display())
            }
            // A file system without locks.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let mut part = Self { file, paths: Some((path, target.to_owned())), size: 0, crc32 };
        part.read().context("cannot read what an earlier run has left")?;
        Ok(part)
    }

    /// Bytes that are there.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Forgets what is there.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        if self.paths.is_some() {
            self.file.set_len(0).context("cannot write")?;
            self.file.rewind().context("cannot write")?;
        }
        (self.size, self.crc32) = (0, crc32fast::Hasher::new());
        Ok(())
    }

    /// Adds what comes next.
    pub fn write(&mut self, piece: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(piece).with_context(|| match &self.paths {
            Some((path, _)) => format!("cannot write {}", path.display()),
            None => "cannot write".to_owned(),
        })?;
        self.crc32.update(piece);
        self.size += piece.len() as u64;
        Ok(())
    }

    /// Gives it its name, and tells the checksum of its bytes.
    pub fn finish(self) -> anyhow::Result<Option<u32>> {
        if let Some((path, target)) = &self.paths {
            fs::rename(path, target).with_context(|| format!("cannot make {}", target.display()))?;
        }
        Ok(Some(self.crc32.finalize()))
    }

    /// Removes it: nobody will go on with it.
    pub fn discard(&self) {
        if let Some((path, _)) = &self.paths {
            let _ = fs::remove_file(path); // a leftover does no harm
        }
    }

    fn read(&mut self) -> std::io::Result<()> {
        let mut piece = vec![0; 256 * 1024];
        loop {
            match self.file.read(&mut piece)? {
                0 => break,
                length => {
                    self.crc32.update(&piece[..length]);
                    self.size += length as u64;
                }
            }
        }
        self.file.seek(SeekFrom::Start(self.size)).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_gone_on_with_and_counted_in_the_checksum() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("cat.jpg");
        let mut part = Part::open(&target, "id").unwrap();
        part.write(b"123").unwrap();
        drop(part);
        assert!(!target.exists());
        let mut part = Part::open(&target, "id").unwrap();
        assert_eq!(part.size(), 3);
        part.write(b"456789").unwrap();
        assert_eq!(part.finish().unwrap(), Some(0xcbf4_3926));
        assert_eq!(fs::read(&target).unwrap(), b"123456789");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn two_processes_do_not_fetch_the_same_thing_to_the_same_place() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("cat.jpg");
        let first = Part::open(&target, "id").unwrap();
        assert!(Part::open(&target, "id").is_err());
        assert!(Part::open(&target, "another id").is_ok());
        drop(first);
    }

    #[test]
    fn a_device_is_written_in_place() {
        let mut part = Part::open(Path::new("/dev/null"), "id").unwrap();
        part.write(b"123").unwrap();
        part.restart().unwrap();
        part.finish().unwrap();
    }
}
