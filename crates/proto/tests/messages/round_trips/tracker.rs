//! What everybody may ask trackers.

use fdfs_proto::tracker::{
    DeleteGroupRequest, DeleteStorageRequest, FetchStorageIdsRequest, FetchStorageIdsResponse,
    GetGroupNameRequest, GetGroupNameResponse, GetLeaderRequest, GetMyIpRequest, GetMyIpResponse,
    GetServerIdRequest, GetServerIdResponse, GroupRecord, GroupVolume, ListAllGroupsRequest,
    ListAllGroupsResponse, ListOneGroupRequest, ListStoragesRequest, ListStoragesResponse, MIN_FILENAME_LEN,
    ParametersRequest, ParametersResponse, QueryFetchAllRequest, QueryFetchAllResponse, QueryFetchOneRequest,
    QueryFetchOneResponse, QueryStoreAllRequest, QueryStoreAllResponse, QueryStoreInGroupAllRequest,
    QueryStoreInGroupOneRequest, QueryStoreOneRequest, QueryStoreOneResponse, QueryUpdateRequest,
    SetTrunkServerRequest, SetTrunkServerResponse, StatusFilter, StorageClusterStatRequest,
    StorageClusterStatResponse, StorageIdEntry, StorageRecord, StorageState, StorageStatusRequest,
    StorageVolumeStatRequest, StorageVolumeStatResponse, TrackerClusterStatRequest,
    TrackerClusterStatResponse, TrackerState, TrackerStatusRequest, TrackerStatusResponse,
};
use fdfs_proto::{IpWidth, VERSION_WIDTH};
use proptest::prelude::*;

use super::words::{
    connections, file_id_of, group, ip, ip_of, ip_width, list, maybe_ip, number, number32, rw_mode, server,
    signed, socket, socket_of, stat, storage_id, storage_status, text, time,
};
use super::{make, round_trips};

round_trips! {
    request query_store_one: Just(QueryStoreOneRequest) => QueryStoreOneRequest;
    request query_store_all: Just(QueryStoreAllRequest) => QueryStoreAllRequest;
    request query_store_in_group_one: make!(QueryStoreInGroupOneRequest {
        group: group(),
    }) => QueryStoreInGroupOneRequest;
    request query_store_in_group_all: make!(QueryStoreInGroupAllRequest {
        group: group(),
    }) => QueryStoreInGroupAllRequest;
    message query_store_one_answer: query_store_one_response() => QueryStoreOneResponse;
    message query_store_all_answer: query_store_all_response() => QueryStoreAllResponse;
    request query_fetch_one: make!(QueryFetchOneRequest { file_id: file_id_of(MIN_FILENAME_LEN) }) => QueryFetchOneRequest;
    request query_fetch_all: make!(QueryFetchAllRequest { file_id: file_id_of(MIN_FILENAME_LEN) }) => QueryFetchAllRequest;
    request query_update: make!(QueryUpdateRequest { file_id: file_id_of(MIN_FILENAME_LEN) }) => QueryUpdateRequest;
    message query_fetch_one_answer: query_fetch_one_response() => QueryFetchOneResponse;
    message query_fetch_all_answer: query_fetch_all_response() => QueryFetchAllResponse;
    request list_one_group: make!(ListOneGroupRequest { group: group() }) => ListOneGroupRequest;
    request list_all_groups: Just(ListAllGroupsRequest) => ListAllGroupsRequest;
    message list_one_group_answer: group_record() => GroupRecord;
    message list_all_groups_answer: make!(ListAllGroupsResponse {
        groups: list(group_record(), 0..=512),
    }) => ListAllGroupsResponse;
    request list_storages: make!(ListStoragesRequest {
        group: group(), storage_id: prop::option::of(storage_id()),
    }) => ListStoragesRequest;
    message list_storages_answer: list_storages_response() => ListStoragesResponse;
    request tracker_cluster_stat: make!(TrackerClusterStatRequest {
        active: any::<Option<bool>>(), leader: any::<Option<bool>>(),
    }) => TrackerClusterStatRequest;
    message tracker_cluster_stat_answer: make!(TrackerClusterStatResponse {
        trackers: list(tracker_state(), 0..=255),
    }) => TrackerClusterStatResponse;
    request storage_cluster_stat: make!(StorageClusterStatRequest {
        trunk_server: any::<Option<bool>>(),
        status: prop::option::of(make!(StatusFilter { operator: any::<u8>(), status: any::<u8>() })),
    }) => StorageClusterStatRequest;
    message storage_cluster_stat_answer: make!(StorageClusterStatResponse {
        use_storage_id: any::<bool>(),
        use_trunk_file: any::<bool>(),
        storages: list(storage_state(), 0..=300),
    }) => StorageClusterStatResponse;
    request storage_volume_stat: make!(StorageVolumeStatRequest {
        disk: any::<Option<bool>>(), trunk: any::<Option<bool>>(), any: any::<Option<bool>>(),
    }) => StorageVolumeStatRequest;
    message storage_volume_stat_answer: make!(StorageVolumeStatResponse {
        use_trunk_file: any::<bool>(), groups: list(group_volume(), 0..=300),
    }) => StorageVolumeStatResponse;
    request delete_storage: make!(DeleteStorageRequest {
        group: group(), storage_id: storage_id(),
    }) => DeleteStorageRequest;
    request delete_group: make!(DeleteGroupRequest { group: group() }) => DeleteGroupRequest;
    request set_trunk_server: make!(SetTrunkServerRequest {
        group: group(), storage_id: prop::option::of(storage_id()),
    }) => SetTrunkServerRequest;
    message set_trunk_server_answer: make!(SetTrunkServerResponse { storage_id: storage_id() }) => SetTrunkServerResponse;
    request get_leader: Just(GetLeaderRequest) => GetLeaderRequest;
    request tracker_status: Just(TrackerStatusRequest) => TrackerStatusRequest;
    message tracker_status_answer: make!(TrackerStatusResponse {
        is_leader: any::<bool>(), running_time: number(), restart_interval: signed(),
    }) => TrackerStatusResponse;
    request parameters: Just(ParametersRequest) => ParametersRequest;
    message parameters_answer: make!(ParametersResponse {
        text: text(300).prop_map(String::into_boxed_str),
    }) => ParametersResponse;
    request fetch_storage_ids: make!(FetchStorageIdsRequest {
        start: number32(), allow_empty: any::<bool>(),
    }) => FetchStorageIdsRequest;
    message fetch_storage_ids_answer: make!(FetchStorageIdsResponse {
        total: number32(), entries: list(storage_id_entry(), 0..=300),
    }) => FetchStorageIdsResponse;
    request get_server_id: make!(GetServerIdRequest { group: group(), address: socket() }) => GetServerIdRequest;
    message get_server_id_answer: make!(GetServerIdResponse { storage_id: storage_id() }) => GetServerIdResponse;
    request storage_status_of: make!(StorageStatusRequest { group: group(), address: socket() }) => StorageStatusRequest;
    request get_my_ip: make!(GetMyIpRequest { group: group(), port: any::<u16>() }) => GetMyIpRequest;
    message get_my_ip_answer: make!(GetMyIpResponse { ips: prop::collection::vec(ip(), 1..=2) }) => GetMyIpResponse;
    request get_group_name: make!(GetGroupNameRequest { ip: maybe_ip(), port: any::<u16>() }) => GetGroupNameRequest;
    message get_group_name_answer: make!(GetGroupNameResponse { group: group() }) => GetGroupNameResponse;
}

/// The width, and up to as many addresses as a client can tell from those of the other width.
fn sockets() -> impl Strategy<Value = (IpWidth, Vec<std::net::SocketAddr>)> {
    ip_width().prop_flat_map(|width| {
        let most = if width == IpWidth::Ipv4 { 32 } else { 22 };
        (Just(width), list(socket_of(width), 1..=most))
    })
}

fn query_store_one_response() -> impl Strategy<Value = QueryStoreOneResponse> {
    let storage = ip_width().prop_flat_map(|width| (Just(width), socket_of(width)));
    (storage, group(), any::<u8>()).prop_map(|((ip_width, storage), group, store_path)| {
        QueryStoreOneResponse { ip_width, group, storage, store_path }
    })
}

fn query_store_all_response() -> impl Strategy<Value = QueryStoreAllResponse> {
    (sockets(), group(), any::<u8>()).prop_map(|((ip_width, storages), group, store_path)| {
        QueryStoreAllResponse { ip_width, group, storages, store_path }
    })
}

fn query_fetch_one_response() -> impl Strategy<Value = QueryFetchOneResponse> {
    let storage = ip_width().prop_flat_map(|width| (Just(width), socket_of(width)));
    (storage, group()).prop_map(|((ip_width, storage), group)| QueryFetchOneResponse {
        ip_width,
        group,
        storage,
    })
}

fn query_fetch_all_response() -> impl Strategy<Value = QueryFetchAllResponse> {
    (sockets(), group()).prop_map(|((ip_width, storages), group)| QueryFetchAllResponse {
        ip_width,
        group,
        storages,
    })
}

fn group_record() -> impl Strategy<Value = GroupRecord> + Clone {
    make!(GroupRecord {
        group: group(),
        total_mb: number(),
        free_mb: number(),
        reserved_mb: number(),
        trunk_free_mb: number(),
        storage_count: number(),
        port: any::<Option<u16>>(),
        readable_count: number(),
        writable_count: number(),
        write_server: signed(),
        store_path_count: number(),
        subdir_count: number(),
        trunk_file_id: any::<Option<u32>>(),
    })
}

/// An empty list does not tell its width.
fn list_storages_response() -> impl Strategy<Value = ListStoragesResponse> {
    let some = ip_width().prop_flat_map(|width| {
        let at = (prop::option::of(ip_of(width)), storage_record())
            .prop_map(|(ip, record)| StorageRecord { ip, ..record });
        (Just(width), list(at, 1..=32))
            .prop_map(|(ip_width, storages)| ListStoragesResponse { ip_width, storages })
    });
    prop_oneof![9 => some, 1 => Just(ListStoragesResponse::default())]
}

fn storage_record() -> impl Strategy<Value = StorageRecord> + Clone {
    make!(StorageRecord {
        status: storage_status(),
        rw_mode: rw_mode(),
        id: storage_id(),
        ip: Just(None),
        sync_source: prop::option::of(storage_id()),
        version: text(VERSION_WIDTH),
        joined: time(),
        started: time(),
        total_mb: number(),
        free_mb: number(),
        reserved_mb: number(),
        upload_priority: signed(),
        store_path_count: number(),
        subdir_count: number(),
        write_path: signed(),
        port: any::<u16>(),
        stat: stat(),
        is_trunk_server: any::<bool>(),
    })
}

fn tracker_state() -> impl Strategy<Value = TrackerState> + Clone {
    make!(TrackerState {
        host: text(HOST_WIDTH),
        is_leader: any::<bool>(),
        is_active: any::<bool>(),
        connections: connections(),
        version: text(VERSION_WIDTH),
        started: time(),
        last_heart_beat: time(),
    })
}

fn storage_state() -> impl Strategy<Value = StorageState> + Clone {
    make!(StorageState {
        id: storage_id(),
        host: text(HOST_WIDTH),
        is_trunk_server: any::<bool>(),
        status: storage_status(),
        connections: connections(),
        version: text(VERSION_WIDTH),
        started: time(),
        last_heart_beat: time(),
    })
}

fn group_volume() -> impl Strategy<Value = GroupVolume> + Clone {
    make!(GroupVolume {
        group: group(),
        total_mb: number(),
        free_mb: number(),
        reserved_mb: number(),
        available_mb: number(),
        trunk_free_mb: number(),
        disk_available: any::<bool>(),
        trunk_available: any::<bool>(),
    })
}

fn storage_id_entry() -> impl Strategy<Value = StorageIdEntry> + Clone {
    make!(StorageIdEntry { id: storage_id(), group: group(), address: server(), rw_mode: rw_mode() })
}

/// Width of a host in the answers about clusters.
const HOST_WIDTH: usize = 52;
