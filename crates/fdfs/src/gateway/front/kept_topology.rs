//! Groups and storages in a file, so that a front can start while every tracker is away.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fdfs_client::{Client, Topology};
use fdfs_types::{StorageId, StorageStatus};
use tracing::{info, warn};

/// Keeps groups and storages in a file.
pub(super) struct KeptTopology {
    path: PathBuf,
    /// What was kept last, and when.
    kept: Option<(Instant, Members)>,
}

/// Who is in the cluster: what is worth keeping at once.
type Members = Vec<(StorageId, StorageStatus)>;

impl KeptTopology {
    /// Takes over what is in the file, if anything is; whether that is so.
    pub(super) fn restore(path: PathBuf, client: &Client) -> (Self, bool) {
        let found = std::fs::read(&path).ok().and_then(|bytes| Topology::from_bytes(&bytes));
        let is_known = found.is_some();
        if let Some(topology) = found {
            info!(path = %path.display(), groups = topology.groups.len(), "groups and storages are known from before");
            client.restore_topology(topology);
        }
        (Self { path, kept: None }, is_known)
    }

    /// Keeps what is known now, at once where members have changed.
    pub(super) fn keep(&mut self, topology: &Topology) {
        let members = members(topology);
        let is_kept = |(at, kept): &(Instant, Members)| *kept == members && at.elapsed() < INTERVAL;
        if self.kept.as_ref().is_some_and(is_kept) {
            return;
        }
        if let Err(error) = self.write(&topology.to_bytes()) {
            warn!(path = %self.path.display(), %error, "groups and storages cannot be kept: a start without trackers would know none");
        }
        self.kept = Some((Instant::now(), members));
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        std::fs::write(&new, bytes)?;
        std::fs::rename(new, &self.path)
    }
}

fn members(topology: &Topology) -> Members {
    let storages = topology.groups.values().flat_map(|group| &group.storages);
    storages.map(|storage| (storage.id, storage.status)).collect()
}

/// Figures such as the times of synchronisation are kept so often.
const INTERVAL: Duration = Duration::from_secs(60);
