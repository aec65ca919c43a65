//! The server: a listener, and threads that connections are dealt to in turn.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use fdfs_objects::Objects;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tracing::{debug, info, warn};

use crate::config::Config;
use crate::connection;
use crate::context::Context;
use crate::lifecycle;
use crate::public::PublicObjects;
use crate::service::S3Service;

/// A server that runs.
///
/// Dropping it ends every connection at once; [`S3Server::shutdown`] lets requests in progress finish.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    service: Arc<S3Service>,
    listener: Arc<TcpListener>,
    stop: watch::Sender<bool>,
    connections: Arc<Connections>,
    /// Gives back what it has of the lifecycle before it ends; it does so within a bound.
    lifecycle: Option<tokio::task::JoinHandle<()>>,
    /// Dropped when the serving threads are to end.
    running: Option<watch::Sender<()>>,
    threads: Vec<JoinHandle<()>>,
}

/// How many connections there are.
#[derive(Debug, Default)]
struct Connections {
    count: AtomicUsize,
    left: Notify,
}

impl S3Server {
    /// Listens and begins to serve `objects`. When this returns the port is open.
    pub async fn bind(config: Config, objects: Arc<Objects>) -> io::Result<Self> {
        let listener = Arc::new(fdfs_net::listen(config.listen, true)?);
        let address = listener.local_addr()?;
        let (stop, _) = watch::channel(false);
        let (running, ended) = watch::channel(());
        let connections = Arc::new(Connections::default());
        let (mut handles, mut threads) = (Vec::new(), Vec::new());
        for index in 0..config.threads.max(1) {
            let (handle, thread) =
                fdfs_net::serving_thread(&format!("s3-{index}"), DISK_THREADS, ended.clone())?;
            handles.push(handle);
            threads.push(thread);
        }
        let mut lifecycle = None;
        if let Some(handle) = handles.first().filter(|_| !config.lifecycle_interval.is_zero()) {
            let (interval, rate) = (config.lifecycle_interval, config.lifecycle_rate);
            let work = lifecycle::run(Arc::clone(&objects), interval, rate, stop.subscribe());
            lifecycle = Some(handle.spawn(work));
        }
        let max_connections = config.max_connections;
        let service = Arc::new(S3Service::new(Context::new(config, objects))?);
        let acceptor = Acceptor {
            max_connections,
            service: Arc::clone(&service),
            handles,
            stop: stop.subscribe(),
            connections: Arc::clone(&connections),
        };
        let thread = std::thread::Builder::new().name("s3-accept".to_owned());
        let accepting = Arc::clone(&listener);
        threads.push(thread.spawn(move || acceptor.run(&accepting))?);
        info!(%address, "listening for s3");
        Ok(Self { address, service, listener, stop, connections, lifecycle, running: Some(running), threads })
    }

    /// The address that is listened on, with the port the system chose where 0 was asked.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The objects that anybody may read.
    pub fn public_objects(&self) -> PublicObjects {
        PublicObjects::new(Arc::clone(&self.service))
    }

    /// Runs until `stop` is ready, then ends in order.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        stop.await;
        self.shutdown(GRACE).await;
    }

    /// Stops: no new connections, idle ones end, requests in progress may finish for `grace`, then the rest is cut.
    pub async fn shutdown(mut self, grace: Duration) {
        self.stop();
        if tokio::time::timeout(grace, self.connections.none_left()).await.is_err() {
            warn!(
                connections = self.connections.count.load(Ordering::Relaxed),
                "requests in progress were cut"
            );
        }
        if let Some(lifecycle) = self.lifecycle.take()
            && lifecycle.await.is_err_and(|error| error.is_panic())
        {
            warn!("the lifecycle worker has panicked");
        }
        self.running = None;
        let threads = std::mem::take(&mut self.threads);
        let joined = tokio::task::spawn_blocking(move || threads.into_iter().for_each(join));
        let _ = joined.await;
    }

    fn stop(&self) {
        self.stop.send_replace(true);
        // Wakes the thread that blocks in `accept`.
        let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Accepts, and deals the sockets to the serving threads.
struct Acceptor {
    max_connections: usize,
    service: Arc<S3Service>,
    handles: Vec<Handle>,
    stop: watch::Receiver<bool>,
    connections: Arc<Connections>,
}

impl Acceptor {
    fn run(&self, listener: &TcpListener) {
        let mut turns = self.handles.iter().cycle();
        loop {
            let accepted = listener.accept();
            if *self.stop.borrow() {
                return;
            }
            let (socket, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    debug!(%error, "cannot accept");
                    // A client that left is no reason to wait; "too many open files" is.
                    if !matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
                    {
                        std::thread::sleep(PAUSE);
                    }
                    continue;
                }
            };
            let Some(seat) = Seat::take(&self.connections, self.max_connections) else {
                metrics::counter!("fdfs_connections_refused_total", "server" => "s3", "reason" => "too_many")
                    .increment(1);
                continue;
            };
            let served = connection::serve(socket, peer, Arc::clone(&self.service), self.stop.clone());
            if let Some(handle) = turns.next() {
                handle.spawn(async move {
                    served.await;
                    drop(seat);
                });
            }
        }
    }
}

impl Connections {
    async fn none_left(&self) {
        loop {
            let mut left = std::pin::pin!(self.left.notified());
            left.as_mut().enable();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            left.await;
        }
    }
}

/// The place of one connection among the allowed ones; free again when dropped.
struct Seat(Arc<Connections>);

impl Seat {
    fn take(connections: &Arc<Connections>, max: usize) -> Option<Self> {
        let seat = Self(Arc::clone(connections));
        let before = connections.count.fetch_add(1, Ordering::AcqRel);
        metrics::counter!("fdfs_connections_accepted_total", "server" => "s3").increment(1);
        metrics::gauge!("fdfs_connections", "server" => "s3").increment(1);
        (before < max).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let before = self.0.count.fetch_sub(1, Ordering::AcqRel);
        metrics::gauge!("fdfs_connections", "server" => "s3").decrement(1);
        if before == 1 {
            self.0.left.notify_waiters();
        }
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        warn!("an s3 thread has panicked");
    }
}

/// How long requests in progress may take when [`S3Server::run`] ends.
const GRACE: Duration = Duration::from_secs(10);
/// Pause after an error of `accept` that does not go away at once.
const PAUSE: Duration = Duration::from_millis(100);
/// Threads for what blocks, at most, beside each that serves.
const DISK_THREADS: usize = 512;
