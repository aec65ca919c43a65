//! What a gateway tells in `/healthz`: whether trackers answer, files can be stored, and names be read and written.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fdfs_client::{Client, ClientError, Group, Topology};
use fdfs_namespace::{NamespaceError, StoreUrl};
use fdfs_objects::{Objects, ObjectsError};
use fdfs_ops::{Health, HealthSwitch, PartState};
use rustix::fs::statvfs;
use tokio::sync::watch;
use tokio::time::timeout;

/// Looks at everything that a gateway needs, now and then.
pub struct Watch {
    client: Client,
    objects: Arc<Objects>,
    /// Where the names are kept, if it is a disk of this machine.
    directory: Option<PathBuf>,
    trackers: HealthSwitch,
    storages: HealthSwitch,
    namespace: HealthSwitch,
}

impl Watch {
    pub fn new(client: Client, objects: Arc<Objects>, store: &StoreUrl, health: &Health) -> Self {
        let directory = match store {
            StoreUrl::Lmdb(directory) => Some(directory.clone()),
            StoreUrl::Postgres(_) => None,
        };
        let (trackers, storages) = (health.switch("trackers"), health.switch("storages"));
        Self { client, objects, directory, trackers, storages, namespace: health.switch("namespace") }
    }

    /// Looks until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let watching = async {
            loop {
                tokio::join!(self.look_at_cluster(), self.look_at_names());
                tokio::time::sleep(INTERVAL).await;
            }
        };
        tokio::select! {
            () = watching => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }

    async fn look_at_cluster(&self) {
        match timeout(LIMIT, self.client.fresh_topology()).await.unwrap_or(Err(ClientError::Timeout)) {
            Ok(topology) => {
                self.trackers.ok();
                self.storages.set(state_of_storages(&topology));
            }
            Err(error) => {
                self.trackers.failing(error.to_string());
                self.storages.failing("not known: no tracker answers");
            }
        }
    }

    async fn look_at_names(&self) {
        let look = async {
            self.objects.namespace().buckets("", 1).await?;
            self.objects.renew_session().await
        };
        self.namespace.set(match timeout(LIMIT, look).await.unwrap_or(Err(NamespaceError::Timeout.into())) {
            // A commit as small as this one finds room where a larger one does not.
            Ok(()) if !self.is_disk_full() => PartState::Ok,
            Ok(()) | Err(ObjectsError::NoSpace) => PartState::Degraded(format!(
                "no space left for names: they are read, not written; free space at {}",
                self.directory
                    .as_ref()
                    .map_or("the database".into(), |directory| directory.display().to_string())
            )),
            Err(error) => PartState::Failing(error.to_string()),
        });
    }

    fn is_disk_full(&self) -> bool {
        let Some(directory) = &self.directory else { return false };
        let free = statvfs(directory).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        free.is_ok_and(|bytes| bytes < LEAST_FREE)
    }
}

/// Files can be read while a storage is ACTIVE; without one that also has space, they are only read.
fn state_of_storages(topology: &Topology) -> PartState {
    if topology.groups.is_empty() {
        return PartState::Failing("the trackers know no group: no storage has joined".to_owned());
    }
    let active = topology.groups.values().filter(|group| group.active().next().is_some()).count();
    let troubles: Vec<_> = topology.groups.values().filter_map(trouble).collect();
    match (active, troubles.is_empty()) {
        (0, _) => PartState::Failing(troubles.join("; ")),
        (_, false) => PartState::Degraded(troubles.join("; ")),
        (_, true) => PartState::Ok,
    }
}

/// What is wrong with a group.
fn trouble(group: &Group) -> Option<String> {
    let record = &group.record;
    let name = record.group;
    if group.active().next().is_none() {
        let states: Vec<_> =
            group.members().map(|member| format!("{} {:?}", member.id, member.status)).collect();
        return Some(format!("{name}: no storage is ACTIVE ({})", states.join(", ")));
    }
    if record.writable_count == 0 {
        return Some(format!("{name}: no storage takes files"));
    }
    let is_full = record.free_mb <= record.reserved_mb;
    is_full.then(|| {
        format!(
            "{name}: full: {} MB free of {} MB, {} MB of them reserved; free space or add a storage",
            record.free_mb, record.total_mb, record.reserved_mb
        )
    })
}

/// A commit may need as much.
const LEAST_FREE: u64 = 1 << 20;
/// How often everything is looked at.
const INTERVAL: Duration = Duration::from_secs(5);
/// Time for one look.
const LIMIT: Duration = Duration::from_secs(10);
