//! What storages ask each other.

use fdfs_proto::Status;
use fdfs_proto::sync::{
    PathBinlogRequest, ReportServerIdRequest, SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest,
    SyncDeleteRequest, SyncModifyRequest, SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest,
    SyncedFile, SyncedRange, TrunkAllocRequest, TrunkBinlogSizeRequest, TrunkBinlogSizeResponse,
    TrunkConfirmRequest, TrunkDeleteMarksRequest, TrunkFreeRequest, TrunkSpace, TrunkSyncBinlogRequest,
    TrunkTruncateBinlogRequest,
};
use fdfs_types::{Subdir, TrunkSlot};
use proptest::prelude::*;

use super::words::{content, file_id, filename, group, number, number32, storage_id, text, time32};
use super::{make, round_trips};

round_trips! {
    request report_server_id: make!(ReportServerIdRequest { storage_id: storage_id() }) => ReportServerIdRequest;
    request path_binlog: make!(PathBinlogRequest { group: group(), store_path: any::<u8>() }) => PathBinlogRequest;
    streamed create: make!(SyncCreateRequest { file: file(), is_known: any::<bool>() }) => SyncCreateRequest;
    streamed update: make!(SyncUpdateRequest { file: file() }) => SyncUpdateRequest;
    streamed append: make!(SyncAppendRequest { range: range() }) => SyncAppendRequest;
    streamed modify: make!(SyncModifyRequest { range: range() }) => SyncModifyRequest;
    request truncate: make!(SyncTruncateRequest {
        file_id: file_id(), old_size: number(), new_size: number(), time: time32(),
    }) => SyncTruncateRequest;
    request delete: make!(SyncDeleteRequest { file_id: file_id(), time: time32() }) => SyncDeleteRequest;
    request create_link: make!(SyncCreateLinkRequest {
        group: group(), link: filename(), source: filename(), time: time32(),
    }) => SyncCreateLinkRequest;
    request rename: make!(SyncRenameRequest {
        group: group(), new_name: filename(), old_name: filename(), time: time32(),
    }) => SyncRenameRequest;
    message trunk_space: space() => TrunkSpace;
    request trunk_alloc: make!(TrunkAllocRequest {
        group: group(), size: number32(), store_path: any::<u8>(),
    }) => TrunkAllocRequest;
    request trunk_confirm: make!(TrunkConfirmRequest {
        group: group(), space: space(), outcome: any::<u8>().prop_map(Status),
    }) => TrunkConfirmRequest;
    request trunk_free: make!(TrunkFreeRequest { group: group(), space: space() }) => TrunkFreeRequest;
    request trunk_sync_binlog: make!(TrunkSyncBinlogRequest {
        lines: prop::collection::vec(text(80), 1..5).prop_map(|lines| lines.join("\n") + "\n"),
    }) => TrunkSyncBinlogRequest;
    request trunk_binlog_size: Just(TrunkBinlogSizeRequest) => TrunkBinlogSizeRequest;
    message trunk_binlog_size_answer: make!(TrunkBinlogSizeResponse { size: number() }) => TrunkBinlogSizeResponse;
    request trunk_delete_marks: Just(TrunkDeleteMarksRequest) => TrunkDeleteMarksRequest;
    request trunk_truncate_binlog: Just(TrunkTruncateBinlogRequest) => TrunkTruncateBinlogRequest;
}

fn file() -> impl Strategy<Value = SyncedFile> {
    make!(SyncedFile { file_id: file_id(), size: content(), time: time32() })
}

fn range() -> impl Strategy<Value = SyncedRange> {
    make!(SyncedRange { file_id: file_id(), offset: number(), length: content(), time: time32() })
}

pub(super) fn space() -> impl Strategy<Value = TrunkSpace> + Clone {
    let subdir = any::<(u8, u8)>().prop_map(|(high, low)| Subdir { high, low });
    let slot = (number32(), number32(), number32()).prop_map(|(trunk_id, offset, allocated)| TrunkSlot {
        trunk_id,
        offset,
        allocated,
    });
    (any::<u8>(), subdir, slot).prop_map(|(store_path, subdir, slot)| TrunkSpace { store_path, subdir, slot })
}
