//! Tombstones: which names were deleted of late, so that what another member still sends of them does not bring
//! them back.
//!
//! Two logs, `<base>/data/rs/tombstones` and the one before it, `tombstones.old`, each a bounded number of lines and
//! a bounded time long. When the newer one is full or old it becomes the older one, and what that held is forgotten:
//! a name is remembered for at least the time configured, unless too many others follow.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use fdfs_types::Timestamp;
use parking_lot::Mutex;
use tracing::warn;

/// The names that were deleted of late.
#[derive(Debug)]
pub(crate) struct Tombstones {
    path: PathBuf,
    max_age: i64,
    max_lines: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    newer: Generation,
    older: Generation,
    /// Makes the keys: names themselves would take four times the memory.
    keys: [RandomState; 2],
    /// The log could not be written last time.
    failed: bool,
}

#[derive(Debug, Default)]
struct Generation {
    file: Option<File>,
    /// When its first line was written.
    since: Option<i64>,
    lines: usize,
    /// When each name was deleted; `None` if it was made anew since.
    deleted: HashMap<u128, Option<i64>>,
}

/// One line of a log.
#[derive(Debug, Eq, PartialEq)]
struct Line<'a> {
    /// When the line was written.
    noted: i64,
    /// When the name was deleted; `None`: it was made anew.
    deleted: Option<i64>,
    name: &'a str,
}

impl Tombstones {
    /// Most lines of one log: twice as many names are remembered at most, in about 60 bytes each.
    pub(crate) const MAX_LINES: usize = 400_000;

    /// Reads the logs below `path`.
    pub(crate) fn open(path: &Path, max_age: Duration, max_lines: usize) -> io::Result<Self> {
        let keys = [RandomState::new(), RandomState::new()];
        let older = Generation::load(&older_path(path), &keys)?;
        let newer = Generation::load(path, &keys)?;
        let max_age = i64::try_from(max_age.as_secs()).unwrap_or(i64::MAX);
        let state = Mutex::new(State { newer, older, keys, failed: false });
        Ok(Self { path: path.to_owned(), max_age, max_lines, state })
    }

    /// Remembers that `name` was deleted at `time`.
    pub(crate) fn add(&self, name: &str, time: Timestamp, now: Timestamp, durable: bool) {
        let mut state = self.state.lock();
        if state.get(name).is_some_and(|known| known >= time.0) {
            return;
        }
        self.note(&mut state, &Line { noted: now.0, deleted: Some(time.0), name }, durable);
    }

    /// Forgets `name`, which was made anew.
    pub(crate) fn remove(&self, name: &str, now: Timestamp) {
        let mut state = self.state.lock();
        if state.get(name).is_some() {
            self.note(&mut state, &Line { noted: now.0, deleted: None, name }, false);
        }
    }

    /// When `name` was deleted last, if that is remembered.
    pub(crate) fn get(&self, name: &str) -> Option<Timestamp> {
        self.state.lock().get(name).map(Timestamp)
    }

    /// What cannot be written is remembered all the same, until the next start.
    fn note(&self, state: &mut State, line: &Line<'_>, durable: bool) {
        let written =
            self.turn(state, line.noted).and_then(|()| state.newer.write(&self.path, line, durable));
        match written {
            Err(error) if !state.failed => {
                warn!(path = %self.path.display(), %error, "tombstones are not written: a start will not know them");
                state.failed = true;
            }
            Err(_) => {}
            Ok(()) => state.failed = false,
        }
        let key = state.key(line.name);
        state.newer.insert(key, line);
    }

    /// Begins a new log where the present one is full or old.
    fn turn(&self, state: &mut State, now: i64) -> io::Result<()> {
        let newer = &state.newer;
        let is_old = newer.since.is_some_and(|since| now - since >= self.max_age);
        if newer.lines < self.max_lines && !is_old {
            return Ok(());
        }
        state.older = std::mem::take(&mut state.newer);
        state.older.file = None;
        match fs::rename(&self.path, older_path(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }
}

impl State {
    fn key(&self, name: &str) -> u128 {
        key(&self.keys, name)
    }

    fn get(&self, name: &str) -> Option<i64> {
        if self.newer.deleted.is_empty() && self.older.deleted.is_empty() {
            return None;
        }
        let key = self.key(name);
        self.newer.deleted.get(&key).or_else(|| self.older.deleted.get(&key)).copied().flatten()
    }
}

impl Generation {
    fn load(path: &Path, keys: &[RandomState; 2]) -> io::Result<Self> {
        let mut generation = Self::default();
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(generation),
            Err(error) => return Err(error),
        };
        let mut reader = BufReader::new(file);
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            if reader.read_until(b'\n', &mut bytes)? == 0 {
                return Ok(generation);
            }
            // Every start begins with an empty line.
            if bytes == b"\n" {
                continue;
            }
            match std::str::from_utf8(&bytes).ok().and_then(Line::parse) {
                Some(line) => generation.insert(key(keys, line.name), &line),
                None => warn!(path = %path.display(), "a damaged line of tombstones is left out"),
            }
        }
    }

    fn insert(&mut self, key: u128, line: &Line<'_>) {
        self.since.get_or_insert(line.noted);
        self.lines += 1;
        self.deleted.insert(key, line.deleted);
    }

    fn write(&mut self, path: &Path, line: &Line<'_>, durable: bool) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let mut file = OpenOptions::new().append(true).create(true).open(path)?;
                // A torn last line must not swallow the next one.
                if file.metadata()?.len() > 0 {
                    file.write_all(b"\n")?;
                }
                self.file.insert(file)
            }
        };
        file.write_all(line.to_string().as_bytes())?;
        if durable { file.sync_data() } else { Ok(()) }
    }
}

impl<'a> Line<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.strip_suffix('\n')?.split(' ');
        let noted = fields.next()?.parse().ok()?;
        let deleted = match fields.next()? {
            "-" => None,
            time => Some(time.parse().ok()?),
        };
        let name = fields.next().filter(|name| !name.is_empty())?;
        fields.next().is_none().then_some(Self { noted, deleted, name })
    }
}

impl std::fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.deleted {
            Some(deleted) => writeln!(f, "{} {deleted} {}", self.noted, self.name),
            None => writeln!(f, "{} - {}", self.noted, self.name),
        }
    }
}

fn key(states: &[RandomState; 2], name: &str) -> u128 {
    u128::from(states[0].hash_one(name)) << 64 | u128::from(states[1].hash_one(name))
}

fn older_path(path: &Path) -> PathBuf {
    path.with_extension("old")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path) -> Tombstones {
        Tombstones::open(path, Duration::from_secs(100), 4).unwrap()
    }

    fn add(tombstones: &Tombstones, name: &str, time: i64) {
        tombstones.add(name, Timestamp(time), Timestamp(time), false);
    }

    #[test]
    fn tombstones_survive_a_start_and_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tombstones");
        let tombstones = open(&path);
        add(&tombstones, "M00/00/00/a", 10);
        add(&tombstones, "M00/00/00/b", 11);
        tombstones.remove("M00/00/00/b", Timestamp(12));
        drop(tombstones);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"13 13 M00/00").unwrap();
        let tombstones = open(&path);
        assert_eq!(tombstones.get("M00/00/00/a"), Some(Timestamp(10)));
        assert_eq!(tombstones.get("M00/00/00/b"), None);
        add(&tombstones, "M00/00/00/c", 14);
        assert_eq!(open(&path).get("M00/00/00/c"), Some(Timestamp(14)));
    }

    #[test]
    fn the_latest_time_counts_and_is_noted_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tombstones");
        let tombstones = open(&path);
        for time in [10, 12, 11, 12] {
            add(&tombstones, "name", time);
        }
        assert_eq!(tombstones.get("name"), Some(Timestamp(12)));
        assert_eq!(fs::read_to_string(&path).unwrap(), "10 10 name\n12 12 name\n");
    }

    #[test]
    fn what_is_remembered_is_bounded_by_number_and_by_age() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tombstones");
        let tombstones = open(&path);
        for (time, name) in (1..).zip(["a", "b", "c", "d", "e", "f", "g", "h"]) {
            add(&tombstones, name, time);
        }
        assert_eq!((tombstones.get("a"), tombstones.get("h")), (Some(Timestamp(1)), Some(Timestamp(8))));
        add(&tombstones, "i", 9);
        assert_eq!((tombstones.get("a"), tombstones.get("e")), (None, Some(Timestamp(5))));
        drop(tombstones);
        let tombstones = open(&path);
        assert_eq!((tombstones.get("d"), tombstones.get("e")), (None, Some(Timestamp(5))));
        // "i" stands for the age of its log.
        add(&tombstones, "j", 109);
        assert_eq!((tombstones.get("h"), tombstones.get("i")), (None, Some(Timestamp(9))));
        assert!(fs::read_dir(directory.path()).unwrap().count() <= 2);
    }
}
