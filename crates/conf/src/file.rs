//! The `key = value` grammar of the original.
//!
//! ```text
//! # comment; a comment behind a value is part of the value
//! key = value
//! tracker_server = a:22122    # repeats are lists where the key is one, else the last wins
//! tracker_server = b:22122
//! [section]                   # [] is the global section again
//! #include other.conf         # relative to this file; back to the global section
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ConfError, Warning, WarningKind};
use line::Line;

mod entry;
mod line;

pub use entry::{Entry, Place};

/// A configuration or data file in the grammar of the original, read with all that it includes.
#[derive(Clone, Debug)]
pub struct ConfFile {
    path: PathBuf,
    sections: BTreeMap<Box<str>, Section>,
    warnings: Vec<Warning>,
}

/// The keys below one `[section]` line; those above the first have the section named "".
#[derive(Clone, Debug)]
pub struct Section {
    place: Place,
    entries: Vec<Entry>,
}

impl ConfFile {
    /// Reads the file at `path`, and what it includes, through `load`.
    ///
    /// # Errors
    ///
    /// A file cannot be loaded, or a line cannot be understood.
    pub fn read(path: &Path, load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>) -> Result<Self, ConfError> {
        let mut file = Self::empty(path);
        file.load(path, None, load, 0)?;
        file.note_replaced();
        Ok(file)
    }

    /// Reads a text that includes no other file, for example the reply of a tracker.
    ///
    /// `path` names the text in messages.
    ///
    /// # Errors
    ///
    /// A line cannot be understood.
    pub fn parse(path: &Path, text: &[u8]) -> Result<Self, ConfError> {
        let mut first = true;
        Self::read(path, &mut |_| {
            if std::mem::take(&mut first) {
                Ok(text.to_vec())
            } else {
                Err(io::Error::new(io::ErrorKind::Unsupported, "no files are included here"))
            }
        })
    }

    /// A file without keys.
    #[must_use]
    pub fn empty(path: &Path) -> Self {
        Self { path: path.to_owned(), sections: BTreeMap::new(), warnings: Vec::new() }
    }

    /// The main file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A section by name; "" is the global one.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.get(name)
    }

    /// All sections with their names.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Section)> {
        self.sections.iter().map(|(name, section)| (&**name, section))
    }

    /// The last value of a key.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&Entry> {
        self.section(section)?.get(key)
    }

    /// Every value of a key that is a list.
    pub fn all(&self, section: &str, key: &str) -> impl Iterator<Item = &Entry> {
        self.section(section).into_iter().flat_map(move |section| section.all(key))
    }

    /// What was odd about the lines themselves.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    fn load(
        &mut self,
        path: &Path,
        included_at: Option<&Place>,
        load: &mut dyn FnMut(&Path) -> io::Result<Vec<u8>>,
        depth: usize,
    ) -> Result<(), ConfError> {
        let text = load(path).map_err(|source| ConfError::Unreadable {
            path: path.to_owned(),
            included_at: included_at.cloned(),
            source,
        })?;
        let file: Arc<Path> = path.into();
        let mut section: Box<str> = "".into();

        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&text);
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line_number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let place = Place { file: Arc::clone(&file), line: line_number };
            match Line::read(line, &place)? {
                Line::Nothing => {}
                Line::Stray(text) => self.warn(place, text, WarningKind::StrayLine),
                Line::Section(name) => {
                    self.open(name, &place);
                    section = name.into();
                }
                Line::Include(name) => {
                    let included = path.parent().unwrap_or(Path::new("")).join(name);
                    if depth >= INCLUDE_DEPTH {
                        return Err(ConfError::IncludeTooDeep { place, path: included });
                    }
                    self.load(&included, Some(&place), load, depth + 1)?;
                    section = "".into();
                }
                Line::Pair(key, value) => {
                    let kept = cut(value);
                    if kept.len() < value.len() {
                        self.warn(place.clone(), key, WarningKind::Cut);
                    }
                    let entry = Entry { key: key.to_owned(), value: kept.to_owned(), place };
                    self.open(&section, &entry.place).entries.push(entry);
                }
            }
        }
        Ok(())
    }

    fn open(&mut self, name: &str, place: &Place) -> &mut Section {
        self.sections
            .entry(name.into())
            .or_insert_with(|| Section { place: place.clone(), entries: Vec::new() })
    }

    fn warn(&mut self, place: Place, key: &str, kind: WarningKind) {
        self.warnings.push(Warning { place, key: key.to_owned(), kind });
    }

    /// Names each line that a later one of the same key makes void.
    fn note_replaced(&mut self) {
        for section in self.sections.values() {
            let mut last: BTreeMap<&str, &Place> = BTreeMap::new();
            for entry in section.entries.iter().rev() {
                match last.get(&*entry.key) {
                    _ if LIST_KEYS.contains(&&*entry.key) => {}
                    None => drop(last.insert(&entry.key, &entry.place)),
                    Some(by) => self.warnings.push(Warning {
                        place: entry.place.clone(),
                        key: entry.key.clone(),
                        kind: WarningKind::Replaced { by: (*by).clone() },
                    }),
                }
            }
        }
    }
}

impl Section {
    /// Where the section is opened first.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Every line, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The last value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.key == key)
    }

    /// Every value of a key that is a list.
    pub fn all(&self, key: &str) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.key == key)
    }
}

/// The part of a value that the original reads.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE_LEN)]
}

/// Longest value, in bytes.
pub(crate) const VALUE_LEN: usize = 255;

/// Keys of which every line counts.
const LIST_KEYS: &[&str] = &["tracker_server", "allow_hosts"];

const INCLUDE_DEPTH: usize = 8;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests;
