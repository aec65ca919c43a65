//! `binlog_index.dat`: which file is written, which is the first not compressed.

use std::{fs, io, path::Path};

use tracing::warn;

use crate::state_file;

/// The content of `binlog_index.dat`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BinlogIndex {
    /// Number of the file being written.
    pub current_write: u32,
    /// Lowest number of a file that is not compressed.
    pub current_compress: u32,
}

impl BinlogIndex {
    /// Reads the text of the file.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self {
            current_write: state_file::value_of(text, "current_write")?,
            current_compress: state_file::value_of(text, "current_compress").unwrap_or(0),
        })
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        format!("current_write={}\ncurrent_compress={}\n", self.current_write, self.current_compress)
    }

    /// Reads the index file of `directory`, or the one of versions before 6.01. The files that are
    /// there count more than a number that is lower or cannot be read.
    pub(super) fn load(directory: &Path) -> io::Result<Self> {
        let stored = match state_file::read(&directory.join(FILE))? {
            Some(text) => Self::parse(&text),
            None => match state_file::read(&directory.join(OLD_FILE))? {
                Some(text) => {
                    text.trim().parse().ok().map(|current_write| Self { current_write, ..Self::default() })
                }
                None => Some(Self::default()),
            },
        };
        // A compressed file is a finished one.
        let highest = highest_file(directory)?;
        match (stored, highest) {
            (Some(index), Some(highest)) if highest <= index.current_write => Ok(index),
            (Some(index), None) => Ok(index),
            (stored, highest) => {
                let highest = highest.unwrap_or(0);
                warn!(directory = %directory.display(), ?stored, highest, "binlog index taken from the files");
                Ok(Self { current_write: highest, ..stored.unwrap_or_default() })
            }
        }
    }

    /// Writes the index file, atomically.
    pub(super) fn save(&self, directory: &Path) -> io::Result<()> {
        state_file::replace(&directory.join(FILE), self.to_text().as_bytes())
    }
}

/// The highest number of a binlog file with content, or the one behind a compressed file.
fn highest_file(directory: &Path) -> io::Result<Option<u32>> {
    let mut highest = None;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name.to_str().and_then(|name| name.strip_prefix("binlog.")) else { continue };
        let number = match name.strip_suffix(".gz") {
            Some(number) => number.parse::<u32>().ok().map(|number| number + 1),
            None => name.parse().ok(),
        };
        if number.is_some() && entry.metadata()?.len() > 0 {
            highest = highest.max(number);
        }
    }
    Ok(highest)
}

const FILE: &str = "binlog_index.dat";
const OLD_FILE: &str = "binlog.index";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_file_is_written_byte_for_byte() {
        let text = crate::tests::vector("binlog_index.dat");
        assert_eq!(BinlogIndex::parse(&text).unwrap().to_text(), text);
    }

    #[test]
    fn the_index_of_old_versions_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("binlog.index"), "3").unwrap();
        assert_eq!(BinlogIndex::load(directory.path()).unwrap().current_write, 3);
    }

    #[test]
    fn an_index_that_cannot_be_read_is_derived_from_the_files() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("binlog_index.dat"), "").unwrap();
        fs::write(directory.path().join("binlog.000"), "x\n").unwrap();
        fs::write(directory.path().join("binlog.007"), "x\n").unwrap();
        fs::write(directory.path().join("binlog.008"), "").unwrap();
        assert_eq!(BinlogIndex::load(directory.path()).unwrap().current_write, 7);
        fs::write(directory.path().join("binlog.007.gz"), "x\n").unwrap();
        assert_eq!(BinlogIndex::load(directory.path()).unwrap().current_write, 8);
    }
}
