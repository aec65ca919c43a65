//! Groups and storages, as the trackers last told.

mod saved;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fdfs_proto::tracker::{GroupRecord, ListAllGroupsRequest, ListStoragesRequest, StorageRecord};
use fdfs_types::{FileId, FileKind, GroupName, Source, StorageId, StorageStatus, Timestamp};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::ClientError;
use crate::trackers::Trackers;

/// All groups with their storages at one moment.
#[derive(Clone, Debug, Default)]
pub struct Topology {
    /// The groups by name.
    pub groups: BTreeMap<GroupName, Group>,
}

/// One group with its storages.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its figures.
    pub record: GroupRecord,
    /// Its storages, by the text of their IDs.
    pub storages: Vec<StorageRecord>,
}

/// The topology, fetched again when it is old.
#[derive(Debug, Default)]
pub(crate) struct TopologyCache {
    /// Without a time where it was told to an earlier process.
    present: RwLock<Option<(Option<Instant>, Arc<Topology>)>>,
    /// Held while it is fetched, so that it is fetched once.
    fetching: Mutex<()>,
    asked_in_vain: AtomicU32,
}

impl Topology {
    /// Who belongs to which group, and in which state.
    fn members(&self) -> Vec<(GroupName, StorageId, StorageStatus)> {
        let members = |(name, group): (&GroupName, &Group)| {
            let name = *name;
            group.storages.iter().map(move |member| (name, member.id, member.status)).collect::<Vec<_>>()
        };
        self.groups.iter().flat_map(members).collect()
    }

    /// Storages that serve and did not before.
    fn newly_active(&self, before: &Self) -> Vec<SocketAddr> {
        let addresses = |topology: &Self| -> Vec<SocketAddr> {
            topology.groups.values().flat_map(Group::active).filter_map(Group::address).collect()
        };
        let before = addresses(before);
        addresses(self).into_iter().filter(|address| !before.contains(address)).collect()
    }
}

impl Group {
    /// The address of a storage, if the tracker knows one.
    pub fn address(storage: &StorageRecord) -> Option<SocketAddr> {
        storage.ip.map(|ip| SocketAddr::new(ip, storage.port))
    }

    /// The storage that took the upload of a file, as the file's name tells it, if it is still a member.
    pub fn source(&self, file_id: &FileId) -> Option<&StorageRecord> {
        let source = file_id.filename.fields().ok()?.source;
        self.members().find(|storage| match source {
            Source::Ip(ip) => storage.ip == Some(IpAddr::V4(ip)) || storage.id.as_str() == ip.to_string(),
            Source::Id(id) => storage.id.as_str() == id.get().to_string(),
        })
    }

    /// The storages that belong to the group: not those that were removed or have another address now.
    pub fn members(&self) -> impl Iterator<Item = &StorageRecord> {
        let gone = [StorageStatus::Deleted, StorageStatus::IpChanged, StorageStatus::None];
        self.storages.iter().filter(move |storage| !gone.contains(&storage.status))
    }

    /// The storages that surely have a file that was not removed, by the rules of the trackers: the one that took the
    /// upload, and those that have told to be synchronised so far. Empty when only the trackers can tell.
    pub fn holders(&self, file_id: &FileId, now: Timestamp) -> Vec<&StorageRecord> {
        let mut holders = self.replicas(file_id, now);
        holders.retain(|storage| storage.status == StorageStatus::Active && storage.rw_mode.is_readable());
        holders
    }

    /// As [`Group::holders`], but also those that do not serve at present.
    pub fn replicas(&self, file_id: &FileId, now: Timestamp) -> Vec<&StorageRecord> {
        let Ok(fields) = file_id.filename.fields() else { return Vec::new() };
        let source = self.source(file_id).map(|source| source.id);
        let is_fixed = matches!(file_id.filename.kind(), Ok(FileKind::Normal | FileKind::Trunk(_)));
        let created = fields.created();
        let age = now.since(created);
        let has_it = |storage: &&StorageRecord| {
            let synced = storage.stat.last_synced;
            let is_synced = age > SYNC_MAX_DELAY
                || synced > created
                || (synced.0.saturating_add(1) >= created.0 && age > SYNC_MAX_TIME);
            Some(storage.id) == source || (is_fixed && is_synced)
        };
        self.members().filter(has_it).collect()
    }

    /// The members that serve clients.
    pub fn active(&self) -> impl Iterator<Item = &StorageRecord> {
        self.members().filter(|storage| storage.status == StorageStatus::Active)
    }
}

impl TopologyCache {
    /// The topology, if it is known and not older than `max_age`. After many questions in vain it is fetched: one who
    /// asks often is better served by it.
    pub(crate) async fn get_if_cheap(&self, trackers: &Trackers, max_age: Duration) -> Option<Arc<Topology>> {
        if max_age.is_zero() {
            return None;
        }
        if let Some((at, topology)) = &*self.present.read()
            && at.is_some_and(|at| at.elapsed() <= max_age)
        {
            return Some(Arc::clone(topology));
        }
        if self.asked_in_vain.fetch_add(1, Ordering::Relaxed) < ENOUGH {
            return None;
        }
        self.asked_in_vain.store(0, Ordering::Relaxed);
        // Somebody fetches it: to wait for them, maybe while no tracker answers, is not cheap.
        if self.fetching.try_lock().is_err() {
            return None;
        }
        self.get(trackers, max_age).await.ok()
    }

    /// Takes over what an earlier process was told, where nothing is known yet.
    pub(crate) fn restore(&self, topology: Topology) {
        self.present.write().get_or_insert_with(|| (None, Arc::new(topology)));
    }

    /// The topology as it was when the trackers last told it, however long ago.
    pub(crate) fn last_known(&self) -> Option<Arc<Topology>> {
        self.present.read().as_ref().map(|(_, topology)| Arc::clone(topology))
    }

    /// How long ago the trackers last told the topology; `None` where they have not.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.present.read().as_ref().and_then(|(at, _)| at.map(|at| at.elapsed()))
    }

    /// The topology, not older than `max_age`.
    pub(crate) async fn get(
        &self,
        trackers: &Trackers,
        max_age: Duration,
    ) -> Result<Arc<Topology>, ClientError> {
        let asked = Instant::now();
        let fresh =
            |at: Option<Instant>| at.is_some_and(|at| at >= asked || asked.duration_since(at) <= max_age);
        if let Some((at, topology)) = &*self.present.read()
            && fresh(*at)
        {
            return Ok(Arc::clone(topology));
        }
        let _fetching = self.fetching.lock().await;
        // Whoever held the lock before may have brought what is wanted.
        if let Some((at, topology)) = &*self.present.read()
            && fresh(*at)
        {
            return Ok(Arc::clone(topology));
        }
        let topology = Arc::new(fetch(trackers).await?);
        let before = self.present.write().replace((Some(Instant::now()), Arc::clone(&topology)));
        if let Some((_, before)) = before {
            if topology.members() != before.members() {
                metrics::counter!("fdfs_client_topology_changes_total").increment(1);
            }
            for address in topology.newly_active(&before) {
                trackers.servers().has_come(address);
            }
        }
        Ok(topology)
    }
}

async fn fetch(trackers: &Trackers) -> Result<Topology, ClientError> {
    metrics::counter!("fdfs_client_topology_fetches_total").increment(1);
    let mut topology = Topology::default();
    for record in trackers.ask(&ListAllGroupsRequest).await?.groups {
        let request = ListStoragesRequest { group: record.group, storage_id: None };
        let storages = match trackers.ask(&request).await {
            Ok(response) => response.storages,
            // Removed since the list of groups was told.
            Err(ClientError::NotFound) => continue,
            Err(error) => return Err(error),
        };
        topology.groups.insert(record.group, Group { record, storages });
    }
    Ok(topology)
}

/// Questions that are worth fetching the topology.
const ENOUGH: u32 = 8;

/// A file of this age is taken to be everywhere.
pub(crate) const SYNC_MAX_DELAY: Duration = Duration::from_secs(86400);

/// A file of this age has arrived where later ones of the same second have.
const SYNC_MAX_TIME: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests;
