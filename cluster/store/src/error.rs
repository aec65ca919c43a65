//! What can go wrong: at opening, and in one operation.

use std::{io, path::PathBuf, sync::Arc};

use rustix::io::Errno;
use thiserror::Error;

/// Why an operation on a store failed.
///
/// Every variant has one number, [`StoreError::errno`], which is the status byte a peer gets.
#[derive(Clone, Debug, Error)]
pub enum StoreError {
    /// There is no such file, or the name is not one that a client may use (a sidecar, a trunk container).
    #[error("no such file")]
    NotFound,
    /// The file has no metadata.
    #[error("the file has no metadata")]
    NoMetadata,
    /// A file of this name exists already.
    #[error("a file of this name exists")]
    Exists,
    /// The name is the name of a directory.
    #[error("is a directory")]
    IsDirectory,
    /// The file is a link, a directory or something else that this operation does not work on.
    #[error("not a regular file")]
    NotRegular,
    /// The name does not fit the operation.
    #[error("invalid name: {reason}")]
    InvalidName {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The store path of the name or of the request is not configured here.
    #[error("store path {index} is not configured")]
    NoSuchStorePath {
        /// The index asked for.
        index: u8,
    },
    /// The name is not the name of an appender file.
    #[error("not an appender file")]
    NotAppender,
    /// The offset lies behind the end of the file.
    #[error("offset {offset} is beyond the end of the file, which has {size} bytes")]
    BeyondEnd {
        /// The offset asked for.
        offset: u64,
        /// Size of the file.
        size: u64,
    },
    /// More or fewer bytes came than were announced.
    #[error("{announced} bytes were announced, {received} came")]
    WrongLength {
        /// Length announced.
        announced: u64,
        /// Length that came; for too many bytes, the length at which this was noticed.
        received: u64,
    },
    /// No store path has room above the reserve.
    #[error("no space above the reserve")]
    NoSpace,
    /// The metadata sidecar holds more than metadata may.
    #[error("the metadata file has {size} bytes, more than {limit}")]
    MetadataTooLarge {
        /// Size found.
        size: u64,
        /// Size allowed.
        limit: u64,
    },
    /// The binlog cannot be written: changes are refused until it can.
    #[error("the binlog cannot be written, changes are refused: {source}")]
    Binlog {
        /// What the last write answered.
        source: Arc<io::Error>,
    },
    /// Other names lead to the content of this one, which no client is told of.
    #[error("links lead to this file: it goes with the last of them")]
    Shared,
    /// The disk answered an error.
    #[error("{action} failed: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// What the system answered.
        source: Arc<io::Error>,
    },
}

impl StoreError {
    /// The number of the original's error table (Linux `errno`) for the answer on the wire.
    pub fn errno(&self) -> u8 {
        match self {
            Self::NotFound | Self::NoMetadata => ENOENT,
            Self::Exists => EEXIST,
            Self::Shared => EBUSY,
            Self::IsDirectory => EISDIR,
            Self::NotRegular
            | Self::InvalidName { .. }
            | Self::NoSuchStorePath { .. }
            | Self::NotAppender
            | Self::BeyondEnd { .. }
            | Self::WrongLength { .. } => EINVAL,
            Self::NoSpace => ENOSPC,
            Self::MetadataTooLarge { .. } => EIO,
            Self::Binlog { source } | Self::Io { source, .. } => match source.raw_os_error() {
                // An errno of the disk means what it says only where the client can act on it.
                Some(number) if number == i32::from(ENOSPC) => ENOSPC,
                Some(number) if number == i32::from(EDQUOT) => ENOSPC,
                _ => EIO,
            },
        }
    }

    /// Whether a link stood where none is followed.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.raw_os_error() == Some(Errno::LOOP.raw_os_error()))
    }

    /// The variant for what the system answered to `action`.
    pub(crate) fn from_errno(action: &'static str, errno: Errno) -> Self {
        match errno {
            Errno::NOENT => Self::NotFound,
            Errno::EXIST => Self::Exists,
            Errno::ISDIR => Self::IsDirectory,
            errno => Self::Io { action, source: Arc::new(errno.into()) },
        }
    }

    /// A function for `map_err` on what the system answered to `action`.
    pub(crate) fn doing(action: &'static str) -> impl Fn(Errno) -> Self {
        move |errno| Self::from_errno(action, errno)
    }
}

/// Why a store could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The options contradict themselves.
    #[error("{reason}")]
    Options {
        /// What is wrong.
        reason: String,
    },
    /// Another process has the base path open.
    #[error("{path} is in use by another process")]
    InUse {
        /// The base path.
        path: PathBuf,
    },
    /// The store path carries the mark of another storage.
    #[error("{path} may be used by another storage: {reason}")]
    ForeignPath {
        /// The store path.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// A file of state cannot be understood.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk answered an error.
    #[error("{action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl OpenError {
    /// A function for `map_err` on what the system answered to `action` on `path`.
    pub(crate) fn doing<E: Into<io::Error>>(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(E) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source: source.into() }
    }
}

const ENOENT: u8 = 2;
const EIO: u8 = 5;
const EBUSY: u8 = 16;
const EEXIST: u8 = 17;
const EISDIR: u8 = 21;
const EINVAL: u8 = 22;
const ENOSPC: u8 = 28;
const EDQUOT: u8 = 122;
