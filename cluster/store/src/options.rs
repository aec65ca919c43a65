//! What a store is told: where it lives, and how it places files.

use std::{path::PathBuf, time::Duration};

use fdfs_types::Source;

use crate::{SignatureMethod, binlog::Binlog, trunk::TrunkPolicy};

/// Where a store lives and what of it never changes while it runs.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Directory of state and binlog (`base_path`).
    pub base_path: PathBuf,
    /// Directories of files, by index (`store_path0`, ...). Those other than `base_path` must be there.
    pub store_paths: Vec<StorePathOptions>,
    /// Directories on each of the two levels, 1 to 256 (`subdir_count_per_path`).
    pub subdir_count: u32,
    /// How files are spread over directories (`file_distribute_path_mode`).
    pub distribution: Distribution,
    /// Compare the mark of each store path with ours (`check_store_path_mark`).
    pub check_store_path_mark: bool,
    /// This storage's address, for the mark of a new store path.
    pub ip_addr: String,
    /// This storage's port, for the mark of a new store path.
    pub port: u16,
    /// A change of at least this many bytes is on the disk, with its directory entry and its record,
    /// before it is answered; 0 means never (`fsync_after_written_bytes`).
    pub fsync_after_written_bytes: u64,
    /// Size at which the next binlog file is begun.
    pub binlog_rotate_at: u64,
    /// Names that were deleted are remembered for at least so long, unless too many others follow.
    pub tombstones_kept: Duration,
    /// Equal uploads are kept once, found in this way (`check_file_duplicate`, `file_signature_method`).
    pub deduplicate: Option<SignatureMethod>,
    /// Slave files are links to their content (`store_slave_file_use_link`).
    pub slaves_are_links: bool,
    /// How files are placed until [`crate::Store::set_policy`] says otherwise.
    pub policy: Policy,
}

/// One store path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StorePathOptions {
    /// The directory; files lie below its `data`.
    pub path: PathBuf,
    /// It takes no new files from clients (`store_path<N>_readonly`).
    pub read_only: bool,
}

/// How files are spread over the directories of a store path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Distribution {
    /// This many files go to one directory, then the next is taken.
    RoundRobin {
        /// Files in a row (`file_distribute_rotate_count`).
        rotate_count: u32,
    },
    /// By a hash of a name.
    Hash,
}

/// What trackers decide, so that it is known and may change only after the store is open.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Policy {
    /// What names say about where a file was accepted.
    pub source: Source,
    /// How a store path is chosen (`store_path`).
    pub store_path: PathSelection,
    /// Space that stays free (`reserved_storage_space`).
    pub reserve: Reserve,
    /// Small files go into trunk files of these sizes, where the daemon gets slots for them; `None` where they do not.
    pub trunk: Option<TrunkPolicy>,
}

/// How a store path is chosen where the client leaves it to us.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PathSelection {
    /// In turn (0).
    RoundRobin,
    /// The one with the most free space (2).
    LoadBalance,
}

/// Space that stays free on the store paths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reserve {
    /// MiB of the whole storage; each of n store paths keeps the n-th part.
    Megabytes(u64),
    /// A part of each store path, 0 to 1.
    Ratio(f64),
}

impl StoreOptions {
    /// One storage in `base_path`, with the defaults of `storage.conf`.
    pub fn new(base_path: impl Into<PathBuf>, source: Source) -> Self {
        let base_path = base_path.into();
        Self {
            store_paths: vec![StorePathOptions { path: base_path.clone(), read_only: false }],
            base_path,
            subdir_count: 256,
            distribution: Distribution::RoundRobin { rotate_count: 100 },
            check_store_path_mark: true,
            ip_addr: match source {
                Source::Ip(address) => address.to_string(),
                Source::Id(_) => String::from("127.0.0.1"),
            },
            port: 23000,
            fsync_after_written_bytes: 0,
            binlog_rotate_at: Binlog::ROTATE_AT,
            tombstones_kept: Duration::from_secs(7 * 86_400),
            deduplicate: None,
            slaves_are_links: false,
            policy: Policy {
                source,
                store_path: PathSelection::RoundRobin,
                reserve: Reserve::Megabytes(1024),
                trunk: None,
            },
        }
    }
}

impl Reserve {
    /// Whether a store path keeps its reserve when it takes `size` bytes more.
    pub(crate) fn admits(self, free: u64, total: u64, size: u64, store_paths: u64) -> bool {
        // The original counts whole MiB; a file smaller than one counts as nothing.
        let Some(left) = (free / MIB).checked_sub(size / MIB) else { return false };
        match self {
            Self::Megabytes(reserve) => left > reserve / store_paths,
            Self::Ratio(ratio) => match total / MIB {
                0 => false,
                total => left as f64 / total as f64 > ratio,
            },
        }
    }
}

const MIB: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_compared_strictly() {
        assert!(!Reserve::Megabytes(1024).admits(1024 * MIB, 4096 * MIB, 0, 1));
        assert!(Reserve::Megabytes(1024).admits(1025 * MIB, 4096 * MIB, 0, 1));
        assert!(Reserve::Megabytes(1024).admits(513 * MIB, 4096 * MIB, 100, 2));
        assert!(!Reserve::Megabytes(1024).admits(513 * MIB, 4096 * MIB, MIB, 2));
        assert!(!Reserve::Ratio(0.25).admits(1024 * MIB, 4096 * MIB, 0, 1));
        assert!(Reserve::Ratio(0.25).admits(1025 * MIB, 4096 * MIB, 0, 1));
        assert!(!Reserve::Ratio(0.25).admits(1024 * MIB, 0, 0, 1));
        assert!(!Reserve::Megabytes(0).admits(MIB, 4096 * MIB, u64::MAX, 1));
    }
}
