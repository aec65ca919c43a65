//! What storages ask each other.

mod connection;
mod content;
mod name;
mod range;
mod trunk;

pub use connection::{PathBinlogRequest, ReportServerIdRequest};
pub use content::{SyncCreateRequest, SyncUpdateRequest, SyncedFile};
pub use name::{SyncCreateLinkRequest, SyncDeleteRequest, SyncRenameRequest};
pub use range::{SyncAppendRequest, SyncModifyRequest, SyncTruncateRequest, SyncedRange};
pub use trunk::{
    TrunkAllocRequest, TrunkBinlogSizeRequest, TrunkBinlogSizeResponse, TrunkConfirmRequest,
    TrunkDeleteMarksRequest, TrunkFreeRequest, TrunkSpace, TrunkSyncBinlogRequest,
    TrunkTruncateBinlogRequest,
};
