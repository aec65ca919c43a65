//! `<base>/data/storage_stat.dat`: what this storage has done since it was made.

use std::{
    fmt::Write as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{OpenError, state_file};

macro_rules! counters {
    ($($(#[$doc:meta])* $variant:ident = $key:literal),+ $(,)?) => {
        /// One of the 43 values of `storage_stat.dat`, in the order of the file.
        #[derive(Clone, Copy, Debug, Eq, PartialEq)]
        #[expect(missing_docs, reason = "a variant is the key it is named after; the families are explained in FORMAT.md")]
        pub enum Counter { $($(#[$doc])* $variant),+ }

        impl Counter {
            /// All of them, in the order of the file.
            pub const ALL: [Self; 43] = [$(Self::$variant),+];

            /// The key in the file.
            pub fn key(self) -> &'static str {
                match self { $(Self::$variant => $key),+ }
            }
        }
    };
}

counters! {
    TotalUploadCount = "total_upload_count",
    SuccessUploadCount = "success_upload_count",
    TotalAppendCount = "total_append_count",
    SuccessAppendCount = "success_append_count",
    TotalModifyCount = "total_modify_count",
    SuccessModifyCount = "success_modify_count",
    TotalTruncateCount = "total_truncate_count",
    SuccessTruncateCount = "success_truncate_count",
    TotalDownloadCount = "total_download_count",
    SuccessDownloadCount = "success_download_count",
    LastSourceUpdate = "last_source_update",
    LastSyncUpdate = "last_sync_update",
    TotalSetMetaCount = "total_set_meta_count",
    SuccessSetMetaCount = "success_set_meta_count",
    TotalDeleteCount = "total_delete_count",
    SuccessDeleteCount = "success_delete_count",
    TotalGetMetaCount = "total_get_meta_count",
    SuccessGetMetaCount = "success_get_meta_count",
    TotalCreateLinkCount = "total_create_link_count",
    SuccessCreateLinkCount = "success_create_link_count",
    TotalDeleteLinkCount = "total_delete_link_count",
    SuccessDeleteLinkCount = "success_delete_link_count",
    TotalUploadBytes = "total_upload_bytes",
    SuccessUploadBytes = "success_upload_bytes",
    TotalAppendBytes = "total_append_bytes",
    SuccessAppendBytes = "success_append_bytes",
    TotalModifyBytes = "total_modify_bytes",
    SuccessModifyBytes = "success_modify_bytes",
    TotalDownloadBytes = "total_download_bytes",
    SuccessDownloadBytes = "success_download_bytes",
    TotalSyncInBytes = "total_sync_in_bytes",
    SuccessSyncInBytes = "success_sync_in_bytes",
    TotalSyncOutBytes = "total_sync_out_bytes",
    SuccessSyncOutBytes = "success_sync_out_bytes",
    TotalFileOpenCount = "total_file_open_count",
    SuccessFileOpenCount = "success_file_open_count",
    TotalFileReadCount = "total_file_read_count",
    SuccessFileReadCount = "success_file_read_count",
    TotalFileWriteCount = "total_file_write_count",
    SuccessFileWriteCount = "success_file_write_count",
    DistPathIndexHigh = "dist_path_index_high",
    DistPathIndexLow = "dist_path_index_low",
    DistWriteFileCount = "dist_write_file_count",
}

/// The counters of a storage. Any thread may count.
///
/// The daemon counts requests (`total_…`, `success_…`, bytes); the store keeps the three `dist_…` values,
/// the `file_open` and `file_write` pairs and `last_source_update`.
#[derive(Debug)]
pub struct StorageStat {
    values: [AtomicU64; 43],
}

impl StorageStat {
    /// Reads the file; every value is 0 where it, or its line, is missing.
    pub(crate) fn load(path: &Path) -> Result<Self, OpenError> {
        let text = state_file::read(path).map_err(OpenError::doing("reading", path))?;
        Ok(Self::parse(text.as_deref().unwrap_or_default()))
    }

    /// Reads the text of the file.
    pub fn parse(text: &str) -> Self {
        let stat = Self::default();
        for (key, value) in state_file::pairs(text) {
            if let Some(counter) = Counter::ALL.iter().find(|counter| counter.key() == key) {
                stat.set(*counter, value.parse().unwrap_or(0));
            }
        }
        stat
    }

    /// Adds `n`.
    pub fn add(&self, counter: Counter, n: u64) {
        self.values[counter as usize].fetch_add(n, Ordering::Relaxed);
    }

    /// Sets a value.
    pub fn set(&self, counter: Counter, value: u64) {
        self.values[counter as usize].store(value, Ordering::Relaxed);
    }

    /// The present value.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize].load(Ordering::Relaxed)
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(1500);
        for counter in Counter::ALL {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{}={}", counter.key(), self.get(counter));
        }
        text
    }
}

impl Default for StorageStat {
    fn default() -> Self {
        Self { values: [const { AtomicU64::new(0) }; 43] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_file_is_written_byte_for_byte() {
        let text = crate::tests::vector("storage_stat.dat");
        let stat = StorageStat::parse(&text);
        assert_eq!(stat.to_text(), text);
        assert_eq!(stat.get(Counter::TotalUploadBytes), 71057);
        assert_eq!(stat.get(Counter::DistWriteFileCount), 5);
    }

    #[test]
    fn a_missing_file_is_all_zero() {
        let directory = tempfile::tempdir().unwrap();
        let stat = StorageStat::load(&directory.path().join("storage_stat.dat")).unwrap();
        assert!(Counter::ALL.iter().all(|counter| stat.get(*counter) == 0));
        assert_eq!(stat.to_text().lines().count(), 43);
    }
}
