//! What went wrong with the database, as far as it matters here.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::engine::EngineError;

/// Why a call had no success.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// Another transaction was in the way; nothing happened.
    Conflict,
    /// The connection is gone, or the server does not take any now: another attempt may succeed.
    Lost(String),
    /// No answer in time. The connection is of no use any more.
    Silent,
    /// The database refuses; another attempt would be refused as well.
    Final(EngineError),
}

impl Failure {
    /// What it means that this came back.
    pub(super) fn of(error: &Error) -> Self {
        let Some(refusal) = error.as_db_error() else {
            let text = with_causes(error);
            return match error.is_closed() || error.source().is_some_and(is_io) {
                true => Self::Lost(text),
                // Such as a password that is needed and not given.
                false => Self::Final(EngineError::Refused(text)),
            };
        };
        let code = refusal.code();
        let text = format!("{} (SQLSTATE {})", refusal.message(), code.code());
        match &code.code()[..2] {
            _ if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
                Self::Conflict
            }
            _ if *code == SqlState::DISK_FULL => Self::Final(EngineError::NoSpace),
            // Tables that two gateways make at once: the second attempt finds them.
            _ if *code == SqlState::UNIQUE_VIOLATION || *code == SqlState::DUPLICATE_TABLE => {
                Self::Lost(text)
            }
            _ if *code == SqlState::READ_ONLY_SQL_TRANSACTION => {
                Self::Final(EngineError::Unavailable(format!("the database takes no writes: {text}")))
            }
            // Wrong password or user, no such database, no permission.
            "28" | "3D" => Self::Final(EngineError::Refused(text)),
            _ if *code == SqlState::INSUFFICIENT_PRIVILEGE => Self::Final(EngineError::Refused(text)),
            // Broken connections, too many of them, shut down or not started up yet, a session that stood still.
            "08" | "53" | "57" => Self::Lost(text),
            _ if code.code() == "25P03" => Self::Lost(text),
            _ if *code == SqlState::LOCK_NOT_AVAILABLE => Self::Lost(text),
            _ => Self::Final(EngineError::Store(text)),
        }
    }

    /// What is told of it when there is no attempt left.
    pub(super) fn into_error(self) -> EngineError {
        match self {
            Self::Conflict => EngineError::Unavailable("others write at the same time".to_owned()),
            Self::Lost(text) => EngineError::Unavailable(format!("database: {text}")),
            Self::Silent => EngineError::Unavailable("the database gives no answer".to_owned()),
            Self::Final(error) => error,
        }
    }

    /// True where the connection can be used on.
    pub(super) fn spares_connection(&self) -> bool {
        matches!(self, Self::Conflict | Self::Final(EngineError::NoSpace | EngineError::Store(_)))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

fn is_io(error: &(dyn std::error::Error + 'static)) -> bool {
    error.is::<std::io::Error>() || error.source().is_some_and(is_io)
}

fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
