//! Connections to members that answer for themselves alone, kept for the next question.

use std::{
    collections::HashMap,
    net::SocketAddr,
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use fdfs_net::{CallError, Peer, PoolConfig};
use fdfs_proto::{
    Header, Request, Status,
    ours::{Capabilities, Hello, HelloRequest},
};
use parking_lot::Mutex;
use thiserror::Error;

/// Connections to members, and which members are not ours. Each connection belongs to the thread that made it, whose
/// runtime drives it.
#[derive(Debug)]
pub(super) struct Lines {
    config: PoolConfig,
    idle: Mutex<HashMap<Place, Vec<(Line, Instant)>>>,
    not_ours: Mutex<HashMap<SocketAddr, Instant>>,
}

/// A connection to a member that was told that what it is asked there is asked for clients of another member.
#[derive(Debug)]
pub(crate) struct Line {
    pub(super) peer: Peer,
    /// What the member can do.
    pub(super) capabilities: Capabilities,
    /// None for one that is not kept.
    place: Option<Place>,
}

/// Why a member does not answer.
#[derive(Debug, Error)]
pub(crate) enum LineError {
    /// It is an original one, or an older one of ours.
    #[error("the member does not know how to answer for itself alone")]
    NotOurs,
    /// The call failed, or was refused.
    #[error(transparent)]
    Call(#[from] CallError),
}

type Place = (ThreadId, SocketAddr);

impl Lines {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self { config, idle: Mutex::default(), not_ours: Mutex::default() }
    }

    /// A kept connection to the member with these addresses that seems alive.
    pub(super) fn take(&self, addresses: &[SocketAddr]) -> Option<Line> {
        let mut idle = self.idle.lock();
        for address in addresses {
            let kept = idle
                .get_mut(&(thread::current().id(), *address))
                .into_iter()
                .flat_map(|kept| std::iter::from_fn(|| kept.pop()));
            let mut alive = kept.filter(|(line, since)| since.elapsed() < MAX_IDLE && line.peer.is_quiet());
            if let Some((line, _)) = alive.next() {
                return Some(line);
            }
        }
        None
    }

    /// A new connection, to the first address that answers.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Result<Line, LineError> {
        let mut last = CallError::Connect(std::io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            if self.not_ours.lock().get(address).is_some_and(|since| since.elapsed() < ASK_AGAIN) {
                return Err(LineError::NotOurs);
            }
            match Peer::connect(*address, &self.config).await {
                Ok(peer) => return self.introduce(peer, *address).await,
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    async fn introduce(&self, mut peer: Peer, address: SocketAddr) -> Result<Line, LineError> {
        let hello = Hello {
            version: Hello::VERSION,
            capabilities: Capabilities::FOR_ANOTHER,
            software: concat!("fdfs ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        let capabilities = match peer.ask(&HelloRequest(hello), MAX_HELLO).await {
            Ok(answer) => answer.capabilities,
            Err(CallError::Status(Status::EINVAL)) => Capabilities::default(),
            Err(error) => return Err(error.into()),
        };
        if capabilities.contains(Capabilities::FOR_ANOTHER) {
            return Ok(Line { peer, capabilities, place: Some((thread::current().id(), address)) });
        }
        self.not_ours.lock().insert(address, Instant::now());
        Err(LineError::NotOurs)
    }

    /// A new connection to a member that is not ours. It is not to be kept.
    pub(super) async fn connect_plainly(&self, addresses: &[SocketAddr]) -> Result<Line, LineError> {
        let mut last = CallError::Connect(std::io::ErrorKind::AddrNotAvailable.into());
        for address in addresses {
            match Peer::connect(*address, &self.config).await {
                Ok(peer) => return Ok(Line { peer, capabilities: Capabilities::default(), place: None }),
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    /// Takes a connection back whose last answer was read to its end.
    pub(super) fn keep(&self, line: Line) {
        // Moved to another thread meanwhile, it would have two runtimes.
        let Some(place) = line.place.filter(|place| place.0 == thread::current().id()) else { return };
        if line.peer.body_left() > 0 {
            return;
        }
        let mut idle = self.idle.lock();
        let others = idle.entry(place).or_default();
        if others.len() < MOST_IDLE {
            others.push((line, Instant::now()));
        }
    }
}

impl Line {
    /// Sends a request; the body of the answer follows by [`Line::next_chunk`].
    pub(super) async fn ask<R: Request>(&mut self, request: &R) -> Result<Header, CallError> {
        self.peer.send_request(request).await?;
        self.peer.receive().await
    }

    /// The next piece of the answer; `None` at its end.
    pub(crate) async fn next_chunk(&mut self) -> Result<Option<&[u8]>, CallError> {
        self.peer.next_chunk().await
    }
}

const MAX_IDLE: Duration = Duration::from_secs(60);
const MOST_IDLE: usize = 4;
const MAX_HELLO: usize = 256;
/// A member that is not ours may have been replaced by one of ours after this time.
const ASK_AGAIN: Duration = Duration::from_secs(600);
