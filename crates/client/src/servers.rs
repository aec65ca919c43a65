//! Asking one server, within time limits.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fdfs_net::{CallError, Lease, NetError, Pool};
use fdfs_proto::{ActiveTestRequest, Header, Request};
use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::ClientOptions;
use crate::meters::Meters;
use crate::slow_storages::SlowStorages;

/// Connections to all servers, and the patience with each.
#[derive(Debug)]
pub(crate) struct Servers {
    pool: Arc<Pool>,
    answer_timeout: Duration,
    /// Those that did not answer in time, and when: a frozen server takes connections and says nothing.
    silent: Mutex<HashMap<SocketAddr, Instant>>,
    /// Whether somebody looks at every server now and then, so that one that failed is known to be back at once.
    is_probed: AtomicBool,
    /// Failures since the last answer, where servers are looked at.
    failures: Mutex<HashMap<SocketAddr, u32>>,
    /// Those that serve since lately, and since when.
    new: Mutex<HashMap<SocketAddr, Instant>>,
    /// Conversations that go on, by server.
    busy: Mutex<HashMap<SocketAddr, Arc<AtomicUsize>>>,
    meters: Meters,
    slow: SlowStorages,
}

/// A conversation that goes on, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Busy(Arc<AtomicUsize>);

impl Servers {
    pub(crate) fn new(options: &ClientOptions) -> Self {
        let (silent, failures, new, busy, meters, slow) = Default::default();
        let (pool, answer_timeout) = (Pool::new(options.pool.clone()), options.answer_timeout);
        Self {
            pool,
            answer_timeout,
            silent,
            is_probed: AtomicBool::new(false),
            failures,
            new,
            busy,
            meters,
            slow,
        }
    }

    /// Whether a server has not answered in time lately, so that others are better asked first. Once in a while somebody is
    /// told otherwise, and finds out.
    pub(crate) fn is_silent(&self, address: SocketAddr) -> bool {
        match self.silent.lock().get_mut(&address) {
            Some(since) if since.elapsed() < SILENT_TIME => true,
            Some(since) => {
                *since = Instant::now();
                false
            }
            None => false,
        }
    }

    /// Counters of storages.
    pub(crate) fn meters(&self) -> &Meters {
        &self.meters
    }

    /// Which storages are slower than others.
    pub(crate) fn slow(&self) -> &SlowStorages {
        &self.slow
    }

    /// A server has come, or come back: its part of the work grows from now on.
    pub(crate) fn has_come(&self, address: SocketAddr) {
        self.new.lock().insert(address, Instant::now());
    }

    /// The part of its work that a server is given, up to 1.
    pub(crate) fn share(&self, address: SocketAddr) -> f64 {
        let mut new = self.new.lock();
        let Some(since) = new.get(&address) else { return 1.0 };
        let share = share_after(since.elapsed());
        if share >= 1.0 {
            new.remove(&address);
        }
        share
    }

    /// Conversations with a server that go on.
    pub(crate) fn load(&self, address: SocketAddr) -> usize {
        self.busy.lock().get(&address).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// A conversation with a server begins.
    pub(crate) fn occupy(&self, address: SocketAddr) -> Busy {
        let count = Arc::clone(self.busy.lock().entry(address).or_default());
        count.fetch_add(1, Ordering::Relaxed);
        Busy(count)
    }

    /// Looks whether a server answers.
    pub(crate) async fn probe(&self, address: SocketAddr, limit: Duration) {
        self.is_probed.store(true, Ordering::Relaxed);
        let began = Instant::now();
        let answer =
            tokio::time::timeout(limit, self.pool.ask(address, &ActiveTestRequest, ANSWER_LIMIT)).await;
        let answer = answer.unwrap_or(Err(NetError::Timeout.into()));
        let was_silent = self.silent.lock().contains_key(&address);
        metrics::histogram!("fdfs_client_probe_seconds").record(began.elapsed());
        let is_there = self.told(address, answer).is_ok();
        metrics::gauge!("fdfs_client_storage_up", "storage" => address.to_string()).set(if is_there {
            1.0
        } else {
            0.0
        });
        if is_there {
            if was_silent {
                info!(peer = %address, "server answers again");
            }
        } else {
            metrics::counter!("fdfs_client_probe_failures_total").increment(1);
        }
    }

    /// Takes note of why a conversation with a server failed.
    pub(crate) fn failed(&self, address: SocketAddr, error: &CallError) {
        let timed_out = match error {
            CallError::Net(NetError::Timeout) => true,
            CallError::Connect(error) => error.kind() == io::ErrorKind::TimedOut,
            _ => false,
        };
        if timed_out {
            metrics::counter!("fdfs_client_timeouts_total").increment(1);
            if self.silent.lock().insert(address, Instant::now()).is_none() {
                warn!(peer = %address, "server does not answer in time; others are asked first");
            }
        }
        if !timed_out && self.is_probed.load(Ordering::Relaxed) && is_of_host(error) {
            let mut failures = self.failures.lock();
            let count = failures.entry(address).or_default();
            *count += 1;
            if *count >= MAX_FAILS && self.silent.lock().insert(address, Instant::now()).is_none() {
                warn!(peer = %address, %error, "server does not serve; others are asked first");
            }
        }
    }

    /// Asks a question that may be asked twice, and reads the answer.
    pub(crate) async fn ask<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<R::Response, CallError> {
        self.in_time(address, self.pool.ask(address, request, ANSWER_LIMIT)).await
    }

    /// Asks a question that must not be asked twice and may take its time, up to `patience`.
    pub(crate) async fn ask_slow<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
        patience: Duration,
    ) -> Result<R::Response, CallError> {
        let mut lease = self.connected(address, self.pool.lease_new(address).await)?;
        lease.set_timeout(patience);
        let answer = lease.ask(request, ANSWER_LIMIT).await;
        // Nobody else is to be as patient.
        lease.close();
        self.told(address, answer)
    }

    /// Asks a question that must not be asked twice: a connection that was kept is used only if it seems alive.
    pub(crate) async fn ask_once<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let mut lease = self.lease(address).await?;
        self.in_time(address, lease.ask(request, ANSWER_LIMIT)).await
    }

    /// Asks a question that may be asked twice, on a connection of its own, and reads the header of the answer.
    pub(crate) async fn open<R: Request>(
        &self,
        address: SocketAddr,
        request: &R,
    ) -> Result<(Lease, Header), CallError> {
        let lease = self.lease(address).await?;
        match self.begin(lease, request).await {
            // A connection that was kept may have ended meanwhile.
            Err(CallError::Net(NetError::Closed | NetError::Io(_))) => {
                let lease = self.connected(address, self.pool.lease_new(address).await)?;
                self.begin(lease, request).await
            }
            other => other,
        }
    }

    /// A connection to a server.
    pub(crate) async fn lease(&self, address: SocketAddr) -> Result<Lease, CallError> {
        self.connected(address, self.pool.lease(address).await)
    }

    /// Waits for the answer to an upload of `size` bytes, which the storage may have to bring to its disk first.
    pub(crate) async fn stored<T>(
        &self,
        address: SocketAddr,
        size: u64,
        answer: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let limit = self.answer_timeout + Duration::from_secs(size / SLOW_DISK);
        let answer = tokio::time::timeout(limit, answer).await;
        self.told(address, answer.unwrap_or(Err(NetError::Timeout.into())))
    }

    /// A connection says little about its server, only a failed one does: the system makes it for a frozen server too.
    fn connected(&self, address: SocketAddr, lease: Result<Lease, CallError>) -> Result<Lease, CallError> {
        lease.inspect_err(|error| self.failed(address, error))
    }

    /// Takes note of an answer, or of why there is none.
    fn told<T>(&self, address: SocketAddr, answer: Result<T, CallError>) -> Result<T, CallError> {
        match &answer {
            Ok(_) | Err(CallError::Status(_)) => {
                if self.silent.lock().remove(&address).is_some() {
                    self.has_come(address);
                }
                self.failures.lock().remove(&address);
            }
            Err(error) => self.failed(address, error),
        }
        answer
    }

    /// Limits the time for an answer to begin.
    async fn in_time<T>(
        &self,
        address: SocketAddr,
        answer: impl Future<Output = Result<T, CallError>>,
    ) -> Result<T, CallError> {
        let answer = tokio::time::timeout(self.answer_timeout, answer).await;
        self.told(address, answer.unwrap_or(Err(NetError::Timeout.into())))
    }

    async fn begin<R: Request>(&self, mut lease: Lease, request: &R) -> Result<(Lease, Header), CallError> {
        let header = self
            .in_time(lease.address(), async {
                lease.send_request(request).await?;
                lease.receive().await
            })
            .await?;
        Ok((lease, header))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The part of its work that a server is given so long after it came.
fn share_after(time: Duration) -> f64 {
    (FIRST_SHARE + (1.0 - FIRST_SHARE) * time.as_secs_f64() / RAMP.as_secs_f64()).min(1.0)
}

/// Whether a failure is the server's, not the file's.
fn is_of_host(error: &CallError) -> bool {
    matches!(error, CallError::Connect(_) | CallError::Net(NetError::Io(_) | NetError::Closed))
}

/// After so many failures in a row others are asked first.
const MAX_FAILS: u32 = 2;

/// For so long others are asked before a server that did not answer in time.
const SILENT_TIME: Duration = Duration::from_secs(30);

/// What a server is given at first.
const FIRST_SHARE: f64 = 0.1;

/// After this time a server does all of its work.
const RAMP: Duration = Duration::from_secs(30);

/// Bytes that any disk takes within a second.
const SLOW_DISK: u64 = 16 << 20;

/// Longest answer that is not content.
const ANSWER_LIMIT: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_has_come_is_given_more_from_second_to_second() {
        let share = |seconds| (share_after(Duration::from_secs(seconds)) * 100.0).round();
        assert_eq!([0, 10, 20, 30, 1000].map(share), [10.0, 40.0, 70.0, 100.0, 100.0]);
        let servers = Servers::new(&ClientOptions::new(Vec::new()));
        let address = SocketAddr::from(([127, 0, 0, 2], 23000));
        assert_eq!(servers.share(address), 1.0);
        servers.has_come(address);
        assert!(servers.share(address) < 0.5);
    }
}
