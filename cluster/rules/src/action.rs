//! What the daemon is to do after an event.

use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

/// What the daemon is to do after an event.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Action {
    /// Write a data file anew.
    Save(DataFile),
    /// Append a line to the changelog, before anything is saved.
    Append(ChangelogEntry),
    /// Append a line to the history of trunk servers.
    LogTrunkChange(TrunkChange),
    /// Ask the storages of this group for their trunk binlogs and appoint a trunk server.
    ElectTrunkServer(GroupName),
    /// Tell the operator.
    Report(Event),
}

/// A data file of the tracker.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum DataFile {
    /// `storage_groups_new.dat`.
    Groups,
    /// `storage_servers_new.dat`.
    Storages,
    /// `storage_sync_timestamp.dat`.
    SyncTimestamps,
}

/// A change of an identity, kept for storages that were away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangelogEntry {
    /// When.
    pub time: Timestamp,
    /// The group.
    pub group: GroupName,
    /// The identity that is no more.
    pub id: StorageId,
    /// What became of it: deleted or moved.
    pub status: StorageStatus,
    /// The new identity of one that moved.
    pub successor: Option<StorageId>,
}

impl ChangelogEntry {
    /// The line in the changelog, with its end.
    pub fn line(&self) -> String {
        let Self { time, group, id, status, successor } = self;
        let successor = successor.as_ref().map_or("", StorageId::as_str);
        format!("{time} {group} {id} {} {successor}\n", status.to_wire())
    }
}

/// A change in the office of a group's trunk server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkChange {
    /// The group.
    pub group: GroupName,
    /// Who was in office before, as `id/ip:port` or `ip:port`; `-` for nobody.
    pub before: String,
    /// Who is in office now, likewise.
    pub now: String,
}

/// What an operator wants to know.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// A storage joined.
    Joined {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
        /// It was not known before.
        new: bool,
    },
    /// A storage has more store paths than the group; until all members have them it cannot serve.
    TooManyPaths {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
        /// Store paths that it has.
        own: u16,
        /// Store paths that the group has.
        agreed: u16,
    },
    /// A storage serves from now on.
    Activated {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
    },
    /// A storage serves no more.
    TakenOffline {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
        /// It was silent for too long; otherwise its connection was closed.
        silent: bool,
    },
    /// A storage has another state because others say so.
    StatusTaken {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
        /// The state before.
        before: StorageStatus,
        /// The state now.
        now: StorageStatus,
    },
    /// A storage was removed.
    Deleted {
        /// The group.
        group: GroupName,
        /// The storage.
        id: StorageId,
    },
    /// A storage has a new address.
    Moved {
        /// The group.
        group: GroupName,
        /// Its identity before.
        before: StorageId,
        /// Its identity now.
        now: StorageId,
    },
    /// A group has no trunk server any more.
    TrunkServerLost {
        /// The group.
        group: GroupName,
        /// Who held the office.
        id: StorageId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changelog_lines_are_those_of_the_original() {
        let mut entry = ChangelogEntry {
            time: Timestamp(1_795_323_623),
            group: "group1".parse().expect("a name"),
            id: "127.0.0.5".parse().expect("an id"),
            status: StorageStatus::Deleted,
            successor: None,
        };
        assert_eq!(entry.line(), "1795323623 group1 127.0.0.5 4 \n");
        entry.status = StorageStatus::IpChanged;
        entry.successor = Some("127.0.0.6".parse().expect("an id"));
        assert_eq!(entry.line(), "1795323623 group1 127.0.0.5 3 127.0.0.6\n");
    }
}
