//! Connections to members, kept for the next change.

use std::{
    collections::HashMap,
    net::SocketAddr,
    thread::{self, ThreadId},
    time::{Duration, Instant},
};

use fdfs_net::{CallError, PoolConfig};
use parking_lot::Mutex;

use crate::sync::Line;

/// Connections that say nothing about who sends. Each belongs to the thread that made it, whose runtime drives it.
#[derive(Debug)]
pub(super) struct Lines {
    config: PoolConfig,
    idle: Mutex<Idle>,
}

#[derive(Debug)]
struct Idle {
    lines: HashMap<Place, Vec<(Kept, Instant)>>,
    swept: Instant,
}

/// A connection, and where it belongs.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) line: Line,
    place: Place,
}

type Place = (ThreadId, Option<SocketAddr>);

impl Lines {
    pub(super) fn new(config: PoolConfig) -> Self {
        Self { config, idle: Mutex::new(Idle { lines: HashMap::new(), swept: Instant::now() }) }
    }

    /// A kept connection to the member with these addresses that seems alive.
    pub(super) fn take(&self, addresses: &[SocketAddr]) -> Option<Kept> {
        let mut idle = self.idle.lock();
        let kept = idle.lines.get_mut(&place(addresses))?;
        while let Some((kept, since)) = kept.pop() {
            if since.elapsed() < self.config.max_idle_time && kept.line.is_quiet() {
                return Some(kept);
            }
        }
        None
    }

    /// A new connection.
    pub(super) async fn connect(&self, addresses: &[SocketAddr]) -> Result<Kept, CallError> {
        let line = Line::connect(addresses, &self.config).await?;
        metrics::counter!("fdfs_write_concern_connections_total").increment(1);
        Ok(Kept { line, place: place(addresses) })
    }

    /// Takes a connection back whose last answer was read to its end.
    pub(super) fn keep(&self, kept: Kept) {
        // Moved to another thread meanwhile, it would have two runtimes.
        if !kept.line.is_good() || kept.place.0 != thread::current().id() {
            return;
        }
        let mut idle = self.idle.lock();
        idle.sweep(self.config.max_idle_time);
        let others = idle.lines.entry(kept.place).or_default();
        if others.len() < self.config.max_idle {
            others.push((kept, Instant::now()));
        }
    }
}

impl Idle {
    /// Closes what nobody asked for in this time, above all connections to members that left the group. Looks as often as that.
    fn sweep(&mut self, max_idle_time: Duration) {
        if self.swept.elapsed() < max_idle_time {
            return;
        }
        self.swept = Instant::now();
        self.lines.retain(|_, kept| {
            kept.retain(|(_, since)| since.elapsed() < max_idle_time);
            !kept.is_empty()
        });
    }
}

fn place(addresses: &[SocketAddr]) -> Place {
    (thread::current().id(), addresses.first().copied())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::{io::AsyncReadExt, net::TcpListener, time};

    use super::*;

    #[tokio::test]
    async fn connections_to_a_member_that_left_are_closed_with_a_later_change() {
        let config = PoolConfig { max_idle_time: Duration::from_millis(1), ..PoolConfig::default() };
        let idle = config.max_idle_time;
        let lines = Lines::new(config);
        let mut members = Vec::new();
        for _ in 0..2 {
            members.push(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port"));
        }
        let addresses = |member: usize| [members[member].local_addr().expect("bound")];
        let left = lines.connect(&addresses(0)).await.expect("it listens");
        let (mut peer, _) = members[0].accept().await.expect("the connection");
        lines.keep(left);
        time::sleep(idle).await;
        let other = lines.connect(&addresses(1)).await.expect("it listens");
        lines.keep(other);
        let mut byte = [0];
        let read = time::timeout(Duration::from_secs(20), peer.read(&mut byte)).await.expect("in time");
        assert_eq!(read.expect("an end"), 0);
        assert_eq!(lines.idle.lock().lines.len(), 1);
    }
}
