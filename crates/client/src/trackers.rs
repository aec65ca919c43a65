//! Asking trackers: any of them, until one answers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fdfs_net::CallError;
use fdfs_proto::{Request, ServerAddress, Status};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use crate::patience::Patience;
use crate::servers::Servers;
use crate::{ClientError, ClientOptions};

/// The trackers of a cluster.
#[derive(Debug)]
pub(crate) struct Trackers {
    trackers: Vec<ServerAddress>,
    servers: Arc<Servers>,
    options: Arc<ClientOptions>,
    /// The one that answered last.
    current: AtomicUsize,
    /// Whether each answered, and when that was told last.
    answering: Mutex<HashMap<SocketAddr, (bool, Instant)>>,
}

impl Trackers {
    pub(crate) fn new(servers: Arc<Servers>, options: Arc<ClientOptions>) -> Self {
        let trackers = options.trackers.clone();
        let current = AtomicUsize::new(fastrand::usize(..trackers.len().max(1)));
        Self { trackers, servers, options, current, answering: Mutex::default() }
    }

    /// Asks one tracker after another, from the one that answered last on, until one has an answer.
    ///
    /// A tracker that has just started knows no group yet, and one that does not lead cannot tell all: "not
    /// found" and "not supported" are the answer only when nobody says better.
    pub(crate) async fn ask<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let mut patience = Patience::new(&self.options);
        loop {
            let failure = match timeout_at(patience.deadline(), self.ask_once(request)).await {
                Err(_elapsed) => return Err(ClientError::Timeout),
                Ok(Err(error @ ClientError::Unavailable { .. })) => error,
                Ok(answer) => return answer,
            };
            if !patience.next_round("tracker").await {
                return Err(failure);
            }
        }
    }

    /// Takes note of whether a tracker answers.
    fn note(&self, tracker: SocketAddr, answers: bool) {
        let now = Instant::now();
        let mut answering = self.answering.lock();
        // Told again now and then: whoever collects figures may not have been there before.
        let is_told =
            answering.get(&tracker).is_some_and(|(before, at)| *before == answers && now - *at < TOLD_FOR);
        if !is_told {
            answering.insert(tracker, (answers, now));
            let up = if answers { 1.0 } else { 0.0 };
            metrics::gauge!("fdfs_client_tracker_up", "tracker" => tracker.to_string()).set(up);
        }
    }

    /// Connections to all servers.
    pub(crate) fn servers(&self) -> &Servers {
        &self.servers
    }

    /// Every tracker.
    pub(crate) fn all(&self) -> &[ServerAddress] {
        &self.trackers
    }

    /// As [`Self::ask`], but every tracker at most once.
    pub(crate) async fn ask_once<R: Request>(&self, request: &R) -> Result<R::Response, ClientError> {
        let first = self.current.load(Ordering::Relaxed);
        let mut no: Option<ClientError> = None;
        let mut last: Option<(SocketAddr, CallError)> = None;
        for step in 0..self.trackers.len() {
            let index = (first + step) % self.trackers.len();
            for address in self.trackers.get(index).into_iter().flat_map(ServerAddress::sockets) {
                let answer = self.servers.ask(address, request).await;
                self.note(address, matches!(answer, Ok(_) | Err(CallError::Status(_))));
                match answer {
                    Ok(answer) => {
                        if step > 0 {
                            self.current.store(index, Ordering::Relaxed);
                        }
                        return Ok(answer);
                    }
                    Err(CallError::Status(status @ (Status::ENOENT | Status::EOPNOTSUPP))) => {
                        no = Some(ClientError::refused(address, R::COMMAND, status));
                        break;
                    }
                    Err(CallError::Status(status)) => {
                        return Err(ClientError::refused(address, R::COMMAND, status));
                    }
                    Err(error) => {
                        debug!(tracker = %address, cmd = %R::COMMAND, %error, "tracker does not answer");
                        metrics::counter!("fdfs_client_tracker_failures_total").increment(1);
                        last = Some((address, error));
                    }
                }
            }
        }
        Err(match (no, last) {
            (Some(no), _) => no,
            (None, Some((address, error))) => ClientError::unavailable(
                format!("no tracker answers, the last one asked was {address}: {error}"),
                Some(error),
            ),
            (None, None) => ClientError::unavailable("no tracker is configured", None),
        })
    }
}

/// A figure that does not change is told again after this time.
const TOLD_FOR: Duration = Duration::from_secs(1);
