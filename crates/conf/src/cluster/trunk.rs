//! Settings of trunk files.

use std::time::Duration;

use crate::keys::{Keys, invalid};
use crate::{ConfError, TimeOfDay};

/// Settings of trunk files, the large files that small ones are merged into.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkParameters {
    /// Whether small files are merged.
    pub enabled: bool,
    /// Smallest slot, in bytes.
    pub slot_min_size: u32,
    /// Largest slot, header included, in bytes.
    pub slot_max_size: u32,
    /// Slots have sizes that are multiples of this many bytes; 0 for exact sizes.
    pub alignment: u32,
    /// Size of a trunk file, in bytes.
    pub file_size: u32,
    /// Trunk files are made in advance, on a schedule.
    pub create_advance: bool,
    /// First time of that schedule.
    pub create_time_base: TimeOfDay,
    /// Its interval.
    pub create_interval: Duration,
    /// Free bytes up to which trunk files are made.
    pub create_space_threshold: u64,
    /// Free blocks are compared with the disk when loaded.
    pub init_check_occupying: bool,
    /// Free blocks are computed anew from the whole binlog when loaded.
    pub init_reload_from_binlog: bool,
    /// Neighbouring free blocks become one.
    pub free_space_merge: bool,
    /// Trunk files without content are deleted.
    pub delete_unused_files: bool,
    /// Least time between two compressions of the binlog; zero for none when loading.
    pub compress_min_interval: Duration,
    /// Interval of scheduled compressions; zero for none.
    pub compress_interval: Duration,
    /// First time of that schedule.
    pub compress_time_base: TimeOfDay,
    /// Kept backups of the binlog.
    pub binlog_max_backups: u32,
}

impl TrunkParameters {
    pub(super) fn read(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let file_size = match keys.size("trunk_file_size")? {
            Some((size, entry)) if size > MAX_FILE_SIZE => {
                return Err(invalid(entry, "a trunk file is smaller than 2GB; 64MB is usual"));
            }
            Some((size, entry)) if size < MIN_FILE_SIZE => {
                keys.adjusted(entry, "the smallest trunk file, 4MB, is used");
                MIN_FILE_SIZE
            }
            Some((size, _)) => size,
            None => 64 << 20,
        };
        let alignment = match keys.integer("trunk_alloc_alignment_size") {
            Some((number, entry)) if number > i64::from(MAX_SLOT_MIN) => {
                return Err(invalid(entry, "the largest alignment is 65536; 256 is usual"));
            }
            Some((number, _)) => u32::try_from(number).unwrap_or(0),
            None => 0,
        };
        let slot_min_size = match keys.size("slot_min_size")? {
            Some((0, entry)) => return Err(invalid(entry, "a slot has at least 1 byte; 256 is usual")),
            Some((size, entry)) if size > MAX_SLOT_MIN.into() => {
                keys.adjusted(entry, "the largest minimum, 64KB, is used");
                MAX_SLOT_MIN.into()
            }
            Some((size, _)) => size,
            None => 256,
        };
        let slot_min_size = slot_min_size.max(alignment.into());
        let slot_max_size = match keys.size("slot_max_size")? {
            Some((size, entry)) if size <= slot_min_size => {
                return Err(invalid(
                    entry,
                    format_args!("a size above slot_min_size ({slot_min_size}) is needed"),
                ));
            }
            Some((size, entry)) if size > file_size / 2 => {
                keys.adjusted(entry, format!("half of trunk_file_size, {} bytes, is used", file_size / 2));
                file_size / 2
            }
            Some((size, _)) => size,
            None => file_size / 8,
        };
        let small = |size: u64| u32::try_from(size).unwrap_or(u32::MAX);
        Ok(Self {
            enabled: keys.boolean("use_trunk_file", false),
            slot_min_size: small(slot_min_size),
            slot_max_size: small(slot_max_size),
            alignment,
            file_size: small(file_size),
            create_advance: keys.boolean("trunk_create_file_advance", false),
            create_time_base: keys.time("trunk_create_file_time_base", TimeOfDay::new(2, 0))?,
            create_interval: keys.seconds("trunk_create_file_interval", 86_400),
            create_space_threshold: keys.size_or("trunk_create_file_space_threshold", 0)?,
            init_check_occupying: keys.boolean("trunk_init_check_occupying", false),
            init_reload_from_binlog: keys.boolean("trunk_init_reload_from_binlog", false),
            free_space_merge: keys.boolean("trunk_free_space_merge", false),
            delete_unused_files: keys.boolean("delete_unused_trunk_files", false),
            compress_min_interval: seconds(keys.count("trunk_compress_binlog_min_interval", 0)),
            compress_interval: seconds(keys.count("trunk_compress_binlog_interval", 0)),
            compress_time_base: keys.time("trunk_compress_binlog_time_base", TimeOfDay::new(3, 0))?,
            binlog_max_backups: keys.count("trunk_binlog_max_backups", 0),
        })
    }
}

fn seconds(number: u32) -> Duration {
    Duration::from_secs(number.into())
}

const MIN_FILE_SIZE: u64 = 4 << 20;
const MAX_FILE_SIZE: u64 = i32::MAX as u64;
const MAX_SLOT_MIN: u32 = 64 << 10;
