//! What every part of a running storage shares.

use std::{collections::HashSet, net::IpAddr, sync::atomic::AtomicUsize};

use fdfs_conf::{IpFieldWidth, ReplicationFrom};
use fdfs_proto::IpWidth;
use fdfs_store::Store;
use fdfs_types::{GroupName, StorageId, Timestamp};
use parking_lot::Mutex;

use tokio::sync::watch;

use crate::{
    concern::Concern,
    membership::{Members, Membership},
    recovery::{Filling, Verification},
    relay::Relay,
    scrub::Scrub,
    synced_from::SyncedFrom,
    tracker::{Identity, Trackers},
    traffic::Traffic,
    trunk::Trunk,
};

/// What every part of a running storage shares.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) identity: Identity,
    pub(crate) store: Store,
    pub(crate) traffic: Traffic,
    pub(crate) membership: Mutex<Membership>,
    /// When this process started.
    pub(crate) started: Timestamp,
    /// A change may have to wait for the disk: it runs where waiting blocks nobody.
    pub(crate) waits_for_disk: bool,
    /// Addresses from which the records of a store path were fetched, the latest last.
    pub(crate) rebuilding: Mutex<Vec<IpAddr>>,
    /// Addresses of the members as the trackers list them to a storage that recovers and has not joined yet.
    pub(crate) listed: Mutex<Vec<IpAddr>>,
    /// From whom changes of peers are taken.
    pub(crate) replication_from: ReplicationFrom,
    /// Brings changes to a second member before they are answered, where that is wanted.
    pub(crate) concern: Concern,
    /// Asks the other members for what is not here.
    pub(crate) relay: Relay,
    /// Small files in trunk files.
    pub(crate) trunk: Trunk,
    /// Appender files are changed wherever a client asks for it, as in the original.
    pub(crate) changes_anywhere: bool,
    /// Commands from 200 on are answered, and not refused as the original refuses them.
    pub(crate) own_commands: bool,
    /// The members share a secret, so that they can be told from strangers.
    pub(crate) has_secret: bool,
    /// What may be asked of the trackers.
    pub(crate) trackers: Trackers,
    /// Up to when the changes of each member have arrived.
    pub(crate) synced_from: SyncedFrom,
    /// Whether files have to be looked for on the other members.
    pub(crate) verification: Verification,
    /// Whether store paths are being filled.
    pub(crate) filling: Filling,
    /// Members whose dead letters are to be tried again now.
    pub(crate) letters_to_try: Mutex<HashSet<StorageId>>,
    /// The search for damaged files.
    pub(crate) scrub: Scrub,
    /// Trackers that this storage reports to right now.
    pub(crate) joined: AtomicUsize,
}

impl Shared {
    pub(crate) fn group(&self) -> GroupName {
        self.identity.group
    }

    /// The group now, and at every change.
    pub(crate) fn members(&self) -> watch::Receiver<Members> {
        self.membership.lock().watch()
    }

    /// Whether an address is a member's, as trackers and the table of storage IDs tell them.
    pub(crate) fn is_member(&self, ip: IpAddr) -> bool {
        let identity = &self.identity;
        identity.ips.contains(&ip)
            || self.membership.lock().members().iter().any(|member| member.ip == Some(ip))
            || self.listed.lock().contains(&ip)
            || identity
                .ids
                .iter()
                .any(|entry| entry.group == identity.group && entry.address.ips.contains(&ip))
    }

    /// The records of a store path are fetched from this address: its files will be read from there, too.
    pub(crate) fn note_rebuilding(&self, ip: IpAddr) {
        let mut known = self.rebuilding.lock();
        known.retain(|known| *known != ip);
        if known.len() == MAX_REBUILDING {
            known.remove(0);
        }
        known.push(ip);
    }

    /// Whether files of metadata are read from an address as such. A peer of the original that rebuilds a store path may
    /// come from another address than that of which trackers tell.
    pub(crate) fn shows_metadata_files_to(&self, ip: IpAddr) -> bool {
        self.is_member(ip) || self.rebuilding.lock().contains(&ip)
    }

    /// Whether changes of peers are taken from an address.
    pub(crate) fn takes_replicas_from(&self, ip: IpAddr) -> bool {
        self.replication_from == ReplicationFrom::Anyone || self.is_member(ip)
    }

    /// Width of addresses in answers to clients.
    pub(crate) fn ip_width(&self) -> IpWidth {
        match self.identity.parameters.ip_field_width {
            IpFieldWidth::Narrow => IpWidth::Ipv4,
            IpFieldWidth::Auto | IpFieldWidth::Wide => IpWidth::Ipv6,
        }
    }
}

/// More members than a group has.
const MAX_REBUILDING: usize = 64;
