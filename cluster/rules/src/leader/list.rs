//! The list of trackers that a storage joins with.

use std::net::{IpAddr, SocketAddr};

use fdfs_proto::ServerAddress;

use crate::{Addresses, Refusal};

/// Where a tracker listens.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrackerAddress {
    /// Its addresses.
    pub addresses: Addresses,
    /// Its port.
    pub port: u16,
}

impl TrackerAddress {
    /// A tracker with one address.
    pub const fn one(ip: IpAddr, port: u16) -> Self {
        Self { addresses: Addresses::one(ip), port }
    }

    /// Its addresses.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter()
    }

    /// Whether the two are one tracker.
    pub fn shares_ip(&self, other: &Self) -> bool {
        self.port == other.port && self.iter().any(|ip| other.addresses.contains(ip))
    }

    /// The address that a peer is told.
    pub fn for_peer(&self, peer: IpAddr) -> SocketAddr {
        (self.addresses.for_peer(peer), self.port).into()
    }

    /// The first address, by which trackers speak with each other.
    pub fn first(&self) -> SocketAddr {
        (self.addresses.first(), self.port).into()
    }
}

impl TryFrom<&ServerAddress> for TrackerAddress {
    type Error = Refusal;

    fn try_from(address: &ServerAddress) -> Result<Self, Refusal> {
        let addresses = Addresses::of_tracker(&address.ips).ok_or(Refusal::Invalid)?;
        if address.port == 0 {
            return Err(Refusal::Invalid);
        }
        Ok(Self { addresses, port: address.port })
    }
}

impl From<SocketAddr> for TrackerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::one(address.ip(), address.port())
    }
}

/// The known list with those of the new one that it lacks. A tracker that shares an address with a
/// known one is the same, with its second address.
pub(super) fn merge(mut known: Vec<TrackerAddress>, new: &[TrackerAddress]) -> Vec<TrackerAddress> {
    for address in new {
        match known.iter_mut().find(|tracker| tracker.shares_ip(address)) {
            Some(tracker) => {
                let mut ips: Vec<_> = tracker.iter().collect();
                ips.extend(address.iter().filter(|ip| !tracker.addresses.contains(*ip)));
                tracker.addresses = Addresses::of_tracker(&ips).unwrap_or(tracker.addresses);
            }
            None => known.push(*address),
        }
    }
    known
}
