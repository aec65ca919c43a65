//! Reads typed values, and notes what is odd about them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use crate::table::{self, SectionTable};
use crate::{ConfError, ConfFile, Entry, TimeOfDay, Warning, WarningKind, parse_size};

/// The keys of a file, seen through the table of what is done with each.
pub(crate) struct Keys<'a> {
    file: &'a ConfFile,
    sections: SectionTable,
    section: &'static str,
    warnings: Vec<Warning>,
    /// The first value that should be a number and is none.
    no_number: Option<ConfError>,
    #[cfg(test)]
    asked: std::cell::RefCell<std::collections::BTreeSet<(&'static str, String)>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(file: &'a ConfFile, sections: SectionTable) -> Self {
        let mut warnings = table::warnings(file, sections);
        let silent: Vec<_> = warnings.iter().map(|warning| warning.key.clone()).collect();
        warnings.extend(file.warnings().iter().filter(|w| !silent.contains(&w.key)).cloned());
        Self {
            file,
            sections,
            section: "",
            warnings,
            no_number: None,
            #[cfg(test)]
            asked: std::cell::RefCell::default(),
        }
    }

    /// All that is to be said about the file, in the order of its lines, unless a number in it cannot be read.
    pub(crate) fn into_warnings(mut self) -> Result<Vec<Warning>, ConfError> {
        if let Some(error) = self.no_number {
            return Err(error);
        }
        let main: &Path = self.file.path();
        self.warnings.sort_by(|a, b| {
            let order = |w: &Warning| (*w.place.file != *main, w.place.file.clone(), w.place.line);
            order(a).cmp(&order(b))
        });
        Ok(self.warnings)
    }

    /// Goes to a section whose missing keys are looked up in the global one.
    pub(crate) fn enter(&mut self, section: &'static str) {
        self.section = section;
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// A file named in this one, relative to it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.file.path().parent().unwrap_or(Path::new("")).join(name)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&'a Entry> {
        debug_assert!(
            self.sections.iter().any(|(section, table)| {
                *section == self.section && table::handling(table, key) == Some(table::Handling::Honoured)
            }),
            "{key} is read, so its table must say that it is honoured"
        );
        self.own(key).or_else(|| {
            self.note("", key);
            self.file.get("", key)
        })
    }

    /// The last value of a key in this very section.
    pub(crate) fn own(&self, key: &str) -> Option<&'a Entry> {
        self.note(self.section, key);
        self.file.get(self.section, key)
    }

    /// A value that is not empty.
    pub(crate) fn text(&self, key: &str) -> Option<&'a Entry> {
        self.get(key).filter(|entry| !entry.value.is_empty())
    }

    pub(crate) fn owned(&self, key: &str) -> Option<String> {
        self.text(key).map(|entry| entry.value.clone())
    }

    pub(crate) fn all(&self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.note("", key);
        let key = key.to_owned();
        self.file
            .section("")
            .map_or(&[][..], |section| section.entries())
            .iter()
            .filter(move |entry| entry.key == key)
    }

    pub(crate) fn boolean(&mut self, key: &str, default: bool) -> bool {
        let Some(entry) = self.get(key) else { return default };
        if entry.is_odd_boolean() {
            self.adjusted(entry, "this reads as false; write true or false");
        }
        entry.boolean()
    }

    /// A number; one that cannot be read makes the whole file unusable in the end.
    pub(crate) fn integer(&mut self, key: &str) -> Option<(i64, &'a Entry)> {
        let entry = self.get(key)?;
        if entry.has_no_number() {
            self.no_number.get_or_insert_with(|| invalid(entry, "a number is needed"));
            return None;
        }
        let number = entry.integer();
        if entry.is_odd_integer() {
            self.adjusted(entry, format!("{:?} reads as the number {number}", entry.value));
        }
        Some((number, entry))
    }

    /// A number; what is not positive stands for the default.
    pub(crate) fn positive(&mut self, key: &str, default: u32) -> u32 {
        match self.integer(key) {
            Some((number, _)) if number > 0 => u32::try_from(number).unwrap_or(u32::MAX),
            _ => default,
        }
    }

    /// A number; what is negative stands for 0.
    pub(crate) fn count(&mut self, key: &str, default: u32) -> u32 {
        match self.integer(key) {
            Some((number, _)) => u32::try_from(number.max(0)).unwrap_or(u32::MAX),
            None => default,
        }
    }

    /// A number that must lie in a range.
    pub(crate) fn within(&mut self, key: &str, default: u32, low: u32, high: u32) -> Result<u32, ConfError> {
        let Some((number, entry)) = self.integer(key) else { return Ok(default) };
        u32::try_from(number).ok().filter(|number| (low..=high).contains(number)).ok_or_else(|| {
            invalid(
                entry,
                format_args!("use a number from {low} to {high}, or leave the key out for {default}"),
            )
        })
    }

    pub(crate) fn seconds(&mut self, key: &str, default: u32) -> Duration {
        Duration::from_secs(self.positive(key, default).into())
    }

    pub(crate) fn millis(&mut self, key: &str, default: u32) -> Duration {
        Duration::from_millis(self.positive(key, default).into())
    }

    /// A port; what is not positive stands for the default.
    pub(crate) fn port(&mut self, key: &str, default: u16) -> Result<u16, ConfError> {
        match self.integer(key) {
            Some((number, entry)) if number > 0 => u16::try_from(number).map_err(|_| {
                invalid(entry, format_args!("a port is 1 to 65535; the usual one is {default}"))
            }),
            _ => Ok(default),
        }
    }

    pub(crate) fn size(&mut self, key: &str) -> Result<Option<(u64, &'a Entry)>, ConfError> {
        let Some(entry) = self.text(key) else { return Ok(None) };
        let size = parse_size(&entry.value).map_err(|error| invalid(entry, error))?;
        Ok(Some((size, entry)))
    }

    pub(crate) fn size_or(&mut self, key: &str, default: u64) -> Result<u64, ConfError> {
        Ok(self.size(key)?.map_or(default, |(size, _)| size))
    }

    pub(crate) fn time(&mut self, key: &str, default: TimeOfDay) -> Result<TimeOfDay, ConfError> {
        Ok(self.parsed(key)?.unwrap_or(default))
    }

    /// A value of a type that says itself what is wrong with a text.
    pub(crate) fn parsed<T>(&self, key: &str) -> Result<Option<T>, ConfError>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let Some(entry) = self.text(key) else { return Ok(None) };
        entry.value.parse().map(Some).map_err(|error| invalid(entry, error))
    }

    /// One of a few numbers; another one is an error, or the first of them with a warning.
    pub(crate) fn choice<T: Copy>(&mut self, key: &str, choices: &[(i64, T)]) -> Option<T> {
        let (number, entry) = self.integer(key)?;
        let found = choices.iter().find(|(value, _)| *value == number);
        if found.is_none() {
            let known: Vec<_> = choices.iter().map(|(value, _)| value.to_string()).collect();
            let (first, known) = (&known[0], known.join(", "));
            self.adjusted(entry, format!("{number} is none of {known}; {first} is used"));
        }
        found.or(choices.first()).map(|(_, choice)| *choice)
    }

    /// Remembers that a key was read, for the test that every honoured one is.
    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "only tests keep notes"))]
    fn note(&self, _section: &'static str, _key: &str) {
        #[cfg(test)]
        self.asked.borrow_mut().insert((_section, _key.to_owned()));
    }

    /// Honoured keys that nobody read, whose number stands for 0 where they have one.
    #[cfg(test)]
    pub(crate) fn never_asked(&self) -> Vec<String> {
        let asked = self.asked.borrow();
        self.sections
            .iter()
            .flat_map(|(section, table)| table.iter().map(move |row| (*section, *row)))
            .filter(|(_, (_, handling))| *handling == table::Handling::Honoured)
            .map(|(section, (key, _))| (section, key.replace("<N>", "0")))
            .filter(|key| !asked.contains(key))
            .map(|(section, key)| format!("[{section}] {key}"))
            .collect()
    }

    pub(crate) fn adjusted(&mut self, entry: &Entry, what: impl Into<String>) {
        self.warnings.push(Warning {
            place: entry.place.clone(),
            key: entry.key.clone(),
            kind: WarningKind::Adjusted { what: what.into() },
        });
    }

    pub(crate) fn missing(&self, key: &str, help: &'static str) -> ConfError {
        ConfError::Missing { file: self.path().to_owned(), key: key.to_owned(), help }
    }

    /// `base_path`, absolute, without a slash at the end.
    pub(crate) fn base_path(&self) -> Result<PathBuf, ConfError> {
        let entry = self.get("base_path").ok_or_else(|| {
            self.missing("base_path", "add base_path = DIRECTORY, where data and logs are kept")
        })?;
        directory(entry)
    }

    /// Refuses a configuration with `disabled = true`.
    pub(crate) fn check_enabled(&mut self) -> Result<(), ConfError> {
        match self.get("disabled") {
            Some(entry) if self.boolean("disabled", false) => {
                Err(ConfError::Disabled { place: entry.place.clone() })
            }
            _ => Ok(()),
        }
    }
}

/// A directory, absolute, without a slash at the end.
pub(crate) fn directory(entry: &Entry) -> Result<PathBuf, ConfError> {
    let path = entry.value.trim_end_matches('/');
    match (path, entry.value.starts_with('/')) {
        ("", true) => Ok(PathBuf::from("/")),
        (path, true) => Ok(PathBuf::from(path)),
        _ => Err(invalid(entry, "an absolute path is needed, for example /var/fastdfs")),
    }
}

pub(crate) fn invalid(entry: &Entry, help: impl fmt::Display) -> ConfError {
    ConfError::Invalid {
        place: entry.place.clone(),
        key: entry.key.clone(),
        value: entry.value.clone(),
        help: help.to_string(),
    }
}
