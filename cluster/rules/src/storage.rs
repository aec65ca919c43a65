//! One storage as its tracker knows it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use fdfs_proto::StorageStat;
use fdfs_types::{RwMode, StorageId, StorageStatus, Timestamp};

use crate::{Addresses, Reason};

/// One storage as its tracker knows it.
#[derive(Clone, Debug)]
pub struct Storage {
    /// Its id: a number, or the text of its address where the cluster has no ids.
    pub id: StorageId,
    /// Its addresses.
    pub addresses: Addresses,
    /// The address it joined from last; what files and logs name.
    pub joined_from: IpAddr,
    /// Its port; 0 is unknown.
    pub port: u16,
    /// Its state.
    pub status: StorageStatus,
    /// What brought it into its state.
    pub reason: Reason,
    /// Since when it is in its state; zero if since before this tracker was started.
    pub since: Timestamp,
    /// What clients may use it for.
    pub rw: RwMode,
    /// Its version, at most 8 characters.
    pub version: String,
    /// When it was set up.
    pub join_time: Timestamp,
    /// When its process was started; zero while it is not connected.
    pub up_time: Timestamp,
    /// Smaller is preferred.
    pub upload_priority: i64,
    /// Number of its store paths.
    pub path_count: u16,
    /// Sub-directories per level of a store path.
    pub subdir_count: u16,
    /// Space of each store path, empty before the first report.
    pub paths: Vec<Space>,
    /// Space of all store paths.
    pub space: Space,
    /// The store path that the next upload goes to.
    pub current_path: usize,
    /// Who pushes, or pushed, the old files to it.
    pub sync_source: Option<StorageId>,
    /// The files before this time are those that the source pushes.
    pub sync_until: Timestamp,
    /// Bytes of the changelog that it has seen.
    pub changelog_offset: u64,
    /// What it counts. The two times that the tracker fills are kept beside.
    pub stat: StorageStat,
    /// All files of every source up to this time have surely arrived.
    pub last_synced: Timestamp,
    /// Its last heart beat.
    pub last_heartbeat: Timestamp,
    /// Up to when it has applied all files of each source.
    pub applied: BTreeMap<StorageId, Timestamp>,
    /// What it said of itself last, even if it was refused for it.
    pub claim: Claim,
    pub(crate) session: u64,
    /// When it was told last who is in the group.
    pub(crate) told: Timestamp,
    pub(crate) seen_changes: u64,
    pub(crate) seen_trunk_changes: u64,
}

/// Space of a disk, in MB.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Space {
    /// All of it.
    pub total_mb: u64,
    /// What is free for ordinary users.
    pub free_mb: u64,
}

/// What a storage says of itself and all members of a group must agree on.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Claim {
    /// Its port.
    pub port: u16,
    /// Number of its store paths.
    pub path_count: u16,
    /// Sub-directories per level of a store path.
    pub subdir_count: u16,
}

impl Storage {
    /// A storage of which nothing but its identity is known.
    pub fn new(id: StorageId, addresses: Addresses, joined_from: IpAddr, rw: RwMode) -> Self {
        Self {
            id,
            addresses,
            joined_from,
            port: 0,
            status: StorageStatus::Init,
            reason: Reason::default(),
            since: Timestamp::ZERO,
            rw,
            version: String::new(),
            join_time: Timestamp::ZERO,
            up_time: Timestamp::ZERO,
            upload_priority: 0,
            path_count: 0,
            subdir_count: 0,
            paths: Vec::new(),
            space: Space::default(),
            current_path: 0,
            sync_source: None,
            sync_until: Timestamp::ZERO,
            changelog_offset: 0,
            stat: StorageStat::default(),
            last_synced: Timestamp::ZERO,
            last_heartbeat: Timestamp::ZERO,
            applied: BTreeMap::new(),
            claim: Claim::default(),
            session: 0,
            told: Timestamp::ZERO,
            seen_changes: 0,
            seen_trunk_changes: 0,
        }
    }

    /// Clients are sent here to read.
    pub fn is_readable(&self) -> bool {
        self.status == StorageStatus::Active && self.rw.is_readable()
    }

    /// Clients are sent here to write.
    pub fn is_writable(&self) -> bool {
        self.status == StorageStatus::Active && self.rw.is_writable()
    }

    /// It is a member: neither removed nor moved away.
    pub fn is_member(&self) -> bool {
        !matches!(self.status, StorageStatus::Deleted | StorageStatus::IpChanged)
    }

    /// It is connected on behalf of a process that said when it was started.
    pub fn is_connected(&self) -> bool {
        self.up_time > Timestamp::ZERO
    }

    /// It is in this state now, for this reason.
    pub(crate) fn enter(&mut self, status: StorageStatus, reason: Reason, now: Timestamp) {
        if self.status != status || self.since == Timestamp::ZERO {
            self.since = now;
        }
        (self.status, self.reason) = (status, reason);
    }

    /// Forgets everything that a removed storage must not come back with.
    pub(crate) fn clear(&mut self) {
        self.stat = StorageStat::default();
        self.sync_source = None;
        self.sync_until = Timestamp::ZERO;
        self.changelog_offset = 0;
        self.upload_priority = 0;
        self.path_count = 0;
        self.subdir_count = 0;
        self.last_heartbeat = Timestamp::ZERO;
        self.paths.clear();
        self.space = Space::default();
        self.current_path = 0;
        self.last_synced = Timestamp::ZERO;
        self.applied.clear();
    }
}
