//! The secret that the members of a cluster share, as their connections use it.
//!
//! Who connects to a member proves the secret before the first request, and has it proved in turn. Who accepts takes
//! the commands of members on such connections alone.

mod complaints;

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use fdfs_proto::{
    Command, Status,
    ours::{ChallengeRequest, ClusterSecret, Nonce},
};
use rustix::{io::Errno, rand::GetRandomFlags};
use thiserror::Error;
use tracing::warn;

use self::complaints::Complaints;
use crate::{CallError, NetError, Peer};

/// The secret that the members of a cluster share. Clones are handles to the same.
#[derive(Clone)]
pub struct SharedSecret(Arc<Inner>);

struct Inner {
    secret: ClusterSecret,
    complaints: Complaints,
}

/// Why a connection to a member was given up before the first request. The text says what to do.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub enum SecretError {
    /// The peer takes no part.
    #[error(
        "the peer has no cluster secret (it answered {0}): set cluster_secret_file at every member, or at none where \
         original servers take part"
    )]
    Unknown(Status),
    /// The peer refuses our proof.
    #[error(
        "the peer refuses our cluster secret: the files that cluster_secret_file names must be the same at every member"
    )]
    Refused,
    /// The peer accepts our proof and has none of its own.
    #[error("the peer does not prove the cluster secret: something else answers at its address")]
    Unproved,
}

impl SharedSecret {
    /// A secret to be used by connections.
    pub fn new(secret: ClusterSecret) -> Self {
        Self(Arc::new(Inner { secret, complaints: Complaints::default() }))
    }

    pub(crate) fn secret(&self) -> &ClusterSecret {
        &self.0.secret
    }

    /// Proves the secret on a new connection, and has it proved.
    pub(crate) async fn introduce(
        &self,
        peer: &mut Peer,
        address: SocketAddr,
        limit: Duration,
    ) -> Result<(), CallError> {
        let proved = match tokio::time::timeout(limit, self.exchange(peer)).await {
            Ok(proved) => proved,
            Err(_elapsed) => Err(CallError::Connect(io::ErrorKind::TimedOut.into())),
        };
        if let Err(CallError::Secret(error)) = &proved {
            metrics::counter!("fdfs_cluster_secret_failures_total", "reason" => error.reason()).increment(1);
            if self.0.complaints.is_due((address.ip(), "connecting"), Instant::now()) {
                warn!(peer = %address, %error, "no connection to a member");
            }
        }
        proved
    }

    async fn exchange(&self, peer: &mut Peer) -> Result<(), CallError> {
        let challenge = peer.ask(&ChallengeRequest, LIMIT).await.map_err(|error| match error {
            CallError::Status(status) => SecretError::Unknown(status).into(),
            error => lost(error),
        })?;
        let nonce = random().map_err(CallError::Connect)?;
        let (request, expectation) = self.secret().prove(&challenge, nonce);
        let response = peer.ask(&request, LIMIT).await.map_err(|error| match error {
            CallError::Status(Status::EACCES) => SecretError::Refused.into(),
            CallError::Status(status) => SecretError::Unknown(status).into(),
            error => lost(error),
        })?;
        expectation.check(&response).map_err(|_wrong| SecretError::Unproved.into())
    }

    /// Counts a command that is refused, and tells of it now and then.
    pub(crate) fn refused(&self, peer: IpAddr, command: Command) {
        let name = command.name().unwrap_or("unknown");
        metrics::counter!("fdfs_unauthenticated_total", "command" => name).increment(1);
        let (topic, text) = match command {
            Command::MEMBER_PROOF => (
                "proof",
                "a peer has another cluster secret: its cluster_secret_file must hold the same as ours",
            ),
            _ => (
                "command",
                "a command of members from a peer that has not proved the cluster secret: if it is a member, set \
                 cluster_secret_file there",
            ),
        };
        if self.0.complaints.is_due((peer, topic), Instant::now()) {
            warn!(%peer, cmd = ?command, "{text}");
        }
    }
}

impl SecretError {
    fn reason(self) -> &'static str {
        match self {
            Self::Unknown(_) => "unknown",
            Self::Refused => "refused",
            Self::Unproved => "unproved",
        }
    }
}

/// Never shows the secret.
impl fmt::Debug for SharedSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedSecret")
    }
}

/// Random bytes of the system.
pub(crate) fn random() -> io::Result<Nonce> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        match rustix::rand::getrandom(&mut bytes[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Nonce(bytes))
}

/// A connection that breaks before it was asked anything was never made: another address may be tried.
fn lost(error: CallError) -> CallError {
    match error {
        CallError::Net(NetError::Io(error)) => CallError::Connect(error),
        CallError::Net(NetError::Closed) => CallError::Connect(io::ErrorKind::ConnectionAborted.into()),
        CallError::Net(NetError::Timeout) => CallError::Connect(io::ErrorKind::TimedOut.into()),
        CallError::Malformed(_) | CallError::Net(NetError::TooLong { .. } | NetError::Header(_)) => {
            SecretError::Unproved.into()
        }
        error => error,
    }
}

/// No message of the exchange is longer.
pub(crate) const LIMIT: usize = 64;

#[cfg(test)]
mod tests;
