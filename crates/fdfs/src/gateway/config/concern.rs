//! What a gateway asks of storages before content counts as stored.

use std::collections::BTreeMap;

use fdfs_objects::{WriteConcern, WriteConcerns};
use serde::Deserialize;

/// What a storage is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Concern {
    /// What it is set to.
    #[default]
    Storage,
    /// It has the content.
    Local,
    /// A second member of its group has it, too.
    Replicated,
}

impl Concern {
    /// This, except for the buckets that have something of their own.
    pub fn except(self, buckets: &BTreeMap<String, Self>) -> WriteConcerns {
        let buckets = buckets.iter().map(|(bucket, concern)| (bucket.clone(), (*concern).into()));
        WriteConcerns { usual: self.into(), buckets: buckets.collect() }
    }
}

impl From<Concern> for WriteConcern {
    fn from(concern: Concern) -> Self {
        match concern {
            Concern::Storage => Self::Storage,
            Concern::Local => Self::Local,
            Concern::Replicated => Self::Replicated,
        }
    }
}
