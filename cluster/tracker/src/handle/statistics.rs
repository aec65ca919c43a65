//! Who is there, and how much space (95 to 98).

use std::net::SocketAddr;

use fdfs_proto::Status;
use fdfs_proto::tracker::{
    GetLeaderRequest, GroupVolume, StorageClusterStatRequest, StorageClusterStatResponse, StorageState,
    StorageVolumeStatRequest, StorageVolumeStatResponse, TrackerClusterStatRequest,
    TrackerClusterStatResponse, TrackerState,
};
use fdfs_rules::{Cluster, Group, Storage, Tracker};
use fdfs_types::Timestamp;

use crate::answer::{Answer, Outcome};
use crate::core::{Core, now};
use crate::session::Session;

impl Core {
    pub(super) fn get_leader(&self, session: &Session, _: GetLeaderRequest) -> Outcome {
        let state = self.state.lock();
        let leader = state.leadership.leader().ok_or(Status::ENOENT)?;
        Ok(Answer::with(&leader.for_peer(session.peer)))
    }

    pub(super) fn tracker_cluster_stat(
        &self,
        session: &Session,
        request: TrackerClusterStatRequest,
    ) -> Outcome {
        let state = self.state.lock();
        if !state.leadership.is_leading() {
            return Err(Status::EOPNOTSUPP.into());
        }
        let wanted = |filter: Option<bool>, is: bool| filter.is_none_or(|wanted| wanted == is);
        let trackers = state
            .leadership
            .trackers(now())
            .filter(|(leads, active, _)| wanted(request.leader, *leads) && wanted(request.active, *active))
            .map(|(leads, active, tracker)| self.tracker_state(tracker, leads, active, session))
            .collect();
        Ok(Answer::with(&TrackerClusterStatResponse { trackers }))
    }

    pub(super) fn storage_cluster_stat(&self, request: StorageClusterStatRequest) -> Outcome {
        let state = self.state.lock();
        let settings = state.cluster.settings();
        let trunk_server = request.trunk_server.filter(|_| settings.use_trunk);
        let wanted = |storage: &StorageState| {
            trunk_server.is_none_or(|wanted| wanted == storage.is_trunk_server)
                && request.status.is_none_or(|filter| filter.selects(storage.status))
        };
        let of_group = |group: &Group| group.storages().map(|s| storage_state(group, s)).collect::<Vec<_>>();
        let storages = state.cluster.groups().iter().flat_map(of_group).filter(wanted).collect();
        Ok(Answer::with(&StorageClusterStatResponse {
            use_storage_id: settings.ids.is_some(),
            use_trunk_file: settings.use_trunk,
            storages,
        }))
    }

    pub(super) fn storage_volume_stat(&self, request: StorageVolumeStatRequest) -> Outcome {
        let state = self.state.lock();
        let use_trunk_file = state.cluster.settings().use_trunk;
        let trunk = request.trunk.filter(|_| use_trunk_file);
        let wanted = |volume: &GroupVolume| {
            request.disk.is_none_or(|wanted| wanted == volume.disk_available)
                && trunk.is_none_or(|wanted| wanted == volume.trunk_available)
                && request
                    .any
                    .is_none_or(|wanted| wanted == (volume.disk_available || volume.trunk_available))
        };
        let volumes = state.cluster.groups().iter().map(|group| volume(group, &state.cluster));
        let groups = volumes.filter(wanted).collect();
        Ok(Answer::with(&StorageVolumeStatResponse { use_trunk_file, groups }))
    }

    fn tracker_state(&self, tracker: &Tracker, leads: bool, active: bool, session: &Session) -> TrackerState {
        let host = tracker.address.for_peer(session.peer).to_string();
        let (is_leader, is_active) = (leads, active);
        if leads {
            return TrackerState {
                host,
                is_leader,
                is_active,
                connections: self.connections(),
                version: Self::VERSION.into(),
                started: self.started,
                last_heart_beat: Timestamp::ZERO,
            };
        }
        let status = &tracker.status;
        TrackerState {
            host,
            is_leader,
            is_active,
            connections: status.connections,
            version: status.version.clone(),
            started: status.up_time,
            last_heart_beat: status.last_heartbeat,
        }
    }
}

fn storage_state(group: &Group, storage: &Storage) -> StorageState {
    StorageState {
        id: storage.id,
        host: SocketAddr::new(storage.joined_from, storage.port).to_string(),
        is_trunk_server: group.trunk.server == Some(storage.id),
        status: storage.status,
        connections: storage.stat.connections,
        version: storage.version.clone(),
        started: storage.up_time,
        last_heart_beat: storage.last_heartbeat,
    }
}

fn volume(group: &Group, cluster: &Cluster) -> GroupVolume {
    let (settings, space) = (cluster.settings(), group.space());
    let disk_available = cluster.has_space(group);
    let trunk_available = cluster.has_trunk_space(group);
    let reserved_mb = settings.reserved_mb(space.total_mb);
    GroupVolume {
        group: group.name,
        total_mb: space.total_mb,
        free_mb: space.free_mb,
        reserved_mb,
        available_mb: if disk_available { space.free_mb.saturating_sub(reserved_mb) } else { 0 },
        trunk_free_mb: if trunk_available { group.trunk.free_mb } else { 0 },
        disk_available,
        trunk_available,
    }
}
