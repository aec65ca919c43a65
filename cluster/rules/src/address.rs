//! Addresses of a server, and which of two a peer is told.

use std::{fmt, net::IpAddr};

use fdfs_conf::AddressKind;
use fdfs_types::base64;

use crate::Refusal;

/// The one or two addresses of a server; of two, the inner one comes first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Addresses {
    inner: IpAddr,
    outer: Option<IpAddr>,
}

impl Addresses {
    /// A server with one address.
    pub const fn one(ip: IpAddr) -> Self {
        Self { inner: ip, outer: None }
    }

    /// A server with two addresses, which must be of different classes.
    pub fn two(a: IpAddr, b: IpAddr) -> Result<Self, Refusal> {
        match (AddressKind::of(a), AddressKind::of(b)) {
            (x, y) if x == y => Err(Refusal::Invalid),
            (AddressKind::Outer, _) => Ok(Self { inner: b, outer: Some(a) }),
            _ => Ok(Self { inner: a, outer: Some(b) }),
        }
    }

    /// A server with these addresses, if they are one, or two of different classes.
    pub fn of(ips: &[IpAddr]) -> Option<Self> {
        match *ips {
            [ip] => Some(Self::one(ip)),
            [a, b] => Self::two(a, b).ok(),
            _ => None,
        }
    }

    /// The same for a tracker, which may have two of one class: one of IPv4 and one of IPv6, say. They keep their order.
    pub fn of_tracker(ips: &[IpAddr]) -> Option<Self> {
        match *ips {
            [a, b] => Some(Self::two(a, b).unwrap_or(Self { inner: a, outer: Some(b) })),
            _ => Self::of(ips),
        }
    }

    /// The first address, the inner one of two.
    pub const fn first(&self) -> IpAddr {
        self.inner
    }

    /// The address a peer is told: the first of the peer's class, else the inner one.
    pub fn for_peer(&self, peer: IpAddr) -> IpAddr {
        let kind = AddressKind::of(peer);
        self.iter().find(|own| AddressKind::of(*own) == kind).unwrap_or(self.inner)
    }

    /// Whether this is one of the addresses.
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.iter().any(|own| own == ip)
    }

    /// All addresses, the inner one first.
    pub fn iter(&self) -> impl Iterator<Item = IpAddr> {
        [Some(self.inner), self.outer].into_iter().flatten()
    }
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.outer {
            None => write!(f, "{}", self.inner),
            Some(outer) => write!(f, "{},{outer}", self.inner),
        }
    }
}

/// The 12 characters that stand for an IPv6 address where ids are at most 15 characters wide: the
/// CRC-32 state of its text without the final inversion, as 64 bits from the low byte on, in base64.
pub fn short_code(text: &str) -> String {
    let mut crc = u32::MAX;
    for byte in text.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    let mut code = base64::encode(&u64::from(crc).to_le_bytes());
    code.push('.');
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("a literal address")
    }

    #[test]
    fn a_peer_of_the_outer_network_is_told_the_outer_address() {
        let server = Addresses::two(ip("8.8.8.8"), ip("192.168.0.4")).expect("classes differ");
        assert_eq!(server.first(), ip("192.168.0.4"));
        assert_eq!(server.for_peer(ip("9.9.9.9")), ip("8.8.8.8"));
        assert_eq!(server.for_peer(ip("fd00::1")), ip("8.8.8.8"));
        assert_eq!(server.for_peer(ip("192.168.7.7")), ip("192.168.0.4"));
        assert_eq!(server.for_peer(ip("10.0.0.1")), ip("192.168.0.4"));
    }

    #[test]
    fn two_inner_addresses_keep_their_order() {
        let server = Addresses::two(ip("192.168.0.4"), ip("10.0.0.4")).expect("classes differ");
        assert_eq!(server.to_string(), "192.168.0.4,10.0.0.4");
        assert_eq!(server.for_peer(ip("10.9.9.9")), ip("10.0.0.4"));
    }

    #[test]
    fn two_addresses_of_one_class_are_refused() {
        assert_eq!(Addresses::two(ip("10.0.0.1"), ip("10.0.0.2")), Err(Refusal::Invalid));
    }

    #[test]
    fn a_tracker_may_have_two_addresses_of_one_class() {
        let ips = [ip("8.8.8.8"), ip("2001:db8::8")];
        let tracker = Addresses::of_tracker(&ips).expect("a tracker may");
        assert_eq!(tracker.iter().collect::<Vec<_>>(), ips);
        assert_eq!(tracker.for_peer(ip("9.9.9.9")), ip("8.8.8.8"));
        assert_eq!(Addresses::of(&ips), None, "a storage may not");
        let inner_first = Addresses::of_tracker(&[ip("8.8.8.8"), ip("10.0.0.8")]).expect("classes differ");
        assert_eq!(inner_first.first(), ip("10.0.0.8"));
    }

    #[test]
    fn short_codes_are_those_of_the_original() {
        assert_eq!(short_code("fd00::2"), "irsYjAAAAAA.");
        assert_eq!(short_code("::1"), "6Jg1XQAAAAA.");
    }
}
