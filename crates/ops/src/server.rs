//! The small HTTP server for `/metrics` and `/healthz`.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fdfs_conf::ServiceAddress;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{self, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use crate::{Health, Metrics};

/// Answers `/metrics` and `/healthz` until it is shut down or dropped.
#[derive(Debug)]
pub struct OpsServer {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

/// Why the server cannot start.
#[derive(Debug, Error)]
#[error("cannot listen on {address} for metrics: {source}; change metrics_listen")]
pub struct OpsServerError {
    /// The address.
    pub address: SocketAddr,
    /// What binding it answered.
    #[source]
    pub source: io::Error,
}

impl OpsServer {
    /// Listens where the configuration says, if anywhere. Where it says nothing, an address that cannot be
    /// bound is a warning: several daemons on one machine share the default.
    ///
    /// # Errors
    ///
    /// An address that the configuration names cannot be bound.
    pub async fn start_as_configured(
        listen: Option<ServiceAddress>,
        health: Health,
    ) -> Result<Option<Self>, OpsServerError> {
        let Some(listen) = listen else { return Ok(None) };
        let address = listen.address.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        match Self::start(SocketAddr::new(address, listen.port), health).await {
            Ok(server) => Ok(Some(server)),
            Err(error) if listen.is_explicit => Err(error),
            Err(error) => {
                warn!(%error, "no metrics");
                Ok(None)
            }
        }
    }

    /// Listens on `address` and answers from the runtime of the caller.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn start(address: SocketAddr, health: Health) -> Result<Self, OpsServerError> {
        let failed = |source| OpsServerError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let stop = CancellationToken::new();
        let state = Arc::new(State { metrics: Metrics::install(), health });
        let task = tokio::spawn(serve(listener, state, stop.clone()));
        Ok(Self { address, stop, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, and waits for answers that are on their way.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.task).await {
            warn!(%error, "metrics server ended badly");
        }
    }
}

impl Drop for OpsServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

struct State {
    metrics: Metrics,
    health: Health,
}

async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let free = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut upkeep = time::interval(UPKEEP);
    upkeep.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            _ = upkeep.tick() => {
                state.metrics.upkeep();
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match (accepted, Arc::clone(&free).try_acquire_owned()) {
            (Ok((stream, peer)), Ok(permit)) => {
                let state = Arc::clone(&state);
                connections.spawn(async move {
                    let answered = time::timeout(CONNECTION, answer(stream, state)).await;
                    debug!(%peer, timed_out = answered.is_err(), "metrics connection closed");
                    drop(permit);
                });
            }
            (Ok((_, peer)), Err(_)) => debug!(%peer, "too many metrics connections, closed"),
            (Err(error), _) => {
                warn!(%error, "metrics connection not accepted");
                time::sleep(ACCEPT_BACK_OFF).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await; // each ends by itself within CONNECTION
}

/// One request per connection, so that each ends within its deadline.
async fn answer(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(move |request| {
        let response = respond(&request, &state);
        async move { Ok::<_, Infallible>(response) }
    });
    let conversation = http1::Builder::new()
        .keep_alive(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = conversation {
        debug!(%error, "metrics request refused");
    }
}

fn respond<B>(request: &Request<B>, state: &State) -> Response<Full<Bytes>> {
    let (status, content_type, body) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, "/metrics") => (StatusCode::OK, PROMETHEUS, state.metrics.render()),
        (&Method::GET | &Method::HEAD, "/healthz") => {
            let (healthy, report) = state.health.report();
            let status = if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
            (status, "application/json", format!("{report}\n"))
        }
        (_, "/metrics" | "/healthz") => (StatusCode::METHOD_NOT_ALLOWED, PLAIN, "GET only\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, PLAIN, "see /metrics and /healthz\n".to_owned()),
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    }
    response
}

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const MAX_CONNECTIONS: usize = 32;
const HEAD: Duration = Duration::from_secs(5);
const CONNECTION: Duration = Duration::from_secs(10);
const UPKEEP: Duration = Duration::from_secs(5);
const ACCEPT_BACK_OFF: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests;
