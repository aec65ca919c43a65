//! The way through all files: store path by store path, directory by directory, name by name.

use std::{collections::VecDeque, time::Duration};

use fdfs_store::{Block, Examination, Store, StoreError, Suspect, TrunkFile, Verdict};
use fdfs_types::{RemoteFilename, Subdir};
use tracing::warn;

/// Where a search is. All calls wait for the disk.
#[derive(Debug)]
pub(super) struct Walk {
    store: Store,
    /// How many store paths there are.
    paths: usize,
    min_age: Duration,
    /// The directory, and the last name that was taken from it; none behind the last directory.
    at: Option<(u8, Subdir)>,
    after: Option<RemoteFilename>,
    names: VecDeque<RemoteFilename>,
    has_more: bool,
    current: Option<Examination>,
    /// Trunk files that are still to be searched, behind everything else, and how far the first of them is.
    trunk_files: Option<VecDeque<TrunkFile>>,
    offset: u64,
    block: Vec<u8>,
}

/// What a part of the way has brought.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// What it counts for: bytes, with some for each file and directory.
    pub(super) cost: u64,
    /// Bytes read.
    pub(super) bytes: u64,
    /// Files read to their end.
    pub(super) files: u64,
    /// The last name that is done with.
    pub(super) position: Option<RemoteFilename>,
    /// Files that are sound.
    pub(super) sound: Vec<RemoteFilename>,
    /// A file that is damaged: the part ends with it.
    pub(super) suspect: Option<Suspect>,
    /// Slots that are damaged.
    pub(super) slots: Vec<Block>,
    /// The way is at its end.
    pub(super) is_end: bool,
}

impl Walk {
    /// From behind `position` on.
    pub(super) fn new(store: Store, min_age: Duration, position: Option<RemoteFilename>) -> Self {
        let first = (0, Subdir { high: 0, low: 0 });
        let at = position.as_ref().map_or(first, |name| (name.store_path(), name.subdir()));
        Self {
            paths: store.store_paths().len(),
            store,
            min_age,
            at: Some(at),
            after: position,
            names: VecDeque::new(),
            has_more: true,
            current: None,
            trunk_files: None,
            offset: 0,
            block: vec![0; BLOCK],
        }
    }

    /// To one file, however young, and no further.
    pub(super) fn only(store: Store, name: RemoteFilename) -> Self {
        let names = VecDeque::from([name]);
        let trunk_files = Some(VecDeque::new());
        Self { at: None, names, has_more: false, trunk_files, ..Self::new(store, Duration::ZERO, None) }
    }

    /// Goes on until that has cost `portion`, or something is found.
    pub(super) fn go(&mut self, portion: u64) -> Part {
        let mut part = Part::default();
        for _ in 0..STEPS {
            if part.cost >= portion || part.suspect.is_some() || !part.slots.is_empty() || part.is_end {
                break;
            }
            if let Some(examination) = self.current.take() {
                self.read(examination, portion, &mut part);
            } else if let Some(name) = self.names.pop_front() {
                self.begin(&name, &mut part);
            } else {
                self.next_names(&mut part);
            }
        }
        part
    }

    fn begin(&mut self, name: &RemoteFilename, part: &mut Part) {
        part.cost += FILE_COST;
        match self.store.examine(name, self.min_age) {
            Ok(Some(examination)) => self.current = Some(examination),
            Ok(None) => part.position = Some(name.clone()),
            Err(error) => pass_over(name, &error, part),
        }
    }

    fn read(&mut self, mut examination: Examination, portion: u64, part: &mut Part) {
        let length = usize::try_from(portion).unwrap_or(BLOCK).clamp(SMALLEST, BLOCK);
        let name = examination.name().clone();
        match examination.step(&mut self.block[..length]) {
            Ok((bytes, verdict)) => {
                part.bytes += bytes as u64;
                part.cost += bytes as u64;
                match verdict {
                    None => self.current = Some(examination),
                    Some(verdict) => end(verdict, name, part),
                }
            }
            Err(error) => pass_over(&name, &error, part),
        }
    }

    /// Reads on in trunk files.
    fn read_slots(&mut self, part: &mut Part) {
        let files = match &mut self.trunk_files {
            Some(files) => files,
            None => {
                let found = self.store.trunk_files().unwrap_or_else(|error| {
                    warn!(%error, "trunk files cannot be searched for damage");
                    metrics::counter!("fdfs_storage_scrub_errors_total").increment(1);
                    Vec::new()
                });
                self.trunk_files.insert(found.into())
            }
        };
        let Some(file) = files.front().copied() else {
            part.is_end = true;
            return;
        };
        part.cost += DIRECTORY_COST;
        match self.store.scan_slots(file, self.offset, BLOCK as u64) {
            Ok(scan) => {
                part.bytes += scan.bytes;
                part.cost += scan.bytes;
                part.files += scan.slots;
                part.slots.extend(scan.damaged);
                self.offset = scan.next.unwrap_or(0);
            }
            Err(error) => {
                warn!(file = %file.container_name(), %error, "a trunk file cannot be searched for damage");
                metrics::counter!("fdfs_storage_scrub_errors_total").increment(1);
                self.offset = 0;
            }
        }
        if self.offset == 0 {
            files.pop_front();
        }
    }

    /// Takes more names from this directory, or goes to the next.
    fn next_names(&mut self, part: &mut Part) {
        if !self.has_more {
            self.at = self.at.and_then(behind);
            (self.after, self.has_more) = (None, true);
        }
        let Some((path, subdir)) = self.at.filter(|(path, _)| usize::from(*path) < self.paths) else {
            self.read_slots(part);
            return;
        };
        let after = self.after.as_ref().map(RemoteFilename::base_name);
        match self.store.names_with_content(path, subdir, after, NAMES) {
            Ok(Some((names, has_more))) => {
                part.cost += DIRECTORY_COST;
                self.after = names.last().cloned();
                (self.names, self.has_more) = (names.into(), has_more);
            }
            Ok(None) => self.has_more = false,
            Err(error) => {
                warn!(path, ?subdir, %error, "a directory cannot be searched for damaged files");
                metrics::counter!("fdfs_storage_scrub_errors_total").increment(1);
                self.has_more = false;
            }
        }
    }
}

/// The directory behind one.
fn behind((path, Subdir { high, low }): (u8, Subdir)) -> Option<(u8, Subdir)> {
    Some(match (high, low) {
        (u8::MAX, u8::MAX) => (path.checked_add(1)?, Subdir { high: 0, low: 0 }),
        (high, u8::MAX) => (path, Subdir { high: high + 1, low: 0 }),
        (high, low) => (path, Subdir { high, low: low + 1 }),
    })
}

fn end(verdict: Verdict, name: RemoteFilename, part: &mut Part) {
    if verdict != Verdict::Changed {
        part.files += 1;
    }
    match verdict {
        Verdict::Sound => part.sound.push(name.clone()),
        Verdict::Misread => {
            warn!(file_id = %name, "a file was damaged when read first and sound when read again: check memory, cables and disk");
            metrics::counter!("fdfs_storage_scrub_misread_total").increment(1);
            part.sound.push(name.clone());
        }
        Verdict::Changed => {}
        Verdict::Damaged(suspect) => part.suspect = Some(suspect),
    }
    part.position = Some(name);
}

fn pass_over(name: &RemoteFilename, error: &StoreError, part: &mut Part) {
    warn!(file_id = %name, %error, "a file cannot be searched for damage");
    metrics::counter!("fdfs_storage_scrub_errors_total").increment(1);
    part.position = Some(name.clone());
}

/// What looking up and opening a file counts for, in bytes: a disk that turns reads more in that time.
const FILE_COST: u64 = 64 << 10;
const DIRECTORY_COST: u64 = 16 << 10;
/// Names that are taken from a directory at once.
const NAMES: usize = 1000;
const BLOCK: usize = 256 << 10;
const SMALLEST: usize = 4 << 10;
/// Steps of one part, most of which may be directories that are not there.
const STEPS: u32 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_through_every_directory_of_every_store_path() {
        let mut at = Some((0, Subdir { high: 0, low: 0 }));
        let mut count = 0;
        let mut last = None;
        while let Some(here) = at {
            (count, last, at) = (count + 1, Some(here), behind(here));
        }
        assert_eq!(count, 256 * 65_536);
        assert_eq!(last, Some((255, Subdir { high: 255, low: 255 })));
    }
}
