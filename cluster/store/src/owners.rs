//! Owner tokens: for whom a file was uploaded, until it is told that this is not needed any more.
//!
//! `<base>/data/rs/owners` is a log of lines, `+ session sequence name` and `- session sequence name`,
//! rewritten when most of it is out of date. A token is in the log before its file gets its name, so
//! that no file of a gateway that died is ever without one.

use std::{
    collections::{BTreeMap, HashMap},
    fs::File,
    io::{self, Write},
    num::NonZeroU64,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use fdfs_proto::ours::{OwnedFile, OwnerToken};
use fdfs_types::RemoteFilename;
use parking_lot::Mutex;
use tracing::warn;

use crate::state_file;

/// The tokens of a storage.
#[derive(Debug)]
pub(crate) struct Owners {
    path: PathBuf,
    count: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: File,
    size: u64,
    lines: usize,
    /// More than one name where an upload was tried again.
    tokens: BTreeMap<OwnerToken, Vec<RemoteFilename>>,
    by_name: HashMap<RemoteFilename, OwnerToken>,
}

impl Owners {
    /// Reads the log, drops the tokens of files that `is_there` does not find, and begins a new one.
    pub(crate) fn open(path: &Path, is_there: impl Fn(&RemoteFilename) -> bool) -> io::Result<Self> {
        let mut by_name = HashMap::new();
        let text = state_file::read(path)?.unwrap_or_default();
        for line in text.split_inclusive('\n') {
            match parse_line(line) {
                Some((true, token, name)) => drop(by_name.insert(name, token)),
                Some((false, token, name)) => {
                    if by_name.get(&name) == Some(&token) {
                        by_name.remove(&name);
                    }
                }
                None => warn!(path = %path.display(), line, "a damaged line of owner tokens is left out"),
            }
        }
        by_name.retain(|name, _| is_there(name));
        let mut tokens: BTreeMap<OwnerToken, Vec<RemoteFilename>> = BTreeMap::new();
        for (name, token) in &by_name {
            tokens.entry(*token).or_default().push(name.clone());
        }
        let (file, size) = rewrite(path, &tokens)?;
        let count = AtomicUsize::new(by_name.len());
        let state = State { file, size, lines: by_name.len(), tokens, by_name };
        Ok(Self { path: path.to_owned(), count, state: Mutex::new(state) })
    }

    /// Writes down that `name` was uploaded for `token`.
    pub(crate) fn add(&self, token: OwnerToken, name: &RemoteFilename, durable: bool) -> io::Result<()> {
        let mut state = self.state.lock();
        state.write(&line('+', token, name))?;
        if durable {
            state.file.sync_data()?;
        }
        state.take_out(name);
        state.by_name.insert(name.clone(), token);
        state.tokens.entry(token).or_default().push(name.clone());
        self.finish(&mut state)
    }

    /// Forgets the tokens of a session that have these sequences.
    pub(crate) fn forget(&self, session: NonZeroU64, sequences: &[u64]) -> io::Result<()> {
        let mut state = self.state.lock();
        let mut forgotten = Vec::new();
        for sequence in sequences {
            let token = OwnerToken { session, sequence: *sequence };
            let names = state.tokens.get(&token).into_iter().flatten();
            forgotten.extend(names.map(|name| (token, name.clone())));
        }
        self.remove(&mut state, &forgotten)
    }

    /// Forgets the token of a file that is deleted, or never got its name.
    pub(crate) fn forget_file(&self, name: &RemoteFilename) -> io::Result<()> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let mut state = self.state.lock();
        match state.by_name.get(name) {
            Some(token) => {
                let pair = (*token, name.clone());
                self.remove(&mut state, &[pair])
            }
            None => Ok(()),
        }
    }

    /// The token of `old` goes over to `new`.
    pub(crate) fn rename(&self, old: &RemoteFilename, new: &RemoteFilename) -> io::Result<()> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return Ok(());
        }
        let token = self.state.lock().by_name.get(old).copied();
        match token {
            Some(token) => self.add(token, new, false).and_then(|()| self.forget_file(old)),
            None => Ok(()),
        }
    }

    /// The files of a session behind the sequence `after`, by sequence, and whether there are more. A page
    /// ends behind all files of its last sequence, and may so be longer than `limit`.
    pub(crate) fn list(&self, session: NonZeroU64, after: u64, limit: usize) -> (Vec<OwnedFile>, bool) {
        let state = self.state.lock();
        let mut files = Vec::new();
        let Some(sequence) = after.checked_add(1) else { return (files, false) };
        let of_session = state.tokens.range(OwnerToken { session, sequence }..);
        for (token, names) in of_session.take_while(|(token, _)| token.session == session) {
            if files.len() >= limit.max(1) {
                return (files, true);
            }
            let file = |filename: &RemoteFilename| OwnedFile {
                sequence: token.sequence,
                filename: filename.clone(),
            };
            files.extend(names.iter().map(file));
        }
        (files, false)
    }

    fn remove(&self, state: &mut State, pairs: &[(OwnerToken, RemoteFilename)]) -> io::Result<()> {
        let lines: String = pairs.iter().map(|(token, name)| line('-', *token, name)).collect();
        state.write(&lines)?;
        for (_, name) in pairs {
            state.take_out(name);
        }
        self.finish(state)
    }

    /// Begins the log anew where most of it is out of date.
    fn finish(&self, state: &mut State) -> io::Result<()> {
        self.count.store(state.by_name.len(), Ordering::Relaxed);
        if state.lines > MIN_LINES && state.lines > 4 * state.by_name.len() {
            let (file, size) = rewrite(&self.path, &state.tokens)?;
            (state.file, state.size, state.lines) = (file, size, state.by_name.len());
        }
        Ok(())
    }
}

impl State {
    /// Writes whole lines, or nothing.
    fn write(&mut self, lines: &str) -> io::Result<()> {
        if let Err(error) = self.file.write_all(lines.as_bytes()) {
            self.file.set_len(self.size)?;
            return Err(error);
        }
        self.size += lines.len() as u64;
        self.lines += lines.lines().count();
        Ok(())
    }

    fn take_out(&mut self, name: &RemoteFilename) {
        if let Some(token) = self.by_name.remove(name)
            && let Some(names) = self.tokens.get_mut(&token)
        {
            names.retain(|other| other != name);
            if names.is_empty() {
                self.tokens.remove(&token);
            }
        }
    }
}

pub(crate) fn line(sign: char, token: OwnerToken, name: &RemoteFilename) -> String {
    format!("{sign} {} {} {name}\n", token.session, token.sequence)
}

/// Whether a line adds, and what; `None` for one that is torn or damaged.
pub(crate) fn parse_line(line: &str) -> Option<(bool, OwnerToken, RemoteFilename)> {
    let mut fields = line.strip_suffix('\n')?.splitn(4, ' ');
    let adds = match fields.next()? {
        "+" => true,
        "-" => false,
        _ => return None,
    };
    let token = OwnerToken { session: fields.next()?.parse().ok()?, sequence: fields.next()?.parse().ok()? };
    Some((adds, token, fields.next()?.parse().ok()?))
}

/// Replaces the log by one that holds `tokens` alone, open for more lines.
fn rewrite(path: &Path, tokens: &BTreeMap<OwnerToken, Vec<RemoteFilename>>) -> io::Result<(File, u64)> {
    let mut text = String::new();
    for (token, names) in tokens {
        names.iter().for_each(|name| text.push_str(&line('+', *token, name)));
    }
    state_file::replace(path, text.as_bytes())?;
    Ok((File::options().append(true).open(path)?, text.len() as u64))
}

/// A log of fewer lines is not rewritten.
const MIN_LINES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn token(session: u64, sequence: u64) -> OwnerToken {
        OwnerToken { session: NonZeroU64::new(session).unwrap(), sequence }
    }

    fn name(number: u32) -> RemoteFilename {
        format!("M00/00/00/name{number:06}").parse().unwrap()
    }

    fn sequences(owners: &Owners, session: u64, after: u64, limit: usize) -> (Vec<u64>, bool) {
        let (files, more) = owners.list(NonZeroU64::new(session).unwrap(), after, limit);
        (files.iter().map(|file| file.sequence).collect(), more)
    }

    #[test]
    fn tokens_are_listed_by_session_and_survive_a_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("owners");
        let owners = Owners::open(&path, |_| true).unwrap();
        for number in [5, 3, 9, 1] {
            owners.add(token(7, number.into()), &name(number), false).unwrap();
        }
        owners.add(token(8, 4), &name(100), true).unwrap();
        owners.add(token(7, 3), &name(30), false).unwrap();
        owners.forget(NonZeroU64::new(7).unwrap(), &[9, 1000]).unwrap();
        owners.forget_file(&name(5)).unwrap();
        drop(owners);
        let owners = Owners::open(&path, |_| true).unwrap();
        assert_eq!(sequences(&owners, 7, 0, 10), (vec![1, 3, 3], false));
        assert_eq!(sequences(&owners, 7, 0, 1), (vec![1], true));
        assert_eq!(sequences(&owners, 7, 1, 1), (vec![3, 3], false));
        assert_eq!(sequences(&owners, 8, 0, 10), (vec![4], false));
        assert_eq!(sequences(&owners, 9, 0, 10), (vec![], false));
        assert_eq!(sequences(&owners, 7, u64::MAX, 10), (vec![], false));
        drop(owners);
        let owners = Owners::open(&path, |file| *file != name(1)).unwrap();
        assert_eq!(sequences(&owners, 7, 0, 10), (vec![3, 3], false));
    }

    #[test]
    fn a_torn_last_line_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("owners");
        std::fs::write(&path, format!("+ 7 1 {}\nrubbish\n+ 7 2 {}\n+ 7 3 M00/00", name(1), name(2)))
            .unwrap();
        let owners = Owners::open(&path, |_| true).unwrap();
        assert_eq!(sequences(&owners, 7, 0, 10), (vec![1, 2], false));
        assert_eq!(
            std::fs::read_to_string(&path).unwrap(),
            format!("+ 7 1 {}\n+ 7 2 {}\n", name(1), name(2))
        );
    }

    #[test]
    fn the_log_does_not_grow_for_ever() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("owners");
        let owners = Owners::open(&path, |_| true).unwrap();
        owners.add(token(7, 1), &name(1), false).unwrap();
        for number in 2..10_000 {
            owners.add(token(7, number.into()), &name(number), false).unwrap();
            owners.forget(NonZeroU64::new(7).unwrap(), &[number.into()]).unwrap();
        }
        assert!(std::fs::read_to_string(&path).unwrap().lines().count() <= MIN_LINES + 2);
        drop(owners);
        assert_eq!(sequences(&Owners::open(&path, |_| true).unwrap(), 7, 0, 9), (vec![1], false));
    }

    #[test]
    fn a_renamed_file_keeps_its_token() {
        let directory = tempfile::tempdir().unwrap();
        let owners = Owners::open(&directory.path().join("owners"), |_| true).unwrap();
        owners.add(token(7, 1), &name(1), false).unwrap();
        owners.rename(&name(1), &name(2)).unwrap();
        let (files, _) = owners.list(NonZeroU64::new(7).unwrap(), 0, 9);
        assert_eq!(files, [OwnedFile { sequence: 1, filename: name(2) }]);
    }
}
