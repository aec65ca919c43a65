//! Connections to servers, kept for the next call.

mod peer;

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use fdfs_proto::{Command, Header, Request};

pub use peer::Peer;

use crate::{CallError, NetError, SharedSecret};

/// How connections to servers are made and kept.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// Time to make a connection.
    pub connect_timeout: Duration,
    /// Time without progress while sending or receiving.
    pub network_timeout: Duration,
    /// Local address of outgoing connections; the system's choice if absent.
    pub bind: Option<IpAddr>,
    /// Unused connections kept per server.
    pub max_idle: usize,
    /// Time after which an unused connection is not used again.
    pub max_idle_time: Duration,
    /// What both sides of a new connection have to prove before it is used, if anything.
    pub secret: Option<SharedSecret>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            network_timeout: Duration::from_secs(30),
            bind: None,
            max_idle: 16,
            max_idle_time: Duration::from_secs(3600),
            secret: None,
        }
    }
}

/// Connections to servers, by address.
///
/// A connection comes back by itself when a [`Lease`] is dropped, if its last answer was read to the end and was a success:
/// a storage may close after an error.
#[derive(Debug)]
pub struct Pool {
    config: PoolConfig,
    idle: Mutex<HashMap<SocketAddr, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    peer: Peer,
    since: Instant,
}

impl Pool {
    /// A pool without connections.
    pub fn new(config: PoolConfig) -> Arc<Self> {
        Arc::new(Self { config, idle: Mutex::default() })
    }

    /// Sends a small request and reads its answer, of at most `limit` bytes.
    ///
    /// A kept connection that turns out to be dead is replaced by a new one, once. So a request that must not be made
    /// twice takes a [`Pool::lease`] and decides for itself.
    pub async fn call(
        self: &Arc<Self>,
        address: SocketAddr,
        command: Command,
        body: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, CallError> {
        if let Some(mut lease) = self.take_idle(address) {
            match lease.call(command, body, limit).await {
                Err(CallError::Net(NetError::Closed | NetError::Io(_))) => {}
                other => return other,
            }
        }
        self.lease_new(address).await?.call(command, body, limit).await
    }

    /// Sends a request and reads its answer, whose body may have `limit` bytes. Retries as [`Pool::call`] does.
    pub async fn ask<R: Request>(
        self: &Arc<Self>,
        address: SocketAddr,
        request: &R,
        limit: usize,
    ) -> Result<R::Response, CallError> {
        if let Some(mut lease) = self.take_idle(address) {
            match lease.ask(request, limit).await {
                Err(CallError::Net(NetError::Closed | NetError::Io(_))) => {}
                other => return other,
            }
        }
        self.lease_new(address).await?.ask(request, limit).await
    }

    /// A connection to `address`: a kept one that seems alive, else a new one.
    pub async fn lease(self: &Arc<Self>, address: SocketAddr) -> Result<Lease, CallError> {
        match self.take_idle(address) {
            Some(lease) => Ok(lease),
            None => self.lease_new(address).await,
        }
    }

    /// A new connection to `address`.
    pub async fn lease_new(self: &Arc<Self>, address: SocketAddr) -> Result<Lease, CallError> {
        let peer = Peer::connect(address, &self.config).await?;
        Ok(Lease { address, peer: Some(peer), pool: Arc::clone(self) })
    }

    /// Number of connections kept for `address`.
    pub fn idle(&self, address: SocketAddr) -> usize {
        self.lock().get(&address).map_or(0, Vec::len)
    }

    fn take_idle(self: &Arc<Self>, address: SocketAddr) -> Option<Lease> {
        let mut idle = self.lock();
        let kept = idle.get_mut(&address)?;
        while let Some(Idle { peer, since }) = kept.pop() {
            if since.elapsed() < self.config.max_idle_time && peer.is_quiet() {
                return Some(Lease { address, peer: Some(peer), pool: Arc::clone(self) });
            }
        }
        None
    }

    fn keep(&self, address: SocketAddr, peer: Peer) {
        let mut idle = self.lock();
        let kept = idle.entry(address).or_default();
        if kept.len() < self.config.max_idle {
            kept.push(Idle { peer, since: Instant::now() });
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SocketAddr, Vec<Idle>>> {
        self.idle.lock().expect("no holder of this lock panics")
    }
}

/// A connection on loan from a [`Pool`].
#[derive(Debug)]
pub struct Lease {
    address: SocketAddr,
    peer: Option<Peer>,
    pool: Arc<Pool>,
}

impl Lease {
    /// Sends a request that is its header and `body`, and reads an answer of at most `limit` bytes.
    pub async fn call(&mut self, command: Command, body: &[u8], limit: usize) -> Result<Vec<u8>, CallError> {
        let header = Header::request(command, body.len() as u64);
        self.send(header, body).await?;
        self.receive().await?;
        self.read_body(limit).await
    }

    /// Sends a request without content and reads its answer, whose body may have `limit` bytes.
    pub async fn ask<R: Request>(&mut self, request: &R, limit: usize) -> Result<R::Response, CallError> {
        Peer::ask(self, request, limit).await
    }

    /// Closes the connection instead of giving it back.
    pub fn close(mut self) {
        self.peer = None;
    }

    /// The server's address.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl std::ops::Deref for Lease {
    type Target = Peer;

    fn deref(&self) -> &Peer {
        self.peer.as_ref().expect("the connection is there until drop")
    }
}

impl std::ops::DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Peer {
        self.peer.as_mut().expect("the connection is there until drop")
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(peer) = self.peer.take()
            && peer.is_between_calls()
        {
            self.pool.keep(self.address, peer);
        }
    }
}

#[cfg(test)]
mod tests;
