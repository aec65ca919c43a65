//! Why no second member has a change.

use fdfs_net::CallError;
use fdfs_proto::Status;
use fdfs_store::StoreError;
use fdfs_types::StorageId;
use thiserror::Error;

/// Why no second member has a change.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    /// Nobody is there.
    #[error("no other member of the group is ACTIVE: start one, or set write_concern = async")]
    NoMember,
    /// Another change of the file did not get there in time.
    #[error("an earlier change of the same file is still on its way to a second member")]
    NoTurn,
    /// The last member that was tried has not taken it.
    #[error("member {peer} has not taken it in time: see why it is slow, or raise write_concern_deadline")]
    Push {
        /// The member.
        peer: StorageId,
        /// Why.
        #[source]
        error: PushError,
    },
}

/// Why one member has not taken a change.
#[derive(Debug, Error)]
pub(crate) enum PushError {
    /// It has not answered in time.
    #[error("no answer in time")]
    Timeout,
    /// The conversation broke, or did not begin.
    #[error("connection lost")]
    Lost(#[from] CallError),
    /// It answered so.
    #[error("the member answered {0}")]
    Status(Status),
    /// It lacks what a link leads to.
    #[error("the member lacks the target of the link")]
    TargetMissing,
    /// The record cannot be sent.
    #[error("the record cannot be sent")]
    Invalid,
    /// The file cannot be read here.
    #[error("the file cannot be read here")]
    Unreadable(#[source] StoreError),
}
