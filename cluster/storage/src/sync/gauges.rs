//! What `/metrics` tells about one peer.

use std::time::SystemTime;

use fdfs_types::{StorageId, Timestamp};

/// The figures of one peer.
pub(super) struct Gauges {
    pub(super) records: metrics::Counter,
    pub(super) bytes: metrics::Counter,
    pub(super) dead_letters_total: metrics::Counter,
    pub(super) invalid: metrics::Counter,
    pub(super) reconnects: metrics::Counter,
    dead_letters: metrics::Gauge,
    lag_bytes: metrics::Gauge,
    lag_records: metrics::Gauge,
    lag_seconds: metrics::Gauge,
}

impl Gauges {
    pub(super) fn new(peer: StorageId) -> Self {
        let peer = peer.to_string();
        Self {
            records: metrics::counter!("fdfs_sync_records_total", "peer" => peer.clone()),
            bytes: metrics::counter!("fdfs_sync_bytes_total", "peer" => peer.clone()),
            dead_letters_total: metrics::counter!("fdfs_sync_dead_letters_total", "peer" => peer.clone()),
            invalid: metrics::counter!("fdfs_sync_invalid_records_total", "peer" => peer.clone()),
            reconnects: metrics::counter!("fdfs_sync_reconnects_total", "peer" => peer.clone()),
            dead_letters: metrics::gauge!("fdfs_sync_dead_letters", "peer" => peer.clone()),
            lag_bytes: metrics::gauge!("fdfs_sync_lag_bytes", "peer" => peer.clone()),
            lag_records: metrics::gauge!("fdfs_sync_lag_records", "peer" => peer.clone()),
            lag_seconds: metrics::gauge!("fdfs_sync_lag_seconds", "peer" => peer),
        }
    }

    /// How far the peer is behind: bytes of records, about how many records that is, and the time of the oldest.
    pub(super) fn lag(&self, bytes: u64, record_length: u64, oldest: Option<Timestamp>) {
        let now = Timestamp::from(SystemTime::now());
        self.lag_bytes.set(bytes as f64);
        self.lag_records.set(bytes.div_ceil(record_length.max(1)) as f64);
        self.lag_seconds.set(oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0).max(0)) as f64);
    }

    pub(super) fn dead_letters(&self, count: usize) {
        self.dead_letters.set(count as f64);
    }
}
