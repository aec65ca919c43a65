//! What clients ask storages.

mod change;
mod delete;
mod download;
mod file_info;
mod link;
mod metadata;
pub(crate) mod upload;
mod upload_slave;

pub use change::{AppendRequest, MIN_APPENDER_NAME_LEN, ModifyRequest, RegenerateRequest, TruncateRequest};
pub use delete::DeleteRequest;
pub use download::DownloadRequest;
pub use file_info::{FileInfoRequest, FileInfoResponse};
pub use link::CreateLinkRequest;
pub use metadata::{GetMetadataRequest, GetMetadataResponse, MetadataMode, SetMetadataRequest};
pub use upload::{UploadAppenderRequest, UploadRequest};
pub use upload_slave::UploadSlaveRequest;
