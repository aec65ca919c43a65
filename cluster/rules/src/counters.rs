//! What a storage counts, as it reports it with a heart beat.

use fdfs_types::Timestamp;

/// What a storage counts since its first start. Of every pair the first counts attempts, the second
/// successes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    /// Connections: allocated, in use, most in use at one time.
    pub connections: [i32; 3],
    /// Uploads.
    pub upload: Pair,
    /// Appends.
    pub append: Pair,
    /// Overwrites.
    pub modify: Pair,
    /// Changes of size.
    pub truncate: Pair,
    /// Settings of metadata.
    pub set_metadata: Pair,
    /// Deletions.
    pub delete: Pair,
    /// Downloads.
    pub download: Pair,
    /// Readings of metadata.
    pub get_metadata: Pair,
    /// Links made.
    pub create_link: Pair,
    /// Links removed.
    pub delete_link: Pair,
    /// Bytes of uploads.
    pub upload_bytes: Pair,
    /// Bytes appended.
    pub append_bytes: Pair,
    /// Bytes overwritten.
    pub modify_bytes: Pair,
    /// Bytes of downloads.
    pub download_bytes: Pair,
    /// Bytes received from other storages.
    pub sync_in_bytes: Pair,
    /// Bytes sent to other storages.
    pub sync_out_bytes: Pair,
    /// Files opened.
    pub file_open: Pair,
    /// Reads of files.
    pub file_read: Pair,
    /// Writes of files.
    pub file_write: Pair,
    /// The last change by a client.
    pub last_source_update: Timestamp,
    /// The last change by another storage.
    pub last_sync_update: Timestamp,
}

/// Attempts and successes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Pair {
    /// Attempts.
    pub total: i64,
    /// Those that succeeded.
    pub success: i64,
}
