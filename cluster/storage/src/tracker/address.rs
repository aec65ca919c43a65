//! The trackers of the configuration, with their addresses looked up.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use fdfs_conf::TrackerAddress;
use fdfs_net::{CallError, Lease, Pool};
use fdfs_proto::{Request, ServerAddress};
use tracing::warn;

/// A tracker, and how it is reached.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    /// Its addresses, tried in turn; one or two.
    pub(crate) addresses: Vec<SocketAddr>,
    pool: Arc<Pool>,
}

impl Tracker {
    /// Looks up the addresses of every tracker, and again until each has one.
    pub(crate) async fn resolve_all(trackers: &[TrackerAddress], pool: &Arc<Pool>) -> Vec<Self> {
        let mut resolved = Vec::with_capacity(trackers.len());
        for tracker in trackers {
            let addresses = loop {
                match resolve(tracker).await {
                    Ok(addresses) => break addresses,
                    Err(error) => {
                        warn!(%tracker, %error, "tracker cannot be looked up, trying again");
                        tokio::time::sleep(RETRY).await;
                    }
                }
            };
            resolved.push(Self { addresses, pool: Arc::clone(pool) });
        }
        resolved
    }

    /// A connection of its own to the first of its addresses that answers.
    pub(crate) async fn connect(&self) -> Result<Lease, CallError> {
        let mut last = CallError::Connect(io::ErrorKind::AddrNotAvailable.into());
        for address in &self.addresses {
            match self.pool.lease_new(*address).await {
                Ok(lease) => return Ok(lease),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Asks one thing that may be asked twice, on a connection that has not joined.
    pub(crate) async fn ask<R: Request>(&self, request: &R) -> Result<R::Response, CallError> {
        let mut last = CallError::Connect(io::ErrorKind::AddrNotAvailable.into());
        for address in &self.addresses {
            match self.pool.ask(*address, request, MAX_ANSWER).await {
                Err(error @ CallError::Connect(_)) => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// As other members of the cluster read it.
    pub(crate) fn server_address(&self) -> ServerAddress {
        ServerAddress {
            ips: self.addresses.iter().map(SocketAddr::ip).collect(),
            port: self.addresses.first().map_or(TrackerAddress::DEFAULT_PORT, SocketAddr::port),
        }
    }
}

impl std::fmt::Display for Tracker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.server_address())
    }
}

async fn resolve(tracker: &TrackerAddress) -> io::Result<Vec<SocketAddr>> {
    let mut addresses = Vec::new();
    for host in &tracker.hosts {
        let mut found = tokio::net::lookup_host((host.as_str(), tracker.port)).await?;
        addresses.extend(found.next());
    }
    if addresses.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(addresses) }
}

/// Longest answer of a tracker to a storage.
pub(crate) const MAX_ANSWER: usize = 256 * 1024;

const RETRY: Duration = Duration::from_secs(5);
