//! Widths of fields that several messages share.

use fdfs_types::StorageId;

/// Width of the field of a storage's ID: 15 characters and a NUL.
pub const STORAGE_ID_WIDTH: usize = StorageId::MAX_LEN + 1;

/// Width of an address between members of the cluster: always that of IPv6 and a NUL.
pub const CLUSTER_IP_WIDTH: usize = 46;

/// Width of a version.
pub const VERSION_WIDTH: usize = 8;

/// How wide a tracker or storage writes the addresses in its answers to clients.
///
/// It is a setting of the cluster (`response_ip_addr_size`); clients see it from the length of the answer.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum IpWidth {
    /// 16 bytes: IPv4 only.
    #[default]
    Ipv4,
    /// 46 bytes: room for IPv6.
    Ipv6,
}

impl IpWidth {
    /// Both widths, the one that clients try first in front.
    pub const ALL: [Self; 2] = [Self::Ipv4, Self::Ipv6];

    /// Bytes of a field with a NUL at its end.
    pub const fn terminated(self) -> usize {
        match self {
            Self::Ipv4 => 16,
            Self::Ipv6 => 46,
        }
    }

    /// Bytes of a field without.
    pub const fn bare(self) -> usize {
        self.terminated() - 1
    }
}
