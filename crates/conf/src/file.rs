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
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::{ConfError, Warning, WarningKind};

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

/// One `key = value` line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// The text before the first `=`, without surrounding blanks.
    pub key: String,
    /// The text behind it, without surrounding blanks.
    pub value: String,
    /// Where it stands.
    pub place: Place,
}

/// A line of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Place {
    /// The file.
    pub file: Arc<Path>,
    /// The line, from 1 on.
    pub line: u32,
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

impl Entry {
    /// The value as a truth value: `true`, `yes`, `on` in any case, or `1`; anything else is false.
    #[must_use]
    pub fn boolean(&self) -> bool {
        is_one_of(&self.value, &["true", "yes", "on", "1"])
    }

    /// The number at the beginning of the value, 0 if there is none.
    #[must_use]
    pub fn integer(&self) -> i64 {
        leading_integer(&self.value).0
    }

    /// The value is none of the words that stand for true and false.
    pub(crate) fn is_odd_boolean(&self) -> bool {
        !self.boolean() && !self.is_off()
    }

    /// The value is a word that stands for false, or nothing.
    pub(crate) fn is_off(&self) -> bool {
        is_one_of(&self.value, &["false", "no", "off", "0", ""])
    }

    /// The value is more or less than one number.
    pub(crate) fn is_odd_integer(&self) -> bool {
        !leading_integer(&self.value).1
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// What a line is.
enum Line<'a> {
    Nothing,
    Stray(&'a str),
    Section(&'a str),
    Include(&'a str),
    Pair(&'a str, &'a str),
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8], place: &Place) -> Result<Self, ConfError> {
        let line = line.trim_ascii();
        if line.is_empty() {
            return Ok(Self::Nothing);
        }
        if line.starts_with(b"#") && !line.starts_with(b"#include") && !line.starts_with(b"#@") {
            return Ok(Self::Nothing); // in any encoding
        }
        let text = match std::str::from_utf8(line) {
            Ok(text) if !text.contains(|c: char| c.is_control() && c != '\t') => text,
            _ => return Err(ConfError::NotText { place: place.clone() }),
        };
        if text.starts_with('#') {
            return Self::directive(text, place);
        }
        if let Some(name) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            return Ok(Self::Section(name.trim()));
        }
        Ok(match text.split_once('=') {
            Some((key, value)) => Self::Pair(key.trim(), value.trim()),
            None => Self::Stray(text),
        })
    }

    fn directive(text: &'a str, place: &Place) -> Result<Self, ConfError> {
        let (word, rest) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let unsupported =
            |what: &str| Err(ConfError::Unsupported { place: place.clone(), what: what.to_owned() });
        match word {
            "#include" if rest.trim().starts_with("http://") => unsupported("#include of a URL"),
            "#include" if !rest.trim().is_empty() => Ok(Self::Include(rest.trim())),
            _ if DIRECTIVES.contains(&word) => unsupported(word),
            _ => Ok(Self::Nothing),
        }
    }
}

/// The part of a value that the original reads.
fn cut(value: &str) -> &str {
    &value[..value.floor_char_boundary(VALUE_LEN)]
}

fn is_one_of(value: &str, words: &[&str]) -> bool {
    words.iter().any(|word| value.eq_ignore_ascii_case(word))
}

/// The number at the beginning of a text, and whether it is the whole text.
fn leading_integer(text: &str) -> (i64, bool) {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits[..end]
        .bytes()
        .fold(0_i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    (if negative { -number } else { number }, end > 0 && end == digits.len())
}

/// Longest value, in bytes.
pub(crate) const VALUE_LEN: usize = 255;

/// Keys of which every line counts.
const LIST_KEYS: &[&str] = &["tracker_server", "allow_hosts"];

/// Generator features of the original's reader.
const DIRECTIVES: &[&str] = &["#@set", "#@if", "#@else", "#@endif", "#@for", "#@endfor", "#@function"];

const INCLUDE_DEPTH: usize = 8;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[cfg(test)]
mod tests;
