//! What a request is answered with.

use fdfs_proto::{Decode, DecodeError, Encode, Header, Request, Status, Writer};
use fdfs_rules::{Action, Refusal};
use fdfs_types::GroupName;

/// The answer to a request that succeeds, and what has to be done before it is sent.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The body.
    pub(crate) body: Vec<u8>,
    /// What has to be done first.
    pub(crate) actions: Vec<Action>,
    /// A trunk server has to be elected; its id is the answer.
    pub(crate) elect: Option<GroupName>,
}

/// Why a request is not answered with success.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Denial {
    /// A status without a body.
    Status(Status),
    /// A status with the request's own body, as one command has it.
    Echo(Status, Vec<u8>),
}

/// The outcome of a request.
pub(crate) type Outcome = Result<Answer, Denial>;

impl Answer {
    /// An answer without a body, after these actions.
    pub(crate) fn done(actions: Vec<Action>) -> Self {
        Self { actions, ..Self::default() }
    }

    /// An answer with a message.
    pub(crate) fn with(message: &impl Encode) -> Self {
        let mut body = Vec::new();
        message.write(&mut Writer::new(&mut body));
        Self { body, ..Self::default() }
    }

    /// The same after these actions.
    pub(crate) fn after(self, actions: Vec<Action>) -> Self {
        Self { actions, ..self }
    }
}

impl From<Refusal> for Denial {
    fn from(refusal: Refusal) -> Self {
        Self::Status(Status(refusal.errno()))
    }
}

impl From<DecodeError> for Denial {
    fn from(error: DecodeError) -> Self {
        Self::Status(error.status_at_tracker())
    }
}

impl From<Status> for Denial {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

/// Reads the body of a request.
pub(crate) fn read<R: Request + Decode>(header: &Header, body: &[u8]) -> Result<R, Denial> {
    Ok(R::decode_request(header, body)?)
}
