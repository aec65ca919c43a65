//! One connection: who speaks, and what it was told.

use std::net::IpAddr;
use std::sync::Arc;

use fdfs_rules::{Member, TrackerAddress};
use fdfs_types::{GroupName, StorageId};

/// One connection: who speaks, and what it was told.
#[derive(Debug)]
pub(crate) struct Session {
    /// Address of the other side.
    pub(crate) peer: IpAddr,
    /// Our address on this connection.
    pub(crate) local: IpAddr,
    /// Who speaks.
    pub(crate) role: Role,
    /// The files that another tracker is fetching, as they were when it began.
    pub(crate) sys_files: Option<Arc<[Vec<u8>; 4]>>,
}

/// Who speaks.
#[derive(Clone, Debug, Default)]
pub(crate) enum Role {
    /// A client, or somebody who has not joined.
    #[default]
    Anybody,
    /// A storage that has joined.
    Storage {
        /// Which one.
        member: Member,
        /// How many changes of the leader it has heard of on this connection.
        heard: u64,
    },
    /// A tracker that follows this one.
    Follower {
        /// Which one.
        address: TrackerAddress,
        /// The trunk servers it was told last.
        told: Option<Vec<(GroupName, Option<StorageId>)>>,
    },
}

impl Session {
    pub(crate) const fn new(peer: IpAddr, local: IpAddr) -> Self {
        Self { peer, local, role: Role::Anybody, sys_files: None }
    }
}
