//! `<base>/data/rs/unhealed`: files that are damaged and could not be healed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use fdfs_types::{RemoteFilename, Timestamp};

use crate::state_file;

/// A file that is damaged and could not be healed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DamagedFile {
    /// When the damage was found.
    pub found: Timestamp,
    /// When it was tried to heal it last.
    pub tried: Timestamp,
    /// How often that was tried.
    pub tries: u32,
    /// The file.
    pub name: RemoteFilename,
    /// What is wrong with it, and why it could not be healed.
    pub why: String,
}

/// The files that are damaged and could not be healed, in the order of their coming.
#[derive(Debug)]
pub struct DamagedFiles {
    path: PathBuf,
    files: Vec<DamagedFile>,
}

impl DamagedFiles {
    /// So many are listed; the next search finds the others again.
    pub const MOST: usize = 10_000;

    /// Reads the list in `directory`. Lines that are torn or damaged are left out.
    pub fn open(directory: &Path) -> io::Result<Self> {
        let path = directory.join("unhealed");
        let text = state_file::read(&path)?.unwrap_or_default();
        let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        let files = whole.filter_map(DamagedFile::parse).take(Self::MOST).collect();
        Ok(Self { path, files })
    }

    /// The files.
    pub fn files(&self) -> &[DamagedFile] {
        &self.files
    }

    /// A file was found damaged, or tried again in vain, at `now`; whether it was not known before and is listed now.
    pub fn note(&mut self, name: &RemoteFilename, why: &str, now: Timestamp) -> io::Result<bool> {
        // A line is a line.
        let why = why.replace(['\n', '\r'], " ");
        if let Some(known) = self.files.iter_mut().find(|known| known.name == *name) {
            (known.tried, known.tries, known.why) = (now, known.tries.saturating_add(1), why);
            self.save()?;
            return Ok(false);
        }
        if self.files.len() >= Self::MOST {
            return Ok(false);
        }
        self.files.push(DamagedFile { found: now, tried: now, tries: 1, name: name.clone(), why });
        self.save()?;
        Ok(true)
    }

    /// A file is healed, or gone; whether it was listed.
    pub fn forget(&mut self, name: &RemoteFilename) -> io::Result<bool> {
        let before = self.files.len();
        self.files.retain(|known| known.name != *name);
        if self.files.len() == before {
            return Ok(false);
        }
        self.save()?;
        Ok(true)
    }

    fn save(&self) -> io::Result<()> {
        if self.files.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => state_file::sync_parent(&self.path),
            };
        }
        let text: String = self.files.iter().map(|file| format!("{file}\n")).collect();
        state_file::replace(&self.path, text.as_bytes())
    }
}

impl DamagedFile {
    /// Reads a line without its LF.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(5, ' ');
        Some(Self {
            found: Timestamp(words.next()?.parse().ok()?),
            tried: Timestamp(words.next()?.parse().ok()?),
            tries: words.next()?.parse().ok()?,
            name: words.next()?.parse().ok()?,
            why: words.next()?.to_owned(),
        })
    }
}

/// The line, without its LF.
impl std::fmt::Display for DamagedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {} {}", self.found.0, self.tried.0, self.tries, self.name, self.why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_listed_until_they_are_healed() {
        let directory = tempfile::tempdir().unwrap();
        let name: RemoteFilename = "M00/02/04/fwAAAmsCeAuAM1qQAAERcFWbTNM960.png".parse().unwrap();
        let mut list = DamagedFiles::open(directory.path()).unwrap();
        assert!(list.note(&name, "torn:\nit has 5 bytes", Timestamp(7)).unwrap());
        assert!(!list.note(&name, "no member has it", Timestamp(9)).unwrap());
        let line = format!("7 9 2 {name} no member has it\n");
        let path = directory.path().join("unhealed");
        assert_eq!(fs::read_to_string(&path).unwrap(), line);
        // Torn and damaged lines are left out.
        fs::write(&path, format!("{line}rubbish\n1 2 3 M00/02")).unwrap();
        let mut list = DamagedFiles::open(directory.path()).unwrap();
        assert_eq!(list.files().len(), 1);
        assert!(list.forget(&name).unwrap());
        assert!(!list.forget(&name).unwrap());
        assert!(!path.exists());
    }
}
