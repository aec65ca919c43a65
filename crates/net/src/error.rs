//! What can go wrong on a socket.

use std::io;

use fdfs_proto::{DecodeError, HeaderError, Status};
use thiserror::Error;

use crate::SecretError;

/// Why a conversation cannot go on. The connection is closed after any of these.
#[derive(Debug, Error)]
pub enum NetError {
    /// The other side closed in the middle of a message.
    #[error("the peer closed the connection in the middle of a message")]
    Closed,
    /// The other side made no progress for as long as the limits allow.
    #[error("the peer made no progress within the time limit")]
    Timeout,
    /// The bytes are not a header.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// A body is longer than the reader allows.
    #[error("a body of {length} bytes was announced, more than {limit}")]
    TooLong {
        /// The announced length.
        length: u64,
        /// The longest body allowed here.
        limit: u64,
    },
    /// The file that is being sent ended early or could not be read.
    #[error("file could not be read while it was sent")]
    File(#[source] io::Error),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Why a call brought no answer that can be used.
#[derive(Debug, Error)]
pub enum CallError {
    /// No connection could be made.
    #[error("connect failed")]
    Connect(#[source] io::Error),
    /// The peer is no member of the cluster, or takes us for none.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The peer answered with this status.
    #[error("the peer answered {0}")]
    Status(Status),
    /// The answer is not what the request asks for.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// The conversation broke.
    #[error(transparent)]
    Net(#[from] NetError),
}

impl CallError {
    /// The status that a server passes on when a call of its own failed in this way.
    pub fn status(&self) -> Status {
        match self {
            Self::Status(status) => *status,
            Self::Connect(error) | Self::Net(NetError::Io(error) | NetError::File(error)) => {
                error.raw_os_error().map_or(Status::EIO, Status::from_errno)
            }
            Self::Secret(_) => Status::EACCES,
            Self::Net(NetError::Timeout) => Status::ETIMEDOUT,
            Self::Malformed(_) | Self::Net(NetError::Header(_) | NetError::TooLong { .. }) => Status::EINVAL,
            Self::Net(NetError::Closed) => Status::EIO,
        }
    }
}
