//! Who a storage is, what holds for the cluster, how this tracker stands (60, 64, 69, 70, 71, 75, 109).

use std::net::{IpAddr, SocketAddr};

use fdfs_proto::tracker::{
    FetchStorageIdsRequest, FetchStorageIdsResponse, GetGroupNameRequest, GetGroupNameResponse,
    GetMyIpRequest, GetMyIpResponse, GetServerIdRequest, GetServerIdResponse, ParametersRequest,
    StorageIdEntry, StorageStatusRequest, TrackerStatusRequest, TrackerStatusResponse,
};
use fdfs_proto::{Brief, Header, ServerAddress, Status};
use fdfs_rules::{Addresses, Cluster, Refusal, StorageBrief};
use fdfs_types::{GroupName, StorageId};

use crate::answer::{Answer, Denial, Outcome, read};
use crate::core::{Core, now};
use crate::session::Session;

/// A listing of storage ids is cut before it gets longer than this.
const MAX_LISTING: usize = 64 * 1024;

impl Core {
    pub(super) fn get_my_ip(&self, session: &Session, request: &GetMyIpRequest) -> Outcome {
        let state = self.state.lock();
        let ids = state.cluster.settings().ids.as_ref();
        let entry = ids.and_then(|ids| ids.find(&request.group, session.peer, request.port));
        let ips = entry.map_or_else(|| vec![session.peer], |entry| entry.addresses.iter().collect());
        Ok(Answer::with(&GetMyIpResponse { ips }))
    }

    pub(super) fn fetch_storage_ids(&self, request: FetchStorageIdsRequest) -> Outcome {
        let state = self.state.lock();
        let Some(ids) = &state.cluster.settings().ids else {
            return if request.allow_empty {
                Ok(Answer::with(&FetchStorageIdsResponse::default()))
            } else {
                Err(Status::EOPNOTSUPP.into())
            };
        };
        if request.start as usize >= ids.len() {
            return Err(Status::EINVAL.into());
        }
        let mut room = MAX_LISTING;
        let entries = ids
            .iter()
            .skip(request.start as usize)
            .map(|entry| StorageIdEntry {
                id: entry.id,
                group: entry.group,
                address: server_address(&entry.addresses, entry.port),
                rw_mode: entry.rw,
            })
            .take_while(|entry| {
                let length = entry.to_string().len() + 1;
                let fits = length <= room;
                room = room.saturating_sub(length);
                fits
            })
            .collect();
        let total = u32::try_from(ids.len()).unwrap_or(u32::MAX);
        Ok(Answer::with(&FetchStorageIdsResponse { total, entries }))
    }

    pub(super) fn get_server_id(&self, request: &GetServerIdRequest) -> Outcome {
        let storage_id = self.id_at(&request.group, request.address)?;
        Ok(Answer::with(&GetServerIdResponse { storage_id }))
    }

    pub(super) fn get_storage_status(&self, request: &StorageStatusRequest) -> Outcome {
        let id = self.id_at(&request.group, request.address)?;
        let state = self.state.lock();
        let storage = state.cluster.storage(&request.group, &id)?;
        let ip = storage.addresses.first();
        Ok(Answer::with(&brief(&StorageBrief { ip, ..StorageBrief::of(storage, ip) })))
    }

    pub(super) fn parameters(&self, _: ParametersRequest) -> Outcome {
        Ok(Answer { body: self.parameters.clone(), ..Answer::default() })
    }

    pub(super) fn get_group_name(&self, session: &Session, header: &Header, body: &[u8]) -> Outcome {
        let state = self.state.lock();
        let ids = state.cluster.settings().ids.as_ref().ok_or(Status::EOPNOTSUPP)?;
        let request: GetGroupNameRequest = read(header, body)?;
        let ip = request.ip.unwrap_or(session.peer);
        let group = ids.group_of(ip, request.port).ok_or(Status::ENOENT)?;
        Ok(Answer::with(&GetGroupNameResponse { group }))
    }

    pub(super) fn get_tracker_status(&self, _: TrackerStatusRequest) -> Outcome {
        let state = self.state.lock();
        if state.cluster.groups().is_empty() {
            return Err(Status::ENOENT.into());
        }
        let rank = state.leadership.rank(now());
        Ok(Answer::with(&TrackerStatusResponse {
            is_leader: rank.leads,
            running_time: rank.running.as_secs(),
            restart_interval: i64::try_from(rank.restart_interval.as_secs()).unwrap_or(i64::MAX),
        }))
    }

    /// The id of the storage at an address. Without a table of ids nobody checks that it exists.
    fn id_at(&self, group: &GroupName, address: SocketAddr) -> Result<StorageId, Denial> {
        let state = self.state.lock();
        let ip: IpAddr = address.ip().to_canonical();
        match &state.cluster.settings().ids {
            None => Ok(Cluster::id_of_ip(ip)),
            Some(ids) => Ok(ids.find(group, ip, address.port()).ok_or(Refusal::NotFound)?.id),
        }
    }
}

/// A storage as it travels in lists.
pub(super) fn brief(storage: &StorageBrief) -> Brief {
    let StorageBrief { status, id, ip, port } = *storage;
    Brief { status, port, id: Some(id), ip: Some(ip) }
}

fn server_address(addresses: &Addresses, port: u16) -> ServerAddress {
    ServerAddress { ips: addresses.iter().collect(), port }
}
