//! Why bytes are not the message they should be.

use thiserror::Error;

use crate::Status;

/// Why bytes are not the message they should be: which message, which field, what is wrong.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum DecodeError {
    /// The message ends inside a field.
    #[error("{message}: {field} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
        /// Bytes that the field takes.
        needed: u64,
        /// Bytes that the message still has.
        left: u64,
    },
    /// Bytes follow the last field.
    #[error("{message}: {extra} bytes follow the last field")]
    Trailing {
        /// Name of the message.
        message: &'static str,
        /// Number of bytes too many.
        extra: u64,
    },
    /// A field holds what it must not hold.
    #[error("{message}: {field}: {reason}")]
    Invalid {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
        /// What is wrong with the value.
        reason: Box<str>,
    },
    /// A name is so long that the answer has a status of its own for it.
    #[error("{message}: {field} is too long")]
    NameTooLong {
        /// Name of the message.
        message: &'static str,
        /// Name of the field.
        field: &'static str,
    },
}

impl DecodeError {
    /// The field that is wrong; `None` when there are bytes too many.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { field, .. } | Self::Invalid { field, .. } | Self::NameTooLong { field, .. } => {
                Some(field)
            }
            Self::Trailing { .. } => None,
        }
    }

    /// What a storage answers to such a request.
    pub const fn status(&self) -> Status {
        Status::EINVAL
    }

    /// What a tracker answers to such a request: a group name that no group can have is one more unknown
    /// group.
    pub fn status_at_tracker(&self) -> Status {
        match self {
            Self::Invalid { field: "group", .. } => Status::ENOENT,
            Self::NameTooLong { .. } => Status::ENAMETOOLONG,
            _ => Status::EINVAL,
        }
    }
}
