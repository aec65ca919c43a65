//! Accepting, and dealing the sockets to the workers in turn.
//!
//! Each listener has a thread that does nothing else: it blocks in `accept`, and stopping shuts the listener down under it.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::net::SocketFlags;
use tokio::runtime::Handle;
use tracing::{Instrument, debug, debug_span, warn};

use super::{Limits, Seat, Service, Worker, counters::Counters};
use crate::{Connection, near, wire::Wire};

#[derive(Clone)]
pub(super) struct Acceptor {
    limits: Arc<Limits>,
    counters: Arc<Counters>,
    workers: Vec<Arc<Worker>>,
    handles: Vec<Handle>,
    next: Arc<AtomicUsize>,
}

impl Acceptor {
    pub(super) fn new(
        limits: Arc<Limits>,
        counters: Arc<Counters>,
        workers: Vec<Arc<Worker>>,
        handles: Vec<Handle>,
    ) -> Self {
        Self { limits, counters, workers, handles, next: Arc::default() }
    }

    /// Accepts until the server stops, which shuts the listener down.
    pub(super) fn run<S: Service>(&self, listener: &TcpListener, service: &Arc<S>) {
        loop {
            match accept(listener) {
                _ if self.workers[0].is_stopping() => return,
                Ok((socket, peer)) => self.deal(socket, peer, service),
                Err(error) if is_about_one_client(&error) => {
                    debug!(%error, "a client left before it was accepted");
                }
                Err(error) => {
                    warn!(%error, "cannot accept");
                    std::thread::sleep(PAUSE);
                }
            }
        }
    }

    fn deal<S: Service>(&self, socket: TcpStream, peer: SocketAddr, service: &Arc<S>) {
        if !(self.limits.allow)(peer.ip()) {
            self.counters.not_allowed();
            debug!(%peer, "refused: not an allowed host");
            return;
        }
        let turn = self.next.fetch_add(1, Ordering::Relaxed) % self.workers.len();
        let Some(seat) = Seat::take(&self.workers[turn]) else {
            debug!(%peer, "refused: too many connections");
            return;
        };
        let timeout = self.limits.network_timeout;
        let service = Arc::clone(service);
        let conversation = async move {
            match open(socket, timeout) {
                Ok((wire, local)) => service.serve(Connection::new(wire, peer, local, seat)).await,
                Err(error) => debug!(%error, "connection was lost at once"),
            }
        };
        self.handles[turn].spawn(conversation.instrument(debug_span!("connection", %peer)));
    }
}

fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer): (OwnedFd, _) = rustix::net::acceptfrom_with(listener, flags)?;
    let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
    let peer = peer.ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((socket.into(), SocketAddr::new(peer.ip().to_canonical(), peer.port())))
}

fn open(socket: TcpStream, timeout: Duration) -> io::Result<(Wire, SocketAddr)> {
    near::prepare(&socket)?;
    let wire = Wire::new(tokio::net::TcpStream::from_std(socket)?, timeout);
    let local = wire.local()?;
    Ok((wire, SocketAddr::new(local.ip().to_canonical(), local.port())))
}

/// Errors of `accept` that concern the client, not this server.
fn is_about_one_client(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, NetworkUnreachable,
    };
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionReset | HostUnreachable | Interrupted | NetworkUnreachable
    )
}

/// Pause after an error such as "too many open files", which does not go away at once.
const PAUSE: Duration = Duration::from_millis(100);
