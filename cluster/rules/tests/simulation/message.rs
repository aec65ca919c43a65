//! What nodes say to each other.

use std::collections::BTreeMap;

use fdfs_rules::{Group, StatusReport};
use fdfs_rules::{
    JoinRequest, Joined, Member, Notification, Refusal, Storage, SyncRange, TrackerAddress, TrackerRank,
};
use fdfs_types::{GroupName, StorageId, StorageStatus, Timestamp};

/// Trackers come first, then storages, group by group.
pub(crate) type Node = usize;

/// A file by who took it and its number there.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct File {
    pub(crate) source: Node,
    pub(crate) number: u32,
    pub(crate) created: Timestamp,
}

/// A connection of a storage: who it is to a tracker, as long as that process lives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Ticket {
    pub(crate) member: Member,
    pub(crate) incarnation: u32,
}

#[derive(Clone, Debug)]
pub(crate) enum Request {
    Rank,
    Notify(TrackerAddress),
    Commit(TrackerAddress),
    Ping,
    Files,
    Join(Box<JoinRequest>),
    Beat(Ticket),
    SyncDestination(Ticket),
    SyncNotify(Ticket, Option<SyncRange>),
    Synced(Ticket, Vec<(StorageId, Timestamp)>),
    ChangeStatus(Ticket, StorageStatus),
    /// The connection has ended.
    Gone(Ticket),
    Source(GroupName, StorageId),
    Status(GroupName, StatusReport),
    Push {
        files: Vec<File>,
        own: bool,
    },
}

impl Request {
    /// It is sent on a connection that was opened before.
    pub(crate) fn is_on_a_connection(&self) -> bool {
        matches!(
            self,
            Self::Beat(_)
                | Self::SyncDestination(_)
                | Self::SyncNotify(..)
                | Self::Synced(..)
                | Self::ChangeStatus(..)
                | Self::Gone(_)
        )
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Reply {
    Done,
    Refused(Refusal),
    /// Nobody listens there.
    NotThere,
    Rank(TrackerRank),
    Files(Box<Saved>),
    Joined(Joined, u32),
    News(Notification),
    Source(Option<SyncRange>),
}

/// What a tracker's files hold.
#[derive(Clone, Debug, Default)]
pub(crate) struct Saved {
    pub(crate) groups: Vec<Group>,
    pub(crate) storages: Vec<(GroupName, Storage)>,
    /// Up to when a destination has applied all of a source.
    pub(crate) times: BTreeMap<(GroupName, StorageId), BTreeMap<StorageId, Timestamp>>,
}
