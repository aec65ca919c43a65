//! Connections to members, kept for the next change.

use std::{
    collections::HashMap,
    net::SocketAddr,
    thread::{self, ThreadId},
    time::Instant,
};

use fdfs_net::{CallError, PoolConfig};
use parking_lot::Mutex;

use crate::sync::Line;

/// Connections that say nothing about who sends. Each belongs to the thread that made it, whose runtime drives it.
#[derive(Debug)]
pub(super) struct Lines {
    config: PoolConfig,
    idle: Mutex<HashMap<Place, Vec<(Kept, Instant)>>>,
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
        Self { config, idle: Mutex::default() }
    }

    /// A kept connection to the member with these addresses that seems alive.
    pub(super) fn take(&self, addresses: &[SocketAddr]) -> Option<Kept> {
        let mut idle = self.idle.lock();
        let kept = idle.get_mut(&place(addresses))?;
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
        let others = idle.entry(kept.place).or_default();
        if others.len() < self.config.max_idle {
            others.push((kept, Instant::now()));
        }
    }
}

fn place(addresses: &[SocketAddr]) -> Place {
    (thread::current().id(), addresses.first().copied())
}
