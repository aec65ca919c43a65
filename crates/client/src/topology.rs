//! Groups and storages, as the trackers last told.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use fdfs_proto::tracker::{GroupRecord, ListAllGroupsRequest, ListStoragesRequest, StorageRecord};
use fdfs_types::{FileId, GroupName, Source, StorageStatus};
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
    present: RwLock<Option<(Instant, Arc<Topology>)>>,
    /// Held while it is fetched, so that it is fetched once.
    fetching: Mutex<()>,
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

    /// The members that serve clients.
    pub fn active(&self) -> impl Iterator<Item = &StorageRecord> {
        self.members().filter(|storage| storage.status == StorageStatus::Active)
    }
}

impl TopologyCache {
    /// The topology, not older than `max_age`.
    pub(crate) async fn get(
        &self,
        trackers: &Trackers,
        max_age: Duration,
    ) -> Result<Arc<Topology>, ClientError> {
        let asked = Instant::now();
        let fresh = |at: Instant| at >= asked || asked.duration_since(at) <= max_age;
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
        *self.present.write() = Some((Instant::now(), Arc::clone(&topology)));
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
