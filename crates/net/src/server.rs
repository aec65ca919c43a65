//! The server: one acceptor, and worker threads that each run their own connections.

mod acceptor;
mod counters;
mod listen;
mod worker;

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

use tokio::{runtime::Handle, sync::watch};
use tracing::{info, warn};

pub use counters::ConnectionCounts;
pub use listen::{listen, listen_here};
pub(crate) use worker::{Seat, Worker};

use crate::{Connection, SharedSecret, serving_thread};
use acceptor::Acceptor;
use counters::Counters;

/// What a server does with a connection.
///
/// A call runs on one worker thread from its beginning to its end, beside the other connections of that thread: it
/// must not block.
pub trait Service: Send + Sync + 'static {
    /// Talks with one client until the conversation is over.
    fn serve(self: Arc<Self>, connection: Connection) -> impl Future<Output = ()> + Send;
}

/// What a server allows.
#[derive(Clone)]
pub struct Limits {
    /// Name for threads, metrics and logs.
    pub name: &'static str,
    /// Number of worker threads.
    pub threads: usize,
    /// Connections above this number are accepted and closed at once.
    pub max_connections: usize,
    /// Time without progress inside a message after which a client is given up.
    pub network_timeout: Duration,
    /// Longest body of a request; a longer one ends the connection without an answer.
    pub max_body: u64,
    /// Longest unread rest of a body that is skipped so that the conversation can go on.
    pub skip_body: u64,
    /// Peers that may connect; the others are accepted and closed at once.
    pub allow: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// What a peer has to prove before commands of members are taken from it, if anything.
    pub secret: Option<SharedSecret>,
}

impl Limits {
    /// Limits of a server called `name`: everybody may come, bodies of any length.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            max_connections: 256,
            network_timeout: Duration::from_secs(60),
            max_body: u64::MAX,
            skip_body: 1024 * 1024,
            allow: Arc::new(|_| true),
            secret: None,
        }
    }
}

impl std::fmt::Debug for Limits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limits")
            .field("name", &self.name)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

/// A server that runs.
///
/// Dropping it ends every conversation at once; [`Server::shutdown`] lets requests in progress finish.
#[derive(Debug)]
pub struct Server {
    addresses: Vec<SocketAddr>,
    counters: Arc<Counters>,
    workers: Vec<Arc<Worker>>,
    handles: Vec<Handle>,
    listeners: Vec<Arc<TcpListener>>,
    /// Dropped when the threads are to end.
    running: Option<watch::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Starts to serve what connects to `listeners`.
    pub fn start<S: Service>(
        limits: Limits,
        listeners: Vec<TcpListener>,
        service: Arc<S>,
    ) -> io::Result<Self> {
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let limits = Arc::new(limits);
        let counters = Arc::new(Counters::new(limits.name));
        let (running, stopped) = watch::channel(());
        let (mut workers, mut handles, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        for index in 0..limits.threads.max(1) {
            let worker = Arc::new(Worker::new(Arc::clone(&limits), Arc::clone(&counters)));
            let (handle, thread) =
                serving_thread(&format!("{}-{index}", limits.name), DISK_THREADS, stopped.clone())?;
            workers.push(worker);
            handles.push(handle);
            threads.push(thread);
        }
        let acceptor =
            Acceptor::new(Arc::clone(&limits), Arc::clone(&counters), workers.clone(), handles.clone());
        let listeners: Vec<_> = listeners.into_iter().map(Arc::new).collect();
        for listener in &listeners {
            listener.set_nonblocking(false)?;
            let (acceptor, service, listener) =
                (acceptor.clone(), Arc::clone(&service), Arc::clone(listener));
            let thread = std::thread::Builder::new().name(format!("{}-accept", limits.name));
            threads.push(thread.spawn(move || acceptor.run(&listener, &service))?);
        }
        info!(?addresses, "listening");
        Ok(Self { addresses, counters, workers, handles, listeners, running: Some(running), threads })
    }

    /// The addresses that are listened on, with the ports the system chose where 0 was asked.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Counts of connections, as storages report them to trackers.
    pub fn connections(&self) -> ConnectionCounts {
        self.counters.connections()
    }

    /// A view of the counts that outlives this value.
    pub fn connections_view(&self) -> impl Fn() -> ConnectionCounts + Send + Sync + 'static {
        let counters = Arc::clone(&self.counters);
        move || counters.connections()
    }

    /// Runtime of the first worker, for tasks that belong to the server.
    pub fn handle(&self) -> &Handle {
        &self.handles[0]
    }

    /// Stops: no new connections, idle ones end, requests in progress may finish for `grace`, then the rest is cut.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop();
        let left = self.counters.wait_until_empty(grace).await;
        if left > 0 {
            warn!(connections = left, "requests in progress were cut");
        }
        self.running = None;
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(join));
        let _ = joined.await;
    }

    fn stop(&mut self) {
        for worker in &self.workers {
            worker.stop();
        }
        for listener in self.listeners.drain(..) {
            // Wakes the thread that blocks in `accept`.
            let _ = rustix::net::shutdown(&listener, rustix::net::Shutdown::Both);
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        warn!("a server thread has panicked");
    }
}

/// Threads for what blocks, at most, beside each that serves.
const DISK_THREADS: usize = 64;

#[cfg(test)]
mod tests;
