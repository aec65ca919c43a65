//! What storages ask trackers, and trackers each other.

use fdfs_proto::VERSION_WIDTH;
use fdfs_proto::cluster::{
    BeatRequest, ChangeStatusRequest, ChangelogRequest, CommitNextLeaderRequest, DiskUsageRequest,
    FetchTrunkFidRequest, FetchTrunkFidResponse, JoinLeaderRequest, JoinRequest, JoinResponse, Notification,
    NotifyNextLeaderRequest, PathUsage, PingLeaderRequest, PingLeaderResponse, ReplicaChangeRequest,
    ReportIpChangedRequest, ReportStatusRequest, ReportTrunkFidRequest, ReportTrunkFreeRequest,
    ReselectLeaderRequest, SyncDestQueryRequest, SyncDestRequest, SyncNotifyRequest, SyncReportRequest,
    SyncSource, SyncSourceRequest, SyncSourceResponse, SyncedUntil, SysFile, SysFileRequest, SysFileResponse,
    SysFilesEndRequest, SysFilesStartRequest,
};
use proptest::prelude::*;
use proptest::sample::select;

use super::shared::brief;
use super::words::{
    connections, group, ip, list, maybe_ip, number, number32, server, signed, socket, stat, storage_id,
    storage_status, text, time, time32,
};
use super::{make, round_trips};

round_trips! {
    request join: make!(JoinRequest {
        group: group(),
        port: 1..=u16::MAX,
        store_path_count: 1..=256_u16,
        subdir_count: 1..=256_u16,
        upload_priority: signed(),
        joined: time(),
        started: time(),
        version: text(VERSION_WIDTH),
        is_initial: any::<bool>(),
        status: prop::option::of(storage_status()),
        storage_id: prop::option::of(storage_id()),
        tracker_ip: maybe_ip(),
        trackers: list(server(), 1..=JoinRequest::MAX_TRACKERS),
    }) => JoinRequest;
    message join_answer: make!(JoinResponse {
        status: storage_status(), sync_source: prop::option::of(storage_id()),
    }) => JoinResponse;
    request beat: make!(BeatRequest { stat: prop::option::of(stat().prop_map(Box::new)) }) => BeatRequest;
    request disk_usage: make!(DiskUsageRequest {
        store_paths: list(make!(PathUsage { total_mb: number(), free_mb: number() }), 0..=256),
    }) => DiskUsageRequest;
    message notification: make!(Notification {
        leader: prop::option::of(brief()),
        trunk_server: prop::option::of(brief()),
        members: prop::option::of(list(brief(), 0..=32)),
    }) => Notification;
    request changelog: make!(ChangelogRequest { storage: prop::option::of((group(), storage_id())) }) => ChangelogRequest;
    request report_ip_changed: make!(ReportIpChangedRequest {
        group: group(), old_ip: ip(), new_ip: ip(),
    }) => ReportIpChangedRequest;
    request report_status: make!(ReportStatusRequest { group: group(), storage: brief() }) => ReportStatusRequest;
    request replica_change: make!(ReplicaChangeRequest {
        storages: list(brief(), 1..=ReplicaChangeRequest::MAX_STORAGES),
    }) => ReplicaChangeRequest;
    request change_status: make!(ChangeStatusRequest { status: storage_status() }) => ChangeStatusRequest;
    request sync_report: make!(SyncReportRequest {
        rows: list(make!(SyncedUntil { source: storage_id(), until: time32() }), 1..=32),
    }) => SyncReportRequest;
    request sync_dest: Just(SyncDestRequest) => SyncDestRequest;
    request sync_dest_query: Just(SyncDestQueryRequest) => SyncDestQueryRequest;
    request sync_source: make!(SyncSourceRequest { group: group(), storage_id: storage_id() }) => SyncSourceRequest;
    message sync_source_answer: make!(SyncSourceResponse {
        source: prop::option::of(make!(SyncSource { id: storage_id(), until: time() })),
    }) => SyncSourceResponse;
    request sync_notify: make!(SyncNotifyRequest {
        source: prop::option::of(storage_id()), until: time(),
    }) => SyncNotifyRequest;
    request sys_files_start: Just(SysFilesStartRequest) => SysFilesStartRequest;
    request sys_files_end: Just(SysFilesEndRequest) => SysFilesEndRequest;
    request sys_file: make!(SysFileRequest {
        file: select(SysFile::ALL.to_vec()), offset: number(),
    }) => SysFileRequest;
    message sys_file_answer: make!(SysFileResponse {
        size: number(), bytes: list(any::<u8>(), 0..=SysFileResponse::MAX_PIECE),
    }) => SysFileResponse;
    request join_leader: make!(JoinLeaderRequest {
        started: time(), version: text(VERSION_WIDTH), port: any::<u16>(),
    }) => JoinLeaderRequest;
    request ping_leader: make!(PingLeaderRequest { connections: connections() }) => PingLeaderRequest;
    message ping_leader_answer: make!(PingLeaderResponse {
        trunk_servers: list((group(), prop::option::of(storage_id())), 0..=512),
    }) => PingLeaderResponse;
    request notify_next_leader: make!(NotifyNextLeaderRequest { leader: socket() }) => NotifyNextLeaderRequest;
    request commit_next_leader: make!(CommitNextLeaderRequest { leader: socket() }) => CommitNextLeaderRequest;
    request reselect_leader: Just(ReselectLeaderRequest) => ReselectLeaderRequest;
    request fetch_trunk_fid: Just(FetchTrunkFidRequest) => FetchTrunkFidRequest;
    message fetch_trunk_fid_answer: make!(FetchTrunkFidResponse { trunk_file_id: number32() }) => FetchTrunkFidResponse;
    request report_trunk_fid: make!(ReportTrunkFidRequest { trunk_file_id: number32() }) => ReportTrunkFidRequest;
    request report_trunk_free: make!(ReportTrunkFreeRequest { free_mb: number() }) => ReportTrunkFreeRequest;
}
