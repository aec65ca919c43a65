//! Why the cluster says no.

use thiserror::Error;

/// Why a request is refused. Each reason has one number on the wire, an errno of Linux.
#[derive(Clone, Copy, Debug, Eq, Error, Hash, PartialEq)]
pub enum Refusal {
    /// No such group, storage or leader, or no usable member.
    #[error("not found")]
    NotFound,
    /// Not now: system files cannot be fetched from a peer yet.
    #[error("try again")]
    TryAgain,
    /// The connection or the peer has no right to ask this.
    #[error("permission denied")]
    Denied,
    /// A storage claims to be a member with a state that no tracker could have given it.
    #[error("impossible state")]
    Impossible,
    /// The storage is in use, or the group still has members.
    #[error("busy")]
    Busy,
    /// It is there already.
    #[error("exists")]
    Exists,
    /// The request makes no sense.
    #[error("invalid")]
    Invalid,
    /// Below the reserve, or one member too many.
    #[error("no space")]
    NoSpace,
    /// An address text is too long.
    #[error("name too long")]
    NameTooLong,
    /// The storage is not ACTIVE.
    #[error("not active")]
    NotActive,
    /// This tracker is not the leader, or the feature is off.
    #[error("not supported")]
    NotSupported,
    /// Done before.
    #[error("already done")]
    Already,
}

impl Refusal {
    /// The status byte of the answer.
    pub const fn errno(self) -> u8 {
        match self {
            Self::NotFound => 2,
            Self::TryAgain => 11,
            Self::Denied => 13,
            Self::Impossible => 14,
            Self::Busy => 16,
            Self::Exists => 17,
            Self::Invalid => 22,
            Self::NoSpace => 28,
            Self::NameTooLong => 36,
            Self::NotActive => 64,
            Self::NotSupported => 95,
            Self::Already => 114,
        }
    }
}
