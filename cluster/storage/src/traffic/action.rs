//! What requests are told apart by: names and counters of every kind.

use fdfs_ops::AccessAction;
use fdfs_proto::{Command, Status};
use fdfs_store::Counter;

/// What a client asks for, as statistics and logs tell it apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Action {
    Upload,
    Append,
    Modify,
    Truncate,
    SetMetadata,
    Delete,
    Download,
    GetMetadata,
    CreateLink,
    FileInfo,
    Regenerate,
    Replicate,
    Other,
}

impl Action {
    pub(super) const ALL: [Self; 13] = [
        Self::Upload,
        Self::Append,
        Self::Modify,
        Self::Truncate,
        Self::SetMetadata,
        Self::Delete,
        Self::Download,
        Self::GetMetadata,
        Self::CreateLink,
        Self::FileInfo,
        Self::Regenerate,
        Self::Replicate,
        Self::Other,
    ];

    /// What a command asks for.
    pub(crate) fn of(command: Command) -> Self {
        match command {
            Command::UPLOAD_FILE
            | Command::UPLOAD_APPENDER_FILE
            | Command::UPLOAD_SLAVE_FILE
            | Command::UPLOAD_FRAMED => Self::Upload,
            Command::APPEND_FILE => Self::Append,
            Command::MODIFY_FILE => Self::Modify,
            Command::TRUNCATE_FILE => Self::Truncate,
            Command::SET_METADATA => Self::SetMetadata,
            Command::DELETE_FILE => Self::Delete,
            Command::DOWNLOAD_FILE | Command::LEND_FILE => Self::Download,
            Command::GET_METADATA => Self::GetMetadata,
            Command::CREATE_LINK | Command::LINK_CONTENT => Self::CreateLink,
            Command::QUERY_FILE_INFO => Self::FileInfo,
            Command::REGENERATE_APPENDER_FILENAME => Self::Regenerate,
            Command::SYNC_CREATE_FILE
            | Command::SYNC_UPDATE_FILE
            | Command::SYNC_APPEND_FILE
            | Command::SYNC_MODIFY_FILE
            | Command::SYNC_TRUNCATE_FILE
            | Command::SYNC_DELETE_FILE
            | Command::SYNC_CREATE_LINK
            | Command::SYNC_RENAME_FILE => Self::Replicate,
            _ => Self::Other,
        }
    }

    /// Whether a status means that all is well: a peer that is told that a file is here, or is not, goes by that.
    pub(super) fn is_fine(self, status: Status) -> bool {
        status.is_ok() || matches!((self, status), (Self::Replicate, Status::EEXIST | Status::ENOENT))
    }

    /// The word in metrics.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Upload => "upload",
            Self::Append => "append",
            Self::Modify => "modify",
            Self::Truncate => "truncate",
            Self::SetMetadata => "set_metadata",
            Self::Delete => "delete",
            Self::Download => "download",
            Self::GetMetadata => "get_metadata",
            Self::CreateLink => "create_link",
            Self::FileInfo => "file_info",
            Self::Regenerate => "regenerate",
            Self::Replicate => "replicate",
            Self::Other => "other",
        }
    }

    /// The kind of line in the access log, for actions that stand there.
    pub(super) fn logged_as(self) -> Option<AccessAction> {
        Some(match self {
            Self::Upload => AccessAction::Upload,
            Self::Append => AccessAction::Append,
            Self::Modify => AccessAction::Modify,
            Self::Truncate => AccessAction::Truncate,
            Self::SetMetadata => AccessAction::SetMetadata,
            Self::Delete => AccessAction::Delete,
            Self::Download => AccessAction::Download,
            Self::GetMetadata => AccessAction::GetMetadata,
            Self::FileInfo => AccessAction::Status,
            Self::Regenerate => AccessAction::Rename,
            Self::CreateLink | Self::Replicate | Self::Other => return None,
        })
    }

    /// The counters of attempts and successes.
    pub(super) fn counters(self) -> Option<[Counter; 2]> {
        Some(match self {
            Self::Upload => [Counter::TotalUploadCount, Counter::SuccessUploadCount],
            Self::Append => [Counter::TotalAppendCount, Counter::SuccessAppendCount],
            Self::Modify => [Counter::TotalModifyCount, Counter::SuccessModifyCount],
            Self::Truncate => [Counter::TotalTruncateCount, Counter::SuccessTruncateCount],
            Self::SetMetadata => [Counter::TotalSetMetaCount, Counter::SuccessSetMetaCount],
            Self::Delete => [Counter::TotalDeleteCount, Counter::SuccessDeleteCount],
            Self::Download => [Counter::TotalDownloadCount, Counter::SuccessDownloadCount],
            Self::GetMetadata => [Counter::TotalGetMetaCount, Counter::SuccessGetMetaCount],
            Self::CreateLink => [Counter::TotalCreateLinkCount, Counter::SuccessCreateLinkCount],
            Self::FileInfo | Self::Regenerate | Self::Replicate | Self::Other => return None,
        })
    }

    /// The counters of bytes that were to be moved, and that were.
    pub(super) fn byte_counters(self) -> Option<[Counter; 2]> {
        Some(match self {
            Self::Upload => [Counter::TotalUploadBytes, Counter::SuccessUploadBytes],
            Self::Append => [Counter::TotalAppendBytes, Counter::SuccessAppendBytes],
            Self::Modify => [Counter::TotalModifyBytes, Counter::SuccessModifyBytes],
            Self::Download => [Counter::TotalDownloadBytes, Counter::SuccessDownloadBytes],
            Self::Replicate => [Counter::TotalSyncInBytes, Counter::SuccessSyncInBytes],
            _ => return None,
        })
    }
}
