//! How a log file is flushed, rotated and thrown away.

use std::time::Duration;

use crate::keys::{Keys, invalid};
use crate::table::{Handling, KeyTable};
use crate::{ConfError, TimeOfDay};

/// How a log file is flushed, rotated and thrown away.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LogSettings {
    /// Longest time that a line stays in memory; zero writes each at once.
    pub flush_interval: Duration,
    /// When the file is rotated every day, if it is.
    pub rotate_at: Option<TimeOfDay>,
    /// Size in bytes that makes the file rotate, if any does.
    pub rotate_on_size: Option<u64>,
    /// Age in days from which on rotated files are compressed, if they are.
    pub compress_after_days: Option<u32>,
    /// Age in days from which on rotated files are deleted, if they are.
    pub keep_days: Option<u32>,
    /// When old files are deleted.
    pub delete_at: TimeOfDay,
}

impl LogSettings {
    /// Reads the log keys of a section; those that it lacks stand in the global one.
    pub(crate) fn read(keys: &mut Keys<'_>, section: &'static str) -> Result<Self, ConfError> {
        keys.enter(section);
        let settings = Self::read_here(keys);
        keys.enter("");
        settings
    }

    fn read_here(keys: &mut Keys<'_>) -> Result<Self, ConfError> {
        let flush = match keys.integer("sync_log_buff_interval") {
            Some((seconds, _)) if seconds >= 0 => u64::try_from(seconds).unwrap_or(1),
            _ => 1,
        };
        let everyday = keys.boolean("log_file_rotate_everyday", true);
        let rotate_at = keys.time("log_file_rotate_time", TimeOfDay::MIDNIGHT)?;
        let rotate_on_size = match keys.size("log_file_rotate_on_size")? {
            Some((size, entry)) if size > MAX_ROTATE_SIZE => {
                return Err(invalid(entry, "the largest size is 64GB; 0 switches it off"));
            }
            Some((size, _)) if size > 0 => Some(size),
            _ => None,
        };
        let compress = keys.boolean("log_file_compress_old", false);
        let compress_days = keys.positive("log_file_compress_days_before", 1);
        let keep_days = keys.count("log_file_keep_days", 15);
        Ok(Self {
            flush_interval: Duration::from_secs(flush),
            rotate_at: everyday.then_some(rotate_at),
            rotate_on_size,
            compress_after_days: compress.then_some(compress_days),
            keep_days: (keep_days > 0).then_some(keep_days),
            delete_at: keys.time("log_file_delete_old_time", TimeOfDay::new(1, 30))?,
        })
    }
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            flush_interval: Duration::from_secs(1),
            rotate_at: Some(TimeOfDay::MIDNIGHT),
            rotate_on_size: None,
            compress_after_days: None,
            keep_days: Some(15),
            delete_at: TimeOfDay::new(1, 30),
        }
    }
}

const MAX_ROTATE_SIZE: u64 = 64 << 30;

/// The keys of `[error-log]`.
pub(crate) const LOG_KEYS: KeyTable = &[
    ("sync_log_buff_interval", Handling::Honoured),
    ("log_file_rotate_everyday", Handling::Honoured),
    ("log_file_rotate_time", Handling::Honoured),
    ("log_file_rotate_on_size", Handling::Honoured),
    ("log_file_compress_old", Handling::Honoured),
    ("log_file_compress_days_before", Handling::Honoured),
    ("log_file_keep_days", Handling::Honoured),
    ("log_file_delete_old_time", Handling::Honoured),
];
