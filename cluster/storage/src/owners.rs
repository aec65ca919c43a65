//! For whom files were uploaded: tokens kept beside the names until they are forgotten, or the file is deleted.
//!
//! The file is a log: `+ session sequence name` and `- session sequence`, one to a line, written before a file gets
//! its name. Its last line may be torn; what is not needed any more is left out when it is written anew.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write as _},
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use fdfs_proto::ours::{OwnedFile, OwnerToken};
use fdfs_types::RemoteFilename;
use parking_lot::Mutex;
use tracing::warn;

/// The tokens of a storage.
#[derive(Debug)]
pub(crate) struct Owners {
    path: PathBuf,
    is_durable: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    by_token: BTreeMap<OwnerToken, RemoteFilename>,
    by_name: HashMap<RemoteFilename, OwnerToken>,
    /// Lines in the file.
    lines: usize,
}

impl Owners {
    /// Opens the log at `path`. With `is_durable` every line is on the disk when its call returns.
    pub(crate) fn open(path: &Path, is_durable: bool) -> io::Result<Self> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut by_token = BTreeMap::new();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match parse(line) {
                Some((token, Some(filename))) => {
                    by_token.insert(token, filename);
                }
                Some((token, None)) => {
                    by_token.remove(&token);
                }
                None => warn!(line = %line.escape_ascii(), "a line of the owners' log is left out"),
            }
        }
        let by_name = by_token.iter().map(|(token, filename)| (filename.clone(), *token)).collect();
        let file = write_anew(path, &by_token)?;
        let lines = by_token.len();
        Ok(Self {
            path: path.to_owned(),
            is_durable,
            state: Mutex::new(State { file, by_token, by_name, lines }),
        })
    }

    /// Notes for whom a file is; it is about to get its name.
    pub(crate) fn note(&self, token: OwnerToken, filename: &RemoteFilename) -> io::Result<()> {
        let mut state = self.state.lock();
        self.append(&mut state, &format!("+ {} {} {filename}\n", token.session, token.sequence), 1)?;
        if let Some(before) = state.by_token.insert(token, filename.clone()) {
            state.by_name.remove(&before);
        }
        state.by_name.insert(filename.clone(), token);
        Ok(())
    }

    /// Forgets tokens; those that are not there are passed over.
    pub(crate) fn forget(&self, session: NonZeroU64, sequences: &[u64]) -> io::Result<()> {
        let mut state = self.state.lock();
        let token = |sequence: &u64| OwnerToken { session, sequence: *sequence };
        let known: Vec<_> =
            sequences.iter().map(token).filter(|token| state.by_token.contains_key(token)).collect();
        self.remove(&mut state, &known)
    }

    /// A file is deleted, and its token with it.
    pub(crate) fn deleted(&self, filename: &RemoteFilename) -> io::Result<()> {
        let mut state = self.state.lock();
        match state.by_name.get(filename).copied() {
            Some(token) => self.remove(&mut state, &[token]),
            None => Ok(()),
        }
    }

    /// At most `limit` files of a session with sequences above `after`, and whether there are more.
    pub(crate) fn list(&self, session: NonZeroU64, after: u64, limit: usize) -> (Vec<OwnedFile>, bool) {
        let state = self.state.lock();
        let Some(first) = after.checked_add(1) else { return (Vec::new(), false) };
        let range = OwnerToken { session, sequence: first }..=OwnerToken { session, sequence: u64::MAX };
        let mut found = state
            .by_token
            .range(range)
            .map(|(token, filename)| OwnedFile { sequence: token.sequence, filename: filename.clone() });
        let files = found.by_ref().take(limit).collect();
        (files, found.next().is_some())
    }

    fn remove(&self, state: &mut State, tokens: &[OwnerToken]) -> io::Result<()> {
        if tokens.is_empty() {
            return Ok(());
        }
        let line = |token: &OwnerToken| format!("- {} {}\n", token.session, token.sequence);
        let lines: String = tokens.iter().map(line).collect();
        self.append(state, &lines, tokens.len())?;
        for token in tokens {
            if let Some(filename) = state.by_token.remove(token) {
                state.by_name.remove(&filename);
            }
        }
        if state.lines > MANY_LINES && state.lines > 4 * state.by_token.len() {
            state.file = write_anew(&self.path, &state.by_token)?;
            state.lines = state.by_token.len();
        }
        Ok(())
    }

    fn append(&self, state: &mut State, text: &str, lines: usize) -> io::Result<()> {
        state.file.write_all(text.as_bytes())?;
        state.lines += lines;
        if self.is_durable { state.file.sync_data() } else { Ok(()) }
    }
}

/// Replaces the log by one that holds these tokens only, and opens it.
fn write_anew(path: &Path, tokens: &BTreeMap<OwnerToken, RemoteFilename>) -> io::Result<File> {
    let temporary = path.with_extension("tmp");
    let mut text = String::new();
    for (token, filename) in tokens {
        text.push_str(&format!("+ {} {} {filename}\n", token.session, token.sequence));
    }
    let mut file = File::create(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_data()?;
    std::fs::rename(&temporary, path)?;
    Ok(file)
}

fn parse(line: &[u8]) -> Option<(OwnerToken, Option<RemoteFilename>)> {
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    let sign = words.next()?;
    let token = OwnerToken { session: words.next()?.parse().ok()?, sequence: words.next()?.parse().ok()? };
    match sign {
        "+" => Some((token, Some(words.next()?.parse().ok()?))),
        "-" => Some((token, None)),
        _ => None,
    }
}

const MANY_LINES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(session: u64, sequence: u64) -> OwnerToken {
        OwnerToken { session: NonZeroU64::new(session).expect("session"), sequence }
    }

    fn name(number: u8) -> RemoteFilename {
        format!("M00/00/{number:02X}/fwAAAmsCe-OAPc48AAERcOx3KG8139.bin").parse().expect("name")
    }

    fn listed(owners: &Owners, session: u64) -> Vec<u64> {
        let (files, more) = owners.list(NonZeroU64::new(session).expect("session"), 0, 100);
        assert!(!more);
        files.into_iter().map(|file| file.sequence).collect()
    }

    #[test]
    fn tokens_survive_a_restart_until_they_are_forgotten_or_the_file_is_deleted() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("owners");
        let owners = Owners::open(&path, false).expect("open");
        for sequence in 1..=5 {
            owners.note(token(7, sequence), &name(sequence as u8)).expect("note");
        }
        owners.note(token(8, 1), &name(9)).expect("note");
        owners.forget(NonZeroU64::new(7).expect("session"), &[2, 99]).expect("forget");
        owners.deleted(&name(4)).expect("deleted");
        drop(owners);
        let owners = Owners::open(&path, true).expect("open");
        assert_eq!(listed(&owners, 7), [1, 3, 5]);
        assert_eq!(listed(&owners, 8), [1]);
        assert_eq!(std::fs::read_to_string(&path).expect("log").lines().count(), 4);
    }

    #[test]
    fn a_torn_last_line_is_dropped() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("owners");
        std::fs::write(&path, format!("+ 7 1 {}\n+ 7 2 M00/0", name(1))).expect("log");
        let owners = Owners::open(&path, false).expect("open");
        assert_eq!(listed(&owners, 7), [1]);
        owners.note(token(7, 3), &name(3)).expect("note");
        drop(owners);
        assert_eq!(listed(&Owners::open(&path, false).expect("open"), 7), [1, 3]);
    }

    #[test]
    fn a_list_goes_on_after_its_last_sequence() {
        let directory = tempfile::tempdir().expect("directory");
        let owners = Owners::open(&directory.path().join("owners"), false).expect("open");
        for sequence in 1..=5 {
            owners.note(token(7, sequence), &name(sequence as u8)).expect("note");
        }
        let session = NonZeroU64::new(7).expect("session");
        let (files, more) = owners.list(session, 2, 2);
        assert_eq!((files.iter().map(|file| file.sequence).collect::<Vec<_>>(), more), (vec![3, 4], true));
        assert_eq!(owners.list(session, u64::MAX, 2), (vec![], false));
    }

    #[test]
    fn a_name_that_was_taken_is_replaced_by_the_next_one_told() {
        let directory = tempfile::tempdir().expect("directory");
        let owners = Owners::open(&directory.path().join("owners"), false).expect("open");
        owners.note(token(7, 1), &name(1)).expect("note");
        owners.note(token(7, 1), &name(2)).expect("note");
        owners.deleted(&name(1)).expect("deleted");
        assert_eq!(listed(&owners, 7), [1]);
        owners.deleted(&name(2)).expect("deleted");
        assert_eq!(listed(&owners, 7), [0; 0]);
    }
}
