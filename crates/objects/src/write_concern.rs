//! What must be true of content before it counts as stored.

use std::collections::BTreeMap;

pub use fdfs_proto::ours::WriteConcern;

/// What must be true of content before it counts as stored, by bucket.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct WriteConcerns {
    /// For buckets that have nothing of their own.
    pub usual: WriteConcern,
    /// By the name of the bucket.
    pub buckets: BTreeMap<String, WriteConcern>,
}

impl WriteConcerns {
    /// What holds for a bucket.
    pub fn of(&self, bucket: &str) -> WriteConcern {
        self.buckets.get(bucket).copied().unwrap_or(self.usual)
    }
}

impl From<WriteConcern> for WriteConcerns {
    fn from(usual: WriteConcern) -> Self {
        Self { usual, buckets: BTreeMap::new() }
    }
}
