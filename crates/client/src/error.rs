//! Why an operation failed: what callers decide on.

use std::io;
use std::net::SocketAddr;

use fdfs_net::{CallError, NetError};
use fdfs_proto::{Command, DecodeError, Status};
use thiserror::Error;

/// Why an operation failed. All retries that make sense were made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The file, its metadata or the group does not exist: the storage that took the upload says so, or every
    /// member of the group.
    #[error("no such file, metadata or group")]
    NotFound,
    /// A file of that name exists.
    #[error("a file of that name exists")]
    Exists,
    /// No storage has space.
    #[error("no space left in the cluster")]
    NoSpace,
    /// Nobody who could do it can be reached now. It says nothing about whether the file exists; a change may
    /// have been made or not.
    #[error("unavailable: {reason}")]
    Unavailable {
        /// Who was asked, and what happened last.
        reason: Box<str>,
        /// The last failure.
        #[source]
        source: Option<Box<CallError>>,
    },
    /// The time for the operation is over. A change may have been made or not.
    #[error("no answer in time")]
    Timeout,
    /// A server refused.
    #[error("{address} refused {command}: {status}")]
    Refused {
        /// Who.
        address: SocketAddr,
        /// What.
        command: Command,
        /// With which status.
        status: Status,
    },
    /// The range begins at or behind the end of the file.
    #[error("the range begins behind the end of the file, which has {size} bytes")]
    OutOfRange {
        /// Length of the file.
        size: u64,
    },
    /// A server answered something that is no answer to the question.
    #[error("{address} does not keep the protocol")]
    Protocol {
        /// Who.
        address: SocketAddr,
        /// What is wrong.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The servers in question are original ones, or older than the command.
    #[error("{command} is not supported by {address}")]
    Unsupported {
        /// Who.
        address: SocketAddr,
        /// What.
        command: Command,
    },
    /// The content of an upload has another length than was announced.
    #[error("content has {actual} bytes instead of {announced}")]
    WrongLength {
        /// Length that was announced.
        announced: u64,
        /// Length that came; one more than announced stands for any more.
        actual: u64,
    },
    /// Content of unknown length is too long to wait on the local disk for its length to be known.
    #[error("content of unknown length has more than {limit} bytes, and the storages need its length first")]
    SpoolFull {
        /// Most bytes that may wait.
        limit: u64,
    },
    /// Content of an upload cannot be read, or the spool file not be used.
    #[error("content cannot be read or kept")]
    Content(#[source] io::Error),
}

impl ClientError {
    /// What a failed call means when nobody else can be asked.
    pub(crate) fn from_call(address: SocketAddr, command: Command, error: CallError) -> Self {
        match error {
            CallError::Status(status) => Self::refused(address, command, status),
            CallError::Malformed(error) => Self::protocol(address, error),
            CallError::Net(NetError::Header(error)) => Self::protocol(address, error),
            CallError::Net(error @ NetError::TooLong { .. }) => Self::protocol(address, error),
            CallError::Net(NetError::File(error)) => Self::Content(error),
            error => Self::unavailable(format!("{command} at {address}: {error}"), Some(error)),
        }
    }

    /// What a status means that is the whole answer.
    pub(crate) fn refused(address: SocketAddr, command: Command, status: Status) -> Self {
        match status {
            Status::ENOENT => Self::NotFound,
            Status::EEXIST => Self::Exists,
            Status::ENOSPC => Self::NoSpace,
            status => Self::Refused { address, command, status },
        }
    }

    pub(crate) fn protocol(
        address: SocketAddr,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        Self::Protocol { address, source: Box::new(source) }
    }

    pub(crate) fn unavailable(reason: impl Into<Box<str>>, source: Option<CallError>) -> Self {
        Self::Unavailable { reason: reason.into(), source: source.map(Box::new) }
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Timeout => true,
            Self::Refused { status, .. } => matches!(*status, Status::EAGAIN | Status::EBUSY),
            _ => false,
        }
    }
}

/// Whether another server may do better.
pub(crate) fn is_local_fault(error: &CallError) -> bool {
    match error {
        CallError::Connect(_) | CallError::Secret(_) => true,
        CallError::Net(NetError::File(_)) => false,
        CallError::Net(_) | CallError::Malformed(_) => true,
        // A broken disk, no memory, no descriptors, a trunk server away: troubles of one server.
        CallError::Status(status) => matches!(
            *status,
            Status::EIO
                | Status::ENOMEM
                | Status::EAGAIN
                | Status::EMFILE
                | Status::EROFS
                | Status::ETIMEDOUT
                | Status::ECONNREFUSED
                | Status::ENOTCONN
        ),
    }
}

/// Whether the request was surely not carried out.
pub(crate) fn is_untouched(error: &CallError) -> bool {
    matches!(error, CallError::Connect(_) | CallError::Status(_))
}

impl From<DecodeError> for ClientError {
    fn from(error: DecodeError) -> Self {
        Self::unavailable(error.to_string(), Some(CallError::Malformed(error)))
    }
}
