//! A group: its members, and what they agree on.

use fdfs_types::{GroupName, StorageId, Timestamp};

use crate::storage::{Space, Storage};
use crate::{Cluster, Member};

/// A group of storages that hold the same files.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name.
    pub name: GroupName,
    /// The port of its members.
    pub port: GroupPort,
    /// Store paths that every member has; 0 is unknown.
    pub path_count: u16,
    /// Sub-directories per level of a store path; 0 is unknown.
    pub subdir_count: u16,
    /// Its trunk files and who allocates in them.
    pub trunk: TrunkOffice,
    pub(crate) write_turn: usize,
    pub(crate) read_turn: usize,
    pub(crate) changes: u64,
    members: Vec<Storage>,
    by_id: Vec<usize>,
    readable: Vec<usize>,
    writable: Vec<usize>,
    space: Space,
}

/// The port of a group's members.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum GroupPort {
    /// Nobody has joined yet.
    #[default]
    Unknown,
    /// All have this one.
    Same(u16),
    /// Each has its own.
    Mixed,
}

/// The trunk files of a group, and the one storage that allocates in them.
#[derive(Clone, Debug, Default)]
pub struct TrunkOffice {
    /// The highest number of a trunk file.
    pub file_id: u32,
    /// Free space inside trunk files, in MB.
    pub free_mb: u64,
    /// Who allocates.
    pub server: Option<StorageId>,
    /// Who allocated last.
    pub last_server: Option<StorageId>,
    pub(crate) changes: u64,
}

impl GroupPort {
    /// The number in lists and files: 0 unknown, -1 mixed.
    pub fn number(self) -> i32 {
        match self {
            Self::Unknown => 0,
            Self::Same(port) => port.into(),
            Self::Mixed => -1,
        }
    }

    /// The port with this number in a file.
    pub fn from_number(number: i64) -> Self {
        match u16::try_from(number) {
            Ok(0) => Self::Unknown,
            Ok(port) => Self::Same(port),
            Err(_) => Self::Mixed,
        }
    }
}

impl Group {
    /// A group without members.
    pub fn new(name: GroupName) -> Self {
        Self {
            name,
            port: GroupPort::default(),
            path_count: 0,
            subdir_count: 0,
            trunk: TrunkOffice::default(),
            write_turn: 0,
            read_turn: 0,
            changes: 1,
            members: Vec::new(),
            by_id: Vec::new(),
            readable: Vec::new(),
            writable: Vec::new(),
            space: Space::default(),
        }
    }

    /// Adds a member at the end of the order of creation.
    ///
    /// Storages and clients take lists of 32 records: the oldest of the former members make room.
    pub fn insert(&mut self, storage: Storage) {
        while self.members.len() >= Cluster::MAX_STORAGES
            && let Some(oldest) = self.members.iter().position(|former| !former.is_member())
        {
            self.members.remove(oldest);
        }
        self.members.push(storage);
        self.refresh();
    }

    /// Removes the records that are no members any more and match.
    pub(crate) fn remove_former(&mut self, id: &StorageId) {
        self.members.retain(|storage| storage.is_member() || storage.id != *id);
        self.refresh();
    }

    /// Changes a member, then brings every list and figure up to date. `None` if there is none with
    /// this id.
    pub fn update<T>(&mut self, id: &StorageId, change: impl FnOnce(&mut Storage) -> T) -> Option<T> {
        let storage = self.members.iter_mut().find(|storage| storage.id == *id)?;
        let result = change(storage);
        self.refresh();
        Some(result)
    }

    /// Changes every record, then brings every list and figure up to date.
    pub(crate) fn update_all(&mut self, change: impl FnMut(&mut Storage)) {
        self.members.iter_mut().for_each(change);
        self.refresh();
    }

    /// The next upload to this storage goes to another store path; no list depends on it.
    pub(crate) fn set_current_path(&mut self, id: &StorageId, path: usize) {
        if let Some(storage) = self.members.iter_mut().find(|storage| storage.id == *id) {
            storage.current_path = path;
        }
    }

    /// The connection that speaks is the one that counts. Of several, after a JOIN that was answered too
    /// late or an end that was never seen, each one hears everything when it speaks: what was told on
    /// another may never have been heard.
    pub(crate) fn take_session(&mut self, member: &Member) {
        if let Some(storage) = self.members.iter_mut().find(|storage| storage.id == member.id)
            && storage.session != member.session
        {
            storage.session = member.session;
            (storage.seen_changes, storage.seen_trunk_changes) = (0, 0);
        }
    }

    /// This storage has heard of so many changes.
    pub(crate) fn set_seen(&mut self, id: &StorageId, changes: u64, trunk_changes: u64, told: Timestamp) {
        if let Some(storage) = self.members.iter_mut().find(|storage| storage.id == *id) {
            (storage.seen_changes, storage.seen_trunk_changes) = (changes, trunk_changes);
            storage.told = told;
        }
    }

    /// Every storage of the group learns of a change with its next beat.
    pub(crate) fn notify(&mut self) {
        self.changes += 1;
    }

    /// The record with this id, of a former member too.
    pub fn get(&self, id: &StorageId) -> Option<&Storage> {
        self.members.iter().find(|storage| storage.id == *id)
    }

    /// All records in the order of their creation.
    pub fn in_order_of_creation(&self) -> &[Storage] {
        &self.members
    }

    /// All records in the order of the text of their ids.
    pub fn storages(&self) -> impl ExactSizeIterator<Item = &Storage> + Clone {
        self.by_id.iter().map(|&at| &self.members[at])
    }

    /// Those that clients may read from, by id.
    pub fn readable(&self) -> impl ExactSizeIterator<Item = &Storage> + Clone {
        self.readable.iter().map(|&at| &self.members[at])
    }

    /// Those that clients may write to, by id.
    pub fn writable(&self) -> impl ExactSizeIterator<Item = &Storage> + Clone {
        self.writable.iter().map(|&at| &self.members[at])
    }

    /// The next member in turn to write to, from 0.
    pub fn write_turn(&self) -> usize {
        if self.write_turn < self.writable.len() { self.write_turn } else { 0 }
    }

    /// Space of the writable member with the least of it. While none is writable: of all members,
    /// for the operator's eyes.
    pub fn space(&self) -> Space {
        self.space
    }

    /// Up to when `destination` has applied all files of `source`.
    pub fn applied(&self, source: &StorageId, destination: &StorageId) -> Timestamp {
        let applied = self.get(destination).and_then(|storage| storage.applied.get(source));
        applied.copied().unwrap_or_default()
    }

    fn refresh(&mut self) {
        self.by_id = (0..self.members.len()).collect();
        self.by_id.sort_by(|&a, &b| self.members[a].id.cmp(&self.members[b].id));
        let those = |keep: fn(&Storage) -> bool| {
            self.by_id.iter().copied().filter(|&at| keep(&self.members[at])).collect::<Vec<_>>()
        };
        self.readable = those(Storage::is_readable);
        self.writable = those(Storage::is_writable);
        let least = |keep: &dyn Fn(&Storage) -> bool| {
            let kept = self.members.iter().filter(|storage| keep(storage)).map(|storage| storage.space);
            kept.min_by_key(|space| space.free_mb)
        };
        let reported = |storage: &Storage| !storage.paths.is_empty();
        self.space = match self.writable.is_empty() {
            false => least(&|storage| storage.is_writable() && reported(storage)),
            true => least(&|storage| storage.is_member() && storage.space.total_mb > 0),
        }
        .unwrap_or_default();
    }
}
