//! Every decoder by its command number, for tests and fuzzers.
//!
//! What decodes is encoded and decoded again; a difference is a panic, and so a finding.

use std::fmt::Debug;

use crate::cluster::{
    BeatRequest, ChangeStatusRequest, ChangelogRequest, CommitNextLeaderRequest, DiskUsageRequest,
    FetchTrunkFidRequest, JoinLeaderRequest, JoinRequest, NotifyNextLeaderRequest, PingLeaderRequest,
    ReplicaChangeRequest, ReportIpChangedRequest, ReportStatusRequest, ReportTrunkFidRequest,
    ReportTrunkFreeRequest, ReselectLeaderRequest, SyncDestQueryRequest, SyncDestRequest, SyncNotifyRequest,
    SyncReportRequest, SyncSourceRequest, SysFileRequest, SysFilesEndRequest, SysFilesStartRequest,
};
use crate::ours::{
    ChallengeRequest, DeadLettersRequest, ExplainRequest, ForgetOwnedRequest, HelloRequest, JoinFilesRequest,
    LendFileRequest, LinkContentRequest, ListOwnedRequest, ListRawRequest, ProofRequest, ScrubRequest,
    TrunkSlotsRequest, UploadFramedRequest,
};
use crate::storage::{
    AppendRequest, CreateLinkRequest, DeleteRequest, DownloadRequest, FileInfoRequest, GetMetadataRequest,
    ModifyRequest, RegenerateRequest, SetMetadataRequest, TruncateRequest, UploadAppenderRequest,
    UploadRequest, UploadSlaveRequest,
};
use crate::sync::{
    PathBinlogRequest, ReportServerIdRequest, SyncAppendRequest, SyncCreateLinkRequest, SyncCreateRequest,
    SyncDeleteRequest, SyncModifyRequest, SyncRenameRequest, SyncTruncateRequest, SyncUpdateRequest,
    TrunkAllocRequest, TrunkBinlogSizeRequest, TrunkConfirmRequest, TrunkDeleteMarksRequest,
    TrunkFreeRequest, TrunkSyncBinlogRequest, TrunkTruncateBinlogRequest,
};
use crate::tracker::{
    DeleteGroupRequest, DeleteStorageRequest, FetchStorageIdsRequest, GetGroupNameRequest, GetLeaderRequest,
    GetMyIpRequest, GetServerIdRequest, ListAllGroupsRequest, ListOneGroupRequest, ListStoragesRequest,
    ParametersRequest, QueryFetchAllRequest, QueryFetchOneRequest, QueryStoreAllRequest,
    QueryStoreInGroupAllRequest, QueryStoreInGroupOneRequest, QueryStoreOneRequest, QueryUpdateRequest,
    SetTrunkServerRequest, StorageClusterStatRequest, StorageStatusRequest, StorageVolumeStatRequest,
    TrackerClusterStatRequest, TrackerStatusRequest,
};
use crate::{
    ActiveTestRequest, Command, Decode, DecodeError, Encode, Header, QuitRequest, Request, Streamed,
};

/// A request that decoded.
#[derive(Clone, Debug)]
pub struct Decoded {
    /// What it means.
    pub debug: String,
    /// Its body, encoded again, without content.
    pub body: Vec<u8>,
    /// Bytes of content that follow.
    pub content_length: u64,
}

macro_rules! decoders {
    ($(
        $(#[$doc:meta])*
        $family:ident { plain: $($plain:ident),*; streamed: $($streamed:ident),*; }
    )*) => {
        /// Decodes the body of a request; `None` for a command that has no decoder. Of a request with content
        /// the body may end anywhere behind the head.
        pub fn request(header: &Header, body: &[u8]) -> Option<Result<Decoded, DecodeError>> {
            $($(if header.command == $plain::COMMAND { return Some(plain::<$plain>(header, body)); })*)*
            $($(if header.command == $streamed::COMMAND { return Some(streamed::<$streamed>(header, body)); })*)*
            None
        }

        /// Decodes the body of a successful answer to a command, and encodes it again.
        pub fn response(command: Command, body: &[u8]) -> Option<Result<Vec<u8>, DecodeError>> {
            $($(if command == $plain::COMMAND { return Some(answer::<$plain>(body)); })*)*
            $($(if command == $streamed::COMMAND { return Some(answer::<$streamed>(body)); })*)*
            None
        }

        $($(#[$doc])* pub const $family: &[Command] = &[$($plain::COMMAND,)* $($streamed::COMMAND,)*];)*

        /// Every command that has a decoder.
        pub const COMMANDS: &[Command] = &[$($($plain::COMMAND,)* $($streamed::COMMAND,)*)*];
    };
}

decoders! {
    /// What clients ask storages, and what everybody answers.
    STORAGE {
        plain:
            ActiveTestRequest, QuitRequest,
            TruncateRequest, RegenerateRequest, DeleteRequest, SetMetadataRequest, GetMetadataRequest,
            DownloadRequest, FileInfoRequest, CreateLinkRequest;
        streamed: UploadRequest, UploadAppenderRequest, UploadSlaveRequest, AppendRequest, ModifyRequest;
    }
    /// What everybody may ask trackers.
    TRACKER {
        plain:
            QueryStoreOneRequest, QueryStoreAllRequest, QueryStoreInGroupOneRequest, QueryStoreInGroupAllRequest,
            QueryFetchOneRequest, QueryFetchAllRequest, QueryUpdateRequest,
            ListOneGroupRequest, ListAllGroupsRequest, ListStoragesRequest,
            TrackerClusterStatRequest, StorageClusterStatRequest, StorageVolumeStatRequest,
            DeleteStorageRequest, SetTrunkServerRequest, DeleteGroupRequest,
            GetLeaderRequest, TrackerStatusRequest, ParametersRequest,
            FetchStorageIdsRequest, GetServerIdRequest, StorageStatusRequest, GetMyIpRequest, GetGroupNameRequest;
        streamed: ;
    }
    /// What storages ask trackers, and trackers each other.
    CLUSTER {
        plain:
            JoinRequest, BeatRequest, DiskUsageRequest, SyncReportRequest,
            SyncDestRequest, SyncDestQueryRequest, SyncSourceRequest, SyncNotifyRequest,
            ReportStatusRequest, ReplicaChangeRequest, ChangeStatusRequest,
            ChangelogRequest, ReportIpChangedRequest,
            SysFilesStartRequest, SysFilesEndRequest, SysFileRequest,
            JoinLeaderRequest, PingLeaderRequest, NotifyNextLeaderRequest, CommitNextLeaderRequest,
            ReselectLeaderRequest,
            FetchTrunkFidRequest, ReportTrunkFidRequest, ReportTrunkFreeRequest;
        streamed: ;
    }
    /// What storages ask each other.
    SYNC {
        plain:
            ReportServerIdRequest, PathBinlogRequest,
            SyncDeleteRequest, SyncCreateLinkRequest, SyncRenameRequest, SyncTruncateRequest,
            TrunkAllocRequest, TrunkConfirmRequest, TrunkFreeRequest, TrunkSyncBinlogRequest,
            TrunkBinlogSizeRequest, TrunkDeleteMarksRequest, TrunkTruncateBinlogRequest;
        streamed: SyncCreateRequest, SyncUpdateRequest, SyncAppendRequest, SyncModifyRequest;
    }
    /// Commands of ours.
    OURS {
        plain:
            HelloRequest, UploadFramedRequest, ListRawRequest, JoinFilesRequest, ListOwnedRequest,
            ForgetOwnedRequest, ExplainRequest, DeadLettersRequest, ScrubRequest, TrunkSlotsRequest, LendFileRequest,
            LinkContentRequest,
            ChallengeRequest, ProofRequest;
        streamed: ;
    }
}

fn plain<R: Request + Debug + PartialEq>(header: &Header, body: &[u8]) -> Result<Decoded, DecodeError> {
    R::decode_request(header, body).map(|request| check(header, &request))
}

fn streamed<R: Streamed + Debug + PartialEq>(header: &Header, body: &[u8]) -> Result<Decoded, DecodeError> {
    let Some(fixed) = body.get(..R::FIXED_LEN) else {
        return R::decode_request(header, body).map(|request| check(header, &request));
    };
    let head = body.get(..R::head_length(fixed)?).unwrap_or(body);
    R::decode_head(header, head).map(|request| check(header, &request))
}

fn check<R: Request + Debug + PartialEq>(header: &Header, request: &R) -> Decoded {
    let body = request.encode();
    let again = R::decode_request(header, &body);
    assert_eq!(again.as_ref(), Ok(request), "a {} changes when it is written and read", R::NAME);
    let frame = request.frame();
    let mut framed = *header;
    framed.length = body.len() as u64 + request.content_length();
    framed.status = request.flags();
    assert_eq!(frame, [&framed.encode()[..], &body].concat(), "the frame of a {} is not itself", R::NAME);
    Decoded { debug: format!("{request:?}"), content_length: request.content_length(), body }
}

fn answer<R: Request>(body: &[u8]) -> Result<Vec<u8>, DecodeError>
where
    R::Response: Debug + PartialEq,
{
    let response = R::Response::decode(body)?;
    let encoded = response.encode();
    let again = R::Response::decode(&encoded);
    assert_eq!(again, Ok(response), "the answer to a {} changes when it is written and read", R::NAME);
    Ok(encoded)
}
