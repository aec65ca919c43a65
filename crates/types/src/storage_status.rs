//! States of a storage server as trackers and members see it.

use std::fmt;

/// The state of a storage. The numbers travel on the wire and their order matters: members compare
/// them with "greater than".
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum StorageStatus {
    /// Joined, has not said where to sync from.
    Init = 0,
    /// Has a sync source, which has not started.
    WaitSync = 1,
    /// The source pushes the old files.
    Syncing = 2,
    /// Its identity moved to another address.
    IpChanged = 3,
    /// Removed by an administrator.
    Deleted = 4,
    /// A member that is not connected or silent.
    Offline = 5,
    /// Joined, no heart beat yet.
    Online = 6,
    /// Serves.
    Active = 7,
    /// Rebuilds a store path.
    Recovery = 9,
    /// In messages: ignore this entry. In a storage: the sync task of this peer has ended.
    None = 99,
}

impl StorageStatus {
    /// The state with this number on the wire.
    pub const fn from_wire(byte: u8) -> Option<Self> {
        Some(match byte {
            0 => Self::Init,
            1 => Self::WaitSync,
            2 => Self::Syncing,
            3 => Self::IpChanged,
            4 => Self::Deleted,
            5 => Self::Offline,
            6 => Self::Online,
            7 => Self::Active,
            9 => Self::Recovery,
            99 => Self::None,
            _ => return None,
        })
    }

    /// The number on the wire and in the tracker's files.
    pub const fn to_wire(self) -> u8 {
        self as u8
    }

    /// The name that operators know from `fdfs_monitor`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Init => "INIT",
            Self::WaitSync => "WAIT_SYNC",
            Self::Syncing => "SYNCING",
            Self::IpChanged => "IP_CHANGED",
            Self::Deleted => "DELETED",
            Self::Offline => "OFFLINE",
            Self::Online => "ONLINE",
            Self::Active => "ACTIVE",
            Self::Recovery => "RECOVERY",
            Self::None => "NONE",
        }
    }
}

impl fmt::Display for StorageStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::StorageStatus;

    #[test]
    fn every_number_survives_the_wire() {
        let known: Vec<u8> = (0..=255).filter(|&byte| StorageStatus::from_wire(byte).is_some()).collect();
        assert_eq!(known, [0, 1, 2, 3, 4, 5, 6, 7, 9, 99]);
        for byte in known {
            assert_eq!(StorageStatus::from_wire(byte).map(StorageStatus::to_wire), Some(byte));
        }
    }
}
