//! `<base>/data/sync/<peer>.failed`: records that a peer did not take, kept so that they can be tried again.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use fdfs_types::Timestamp;
use tracing::warn;

use crate::{Record, state_file};

/// A record that a peer did not take.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeadLetter {
    /// The record.
    pub record: Record,
    /// When it was tried last.
    pub tried_at: Timestamp,
    /// How often it was tried since it is here.
    pub tries: u32,
    /// The status of the last answer; 0 where the file could not be read here, or a link's target was missing there.
    pub status: u8,
}

/// The dead letters of one peer, in the order of their coming.
#[derive(Debug)]
pub struct DeadLetters {
    path: PathBuf,
    letters: Vec<DeadLetter>,
}

impl DeadLetters {
    /// So many letters are kept for a peer; a record that would be one more has to wait.
    pub const MOST: usize = 20_000;

    /// Reads the file. Lines that are torn or damaged are left out.
    pub fn open(path: &Path) -> io::Result<Self> {
        let text = state_file::read(path)?.unwrap_or_default();
        let letters = Self { path: path.to_owned(), letters: parse(&text, path) };
        if !text.is_empty() && !text.ends_with('\n') {
            letters.save()?;
        }
        Ok(letters)
    }

    /// Reads the letters of a file that another may be writing.
    pub fn read(path: &Path) -> io::Result<Vec<DeadLetter>> {
        let text = state_file::read(path)?.unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |at| at + 1);
        Ok(parse(&text[..whole], path))
    }

    /// Keeps a record; it is on the disk when this returns.
    pub fn add(&mut self, letter: DeadLetter) -> io::Result<()> {
        if let Some(known) = self.letters.iter_mut().find(|known| known.record == letter.record) {
            *known = letter;
            return self.save();
        }
        if self.letters.len() >= Self::MOST {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "there are too many dead letters"));
        }
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new().append(true).create(true).mode(0o644).open(&self.path)?;
        let size = file.metadata()?.len();
        let written = file.write_all(format!("{letter}\n").as_bytes()).and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Half a line must not be glued to the next.
            file.set_len(size)?;
            return Err(error);
        }
        if is_new {
            state_file::sync_parent(&self.path)?;
        }
        self.letters.push(letter);
        Ok(())
    }

    /// Writes the outcome of a round of tries: `None` for a letter that is delivered.
    pub fn update(&mut self, mut change: impl FnMut(&DeadLetter) -> Option<DeadLetter>) -> io::Result<()> {
        self.letters = std::mem::take(&mut self.letters).iter().filter_map(&mut change).collect();
        self.save()
    }

    /// The letters.
    pub fn letters(&self) -> &[DeadLetter] {
        &self.letters
    }

    /// The time of the oldest record among them.
    pub fn oldest(&self) -> Option<Timestamp> {
        self.letters.iter().map(|letter| Timestamp(letter.record.timestamp)).min()
    }

    /// Whether no more fit.
    pub fn is_full(&self) -> bool {
        self.letters.len() >= Self::MOST
    }

    fn save(&self) -> io::Result<()> {
        if self.letters.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all(),
            };
        }
        let text: String = self.letters.iter().map(|letter| format!("{letter}\n")).collect();
        state_file::replace(&self.path, text.as_bytes())
    }
}

fn parse(text: &str, path: &Path) -> Vec<DeadLetter> {
    let mut letters = Vec::new();
    for line in text.split_inclusive('\n').take(DeadLetters::MOST) {
        match line.strip_suffix('\n').and_then(DeadLetter::parse) {
            Some(letter) => letters.push(letter),
            None => warn!(path = %path.display(), line, "a damaged dead letter is left out"),
        }
    }
    letters
}

impl DeadLetter {
    /// Reads a line without its LF.
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.splitn(4, ' ');
        let (tried_at, tries, status) = (words.next()?, words.next()?, words.next()?);
        Some(Self {
            tried_at: Timestamp(tried_at.parse().ok()?),
            tries: tries.parse().ok()?,
            status: status.parse().ok()?,
            record: Record::parse(words.next()?.as_bytes()).ok()?,
        })
    }
}

/// The line, without its LF.
impl std::fmt::Display for DeadLetter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {} {}", self.tried_at.0, self.tries, self.status, self.record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Change;

    fn letter(time: i64, name: &str) -> DeadLetter {
        let record = Record::source(time, Change::Create { name: name.into() });
        DeadLetter { record, tried_at: Timestamp(100), tries: 1, status: 36 }
    }

    #[test]
    fn dead_letters_survive_a_start_until_they_are_delivered() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("100002.failed");
        let mut letters = DeadLetters::open(&path).unwrap();
        assert_eq!(letters.oldest(), None);
        letters.add(letter(9, "M00/00/00/abc")).unwrap();
        letters.add(letter(7, "M00/00/00/def")).unwrap();
        letters.add(letter(7, "M00/00/00/def")).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().next(), Some("100 1 36 9 C M00/00/00/abc"));
        let mut letters = DeadLetters::open(&path).unwrap();
        assert_eq!((letters.letters().len(), letters.oldest()), (2, Some(Timestamp(7))));
        letters.update(|letter| (letter.record.timestamp == 9).then(|| letter.clone())).unwrap();
        let mut letters = DeadLetters::open(&path).unwrap();
        assert_eq!(letters.letters(), [letter(9, "M00/00/00/abc")]);
        letters.update(|_| None).unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_torn_letter_is_left_out_and_the_next_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("100002.failed");
        fs::write(&path, "100 1 36 9 C M00/00/00/abc\nrubbish\n100 1 2 7 C M00/0").unwrap();
        assert_eq!(DeadLetters::read(&path).unwrap().len(), 1);
        let mut letters = DeadLetters::open(&path).unwrap();
        assert_eq!(letters.letters().len(), 1);
        letters.add(letter(8, "M00/00/00/ghi")).unwrap();
        assert_eq!(DeadLetters::open(&path).unwrap().letters().len(), 2);
    }
}
