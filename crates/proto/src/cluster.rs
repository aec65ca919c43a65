//! What storages ask trackers, and trackers each other.

mod beat;
mod changelog;
mod join;
mod leader;
mod notification;
mod report_status;
mod sync_report;
mod sync_source;
mod sys_files;
mod trunk_report;

pub use beat::{BeatRequest, DiskUsageRequest, PathUsage};
pub use changelog::{ChangelogRequest, ReportIpChangedRequest};
pub use join::{JoinRequest, JoinResponse};
pub use leader::{
    CommitNextLeaderRequest, JoinLeaderRequest, NotifyNextLeaderRequest, PingLeaderRequest,
    PingLeaderResponse, ReselectLeaderRequest,
};
pub use notification::Notification;
pub use report_status::{ChangeStatusRequest, ReplicaChangeRequest, ReportStatusRequest};
pub use sync_report::{SyncReportRequest, SyncedUntil};
pub use sync_source::{
    SyncDestQueryRequest, SyncDestRequest, SyncNotifyRequest, SyncSource, SyncSourceRequest,
    SyncSourceResponse,
};
pub use sys_files::{SysFile, SysFileRequest, SysFileResponse, SysFilesEndRequest, SysFilesStartRequest};
pub use trunk_report::{
    FetchTrunkFidRequest, FetchTrunkFidResponse, ReportTrunkFidRequest, ReportTrunkFreeRequest,
};
