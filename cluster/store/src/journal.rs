//! What is about to be done: one slot for every change under way, so that a start after `kill -9`
//! finishes, logs or undoes it.
//!
//! A slot holds the record that the change will write and the end of the binlog before it. A start
//! looks for the record behind that place: found, the change is complete; not found, it was cut off.
//! A finished slot is left as it is (its record will be found) and overwritten by the next change;
//! [`Journal::tidy`] clears such slots so that a start has little to read.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path};

use parking_lot::Mutex;
use tracing::{error, warn};

use crate::binlog::{Position, Record};

/// The journal file.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    slots: Mutex<Slots>,
}

#[derive(Debug, Default)]
struct Slots {
    /// Slots in the file.
    count: u32,
    free: Vec<u32>,
    /// Free slots that still hold a finished change.
    dirty: Vec<u32>,
}

/// A change under way. Dropped without [`Intent::conclude`], it counts as not begun.
#[derive(Debug)]
pub(crate) struct Intent<'a> {
    journal: &'a Journal,
    slot: u32,
    done: bool,
}

/// A change that an earlier run had not finished, or whose slot it had not cleared.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Unfinished {
    /// End of the binlog before the change.
    pub(crate) position: Position,
    /// The record it would write.
    pub(crate) record: Record,
}

impl Journal {
    /// Opens the journal and takes out what an earlier run left; the slots stay as they are until
    /// [`Journal::clear`].
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<Unfinished>)> {
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        let size = file.metadata()?.len();
        let mut unfinished = Vec::new();
        let mut slot = vec![0; SLOT as usize];
        for offset in (0..size).step_by(SLOT as usize) {
            let length = usize::try_from(SLOT.min(size - offset)).unwrap_or(0);
            file.read_exact_at(&mut slot[..length], offset)?;
            match parse_slot(&slot[..length]) {
                Some(Ok(found)) => unfinished.push(found),
                Some(Err(reason)) => {
                    warn!(path = %path.display(), offset, reason, "a damaged journal slot is left out");
                }
                None => {}
            }
        }
        unfinished.sort_by_key(|found| found.position);
        Ok((Self { file, slots: Mutex::default() }, unfinished))
    }

    /// Forgets everything: what earlier runs left has been dealt with.
    pub(crate) fn clear(&self) -> io::Result<()> {
        let mut slots = self.slots.lock();
        self.file.set_len(0)?;
        *slots = Slots::default();
        Ok(())
    }

    /// Notes that `line`, a record, is about to be true.
    pub(crate) fn begin(&self, end: Position, line: &str) -> io::Result<Intent<'_>> {
        let text = format!("{} {} {line}\n", end.index, end.offset);
        if text.len() as u64 > SLOT {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "record does not fit a journal slot"));
        }
        let slot = {
            let mut slots = self.slots.lock();
            slots.dirty.pop().or_else(|| slots.free.pop()).unwrap_or_else(|| {
                slots.count += 1;
                slots.count - 1
            })
        };
        let intent = Intent { journal: self, slot, done: false };
        self.file.write_all_at(text.as_bytes(), u64::from(slot) * SLOT)?;
        Ok(intent)
    }

    /// Clears the slots of finished changes.
    pub(crate) fn tidy(&self) {
        let mut slots = self.slots.lock();
        while let Some(slot) = slots.dirty.pop() {
            self.erase(slot);
            slots.free.push(slot);
        }
    }

    fn erase(&self, slot: u32) {
        if let Err(error) = self.file.write_all_at(b"\n", u64::from(slot) * SLOT) {
            error!(slot, %error, "a journal slot cannot be cleared");
        }
    }
}

impl Journal {
    /// Goes on with an intent that was kept.
    pub(crate) fn resume(&self, slot: u32) -> Intent<'_> {
        Intent { journal: self, slot, done: false }
    }
}

impl Intent<'_> {
    /// Keeps the intent for [`Journal::resume`].
    pub(crate) fn keep(self) -> u32 {
        let slot = self.slot;
        std::mem::forget(self);
        slot
    }

    /// The change is made; `recorded` says whether its record is in the binlog. Where it is not, the slot
    /// is kept for the next start.
    pub(crate) fn conclude<E>(mut self, recorded: Result<(), E>) -> Result<(), E> {
        match recorded {
            Ok(()) => self.done = true,
            Err(_) => std::mem::forget(self),
        }
        recorded
    }
}

impl Drop for Intent<'_> {
    fn drop(&mut self) {
        if self.done {
            self.journal.slots.lock().dirty.push(self.slot);
        } else {
            self.journal.erase(self.slot);
            self.journal.slots.lock().free.push(self.slot);
        }
    }
}

/// `None` for a slot that holds nothing.
pub(crate) fn parse_slot(slot: &[u8]) -> Option<Result<Unfinished, &'static str>> {
    let end = slot.iter().position(|byte| *byte == b'\n')?;
    if end == 0 {
        return None;
    }
    let parse = || {
        let text = std::str::from_utf8(&slot[..end]).map_err(|_| "not UTF-8")?;
        let (index, rest) = text.split_once(' ').ok_or("no index")?;
        let (offset, line) = rest.split_once(' ').ok_or("no offset")?;
        Ok(Unfinished {
            position: Position {
                index: index.parse().map_err(|_| "no index")?,
                offset: offset.parse().map_err(|_| "no offset")?,
            },
            record: Record::parse(line.as_bytes()).map_err(|_| "no record")?,
        })
    };
    Some(parse())
}

const SLOT: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "7 C M00/00/00/abcdef";

    #[test]
    fn an_intent_survives_until_it_is_tidied_or_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("intents");
        let (journal, unfinished) = Journal::open(&path).unwrap();
        assert!(unfinished.is_empty());
        let left = || Journal::open(&path).unwrap().1.len();

        let finished = journal.begin(Position::default(), LINE).unwrap();
        let dropped = journal.begin(Position { index: 1, offset: 18 }, LINE).unwrap();
        let found = Journal::open(&path).unwrap().1;
        assert_eq!(found.len(), 2);
        assert_eq!(found[1].position, Position { index: 1, offset: 18 });
        assert_eq!(found[1].record.to_string(), LINE);

        finished.conclude(Ok::<_, ()>(())).unwrap();
        assert_eq!(left(), 2);
        journal.tidy();
        assert_eq!(left(), 1);
        drop(dropped);
        assert_eq!(left(), 0);
    }

    #[test]
    fn slots_are_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("intents");
        let (journal, _) = Journal::open(&path).unwrap();
        for _ in 0..100 {
            journal.begin(Position::default(), LINE).unwrap().conclude(Ok::<_, ()>(())).unwrap();
        }
        assert!(std::fs::metadata(&path).unwrap().len() <= SLOT);
        journal.clear().unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    }

    #[test]
    fn the_slot_of_a_change_without_a_record_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("intents");
        let (journal, _) = Journal::open(&path).unwrap();
        assert_eq!(journal.begin(Position::default(), LINE).unwrap().conclude(Err(5)), Err(5));
        journal.begin(Position::default(), LINE).unwrap().conclude(Ok::<_, ()>(())).unwrap();
        journal.tidy();
        assert_eq!(Journal::open(&path).unwrap().1.len(), 1);
    }

    #[test]
    fn a_damaged_slot_is_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("intents");
        std::fs::write(&path, b"0 0 rubbish\n").unwrap();
        assert!(Journal::open(&path).unwrap().1.is_empty());
    }
}
