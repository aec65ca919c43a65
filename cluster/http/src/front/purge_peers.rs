//! Telling other fronts what was purged.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tracing::{debug, warn};

use super::BearerToken;

/// The other fronts. Who cannot be reached is told later.
#[derive(Debug, Default)]
pub(super) struct PurgePeers {
    peers: Vec<Arc<PurgePeer>>,
}

#[derive(Debug)]
struct PurgePeer {
    address: String,
    /// What it is shown, if anything.
    token: Option<BearerToken>,
    /// Paths that it has not been told, the oldest first.
    untold: Mutex<VecDeque<String>>,
}

impl PurgePeers {
    /// Fronts at these addresses, which are shown `token`. What those of `before` are still to be told, they are told.
    pub(super) fn new(addresses: &[String], token: Option<&BearerToken>, before: &Self) -> Self {
        let peer = |address: &String| {
            let known =
                before.peers.iter().find(|peer| peer.address == *address && peer.token.as_ref() == token);
            known.cloned().unwrap_or_else(|| {
                let (address, token) = (address.clone(), token.cloned());
                Arc::new(PurgePeer { address, token, untold: Mutex::default() })
            })
        };
        Self { peers: addresses.iter().map(peer).collect() }
    }

    /// Tells everybody, each within a second; what each answered, a line each.
    pub(super) async fn tell(&self, path: &str) -> String {
        let told = self.peers.iter().map(|peer| async move {
            match peer.tell(path).await {
                Ok(status) => format!("{}: {status}\n", peer.address),
                Err(error) => {
                    peer.keep(path);
                    format!("{}: {error}; it is told later\n", peer.address)
                }
            }
        });
        futures_util::future::join_all(told).await.concat()
    }
}

impl PurgePeer {
    /// Remembers what could not be told; one task tells it as soon as that is possible.
    fn keep(self: &Arc<Self>, path: &str) {
        let mut untold = self.untold.lock();
        if untold.len() >= MOST_UNTOLD {
            untold.pop_front();
            metrics::counter!("fdfs_purges_not_told_total").increment(1);
        }
        untold.push_back(path.to_owned());
        if untold.len() > 1 {
            return;
        }
        let peer = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let Some(peer) = peer.upgrade() else { return };
                let Some(path) = peer.untold.lock().front().cloned() else { return };
                match peer.tell(&path).await {
                    Ok(_) => {
                        let mut untold = peer.untold.lock();
                        untold.pop_front();
                        if untold.is_empty() {
                            return;
                        }
                    }
                    Err(error) => debug!(peer = %peer.address, %error, "another front is still not told"),
                }
            }
        });
        warn!(peer = %self.address, path, "another front cannot be told of a purge; it is told later");
    }

    async fn tell(&self, path: &str) -> io::Result<u16> {
        let asking = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            let host = &self.address;
            let shown = self.token.as_ref().map(BearerToken::line).unwrap_or_default();
            let request = format!(
                "PURGE {path} HTTP/1.1\r\nHost: {host}\r\n{TOLD}: 1\r\n{shown}Connection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).await?;
            let mut head = [0; 12];
            stream.read_exact(&mut head).await?;
            let status = std::str::from_utf8(&head[9..]).ok().and_then(|text| text.parse().ok());
            match status.ok_or(io::ErrorKind::InvalidData)? {
                status @ (200 | 404) => Ok(status),
                status => Err(io::Error::other(format!(
                    "it answers {status}; is this front in its purge_from, or has its purge_token?"
                ))),
            }
        };
        timeout(PATIENCE, asking).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// Says that a purge comes from another front, which tells the rest.
pub(super) const TOLD: &str = "x-fdfs-purge-told";
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_secs(1);
const MOST_UNTOLD: usize = 10_000;
