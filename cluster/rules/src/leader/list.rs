//! The list of trackers that a storage joins with.

use std::net::IpAddr;
use std::str::FromStr;

use thiserror::Error;

use crate::Addresses;

/// Where a tracker listens.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct TrackerAddress {
    /// Its addresses.
    pub addresses: Addresses,
    /// Its port.
    pub port: u16,
}

/// A text is not the address of a tracker.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{0:?} is not ip:port, ip1,ip2:port or [ip]:port")]
pub struct TrackerListError(String);

impl TrackerAddress {
    /// The port where an address has none.
    pub const DEFAULT_PORT: u16 = 22122;

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

    /// The address as messages between trackers and to clients carry it.
    pub fn text_for(&self, peer: IpAddr) -> String {
        crate::host_text(self.addresses.for_peer(peer), self.port)
    }

    /// The first address as messages between trackers carry it.
    pub fn first_text(&self) -> String {
        crate::host_text(self.addresses.first(), self.port)
    }
}

impl FromStr for TrackerAddress {
    type Err = TrackerListError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || TrackerListError(text.into());
        let (names, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (names, port) = rest.split_once(']').ok_or_else(bad)?;
                (names, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(bad)?) })
            }
            None => text.split_once(':').map_or((text, None), |(names, port)| (names, Some(port))),
        };
        let port = port.map_or(Ok(Self::DEFAULT_PORT), str::parse).map_err(|_| bad())?;
        let ip = |name: &str| name.parse::<IpAddr>().map_err(|_| bad());
        let addresses = match names.split_once(',') {
            None => Addresses::one(ip(names)?),
            Some((a, b)) => Addresses::two(ip(a)?, ip(b)?).map_err(|_| bad())?,
        };
        if port == 0 { Err(bad()) } else { Ok(Self { addresses, port }) }
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
                if let [a, b] = ips[..] {
                    tracker.addresses = Addresses::two(a, b).unwrap_or(tracker.addresses);
                }
            }
            None => known.push(*address),
        }
    }
    known
}
