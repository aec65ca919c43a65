//! What everybody may ask trackers.

mod admin;
mod cluster_stat;
mod groups;
mod leader;
mod parameters;
mod query_fetch;
mod query_store;
mod storage_ids;
mod storages;

pub use admin::{DeleteGroupRequest, DeleteStorageRequest, SetTrunkServerRequest, SetTrunkServerResponse};
pub use cluster_stat::{
    GroupVolume, StatusFilter, StorageClusterStatRequest, StorageClusterStatResponse, StorageState,
    StorageVolumeStatRequest, StorageVolumeStatResponse, TrackerClusterStatRequest,
    TrackerClusterStatResponse, TrackerState,
};
pub use groups::{GroupRecord, ListAllGroupsRequest, ListAllGroupsResponse, ListOneGroupRequest};
pub use leader::{GetLeaderRequest, TrackerStatusRequest, TrackerStatusResponse};
pub use parameters::{ParametersRequest, ParametersResponse};
pub use query_fetch::{
    MIN_FILENAME_LEN, QueryFetchAllRequest, QueryFetchAllResponse, QueryFetchOneRequest,
    QueryFetchOneResponse, QueryUpdateRequest,
};
pub use query_store::{
    QueryStoreAllRequest, QueryStoreAllResponse, QueryStoreInGroupAllRequest, QueryStoreInGroupOneRequest,
    QueryStoreOneRequest, QueryStoreOneResponse,
};
pub use storage_ids::{
    FetchStorageIdsRequest, FetchStorageIdsResponse, GetGroupNameRequest, GetGroupNameResponse,
    GetMyIpRequest, GetMyIpResponse, GetServerIdRequest, GetServerIdResponse, StorageIdEntry,
    StorageStatusRequest,
};
pub use storages::{ListStoragesRequest, ListStoragesResponse, StorageRecord};
