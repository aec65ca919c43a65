//! Kinds of addresses, by which the right one of two is chosen for a peer.

use std::net::IpAddr;

/// The network that an address belongs to. A server has one address, or two of different kinds.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AddressKind {
    /// `10.0.0.0/8`.
    Private10,
    /// `172.16.0.0/12`.
    Private172,
    /// `192.168.0.0/16`.
    Private192,
    /// Everything else: public addresses, loopback, IPv6.
    Outer,
}

impl AddressKind {
    /// The kind of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let IpAddr::V4(address) = address.to_canonical() else { return Self::Outer };
        match address.octets() {
            [10, ..] => Self::Private10,
            [172, 16..=31, ..] => Self::Private172,
            [192, 168, ..] => Self::Private192,
            _ => Self::Outer,
        }
    }
}
