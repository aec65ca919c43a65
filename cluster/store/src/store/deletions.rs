//! Which names were deleted here last, and when: what others still have of them must not come back.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io,
};

use fdfs_types::{RemoteFilename, Timestamp};

use super::Store;
use crate::Change;

/// The names of a store path whose last record says that they are gone. Kept as hashes: 16 bytes each.
#[derive(Debug)]
pub struct Deletions {
    times: HashMap<u64, i64>,
    state: RandomState,
}

impl Store {
    /// Reads the whole binlog for what was deleted of a store path. Takes its time.
    pub fn deletions(&self, path: u8) -> io::Result<Deletions> {
        let binlog = &self.0.binlog;
        let end = binlog.end();
        let mut reader = binlog.reader(binlog.first());
        let mut deletions = Deletions { times: HashMap::new(), state: RandomState::new() };
        let prefix = format!("M{path:02X}/");
        while reader.position() < end {
            let Some(entry) = reader.next_entry()? else { break };
            let Ok(record) = entry.record else { continue };
            if !record.change.name().starts_with(&prefix) {
                continue;
            }
            match &record.change {
                Change::Delete { name } => deletions.insert(name, record.timestamp),
                Change::Rename { name, old_name } => {
                    deletions.insert(old_name, record.timestamp);
                    deletions.remove(name);
                }
                change => deletions.remove(change.name()),
            }
        }
        Ok(deletions)
    }
}

impl Deletions {
    /// Whether a name that had a file at `time` was deleted since.
    pub fn covers(&self, name: &RemoteFilename, time: Timestamp) -> bool {
        self.times.get(&self.hash(name.as_str())).is_some_and(|deleted| time.0 <= *deleted)
    }

    fn insert(&mut self, name: &str, time: i64) {
        self.times.insert(self.hash(name), time);
    }

    fn remove(&mut self, name: &str) {
        self.times.remove(&self.hash(name));
    }

    fn hash(&self, name: &str) -> u64 {
        self.state.hash_one(name)
    }
}
