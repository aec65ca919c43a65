//! Groups and storages with their figures (90, 91, 92).

use fdfs_proto::StorageStat;
use fdfs_proto::tracker::{
    GroupRecord, ListAllGroupsRequest, ListAllGroupsResponse, ListOneGroupRequest, ListStoragesRequest,
    ListStoragesResponse, StorageRecord,
};
use fdfs_rules::{Group, GroupPort, Settings, Storage};

use crate::answer::{Answer, Outcome};
use crate::core::Core;
use crate::session::Session;

impl Core {
    pub(super) fn list_one_group(&self, request: &ListOneGroupRequest) -> Outcome {
        let state = self.state.lock();
        let group = state.cluster.group(&request.group)?;
        Ok(Answer::with(&group_record(group, state.cluster.settings())))
    }

    pub(super) fn list_all_groups(&self, _: ListAllGroupsRequest) -> Outcome {
        let state = self.state.lock();
        let settings = state.cluster.settings();
        let groups = state.cluster.groups().iter().map(|group| group_record(group, settings)).collect();
        Ok(Answer::with(&ListAllGroupsResponse { groups }))
    }

    pub(super) fn list_storages(&self, session: &Session, request: &ListStoragesRequest) -> Outcome {
        let state = self.state.lock();
        let group = state.cluster.group(&request.group)?;
        let settings = state.cluster.settings();
        let record = |storage: &Storage| storage_record(storage, group, settings, session);
        let storages = match &request.storage_id {
            Some(id) => vec![record(state.cluster.storage(&group.name, id)?)],
            None => group.storages().map(record).collect(),
        };
        Ok(Answer::with(&ListStoragesResponse { ip_width: self.ip_width, storages }))
    }
}

fn group_record(group: &Group, settings: &Settings) -> GroupRecord {
    let space = group.space();
    GroupRecord {
        group: group.name,
        total_mb: space.total_mb,
        free_mb: space.free_mb,
        reserved_mb: settings.reserved_mb(space.total_mb),
        trunk_free_mb: group.trunk.free_mb,
        storage_count: group.storages().len() as u64,
        port: match group.port {
            GroupPort::Unknown => Some(0),
            GroupPort::Same(port) => Some(port),
            GroupPort::Mixed => None,
        },
        readable_count: group.readable().len() as u64,
        writable_count: group.writable().len() as u64,
        write_server: i64::try_from(group.write_turn()).unwrap_or(0),
        store_path_count: group.path_count.into(),
        subdir_count: group.subdir_count.into(),
        trunk_file_id: settings.use_trunk.then_some(group.trunk.file_id),
    }
}

fn storage_record(storage: &Storage, group: &Group, settings: &Settings, session: &Session) -> StorageRecord {
    StorageRecord {
        status: storage.status,
        rw_mode: storage.rw,
        id: storage.id,
        ip: Some(storage.addresses.for_peer(session.peer)),
        sync_source: storage.sync_source,
        version: storage.version.clone(),
        joined: storage.join_time,
        started: storage.up_time,
        total_mb: storage.space.total_mb,
        free_mb: storage.space.free_mb,
        reserved_mb: settings.reserved_mb(storage.space.total_mb),
        upload_priority: storage.upload_priority,
        store_path_count: storage.path_count.into(),
        subdir_count: storage.subdir_count.into(),
        write_path: i64::try_from(storage.current_path).unwrap_or(0),
        port: storage.port,
        stat: StorageStat {
            last_synced: storage.last_synced,
            last_heart_beat: storage.last_heartbeat,
            ..storage.stat.clone()
        },
        is_trunk_server: group.trunk.server == Some(storage.id),
    }
}
