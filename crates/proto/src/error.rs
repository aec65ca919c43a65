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
}

impl DecodeError {
    /// The field that is wrong; `None` when there are bytes too many.
    pub const fn field(&self) -> Option<&'static str> {
        match self {
            Self::Truncated { field, .. } | Self::Invalid { field, .. } => Some(field),
            Self::Trailing { .. } => None,
        }
    }

    /// What to answer to the sender of such a request.
    pub const fn status(&self) -> Status {
        Status::EINVAL
    }
}
